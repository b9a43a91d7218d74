"""Keeping the model of the best epoch on the validation part."""
from typing import Any

import chainer
import numpy
from chainer import training
from chainer.serializers import npz
from chainer.training import extension

_KEY = 'validation/main/accuracy'


def copy_arrays(link: chainer.Link) -> dict[str, numpy.ndarray]:
    """Copies what a link serializes, to the host.

    Args:
        link: What to copy, initialized.

    Returns:
        Names to arrays, for :class:`chainer.serializers.NpzDeserializer`.
    """
    return {name: numpy.array(value)
            for name, value in npz.serialize(link).items()}


def best(log: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the best entry of a log: the first of the highest accuracy.

    Args:
        log: Entries of the log.

    Returns:
        The entry.
    """
    return max(log, key=lambda entry: entry[_KEY])


class KeepBest(extension.Extension):
    """Keeps a copy of the model from the best epoch so far.

    The copy is in the snapshots, so that it is always that of the log's best
    entry, wherever a run goes on.

    Args:
        model: The model, initialized.
    """

    # After the LogReport, before the snapshot.
    priority = extension.PRIORITY_READER - 1

    def __init__(self, model: chainer.Link) -> None:
        self._model = model
        self._arrays = copy_arrays(model)

    def trigger(self, trainer: training.Trainer) -> bool:
        return trainer.updater.is_new_epoch

    def __call__(self, trainer: training.Trainer) -> None:
        log = trainer.get_extension('LogReport').log
        if best(log) is log[-1]:
            self._arrays = copy_arrays(self._model)

    def restore(self) -> None:
        """Puts the best epoch's parameters and statistics into the model."""
        npz.NpzDeserializer(self._arrays).load(self._model)

    def serialize(self, serializer: Any) -> None:
        """Saves or loads the copy."""
        loading = isinstance(serializer, chainer.Deserializer)
        for name, ours in self._arrays.items():
            theirs = serializer(name, None if loading else ours)
            if loading:
                if theirs.shape != ours.shape:
                    raise ValueError(
                        f'the best {name} has the shape {theirs.shape}, not '
                        f'{ours.shape}')
                self._arrays[name] = theirs
