"""The teacher of a run, from its model file."""
import chainer
import numpy

from bnn import data
from bnn import errors
from bnn.training.command_line import config as config_module
from zoo import trained


def load(config: config_module.Config, dataset: data.Dataset,
         device: chainer.backend.Device) -> chainer.Chain | None:
    """Loads the net that a configuration names as teacher.

    Args:
        config: The configuration.
        dataset: The data that the net is trained on.
        device: Where it computes.

    Returns:
        The net on the device, or ``None`` where there is no teacher.

    Raises:
        ~bnn.errors.UserError: If the file cannot be loaded, see
            :func:`zoo.trained.load`, or the net is for other classes, images
            of another size, or pixels scaled otherwise.
    """
    if config.teacher is None:
        return None
    found = trained.load(config.teacher)
    ours = tuple(map(str, dataset.class_names))
    _compare(config, 'classes', found.class_names, ours)
    _compare(config, 'images', 'x'.join(map(str, found.input_shape)),
             'x'.join(map(str, data.SHAPES.get(
                 dataset.name, config.picture_shape))))
    _compare(config, '--input', found.attributes.get('input', 'unit'),
             config.input)
    if found.whitening is not None and not all(
            numpy.allclose(theirs, ours, atol=1e-2)
            for theirs, ours in zip(found.whitening, dataset.whitening)):
        raise errors.UserError(
            f'--teacher {config.teacher} has images that were whitened as '
            f'those of other data than {dataset.source}')
    found.predictor.to_device(device)
    return found.predictor


def _compare(config, name, theirs, ours):
    if theirs != ours:
        raise errors.UserError(
            f'--teacher {config.teacher} is of {name} {_words(theirs)}, but '
            f'the net is of {_words(ours)}')


def _words(value):
    if isinstance(value, str):
        return value
    words = ', '.join(value)
    return f'{len(value)}, {words:.80}'
