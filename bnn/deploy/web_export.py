"""A packed net as a web page: one HTML file, which needs nothing else.

The page holds the ``.bnn`` file as it is and computes it in JavaScript and
WebAssembly: stage by stage as :mod:`bnn.deploy.runtime`, with the same whole
numbers, and floats that differ by the rounding of sums.  Its parts lie in
``page/``, as files that an editor understands.
"""
import base64
import pathlib
import re

from bnn import errors
from bnn.data import mnist
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packed

_PARTS = pathlib.Path(__file__).with_name('page')
_SHAPE = 1, 28, 28
_CLASSES = tuple('0123456789')
# What page/stages.js computes: all that the nets of train_mnist.py contain
_OPERATIONS = (
    operations.BatchNormalization, operations.Bias, operations.Clip,
    operations.Flatten, operations.KeepScale, operations.MaxPooling2D,
    operations.MultiplyScale, operations.Quantize, operations.ReLU,
    operations.RPReLU, operations.Rescale, operations.Sign)


def check(net):
    """Raises UserError for a net that the page does not take.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Raises:
        ~bnn.errors.UserError: If it does not tell digits of 28x28 apart, or
            has a layer such as no net for digits has; the message says
            which.

    """
    if net.input_shape != _SHAPE or net.class_names != _CLASSES:
        raise errors.UserError(
            'the web page is for drawn digits: it takes nets of 1x28x28 '
            'images of the classes 0 to 9, and this one has images of %s and '
            '%d classes, %s to %s' % (
                'x'.join(map(str, net.input_shape)), len(net.class_names),
                net.class_names[0], net.class_names[-1]))
    for stage in net.stages:
        reason = _reason(stage)
        if reason is not None:
            raise errors.UserError(
                'the web page does not take this net: %s %s' % (
                    stage.name or 'a layer', reason))


def _reason(stage):
    """Returns why the page does not take a stage, or None."""
    if isinstance(stage, packed.FloatStage):
        if not isinstance(stage.operation, _OPERATIONS):
            return 'is of %s' % type(stage.operation).__name__
    elif isinstance(stage, packed.Product):
        if any(stage.pad):
            return 'pads its images'
        if stage.groups > 1:
            return 'has groups of channels'
    return None


def page(net):
    """Returns the page.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Returns:
        str: HTML, to be written as UTF-8.

    Raises:
        ~bnn.errors.UserError: See :func:`check`.

    """
    check(net)
    parts = {path.name: path.read_text('utf-8').rstrip()
             for path in _PARTS.iterdir()
             if path.suffix in ('.html', '.css', '.js')}
    parts.update((path.name, _base64(path.read_bytes()))
                 for path in _PARTS.glob('*.wasm'))
    parts.update({'mnist.box': str(mnist.BOX),
                  'mnist.centre': str(mnist.CENTRE)})
    parts['net.bnn'] = _base64(file_format.dump(net))
    return re.sub(r'\{\{([a-z.]+)\}\}', lambda found: parts[found[1]],
                  parts['page.html']) + '\n'


def _base64(contents):
    return base64.b64encode(contents).decode()
