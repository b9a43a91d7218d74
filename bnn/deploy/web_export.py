"""A packed net as a web page: one HTML file, which needs nothing else.

The page holds the ``.bnn`` file as it is and computes it in JavaScript and
WebAssembly, with the same whole numbers as :mod:`bnn.deploy.runtime`.  Its
parts lie in ``page/``, as files that an editor understands.
"""
import base64
import pathlib
import re

from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packed

_PARTS = pathlib.Path(__file__).with_name('page')
_SHAPE = 1, 28, 28
_CLASSES = tuple('0123456789')


def check(net):
    """Raises UserError for a net that the page does not take.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Raises:
        ~bnn.errors.UserError: If it does not tell digits of 28x28 apart, or
            is no perceptron of whole numbers; the message says which layer.

    """
    if net.input_shape != _SHAPE or net.class_names != _CLASSES:
        raise errors.UserError(
            'the web page is for drawn digits: it takes nets of 1x28x28 '
            'images of the classes 0 to 9, and this one has images of %s and '
            '%d classes, %s to %s' % (
                'x'.join(map(str, net.input_shape)), len(net.class_names),
                net.class_names[0], net.class_names[-1]))
    # The layers first: of an operation between them they are the cause.
    for stage in sorted(net.stages, key=lambda one: not isinstance(
            one, packed.Product)):
        reason = _reason(stage)
        if reason is not None:
            raise errors.UserError(
                'the web page takes perceptrons that compute with whole '
                'numbers: %s' % ' '.join([stage.name, reason]).strip())
    if net.products[-1].result != 'float' or net.products[
            -1] is not net.stages[-1]:
        raise errors.UserError(
            'the web page takes nets that end with a linear layer')


def _reason(stage):
    """Returns why the page does not take a stage, or None."""
    if isinstance(stage, packed.PixelSigns):
        return None
    if isinstance(stage, packed.FloatStage):
        if isinstance(stage.operation, operations.Flatten):
            return None
        return '%s stays in floats' % type(stage.operation).__name__
    if not isinstance(stage, packed.Product):
        return 'is a pooling'
    if stage.is_convolution:
        return 'is a convolution'
    if stage.weights.bits == 32:
        return 'has float weights'
    if stage.operand == 'float':
        return 'gets floats'
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
    parts['popcount.wasm'] = _base64(
        _PARTS.joinpath('popcount.wasm').read_bytes())
    parts['net.bnn'] = _base64(file_format.dump(net))
    return re.sub(r'\{\{([a-z.]+)\}\}', lambda found: parts[found[1]],
                  parts['page.html']) + '\n'


def _base64(contents):
    return base64.b64encode(contents).decode()
