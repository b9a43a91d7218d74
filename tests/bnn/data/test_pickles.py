import builtins
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc

import numpy
import pytest

from bnn.data import errors
from bnn.data import pickles

DATA = numpy.arange(2 * 5, dtype=numpy.uint8).reshape(2, 5) + 120
BATCH = {'data': DATA, 'labels': [3, 9]}

# As NumPy 1 in Python 2 wrote the published files
PYTHON_2 = (
    b'\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03K\x09eU\x04dataq\x04'
    b'cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06'
    b'K\x00\x85q\x07U\x01b\x87Rq\x08(K\x01K\x02K\x05\x86cnumpy\ndtype\nq\x09'
    b'U\x02u1K\x00K\x01\x87Rq\x0a(K\x03U\x01|NNNJ\xff\xff\xff\xff'
    b'J\xff\xff\xff\xffK\x00tb\x89U\x0a' + DATA.tobytes() + b'tbu.')
# With protocol 0, as the published batches.meta
PYTHON_2_TEXT = (
    b"(dp1\nS'num_vis'\np2\nI3072\nsS'label_names'\np3\n(lp4\n"
    b"S'cat'\np5\naS'dog'\np6\nas.")


def _rename(data):
    # NumPy 1 called it otherwise
    return data.replace(b'numpy._core', b'numpy.core')


def _check(found):
    assert set(found) == {'data', 'labels'}
    assert found['labels'] == [3, 9]
    assert found['data'].dtype == numpy.uint8
    assert found['data'].flags.c_contiguous
    numpy.testing.assert_array_equal(found['data'], DATA)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('keys', [str, str.encode])
@pytest.mark.parametrize(
    'data', [DATA, numpy.asfortranarray(DATA), DATA[::-1][::-1]])
def test_protocols(protocol, keys, data):
    batch = {keys('data'): data, keys('labels'): [3, 9]}
    dumped = pickle.dumps(batch, protocol)
    _check(pickles.read(dumped))
    if protocol < 4:  # in later ones the name has its length before it
        _check(pickles.read(_rename(dumped)))


def test_python_2():
    expected = pickle.loads(PYTHON_2, encoding='bytes')
    numpy.testing.assert_array_equal(expected[b'data'], DATA)
    _check(pickles.read(PYTHON_2))
    assert pickles.read(PYTHON_2_TEXT) == {
        'num_vis': 3072, 'label_names': [b'cat', b'dog']}


@pytest.mark.parametrize('dtype', [
    'u1', 'i1', '<i2', '>i2', '<u4', '>i4', '<i8', '>u8'])
@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_integers(dtype, protocol):
    values = numpy.array([1, 2, 100], dtype)
    found = pickles.read(pickle.dumps({'a': values}, protocol))['a']
    assert found.dtype == values.dtype
    numpy.testing.assert_array_equal(found, values)


@pytest.mark.parametrize('protocol', [2, 3])
def test_many_names(protocol):
    # In protocol 2, Python 3 writes each of these as a call with a tuple
    names = [b'%d\xff.png' % i for i in range(5000)]
    found = pickles.read(pickle.dumps({b'filenames': names}, protocol))
    assert found == {'filenames': names}


def _fails(data, message):
    with pytest.raises(errors.CorruptError, match=message) as info:
        pickles.read(data)
    assert '\n' not in str(info.value)
    assert len(str(info.value)) < 200


class _Calls:

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('call', [
    _Calls(os.system, ('touch called',)),
    _Calls(builtins.eval, ('open("called", "w")',)),
    _Calls(subprocess.Popen, (['touch', 'called'],)),
    _Calls(numpy.load, ('called',)),
    _Calls(numpy.zeros, (1 << 30,))])
@pytest.mark.parametrize('wrap', [
    lambda c: c, lambda c: {'data': c, 'labels': []},
    lambda c: {'data': DATA, 'labels': [[{'a': (c,)}]]},
    lambda c: {'data': numpy.array([c], object)}])
def test_calls(protocol, call, wrap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _fails(pickle.dumps(wrap(call), protocol),
           'asks for .*which no batch needs|other than integers|no batch')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('array', [
    numpy.array([None]), numpy.zeros(2), numpy.zeros(2, 'U2'),
    numpy.zeros(2, 'S2'), numpy.zeros(2, 'V4'), numpy.zeros(2, bool),
    numpy.zeros(2, [('a', 'u1')]), numpy.zeros(2, 'M8[s]'),
    numpy.zeros(2, 'c8')])
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_other_types(array, protocol):
    _fails(pickle.dumps({'data': array}, protocol),
           'other than integers|no batch needs')


def test_scalar_and_subclass():
    _fails(pickle.dumps({'a': numpy.int64(3)}), 'multiarray.scalar, which no')
    with pytest.warns(PendingDeprecationWarning):
        matrix = numpy.matrix([[1]])
    _fails(pickle.dumps({'a': matrix}, 2), 'numpy.matrix')


@pytest.mark.parametrize('old, new, message', [
    (b'K\x02K\x05\x86', b'K\x02K\x06\x86', r'shape \(2, 6\) in 10 bytes'),
    # 2**31 - 1 in both directions
    (b'K\x02K\x05\x86', b'J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86',
     r'shape \(2147483647, 2147483647\) in 10 bytes'),
    (b'K\x02K\x05\x86', b'J\xfe\xff\xff\xffJ\xfb\xff\xff\xff\x86',
     'impossible shape'),
    (b'K\x02K\x05\x86', b')', 'impossible shape'),
    (b'K\x02K\x05\x86', b'N', 'impossible shape'),
    (b'K\x02K\x05\x86', b'NK\x05\x86', 'impossible shape'),
    (b'U\x02u1', b'U\x01O', 'other than integers'),
    (b'U\x02u1', b'U\x02O8', 'other than integers'),
    (b'U\x02u1', b'U\x04u1u1', 'other than integers'),
    (b'U\x02u1', b'U\x02f8', 'other than integers'),
    (b'U\x02u1', b'K\x01', 'other than integers'),
    (b'U\x02u1', b'U\x02u2', 'byte order'),
    (b'U\x01|NNN', b'U\x01<NNN', 'byte order'),
    (b'U\x01|NNN', b'U\x00NNN', 'byte order'),
    (b'U\x01|NNN', b'U\x01|NNU\x01a', 'unknown type'),
    (b'K\x03U\x01|', b'K\x04U\x01|', 'unknown type'),
    (b'K\x00tb\x89', b'K\x00tb(\x89', 'array of|corrupt'),
    (b'K\x00tb\x89', b'K\x00t0\x89', 'without a type'),
    (b'(K\x01K\x02', b'(K\x02K\x02', 'unknown version'),
    (b'tbu.', b't0u.', 'array without content'),
    (b'tbu.', b'tbbu.', 'corrupt|unknown version'),
    (b'K\x00\x85q\x07', b'K\x09\x85q\x07', 'unknown kind'),
    (b'U\x01b\x87', b'U\x01c\x87', 'unknown kind'),
    (b'ndarray\nq\x06', b'dtype\nq\x06', 'unknown kind'),
    (b'ndarray\nq\x06K\x00\x85q\x07', b'ndarray\nq\x06)Rq\x07',
     'calls numpy.ndarray'),
    (b'ndarray\nq\x06', b'ndarray\nq\x06}b', 'changes what it calls'),
    (b'_reconstruct\nq\x05', b'_reconstruct\nq\x05}U\x01aK\x01sb',
     'changes what it calls'),
    (b'cnumpy.core.multiarray\n_reconstruct', b'cnumpy\nload', 'numpy.load'),
    (b'cnumpy.core.multiarray\n_reconstruct', b'cnumpy\ncore.multiarray.x',
     'asks for numpy.core'),
    (b'U\x06labels', b'K\x06', 'keys that are no text'),
    (b'u.', b'u0N.', 'no dictionary'),
    (b'u.', b'u', 'truncated'),
    (b'u.', b'uu.', 'corrupt pickle'),
    (b'u.', b'u.\0', 'goes on after the'),
])
def test_hostile_arrays(old, new, message):
    assert PYTHON_2.count(old) == 1
    _fails(PYTHON_2.replace(old, new), message)


def test_stand_ins_start_afresh():
    for _ in range(2):
        _check(pickles.read(PYTHON_2))


@pytest.mark.parametrize('data', [
    b'', b'.', b'\x80', b'\x80\xff.', b'N.', b'K\x01.', b']a.', b'<html>',
    b'\x80\x02}U\x01aPx\n', b'\x80\x02}h\x01.', b'h\xff.',
    b'\x1f\x8b\x08\0', bytes(1000), b'I' + b'9' * 10000 + b'\n.'])
def test_no_pickle(data):
    _fails(data, '.')


@pytest.mark.parametrize('batch', [
    pickle.dumps(BATCH, p) for p in range(6)] + [PYTHON_2, PYTHON_2_TEXT])
def test_truncated_anywhere(batch):
    for n in range(1, len(batch)):
        _fails(batch[:n], 'truncated')


def test_wrong_frame():
    # Of which the two passes could see different opcodes
    dumped = pickle.dumps(BATCH, 5)
    assert dumped[2] == 0x95
    body = dumped[11:]
    refused = 0
    for size in range(len(body) + 20):
        data = dumped[:3] + struct.pack('<Q', size) + body
        try:
            # One that ends between two opcodes is right
            _check(pickles.read(data))
        except errors.CorruptError as error:
            assert 'a frame' in str(error)
            refused += 1
    assert refused > len(body) // 2
    _fails(b'\x80\x04\x95' + struct.pack('<Q', 11) + b'\x95'
           + struct.pack('<Q', 2) + b'}.', 'frame in a frame')


def test_several_frames():
    # Large values lie between frames
    values = {name: numpy.full(70_000, i, numpy.uint8)
              for i, name in enumerate('abc')}
    for protocol in 4, 5:
        dumped = pickle.dumps(values, protocol)
        assert dumped.count(b'\x95') > 1
        found = pickles.read(dumped)
        for name in values:
            numpy.testing.assert_array_equal(found[name], values[name])


def test_damaged_anywhere():
    # Every byte, some values: a clean result or a clean error
    for i in range(len(PYTHON_2)):
        for value in 0, ord('.'), ord('R'), ord('b'), 0x85, 0xff:
            damaged = PYTHON_2[:i] + bytes([value]) + PYTHON_2[i + 1:]
            try:
                pickles.read(damaged)
            except errors.CorruptError as error:
                assert '\n' not in str(error)


_GREEDY = {
    'memo index': b'}r\xff\xff\xff\x7f.',
    'memo index as text': b'}p2000000000\n.',
    'long string': b'\x8e' + struct.pack('<Q', 1 << 34) + b'a.',
    'long bytearray': b'\x96' + struct.pack('<Q', 1 << 34) + b'a.',
    'long text': b'\x8d' + struct.pack('<Q', 1 << 34) + b'a.',
    'frame': b'\x80\x04\x95' + struct.pack('<Q', 1 << 34) + b'}.',
    'large integer': b'\x8a\x09' + b'\xff' * 8 + b'\0.',
    'nested tuple': b'})' + b'\x85' * 500_000 + b'Ns.',
    'many objects': b'(' + b'}' * 1_000_001 + b'l.',
    'the same bytes again': (
        b'\x80\x02c_codecs\nencode\nq\0(X' + struct.pack('<I', 1 << 16)
        + b'a' * (1 << 16) + b'X\6\0\0\0latin1tq\1' + b'h\0h\1R' * 5000
        + b'.')}


@pytest.mark.parametrize('name', _GREEDY)
def test_greedy(name):
    data = _GREEDY[name]
    tracemalloc.start()
    try:
        _fails(data, '.')
        assert tracemalloc.get_traced_memory()[1] < 10 * len(data) + (1 << 20)
    finally:
        tracemalloc.stop()


def test_deep_tuples_do_not_crash():
    # In a process of its own, for it would take the tests with it
    subprocess.run(
        [sys.executable, '-c', 'from bnn.data import errors, pickles\n'
         'for depth in 900, 999, 2000, 200000:\n'
         '    try:\n'
         '        pickles.read(b"})" + b"\\x85" * depth + b"Ns.")\n'
         '    except errors.CorruptError:\n'
         '        pass\n'],
        cwd=os.path.join(os.path.dirname(__file__), *[os.pardir] * 3),
        check=True)
