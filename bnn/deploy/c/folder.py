"""A packed net as a folder of C99: header, source, Makefile, two examples."""
import math
import os

from bnn import errors
from bnn.deploy import stages
from bnn.deploy.c import layers
from bnn.deploy.c import text

# A folder that has this was exported to before.
_MARK = 'bnn_net.h'
_EXAMPLES = 'main.c', 'Makefile', 'cortex_m4.c', 'cortex_m4.ld'


def export(net: stages.PackedNet) -> tuple[dict, list]:
    """Makes C of a net.

    Returns:
        The files, a dict of names to texts; and a table of flash and RAM, a
        list of dicts: each layer, and the totals.

    Raises:
        ~bnn.errors.UserError: If not all of it is in whole numbers: which
            layer, and why.
    """
    steps = layers.make(net)
    sizes = _sizes(steps)
    # The mark comes first, so that an export that was cut off can be
    # repeated.
    files = {_MARK: text.header(net)}
    files.update((name, (text.SOURCES / name).read_text())
                 for name in _EXAMPLES)
    files['bnn_net.c'] = text.source(net, steps, sizes)
    return files, _rows(steps, sizes)


def write(files: dict, folder: str, atomic_write) -> None:
    """Writes the files of a net.

    Args:
        files: The files, names to texts.
        folder: Where to; made if it is not there.
        atomic_write (callable): Opens a file by its path.

    Raises:
        ~bnn.errors.UserError: If it is no folder, or files of something else
            are in the way.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise errors.UserError(f'{folder} is not a folder')
    here = [name for name in files
            if os.path.lexists(os.path.join(folder, name))]
    if here and _MARK not in here:
        raise errors.UserError(
            f'{folder} has a {here[0]} that is not of an exported net; name '
            'another folder')
    os.makedirs(folder, exist_ok=True)
    for name, contents in files.items():
        with atomic_write(os.path.join(folder, name)) as f:
            f.write(contents.encode())


def _sizes(steps):
    """Returns the lengths of the buffers; those of bits in words of 64."""
    sizes = {
        'WINDOW': 1, 'GAP': 0, 'WINDOW_BYTES': 1, 'WINDOW_VALUES': 1,
        'POOL': 0, 'BITS_0': 0, 'BITS_1': 0, 'LEVELS_0': 0, 'LEVELS_1': 0,
        'LEVEL_BYTES': 1, 'WEIGHT_BYTES': 1}

    def need(name, n):
        sizes[name] = max(sizes[name], n)

    for i, step in enumerate(steps):
        if isinstance(step, stages.BitMaxPooling):
            need('POOL', -(-step.input_shape[0] // 64))
        elif isinstance(step, layers.Layer):
            n, product = step.numbers['inputs'], step.product
            copies_values = step.numbers['copies_values']
            if 'bytes' in step.arrays:
                need('WINDOW_VALUES', n)
                need('WEIGHT_BYTES', step.weight_bytes)
            else:
                if product.is_convolution or product.operand != 'bits':
                    need('WINDOW', step.numbers['x_bits'] * -(-n // 64))
                need('WINDOW_BYTES', n * copies_values)
                need('GAP', -(-n // 64) * step.has_gaps)
            if product.result == 'levels':
                need('LEVEL_BYTES', 1 if product.high - product.low < 256
                     else 2)
            if 'pad' in step.arrays:
                need('LEVEL_BYTES', step.arrays['pad'].itemsize)
        # Layers take turns in two buffers.
        kind, n = layers.result_of(step), math.prod(
            layers.output_shape_of(step))
        if kind == 'bits':
            need(f'BITS_{i % 2}', -(-n // 64))
        elif kind == 'levels':
            need(f'LEVELS_{i % 2}', n)
    return sizes


def _rows(steps, sizes):
    rows = []
    for step in steps:
        n = math.prod(layers.output_shape_of(step))
        row = {'layer': type(step).__name__, 'weights': '',
               'operand to result': 'bits to bits', 'flash bytes': 0,
               'RAM bytes': -(-n // 64) * 8}
        if isinstance(step, layers.Layer):
            product = step.product
            row.update({
                'layer': product.name,
                'weights': 'x'.join(map(str, product.weights.shape)),
                'operand to result': f'{product.operand} to {product.result}',
                'flash bytes': step.flash})
            if product.result != 'bits':
                row['RAM bytes'] = n * {
                    'levels': sizes['LEVEL_BYTES'], 'float': 8}[
                        product.result]
        elif isinstance(step, stages.PixelSigns):
            row['operand to result'] = 'pixels to bits'
        elif isinstance(step, stages.FloatStage):
            row.update({'layer': type(step.operation).__name__,
                        'operand to result': 'levels to levels',
                        'RAM bytes': n * sizes['LEVEL_BYTES']})
        elif step.is_minimum.any():
            row['flash bytes'] = -(-len(step.is_minimum) // 32) * 4
        rows.append(row)
    windows = (_words(sizes['WINDOW']) + _words(sizes['GAP'])
               + 3 * _words(sizes['POOL']) + sizes['WINDOW_BYTES']
               + 2 * sizes['WINDOW_VALUES'])
    kept = windows + 8 * n + _words(sizes['BITS_0']) + _words(
        sizes['BITS_1']) + sizes['LEVEL_BYTES'] * (
            sizes['LEVELS_0'] + sizes['LEVELS_1'])
    rest = {'weights': '', 'operand to result': ''}
    return [*rows, {'layer': 'windows', **rest, 'flash bytes': 0,
                    'RAM bytes': windows},
            {'layer': 'total, without code and stack', **rest,
             'flash bytes': sum(row['flash bytes'] for row in rows),
             'RAM bytes': kept}]


def _words(n):
    """Returns the bytes of a buffer of bits, with words of 32."""
    return 8 * n + 4 if n else 0
