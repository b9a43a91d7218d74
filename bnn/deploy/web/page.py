"""A packed net as a web page: one HTML file, which needs nothing else.

The page holds the ``.bnn`` file as it is and computes it in JavaScript, stage
by stage as :mod:`bnn.deploy.run`: with the same whole numbers, and with
floats that differ by the rounding of sums.  Its parts lie in ``parts/``, as
files that an editor understands.
"""
import base64
import pathlib
import re

from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import pictures
from bnn.deploy import stages

_PARTS = pathlib.Path(__file__).with_name('parts')
_SHAPE = 1, 28, 28
_CLASSES = tuple('0123456789')
# A larger page takes long to load and to compute, on a telephone above all.
_MAX_BYTES = 4e6
# What parts/stages.js computes
_OPERATIONS = (
    operations.BatchNormalization, operations.Bias, operations.Clip,
    operations.Flatten, operations.KeepScale, operations.MaxPooling2D,
    operations.MultiplyScale, operations.Quantize, operations.ReLU,
    operations.RPReLU, operations.Rescale, operations.Sign)


def make(net: stages.PackedNet) -> str:
    """Makes the page of a net.

    Args:
        net: The net.

    Returns:
        HTML, to be written as UTF-8.

    Raises:
        ~bnn.errors.UserError: If the net does not classify digits of 28x28
            pixels, has a layer that the page does not compute, or takes 4 MB
            or more; the message says which.
    """
    _check(net)
    contents = file_format.dump(net)
    if len(contents) >= _MAX_BYTES:
        raise errors.UserError(
            'the web page takes nets whose packed file is below 4 MB, and '
            f'this one has {len(contents) / 1e6:.1f} MB')
    parts = {path.name: path.read_text('utf-8').rstrip()
             for path in _PARTS.iterdir()}
    parts.update({'mnist.box': str(pictures.BOX),
                  'mnist.centre': str(pictures.CENTRE),
                  'net.bnn': base64.b64encode(contents).decode()})
    return re.sub(r'\{\{([a-z.]+)\}\}', lambda found: parts[found[1]],
                  parts['index.html']) + '\n'


def _check(net):
    if net.input_shape != _SHAPE or net.class_names != _CLASSES:
        raise errors.UserError(
            'the web page is for drawn digits: it takes nets of 1x28x28 '
            'images of the classes 0 to 9, and this one has images of '
            f'{"x".join(map(str, net.input_shape))} and '
            f'{len(net.class_names)} classes, {net.class_names[0]} to '
            f'{net.class_names[-1]}')
    for stage in net.stages:
        reason = _reason(stage)
        if reason is not None:
            raise errors.UserError('the web page does not take this net: '
                                   f'{stage.name or "a layer"} {reason}')


def _reason(stage):
    """Returns why the page does not compute a stage, or None."""
    if isinstance(stage, stages.FloatStage):
        if not isinstance(stage.operation, _OPERATIONS):
            return f'is of {type(stage.operation).__name__}'
    elif isinstance(stage, stages.Product):
        if any(stage.pad):
            return 'pads its images'
        if stage.groups > 1:
            return 'has groups of channels'
    return None
