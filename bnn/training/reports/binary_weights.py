"""What happens to the binary weights of a net in training."""
from typing import Any

import chainer
import numpy
from chainer import training
from chainer.training import extension


def binary_links(model: chainer.Link) -> dict[str, chainer.Link]:
    """Returns the layers of one-bit weights by their names."""
    return {name.rsplit('/predictor', 1)[-1].strip('/'): link
            for name, link in model.namedlinks()
            if getattr(link, 'w_bits', 32) == 1}


class BinaryStatistics(extension.Extension):
    """Reports flips and clipped weights of each epoch, layer by layer.

    Into the log go, for each layer of binary weights, ``<layer>/flip_ratio``,
    the share of weights whose sign is another than an epoch ago, and
    ``<layer>/at_clip``, the share of latent weights with ``|W| >= 1``.

    Args:
        model: The model.
    """

    priority = extension.PRIORITY_WRITER

    def __init__(self, model: chainer.Link) -> None:
        self._links = binary_links(model)
        self._signs = None

    def trigger(self, trainer: training.Trainer) -> bool:
        return trainer.updater.is_new_epoch

    def initialize(self, trainer: training.Trainer) -> None:
        if self._signs is None:
            self._signs = self._get_signs()

    def __call__(self, trainer: training.Trainer) -> None:
        signs = self._get_signs()
        for name, link in self._links.items():
            W = link.W.array
            trainer.observation[name + '/flip_ratio'] = float(
                (signs[name] != self._signs[name]).mean())
            if getattr(link.W.update_rule, 'has_latent_weights', True):
                trainer.observation[name + '/at_clip'] = float(
                    (abs(W) >= 1).mean())
        self._signs = signs

    def serialize(self, serializer: Any) -> None:
        """Keeps the signs of the last epoch, a bit each."""
        signs = self._get_signs() if self._signs is None else self._signs
        loaded = {}
        for name, ours in signs.items():
            bits = serializer(
                name, numpy.packbits(chainer.backends.cuda.to_cpu(ours)))
            if isinstance(serializer, chainer.Deserializer):
                link = self._links[name]
                loaded[name] = link.device.send(numpy.unpackbits(
                    bits, count=ours.size).astype(bool).reshape(ours.shape))
        if isinstance(serializer, chainer.Deserializer):
            self._signs = loaded

    def _get_signs(self):
        return {name: link.W.array >= 0 for name, link in self._links.items()}
