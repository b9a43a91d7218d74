"""A packed net as C99: a header, a source, a Makefile and two examples.

:mod:`bnn.deploy.c_plan` says what the layers are; the functions that run them
are in ``c_source``, into which only what a net uses is compiled.
"""
import dataclasses
import math
import os
import pathlib

from bnn import errors
from bnn.deploy import c_plan
from bnn.deploy import c_text
from bnn.deploy import packed

_SOURCE = pathlib.Path(__file__).with_name('c_source')
_KERNELS = 'bits.c', 'windows.c', 'layers.c', 'images.c'
# A folder that has this was exported to before.
_MARK = 'bnn_net.h'
_EXAMPLES = 'main.c', 'Makefile', 'cortex_m4.c', 'cortex_m4.ld'


@dataclasses.dataclass(frozen=True)
class CNet:

    """A net in C.

    Attributes:
        files (dict): Names to texts.
        rows (list of dict): A table of flash and RAM: each layer, and the
            totals.
    """

    files: dict
    rows: list


def export(net):
    """Makes C of a net.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Returns:
        CNet: It.

    Raises:
        ~bnn.errors.UserError: If not all of it is in whole numbers: which
            layer, and why.

    """
    steps = c_plan.plan(net)
    uses = _uses(steps)
    sizes = _sizes(net, steps)
    # The mark first: what did not get further can be done again.
    files = {_MARK: c_text.header(net)}
    files.update((name, (_SOURCE / name).read_text()) for name in _EXAMPLES)
    kernels = ''.join((_SOURCE / name).read_text() for name in _KERNELS)
    files['bnn_net.c'] = c_text.source(net, steps, uses, sizes, kernels)
    return CNet(files, _rows(steps, sizes))


def write(c_net, folder, atomic_write):
    """Writes the files of a net.

    Args:
        c_net (CNet): The net.
        folder (str): Where to; made if it is not there.
        atomic_write (callable): Opens a file by its path.

    Raises:
        ~bnn.errors.UserError: If it is no folder, or files of something else
            are in the way.

    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise errors.UserError('%s is not a folder' % folder)
    here = [name for name in c_net.files
            if os.path.lexists(os.path.join(folder, name))]
    if here and _MARK not in here:
        raise errors.UserError(
            '%s has a %s that is not of an exported net; name another folder'
            % (folder, here[0]))
    os.makedirs(folder, exist_ok=True)
    for name, text in c_net.files.items():
        with atomic_write(os.path.join(folder, name)) as f:
            f.write(text.encode())


def _uses(steps):
    """Returns which parts of the source are compiled."""
    layers = [one for one in steps if isinstance(one, c_plan.Layer)]
    of_bits = [one for one in layers if one.bits is not None]
    windows = [one for one in layers if one.takes_windows]
    gaps = any(one.has_gaps for one in of_bits)
    return {
        'BITS': bool(of_bits),
        'BYTES': len(of_bits) < len(layers),
        'PLANES': any(one.product.operand != 'bits' for one in of_bits),
        'VALUES': any(one.product.operand != 'bits' for one in windows),
        'BIT_WINDOWS': any(
            one.product.operand == 'bits' for one in windows),
        'GAPS': gaps,
        'FILL': gaps or any(one.pad_bit for one in layers),
        'LEVELS': any(one.product.result == 'levels' for one in layers),
        'MULTIPLIER': any(one.multiplier is not None for one in layers),
        'POOL': any(isinstance(one, packed.BitMaxPooling) for one in steps),
        'SIGNS': any(isinstance(one, packed.PixelSigns) for one in steps)}


def _sizes(net, steps):
    """Returns the lengths of the buffers; of bits in words of 64."""
    sizes = dict.fromkeys(
        ['WINDOW', 'GAP', 'WINDOW_BYTES', 'WINDOW_VALUES', 'POOL', 'BITS_0',
         'BITS_1', 'LEVELS_0', 'LEVELS_1', 'LEVEL_BYTES', 'WEIGHT_BYTES'], 0)
    turn = 0

    def need(name, n):
        sizes[name] = max(sizes[name], n)

    for step in steps:
        kind = 'bits'
        if isinstance(step, packed.BitMaxPooling):
            need('POOL', -(-step.input_shape[0] // 64))
        elif isinstance(step, c_plan.Layer):
            kind = step.product.result
            n = step.geometry['inputs']
            need('LEVEL_BYTES', 1 if step.pad is None or (
                step.pad.max() < 256) else 2)
            if step.bytes is not None:
                need('WINDOW_VALUES', n)
                need('WEIGHT_BYTES',
                     1 if c_plan.fits_bytes(step.bytes) else 2)
            elif step.takes_windows or step.product.operand != 'bits':
                need('WINDOW', step.fields['x_bits'] * -(-n // 64))
                if step.takes_windows and step.product.operand != 'bits':
                    need('WINDOW_BYTES', n)
            if step.has_gaps and step.bits is not None:
                need('GAP', -(-n // 64))
            if kind == 'levels':
                need('LEVEL_BYTES', 1 if (
                    step.product.high - step.product.low) < 256 else 2)
        shape = getattr(step, 'product', step).output_shape
        if kind == 'bits':
            need('BITS_%d' % turn, -(-math.prod(shape) // 64))
        elif kind == 'levels':
            need('LEVELS_%d' % turn, math.prod(shape))
        turn = 1 - turn
    need('WINDOW', 1)
    return sizes


def _rows(steps, sizes):
    rows = []
    for step in steps:
        shape = getattr(step, 'product', step).output_shape
        kind, flash, weights = 'bits to bits', 0, ''
        ram = -(-math.prod(shape) // 64) * 8
        if isinstance(step, c_plan.Layer):
            product = step.product
            kind = '%s to %s' % (product.operand, product.result)
            weights = 'x'.join(map(str, product.weights.shape))
            flash = step.flash
            if product.result == 'levels':
                ram = math.prod(shape) * sizes['LEVEL_BYTES']
            elif product.result == 'float':
                ram = math.prod(shape) * 8
        elif isinstance(step, packed.PixelSigns):
            kind = 'pixels to bits'
        elif step.is_minimum.any():
            flash = -(-len(step.is_minimum) // 32) * 4
        rows.append({
            'layer': step.product.name if weights else type(step).__name__,
            'weights': weights, 'operand to result': kind,
            'flash bytes': flash, 'RAM bytes': ram})
    windows = (_words(sizes['WINDOW']) + _words(sizes['GAP'])
               + 3 * _words(sizes['POOL']) + sizes['WINDOW_BYTES']
               + 2 * sizes['WINDOW_VALUES'])
    n = math.prod(getattr(steps[-1], 'product', steps[-1]).output_shape)
    kept = windows + 8 * n + _words(sizes['BITS_0']) + _words(
        sizes['BITS_1']) + sizes['LEVEL_BYTES'] * (
            sizes['LEVELS_0'] + sizes['LEVELS_1'])
    rest = {'weights': '', 'operand to result': ''}
    return [*rows, {'layer': 'windows', **rest, 'flash bytes': 0,
                    'RAM bytes': windows},
            # Layers take turns in two buffers.
            {'layer': 'total, without code and stack', **rest,
             'flash bytes': sum(row['flash bytes'] for row in rows),
             'RAM bytes': kept}]


def _words(n):
    """Returns the bytes of a buffer of bits, with words of 32."""
    return 8 * n + 4 if n else 0
