"""The text of a net in C: its header and its source."""
import math

import numpy

from bnn.deploy import c_literals
from bnn.deploy import c_plan
from bnn.deploy import c_templates
from bnn.deploy import packed


def header(net):
    """Returns the header of a net."""
    return c_templates.HEADER % (*net.input_shape, len(net.class_names))


def source(net, steps, uses, sizes, kernels):
    """Returns the source of a net.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.
        steps (list): Of :func:`bnn.deploy.c_plan.plan`.
        uses (dict): Parts of the source, names to whether they are compiled.
        sizes (dict): Lengths of the buffers.
        kernels (str): The functions.

    Returns:
        str: C99.

    """
    low, high, both = ([name + str(i) for i in range(c_plan.TILE)]
                       for name in 'lhw')
    rows = [low + high, ['BNN_ONE(%s, %s)' % pair for pair in
                         zip(low, high, strict=True)],
            low + high, low + high, both, both]
    parts = [c_templates.START % (_facts(net), *(
        ', \\\n    '.join(', '.join(row[i:i + 4])
                          for i in range(0, len(row), 4)) for row in rows))]
    parts += ['#define BNN_USES_%s %d\n' % (name, on)
              for name, on in uses.items()]
    # A word more than is used: compilers warn of what they take for a use.
    for name in 'WINDOW', 'GAP', 'POOL':
        parts.append('#define BNN_%s_WORDS (%d * 64 / BNN_WORD_BITS + 1)\n' % (
            name, sizes[name]))
    for name in 'WINDOW_BYTES', 'WINDOW_VALUES':
        parts.append('#define BNN_%s %d\n' % (name, sizes[name]))
    parts.append('typedef %s bnn_level;\n' % (
        'uint16_t' if sizes['LEVEL_BYTES'] == 2 else 'uint8_t'))
    parts.append('typedef %s bnn_weight;\n\n' % (
        'int16_t' if sizes['WEIGHT_BYTES'] == 2 else 'int8_t'))
    parts.append(kernels)
    parts += [_constants(step, i) for i, step in enumerate(steps)]
    last = steps[-1]
    for name, values in (
            ('constant', last.constant), ('scale', last.product.scale),
            ('offset', last.product.offset)):
        kind = 'int32_t' if name == 'constant' else 'float'
        parts.append(c_literals.array(kind, 'bnn_' + name, values))
    parts.append('\nconst char *const bnn_class_names[BNN_CLASSES] = {\n')
    parts += ['    %s,\n' % c_literals.string(name)
              for name in net.class_names]
    parts.append('};\n\n')
    for i in 0, 1:
        if sizes['BITS_%d' % i]:
            parts.append(
                'static bnn_word bnn_bits_%d[%d * 64 / BNN_WORD_BITS + 1];\n'
                % (i, sizes['BITS_%d' % i]))
        if sizes['LEVELS_%d' % i]:
            parts.append('static bnn_level bnn_levels_%d[%d];\n' % (
                i, sizes['LEVELS_%d' % i]))
    parts.append(c_templates.END % ''.join(_calls(steps, uses)))
    return ''.join(parts)


def _facts(net):
    words = '%s of %s' % (net.facts.get('net', 'net'),
                          net.facts.get('dataset', 'images'))
    return ''.join(c for c in words if c.isalnum() or c in ' .,-')


def _constants(step, i):
    if isinstance(step, packed.PixelSigns):
        return ''
    if isinstance(step, packed.BitMaxPooling):
        return _pool(step, i)
    product = step.product
    fields = {**step.geometry, **step.fields}
    parts = ['\n/* %s: %s to %s */\n' % (
        ''.join(c for c in product.name if c.isalnum() or c in '/_'),
        product.operand, product.result)]

    def add(field, kind, values):
        if values is not None:
            name = 'bnn_%s_%d' % (field, i)
            fields[field] = name
            parts.append(c_literals.array(kind, name, values))

    if step.bits is not None:
        fields['bits'] = 'bnn_weights_%d' % i
        parts.append(c_literals.words(fields['bits'], step.bits))
    add('bytes', 'bnn_weight', step.bytes)
    add('pad', 'bnn_level', step.pad)
    add('thresholds', 'int32_t', step.thresholds)
    add('multiplier', 'int64_t', step.multiplier)
    add('addend', 'int64_t', step.addend)
    if product.operand != 'bits' and step.takes_windows:
        fields['copies_values'] = 1
    if step.pad_bit:
        fields['pad_bit'] = 1
    if product.result == 'levels' and step.thresholds is not None:
        fields['levels'] = step.thresholds.shape[1]
    if step.multiplier is not None:
        fields.update(shift=product.shift, least=product.low,
                      largest=product.high)
    return ''.join([*parts, _struct('layer', i, fields)])


def _pool(step, i):
    fields = {
        'channels': step.input_shape[0], 'height': step.input_shape[1],
        'width': step.input_shape[2], 'kh': step.ksize[0],
        'kw': step.ksize[1], 'sy': step.stride[0], 'sx': step.stride[1],
        'py': step.pad[0], 'px': step.pad[1],
        'out_height': step.output_shape[1],
        'out_width': step.output_shape[2]}
    text = '\n'
    if step.is_minimum.any():
        fields['is_minimum'] = 'bnn_is_minimum_%d' % i
        octets = numpy.zeros(-(-len(step.is_minimum) // 64) * 8, numpy.uint8)
        some = numpy.packbits(step.is_minimum, bitorder='little')
        octets[:len(some)] = some
        words = ['#if BNN_WORD_BITS == 64\n', '#else\n']
        for j, kind in enumerate(('<u8', '<u4')):
            words[j] += '    %s\n' % ', '.join(
                ('UINT64_C(0x%x)' if j == 0 else '0x%x') % v
                for v in octets.view(kind).tolist())
        text += 'static const bnn_word %s[] = {\n%s#endif\n};\n' % (
            fields['is_minimum'], ''.join(words))
    return text + _struct('pool', i, fields)


def _struct(kind, i, fields):
    return 'static const struct bnn_%s bnn_%s_%d = {\n%s};\n' % (
        kind, kind, i, ''.join('    .%s = %s,\n' % pair
                               for pair in fields.items()))


def _calls(steps, uses):
    """Yields the statements that run the steps, one after the other."""
    yield '    struct bnn_flow flow;\n'
    turn, kind = 0, 'pixels'
    for i, step in enumerate(steps):
        result = step.product.result if isinstance(
            step, c_plan.Layer) else 'bits'
        here, there = 'bnn_bits_%d' % (1 - turn), 'bnn_bits_%d' % turn
        if result == 'bits':
            yield '    memset(%s, 0, sizeof %s);\n' % (there, there)
        if isinstance(step, packed.PixelSigns):
            yield '    bnn_signs(image, %d, %d, %s);\n' % (
                step.input_shape[0], math.prod(step.input_shape[1:]), there)
        elif isinstance(step, packed.BitMaxPooling):
            yield '    bnn_pool(&bnn_pool_%d, %s, %s);\n' % (i, here, there)
        else:
            fields = {'pixels': '0', 'bits': '0', 'to_bits': '0',
                      'to_sums': '0'}
            if uses['LEVELS']:
                fields.update(levels='0', to_levels='0')
            fields[kind] = {'pixels': 'image', 'bits': here,
                            'levels': 'bnn_levels_%d' % (1 - turn)}[kind]
            fields.update({
                'bits': {'to_bits': there},
                'levels': {'to_levels': 'bnn_levels_%d' % turn},
                'float': {'to_sums': 'bnn_sums'}}[result])
            for pair in fields.items():
                yield '    flow.%s = %s;\n' % pair
            yield '    bnn_run(&bnn_layer_%d, &flow);\n' % i
        turn, kind = 1 - turn, result
