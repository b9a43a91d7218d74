"""What the weights that training draws start from, and are tested with."""
import chainer
import numpy

#: What a test computes with: the signs of the latent weights, which are what
#: a packed net has; the latent weights themselves, which are the means of the
#: draws; or draws
KINDS = ('signs', 'real', 'mean')


def choose(model: chainer.Link, kind: str, n_draws: int = 1) -> None:
    r"""Chooses what a test of drawn weights computes with.

    These are the three methods of `BinaryConnect
    <https://arxiv.org/abs/1511.00363>`_, section 2.6: the signs of the latent
    weights; the latent weights as they are, the mean of a draw in [-1, 1],
    with which the paper tests its stochastic nets; or the mean of the scores
    of several nets whose weights are drawn.  Layers whose weights training
    does not draw stay as they are.

    Args:
        model (~bnn.training.learning.classifier.Classifier): The model.
        kind: One of :data:`KINDS`.
        n_draws: How many nets there are with ``'mean'``.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f'no kind {kind!r}; there are: {", ".join(KINDS)}')
    model.n_passes = n_draws if kind == 'mean' else 1
    for link in model.links():
        if hasattr(link, 'test_weights'):
            link.test_weights = kind


def draw_uniform(model: chainer.Link) -> None:
    """Draws the latent weights of quantized layers from [-1, 1].

    BinaryConnect's code starts like this.  A draw from latent weights of
    small variance is +1 or -1 at even chances, which carries no signal.

    Args:
        model: The net, its weights initialized, on the CPU.
    """
    for link in model.links():
        if getattr(link, 'w_bits', 32) < 32:
            link.W.array[...] = numpy.random.uniform(-1, 1, link.W.shape)
