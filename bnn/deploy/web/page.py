"""A packed net as a web page: one HTML file, which needs nothing else.

The page holds the ``.bnn`` file as it is and computes it in JavaScript, stage
by stage as :mod:`bnn.deploy.run`: with the same whole numbers, and with
floats that differ by the rounding of sums.  A visitor draws a digit, or shows
a picture to a net of anything else.  The parts of the page lie in ``parts/``,
as files that an editor understands; ``index.html`` names them, and
``drawing.*`` and ``picture.*`` are the two kinds of input.
"""
import base64
import pathlib
import re

from bnn import errors
from bnn.data import decoding
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import pictures
from bnn.deploy import stages

_PARTS = pathlib.Path(__file__).with_name('parts')
_DIGITS = (1, 28, 28), tuple('0123456789')
# A larger page takes long to load and to compute, on a telephone above all.
_MAX_BYTES = 4e6


def make(net: stages.PackedNet) -> str:
    """Makes the page of a net.

    Args:
        net: The net.

    Returns:
        HTML, to be written as UTF-8.

    Raises:
        ~bnn.errors.UserError: If the images of the net are neither grey nor
            coloured, if it whitens them, or if it takes 4 MB or more; the
            message says which.
    """
    _check(net)
    contents = file_format.dump(net)
    if len(contents) >= _MAX_BYTES:
        raise errors.UserError(
            'the web page takes nets whose packed file is below 4 MB, and '
            f'this one has {len(contents) / 1e6:.1f} MB')
    is_drawn = (net.input_shape, net.class_names) == _DIGITS
    parts = {path.name: path.read_text('utf-8').rstrip()
             for path in _PARTS.iterdir()}
    kind = 'drawing' if is_drawn else 'picture'
    parts.update({
        **{f'input.{end}': parts[f'{kind}.{end}'] for end in ('html', 'js')},
        'title': 'Draw a digit' if is_drawn else 'Show a picture',
        'mnist.box': str(pictures.BOX),
        'mnist.centre': str(pictures.CENTRE),
        'imagenet.size': str(decoding.SIZE),
        'net.bnn': base64.b64encode(contents).decode()})
    return _filled(parts, 'index.html') + '\n'


def _filled(parts, name):
    """Returns a part with the parts in it that it names."""
    return re.sub(r'\{\{([a-z.]+)\}\}', lambda found: (
        _filled(parts, found[1])), parts[name])


def _check(net):
    n_channels = net.input_shape[0]
    if n_channels not in (1, 3):
        raise errors.UserError(
            'the web page takes nets of grey or coloured pictures, and the '
            f'images of this one have {n_channels} channels')
    for stage in net.stages:
        if isinstance(stage, stages.FloatStage) and isinstance(
                stage.operation, operations.Whiten):
            raise errors.UserError(
                f'the web page does not take this net: {stage.name} is a '
                'matrix of all pixels by all pixels')
