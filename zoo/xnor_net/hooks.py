"""Optimizer hooks of XNOR-Net for its latent weights."""
import chainer
import chainer.links as L

import weight_clip
from bnn.kernels import elementwise
from zoo.xnor_net import link_xnor_block


def prepare(W):
    """Centres and clamps latent weights, in place.

    Subtracts the mean over the input channels, then clips to [-1, 1].
    XNOR-Net-PyTorch does so before each binarization.

    Args:
        W (array): Latent weights, (filters, channels, ...).
    """
    W -= W.mean(axis=1, keepdims=True)
    elementwise.clip(W, -1., 1.)


class WeightPreparation:
    """Centres and clamps latent weights after each update.

    See :func:`prepare`.  XNOR-Net-PyTorch changes the stored weights in each
    forward pass, so that testing a model changes it.  Here the hook changes
    them once, after the update, and a forward pass changes nothing.
    :func:`add_to` prepares the initial weights.
    """

    name = 'WeightPreparation'
    call_for_each_param = True
    timing = 'post'

    def __call__(self, rule, param):
        if param.array is not None:
            with chainer.using_device(param.device):
                prepare(param.array)


class GradientScale:
    r"""Multiplies the gradient of latent weights by (1 - 1/c) n ``extra``.

    ``c`` is the number of input channels and ``n`` the number of weights in a
    filter, as in XNOR-Net-PyTorch.  Adam's step depends on the ratio of
    gradients, so it cancels the factor.  A weight decay that is added after
    this hook is not multiplied, and so gets smaller by the factor; add this
    hook before the weight decay.

    Args:
        extra (float): Another factor.  XNOR-Net-PyTorch has 1e9 for ImageNet,
            which switches the weight decay off.
    """

    name = 'GradientScale'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, extra=1.):
        self.extra = extra

    def __call__(self, rule, param):
        if param.grad is not None:
            with chainer.using_device(param.device):
                param.grad *= (
                    (1 - 1 / param.shape[1]) * param[0].size * self.extra)


def prepared_links(model: chainer.Link) -> list[chainer.Link]:
    """Lists the layers whose latent weights XNOR-Net centres and clamps.

    Args:
        model (~chainer.Link): The model.

    Returns:
        list of ~chainer.Link: The layers of binary weights that are scaled,
        or in one of XNOR-Net's blocks.
    """
    in_blocks = {id(child) for block in model.links() if isinstance(
        block, link_xnor_block.XNORBlock) for child in block.children()}
    return [link for link in model.links()
            if getattr(link, 'w_bits', 32) == 1
            and (getattr(link, 'scaled', False) or id(link) in in_blocks)]


def add_to(model: chainer.Link, min_gamma: float = .01,
           extra: float = 1., scale_gradient: bool = True):
    """Adds XNOR-Net's hooks to a model of its blocks, or of scaled weights.

    The gammas of batch normalization are kept at ``min_gamma`` or more, so
    that none turns the comparison of the sign round.  A model without such
    weights is not changed.

    Args:
        model (~chainer.Link): A model that an optimizer was set up with.
        min_gamma (float): Least gamma; 0 bounds none.  XNOR-Net-PyTorch has
            0.01 for LeNet-5 and NIN, and no limit for AlexNet.
        extra (float): See :class:`GradientScale`.
        scale_gradient (bool): Whether to add a :class:`GradientScale`.  It is
            meant for Adam; the steps of other optimizers grow with the
            gradient.

    Raises:
        ValueError: If such a layer is not initialized or has one input
            channel, which centring would make 0.
    """
    links = prepared_links(model)
    for link in links:
        if link.W.array is None or link.W.shape[1] == 1:
            raise ValueError(
                'XNOR-Net centres weights over the input channels: a layer '
                'must be initialized and have two of them or more')
        with chainer.using_device(link.device):
            prepare(link.W.array)
        if scale_gradient:
            link.W.update_rule.add_hook(GradientScale(extra))
        link.W.update_rule.add_hook(WeightPreparation())
    if links and min_gamma:
        for link in model.links():
            if (isinstance(link, L.BatchNormalization)
                    and getattr(link, 'gamma', None) is not None):
                link.gamma.update_rule.add_hook(
                    weight_clip.WeightClip(min_gamma, float('inf')))
