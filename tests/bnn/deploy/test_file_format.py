"""The file: what is refused, and thousands of mutated ones."""
import json
import struct
import zlib

import hypothesis
import numpy
import pytest

from bnn import deploy
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import run
from tests.helpers import random_cases


@pytest.fixture(scope='module')
def contents(pack):
    """Files of small nets, with most kinds of stages."""
    return [file_format.dump(pack(name, kind)) for name, kind in (
        ('binary-1', 'unit'), ('lenet5-shift', 'standard'),
        ('residual', 'unit'))]


def mend(contents):
    """Sets length and checksums right, as a hostile author would."""
    contents = bytearray(contents)
    struct.pack_into('<Q', contents, 16, len(contents))
    struct.pack_into('<I', contents, 24, zlib.crc32(contents[32:]))
    struct.pack_into('<I', contents, 28, zlib.crc32(contents[:28]))
    return bytes(contents)


def describe(contents, text):
    """Replaces the description of a file, whose arrays stay."""
    n = struct.unpack_from('<I', contents, 12)[0]
    text += b' ' * (-(32 + len(text)) % 64)
    return mend(contents[:12] + struct.pack('<I', len(text))
                + contents[16:32] + text + contents[32 + n:])


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
    assert contents[0][:12] == b'\x89BNN\r\n\x1a\n\1\0\0\0'
    for one in contents:
        net = deploy.load(write(tmp_path, one))
        assert file_format.dump(net.packed) == one


def test_other_lengths(contents, tmp_path):
    for n in (0, 1, 8, 12, 31, 32, 100, -1):
        line = refuse(tmp_path, contents[0][:n])
        assert 'truncated' in line or 'is empty' in line or 'no' in line
    assert 'is damaged' in refuse(tmp_path, contents[0] + b'\0')


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


def test_contradictions(contents, tmp_path):
    n = struct.unpack_from('<I', contents[0], 12)[0]
    for where, fields in (
            ((), {'stages': []}), ((), {'input_shape': [1, 28, 29]}),
            ((), {'input_shape': [1 << 30, 28, 28]}),
            ((), {'class_names': ['0']}), ((), {'class_names': []}),
            ((), {'facts': []}), ((), {'rescale': None}),
            (('arrays', 0), {'shape': [1 << 30, 1 << 30]}),
            (('arrays', 0), {'offset': -8}),
            (('arrays', 0), {'offset': 1 << 50}),
            (('arrays', 0), {'dtype': '|O'}),
            (('stages', 1), {'stage': 'pickle'}),
            (('stages', 1), {'operand': 'float'}),
            (('stages', 1), {'thresholds': None}),
            (('stages', 1), {'thresholds': {'array': 99}}),
            (('stages', 1), {'thresholds': {'array': True}}),
            (('stages', 1), {'output_shape': [34]}),
            (('stages', 1), {'result': 'pixels'}),
            (('stages', 1), {'extra': 1}),
            (('stages', 1, 'weights'), {'shape': [33, 785]}),
            (('stages', 1, 'weights'), {'shape': [33, -784]}),
            (('stages', 1, 'weights'), {'bits': 2})):
        described = place = json.loads(contents[0][32:32 + n])
        for key in where:
            place = place[key]
        place.update(fields)
        assert refuse(tmp_path, describe(
            contents[0], json.dumps(described).encode())).startswith(
                'contradicts itself: '), (where, fields)


def test_contradictions_of_kept_values(contents, tmp_path):
    n = struct.unpack_from('<I', contents[2], 12)[0]
    text = contents[2][32:32 + n]
    kinds = [stage.get('operation', {}).get('operation')
             for stage in json.loads(text)['stages']]
    keep, swap, add, pad = map(kinds.index, (
        'Keep', 'Swap', 'AddKept', 'PadChannels'))
    for at, fields, words in (
            (keep, {'operation': 'ReLU'}, 'no such value was kept'),
            (swap, {'operation': 'Keep'}, 'does not give what it says'),
            (swap, {'shape': [3, 26, 27]}, 'no such value was kept'),
            (swap, {'shape': [784]}, 'no such value was kept'),
            (add, {'operation': 'MultiplyScale'}, 'no such scale was kept'),
            (pad, {'before': 3}, 'does not give what it says'),
            (pad, {'before': -1, 'after': 5}, 'is not a whole number')):
        described = json.loads(text)
        operation = described['stages'][at]['operation']
        operation.update(fields)
        if operation['operation'] != kinds[at]:
            operation.pop('shape', None)
        assert words in refuse(tmp_path, describe(
            contents[2], json.dumps(described).encode()))


def test_hostile_json(contents, tmp_path):
    for text in (b'[' * 100000, b'{}', b'nonsense', b'1' * 10000,
                 b'{"arrays": NaN}', b'\xff\xfe'):
        assert refuse(tmp_path, describe(contents[0], text)).startswith(
            'contradicts itself: ')


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


@pytest.mark.parametrize('n', (
    1000, pytest.param(10000, marks=pytest.mark.slow)))
def test_mutations_are_found(n, contents):
    random = numpy.random.RandomState(0)
    for i in range(n):
        original = contents[i % 8 == 0]
        changed = mutate(original, random)
        if changed != original:
            with pytest.raises(errors.UserError):
                file_format.parse(changed)


@hypothesis.settings(random_cases.settings, max_examples=500)
@hypothesis.given(random_cases.damages())
def test_any_damage(contents, damage):
    for original in contents:
        changed = damage(original)
        if changed != original:
            with pytest.raises(errors.UserError) as e:
                file_format.parse(changed)
            assert '\n' not in str(e.value)


@pytest.mark.parametrize('n', (
    300, pytest.param(1500, marks=pytest.mark.slow)))
def test_mutations_with_right_checksums(n, contents, make_images):
    # Whatever passes the checks must run, or say why it does not.
    random = numpy.random.RandomState(1)
    x = make_images(2, (1, 28, 28))
    n_run = 0
    for i in range(n):
        original = contents[i % 3]
        # In the description, and in the arrays
        end = 32 + struct.unpack_from('<I', original, 12)[0]
        if i % 4:
            changed = original[:32] + mutate(original[32:end], random)
            changed = changed[:12] + struct.pack(
                '<I', len(changed) - 32) + changed[16:] + original[end:]
        else:
            changed = original[:end] + mutate(original[end:], random)
        try:
            net = file_format.parse(mend(changed))
        except errors.UserError:
            continue
        if i % 10 == 0:
            with numpy.errstate(all='ignore'):
                scores = run.Net(net).scores(
                    x[:, :, :net.input_shape[1], :net.input_shape[2]])
            assert scores.shape == (2, len(net.class_names))
            n_run += 1
    assert n_run
