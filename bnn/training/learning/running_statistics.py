"""The statistics that batch normalization computes with."""
import contextlib
from collections.abc import Iterator

import chainer
import chainer.links as L

from bnn.training.learning import batches


@contextlib.contextmanager
def of_the_batch(model: chainer.Link) -> Iterator[None]:
    """Lets batch normalization use each batch's own statistics in a test.

    Dropout stays off, which a ``train`` flag for the whole net would turn on.
    The running statistics are in the end as they were.

    Args:
        model: The model.
    """
    links = _batch_normalizations(model)
    saved = [(link.avg_mean.copy(), link.avg_var.copy(), link.N)
             for link in links]
    try:
        with _TrainBatchNormalization(finetune=False):
            yield
    finally:
        for link, (mean, var, n) in zip(links, saved, strict=True):
            link.avg_mean[...] = mean
            link.avg_var[...] = var
            link.N = n


def recompute(model: chainer.links.Classifier, feed: batches.Feed,
              device: chainer.backend.Device) -> None:
    """Computes the running statistics anew, without dropout.

    Those of training are moving averages over the last iterations, under
    dropout.  Here they are plain averages over large batches of all the
    examples ("precise batch normalization", `2105.07576
    <https://arxiv.org/abs/2105.07576>`_, section 3).

    Args:
        model: The model, changed.
        feed: One pass over the training examples.
        device: Where the model is.
    """
    for link in _batch_normalizations(model):
        link.start_finetuning()
    with (_TrainBatchNormalization(finetune=True), chainer.no_backprop_mode(),
          chainer.using_config('train', False)):
        for batch in feed.iterator:
            x, t = feed.converter(batch, device)
            if len(t):  # not all of them broken
                model.predictor(x)


class _TrainBatchNormalization(chainer.LinkHook):
    name = 'TrainBatchNormalization'

    def __init__(self, finetune):
        super().__init__()
        self._finetune = finetune

    def forward_preprocess(self, args):
        if isinstance(args.link, L.BatchNormalization):
            chainer.config.train = True
            args.kwargs['finetune'] = self._finetune

    def forward_postprocess(self, args):
        if isinstance(args.link, L.BatchNormalization):
            chainer.config.train = False


def _batch_normalizations(model):
    return [link for link in model.links()
            if isinstance(link, L.BatchNormalization)]
