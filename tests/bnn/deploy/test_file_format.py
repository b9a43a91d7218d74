"""The file: what is refused, and 10,000 mutated ones."""
import json
import struct
import zlib

import numpy
import pytest

from bnn import deploy
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import packing
from bnn.deploy import runtime


@pytest.fixture(scope='module')
def contents(make_net, make_rescale):
    """Files of two small nets, with most kinds of stages."""
    found = []
    for name, kind in ('binary-1', 'unit'), ('lenet5-shift', 'standard'):
        shape, predictor = make_net(name)
        found.append(file_format.dump(packing.pack(
            predictor.describe(), shape, make_rescale(kind, shape[0]),
            map(str, range(10)))))
    return found


def mend(contents):
    """Sets length and checksums right, as a hostile author would."""
    contents = bytearray(contents)
    struct.pack_into('<Q', contents, 16, len(contents))
    struct.pack_into('<I', contents, 24, zlib.crc32(contents[32:]))
    struct.pack_into('<I', contents, 28, zlib.crc32(contents[:28]))
    return bytes(contents)


def edit(contents, change):
    """Changes the description of a file, whose arrays stay."""
    n = struct.unpack_from('<I', contents, 12)[0]
    described = json.loads(contents[32:32 + n])
    change(described)
    text = json.dumps(described).encode()
    text += b' ' * (-(32 + len(text)) % 64)
    head = contents[:12] + struct.pack('<I', len(text)) + contents[16:32]
    return mend(head + text + contents[32 + n:])


def write(tmp_path, contents):
    path = tmp_path / 'net.bnn'
    path.write_bytes(contents)
    return str(path)


def refuse(tmp_path, contents):
    path = write(tmp_path, contents)
    with pytest.raises(errors.UserError) as e:
        deploy.load(path)
    assert str(e.value).startswith(path + ' ')
    assert '\n' not in str(e.value)
    return str(e.value)[len(path) + 1:]


def test_round_trip(contents, tmp_path):
    for one in contents:
        net = deploy.load(write(tmp_path, one))
        assert file_format.dump(net.packed) == one


def test_deterministic_and_little_endian(contents):
    assert contents[0][:12] == b'\x89BNN\r\n\x1a\n\1\0\0\0'


@pytest.mark.parametrize('n', (0, 1, 8, 12, 31, 32, 100, -1))
def test_truncated(contents, tmp_path, n):
    line = refuse(tmp_path, contents[0][:n])
    assert 'truncated' in line or 'is empty' in line or 'no' in line


def test_later_version(contents, tmp_path):
    later = bytearray(contents[0])
    struct.pack_into('<I', later, 8, 2)
    assert refuse(tmp_path, mend(later)) == (
        'is of version 2 of the format; this program reads up to 1: '
        'update it')


def test_other_files(tmp_path):
    assert 'not a packed net' in refuse(tmp_path, b'PK\3\4' + bytes(100))
    with pytest.raises(errors.UserError, match='cannot read'):
        deploy.load(str(tmp_path / 'none'))
    with pytest.raises(errors.UserError, match='is not a file'):
        deploy.load(str(tmp_path))


def test_longer(contents, tmp_path):
    assert 'is damaged' in refuse(tmp_path, contents[0] + b'\0')


@pytest.mark.parametrize('change', [
    lambda d: d.update(stages=[]),
    lambda d: d.update(input_shape=[1, 28, 29]),
    lambda d: d.update(input_shape=[1 << 30, 28, 28]),
    lambda d: d.update(class_names=['0']),
    lambda d: d.update(class_names=[]),
    lambda d: d['arrays'][0].update(shape=[1 << 30, 1 << 30]),
    lambda d: d['arrays'][0].update(offset=-8),
    lambda d: d['arrays'][0].update(offset=1 << 50),
    lambda d: d['arrays'][0].update(dtype='|O'),
    lambda d: d['stages'][1].update(stage='pickle'),
    lambda d: d['stages'][1].update(operand='float'),
    lambda d: d['stages'][1].update(thresholds=None),
    lambda d: d['stages'][1].update(thresholds={'array': 99}),
    lambda d: d['stages'][1].update(thresholds={'array': True}),
    lambda d: d['stages'][1].update(output_shape=[34]),
    lambda d: d['stages'][1]['weights'].update(shape=[33, 785]),
    lambda d: d['stages'][1]['weights'].update(shape=[33, -784]),
    lambda d: d['stages'][1]['weights'].update(bits=2),
    lambda d: d['stages'][1].update(extra=1),
    lambda d: d.pop('rescale'),
    lambda d: d.update(facts=[]),
])
def test_contradictions(contents, tmp_path, change):
    assert refuse(tmp_path, edit(contents[0], change)).startswith(
        'contradicts itself: ')


def test_hostile_json(contents, tmp_path):
    head = contents[0][:12]
    for text in (b'[' * 100000, b'{}', b'nonsense', b'1' * 10000,
                 b'{"arrays": NaN}', b'\xff\xfe'):
        text += b' ' * (-(32 + len(text)) % 64)
        assert refuse(tmp_path, mend(
            head + struct.pack('<I', len(text)) + bytes(16) + text)
        ).startswith('contradicts itself: ')


def mutate(contents, random):
    changed = bytearray(contents)
    for _ in range(random.randint(1, 4)):
        at = random.randint(len(changed))
        kind = random.randint(5)
        if kind == 0:
            changed[at] ^= 1 << random.randint(8)
        elif kind == 1:
            changed[at] = random.randint(256)
        elif kind == 2:
            del changed[at:at + random.randint(1, 64)]
        elif kind == 3:
            changed[at:at] = random.bytes(random.randint(1, 64))
        else:
            length = random.randint(1, 64)
            to = random.randint(len(changed))
            changed[to:to + length] = changed[at:at + length]
        if not changed:
            changed = bytearray(b'\0')
    return bytes(changed)


def test_mutations_are_found(contents):
    random = numpy.random.RandomState(0)
    for i in range(10000):
        original = contents[i % 8 == 0]
        changed = mutate(original, random)
        if changed == original:
            continue
        with pytest.raises(errors.UserError):
            file_format.parse(changed)


def test_mutations_with_right_checksums(contents, make_images):
    # Whatever passes the checks must run, or say why it does not.
    random = numpy.random.RandomState(1)
    x = make_images(2, (1, 28, 28))
    n_run = 0
    for i in range(1500):
        original = contents[i % 2]
        # In the description, and in the arrays
        n = 32 + struct.unpack_from('<I', original, 12)[0]
        if i % 3:
            changed = original[:32] + mutate(original[32:n], random)
            changed = changed[:12] + struct.pack(
                '<I', len(changed) - 32) + changed[16:] + original[n:]
        else:
            changed = original[:n] + mutate(original[n:], random)
        try:
            net = file_format.parse(mend(changed))
        except errors.UserError:
            continue
        if i % 10 == 0:
            with numpy.errstate(all='ignore'):
                scores = runtime.Net(net).scores(
                    x[:, :, :net.input_shape[1], :net.input_shape[2]])
            assert scores.shape == (2, len(net.class_names))
            n_run += 1
    assert n_run
