"""The text of a net in C: its header and its source."""
import math
import pathlib
import string

import numpy

from bnn.deploy import stages
from bnn.deploy.c import layers

SOURCES = pathlib.Path(__file__).with_name('sources')
# The functions of the source, in order
_FUNCTIONS = 'bits.c', 'windows.c', 'layers.c', 'images.c'
_TYPES = {'bytes': 'bnn_weight', 'pad': 'bnn_level', 'thresholds': 'int32_t',
          'multiplier': 'int64_t', 'addend': 'int64_t'}


def header(net: stages.PackedNet) -> str:
    """Returns the header of a net."""
    channels, height, width = net.input_shape
    return _fill('bnn_net.h', channels=channels, height=height, width=width,
                 classes=len(net.class_names))


def source(net: stages.PackedNet, steps: list, sizes: dict) -> str:
    """Returns the source of a net.

    Args:
        net: The net.
        steps: Of :func:`bnn.deploy.c.layers.make`.
        sizes: Lengths of the buffers.

    Returns:
        C99.
    """
    parts = [_begin(net)]
    for name, kind in (('POOL', stages.BitMaxPooling),
                       ('LEVEL_POOL', stages.FloatStage),
                       ('SIGNS', stages.PixelSigns)):
        is_used = any(isinstance(step, kind) for step in steps)
        parts.append(f'#define BNN_USES_{name} {is_used:d}\n')
    # A word more than is used: compilers warn of what they take for a use.
    parts += [f'#define BNN_{name}_WORDS '
              f'({sizes[name]} * 64 / BNN_WORD_BITS + 1)\n'
              for name in ('WINDOW', 'GAP', 'POOL')]
    parts += [f'#define BNN_{name} {sizes[name]}\n'
              for name in ('WINDOW_BYTES', 'WINDOW_VALUES')]
    parts += [f'typedef uint{8 * sizes["LEVEL_BYTES"]}_t bnn_level;\n',
              f'typedef int{8 * sizes["WEIGHT_BYTES"]}_t bnn_weight;\n\n']
    parts += [(SOURCES / name).read_text() for name in _FUNCTIONS]
    parts += [_constants(step, i) for i, step in enumerate(steps)]
    last = steps[-1]
    parts += [_array('int32_t', 'bnn_constant', last.constant),
              _array('float', 'bnn_scale', last.product.scale),
              _array('float', 'bnn_offset', last.product.offset),
              '\nconst char *const bnn_class_names[BNN_CLASSES] = {\n',
              *(f'    {_string(name)},\n' for name in net.class_names),
              '};\n\n']
    for i in 0, 1:
        if sizes[f'BITS_{i}']:
            parts.append(f'static bnn_word bnn_bits_{i}[{sizes[f"BITS_{i}"]} '
                         '* 64 / BNN_WORD_BITS + 1];\n')
        if sizes[f'LEVELS_{i}']:
            parts.append(f'static bnn_level bnn_levels_{i}'
                         f'[{sizes[f"LEVELS_{i}"]}];\n')
    parts.append(_fill('end.c', calls=''.join(_calls(steps))))
    return ''.join(parts)


def _fill(name, **values):
    return string.Template((SOURCES / name).read_text()).substitute(values)


def _begin(net):
    facts = f'{net.facts.get("net", "net")} of ' \
        f'{net.facts.get("dataset", "images")}'
    low, high, both = ([f'{name}{i}' for i in range(layers.TILE)]
                       for name in 'lhw')
    ones = [f'BNN_ONE({pair[0]}, {pair[1]})'
            for pair in zip(low, high, strict=True)]

    def listed(words):
        return ', \\\n    '.join(', '.join(words[i:i + 4])
                                 for i in range(0, len(words), 4))

    return _fill(
        'begin.c', facts=''.join(
            c for c in facts if c.isalnum() or c in ' .,-'),
        low_high=listed(low + high), ones=listed(ones), both=listed(both))


def _string(text):
    """Returns a C string; what is not ASCII as UTF-8 octets."""
    characters = ''.join(
        chr(c) if 32 <= c < 127 and chr(c) not in '"\\?' else f'\\{c:03o}'
        for c in text.encode())
    return f'"{characters}"'


def _array(kind, name, values):
    """Returns a constant array."""
    values = values.ravel()
    if kind == 'float':
        numbers = [f'{float(v).hex()}f' for v in values]
    elif kind == 'int64_t':
        numbers = [f'INT64_C({v})' for v in values]
    else:  # There is no literal for the least number.
        numbers = ['-2147483647 - 1' if v == stages.ALWAYS else str(v)
                   for v in values.tolist()]
    lines = ''.join(f'    {", ".join(numbers[i:i + 8])},\n'
                    for i in range(0, len(numbers), 8))
    return f'static const {kind} {name}[] = {{\n{lines}}};\n'


def _words(name, tiles):
    """Returns weights, (tiles, planes, words, TILE), in words of any size."""
    lines = []
    for row in tiles.reshape(-1, *tiles.shape[2:]):
        for i in range(0, len(row), 2):
            some = row[i:i + 2]
            numbers = [f'0x{v:08x}' for v in some.ravel().tolist()]
            listed = ',\n'.join('        ' + ', '.join(numbers[j:j + 5])
                                for j in range(0, len(numbers), 5))
            macro = 'PAIR' if len(some) == 2 else 'HALF'
            lines.append(f'    BNN_{macro}(\n{listed}),\n')
    return (f'static const bnn_word {name}[] BNN_ALIGNED = '
            f'{{\n{"".join(lines)}}};\n')


def _struct(kind, i, fields):
    lines = ''.join(f'    .{name} = {value},\n'
                    for name, value in fields.items())
    return (f'static const struct bnn_{kind} bnn_{kind}_{i} = '
            f'{{\n{lines}}};\n')


def _constants(step, i):
    if isinstance(step, stages.PixelSigns):
        return ''
    if layers.is_pooling(step):
        return _pool(step, i)
    product, fields = step.product, {**step.numbers}
    name = ''.join(c for c in product.name if c.isalnum() or c in '/_')
    parts = [f'\n/* {name}: {product.operand} to {product.result} */\n']
    for field, values in step.arrays.items():
        fields[field] = f'bnn_layer_{i}_{field}'
        parts.append(
            _words(fields[field], values) if field == 'bits'
            else _array(_TYPES[field], fields[field], values))
    return ''.join([*parts, _struct('layer', i, fields)])


def _pool(step, i):
    fields = {}
    is_of_bits = isinstance(step, stages.BitMaxPooling)
    pool = step if is_of_bits else step.operation
    for names, values in (
            (('channels', 'height', 'width'), step.input_shape),
            (('kh', 'kw'), pool.ksize), (('sy', 'sx'), pool.stride),
            (('py', 'px'), pool.pad),
            (('out_height', 'out_width'), step.output_shape[1:])):
        fields.update(zip(names, values, strict=True))
    text = '\n'
    if is_of_bits and step.is_minimum.any():
        fields['is_minimum'] = f'bnn_is_minimum_{i}'
        octets = numpy.zeros(-(-len(step.is_minimum) // 64) * 8, numpy.uint8)
        some = numpy.packbits(step.is_minimum, bitorder='little')
        octets[:len(some)] = some
        long, short = (octets.view(kind).tolist() for kind in ('<u8', '<u4'))
        text += (
            f'static const bnn_word {fields["is_minimum"]}[] = {{\n'
            '#if BNN_WORD_BITS == 64\n'
            f'    {", ".join(f"UINT64_C({v:#x})" for v in long)}\n'
            '#else\n'
            f'    {", ".join(f"{v:#x}" for v in short)}\n'
            '#endif\n};\n')
    return text + _struct('pool', i, fields)


def _calls(steps):
    """Yields the statements that run the steps, one after the other."""
    turn, kind = 0, 'pixels'
    for i, step in enumerate(steps):
        result = layers.result_of(step)
        # What a step reads and writes, by kind
        here, there = ({'pixels': 'image', 'bits': f'bnn_bits_{n}',
                        'levels': f'bnn_levels_{n}', 'float': 'bnn_sums'}
                       for n in (1 - turn, turn))
        source, target = here[kind], there[result]
        if result == 'bits':
            yield f'    memset({target}, 0, sizeof {target});\n'
        if isinstance(step, stages.PixelSigns):
            size = math.prod(step.input_shape[1:])
            yield (f'    bnn_signs({source}, {step.input_shape[0]}, {size}, '
                   f'{target});\n')
        elif layers.is_pooling(step):
            function = 'bnn_pool' if kind == 'bits' else 'bnn_level_pool'
            yield f'    {function}(&bnn_pool_{i}, {source}, {target});\n'
        else:
            field = 'to_sums' if result == 'float' else f'to_{result}'
            yield (f'    bnn_run(&bnn_layer_{i}, &(struct bnn_flow){{\n'
                   f'        .{kind} = {source}, .{field} = {target}}});\n')
        turn, kind = 1 - turn, result
