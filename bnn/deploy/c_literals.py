"""Texts, numbers and weights as C writes them."""
import numpy


def string(text):
    """Returns a C string; what is not ASCII as UTF-8 octets."""
    return '"%s"' % ''.join(
        chr(c) if 32 <= c < 127 and chr(c) not in '"\\?' else '\\%03o' % c
        for c in text.encode())


def _numbers(values):
    if values.dtype.kind == 'f':
        return [float(v).hex() + 'f' for v in values.ravel()]
    if values.dtype == numpy.int64:
        return ['INT64_C(%d)' % v for v in values.ravel()]
    # There is no literal for the least number.
    return ['-2147483647 - 1' if v == -2 ** 31 else str(v)
            for v in values.ravel().tolist()]


def array(kind, name, values):
    """Returns a constant array of C."""
    numbers = _numbers(values if kind == 'int64_t' or values.dtype.kind == 'f'
                       else values.astype(numpy.int32))
    lines = ['    %s,\n' % ', '.join(numbers[i:i + 8])
             for i in range(0, len(numbers), 8)]
    return 'static const %s %s[] = {\n%s};\n' % (kind, name, ''.join(lines))


def words(name, tiles):
    """Returns weights, (tiles, planes, words, TILE), in words of any size."""
    lines = []
    for row in tiles.reshape(-1, *tiles.shape[2:]):
        for i in range(0, len(row), 2):
            some = row[i:i + 2]
            numbers = ['0x%08x' % v for v in some.ravel().tolist()]
            lines.append('    BNN_%s(\n%s),\n' % (
                'PAIR' if len(some) == 2 else 'HALF', ',\n'.join(
                    '        ' + ', '.join(numbers[j:j + 5])
                    for j in range(0, len(numbers), 5))))
    return 'static const bnn_word %s[] BNN_ALIGNED = {\n%s};\n' % (
        name, ''.join(lines))
