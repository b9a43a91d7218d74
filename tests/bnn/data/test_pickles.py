import builtins
import gc
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc

import hypothesis
import numpy
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

from bnn.data import pickles
from tests.helpers import random_cases

DATA = numpy.arange(2 * 5, dtype=numpy.uint8).reshape(2, 5) + 120
BATCH = {'data': DATA, 'labels': [3, 9]}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

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


def _check(found):
    assert set(found) == {'data', 'labels'}
    assert found['labels'] == [3, 9]
    assert type(found['data']) is numpy.ndarray
    assert found['data'].dtype == numpy.uint8
    numpy.testing.assert_array_equal(found['data'], DATA)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_protocols(protocol):
    for keys in str, str.encode:
        for data in DATA, numpy.asfortranarray(DATA), DATA[::-1][::-1]:
            dumped = pickle.dumps(
                {keys('data'): data, keys('labels'): [3, 9]}, protocol)
            _check(pickles.read(dumped))
            if protocol < 4:  # in later ones the name has its length before it
                _check(pickles.read(
                    dumped.replace(b'numpy._core', b'numpy.core')))
    for dtype in 'u1', 'i1', '<i2', '>i2', '<u4', '>i4', '<i8', '>u8':
        values = numpy.array([1, 2, 100], dtype)
        found = pickles.read(pickle.dumps({'a': values}, protocol))['a']
        assert found.dtype == values.dtype
        numpy.testing.assert_array_equal(found, values)
    # In protocol 2, Python 3 writes each of these as a call with a tuple.
    names = [b'%d\xff.png' % i for i in range(10000)]
    assert pickles.read(pickle.dumps({b'filenames': names}, protocol)) == {
        'filenames': names}
    # Large values lie between frames.
    values = {name: numpy.full(70_000, i, numpy.uint8)
              for i, name in enumerate('abc')}
    found = pickles.read(pickle.dumps(values, protocol))
    for name, value in values.items():
        numpy.testing.assert_array_equal(found[name], value)


def test_python_2():
    numpy.testing.assert_array_equal(
        pickle.loads(PYTHON_2, encoding='bytes')[b'data'], DATA)
    _check(pickles.read(PYTHON_2))
    assert pickles.read(PYTHON_2_TEXT) == {
        'num_vis': 3072, 'label_names': [b'cat', b'dog']}


def _fails(data, message='.'):
    with pytest.raises(ValueError, match=message) as info:
        pickles.read(data)
    assert '\n' not in str(info.value)
    assert len(str(info.value)) < 200


class _Calls:

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_nothing_is_called(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (_Calls(os.system, ('touch called',)),
                 _Calls(builtins.eval, ('open("called", "w")',)),
                 _Calls(subprocess.Popen, (['touch', 'called'],)),
                 _Calls(numpy.load, ('called',)),
                 _Calls(numpy.zeros, (1 << 30,))):
        for wrapped in (call, {'data': call, 'labels': []},
                        {'data': DATA, 'labels': [[{'a': (call,)}]]},
                        {'data': numpy.array([call], object)}):
            _fails(pickle.dumps(wrapped, protocol),
                   r'\(\w+\.\w+ is no array|other than integers')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_other_values(protocol):
    for array in (numpy.array([None]), numpy.zeros(2), numpy.zeros(2, 'U2'),
                  numpy.zeros(2, 'S2'), numpy.zeros(2, 'V4'),
                  numpy.zeros(2, bool), numpy.zeros(2, [('a', 'u1')]),
                  numpy.zeros(2, 'M8[s]'), numpy.zeros(2, 'c8')):
        _fails(pickle.dumps({'data': array}, protocol),
               'other than integers|is no array')
    _fails(pickle.dumps({'a': numpy.int64(3)}, protocol), 'is no array')
    _fails(pickle.dumps([1], protocol), 'it holds no dictionary')


@pytest.mark.parametrize('old, new, message', [
    (b'K\x02K\x05\x86', b'K\x02K\x06\x86', 'cannot reshape array'),
    # 2**31 - 1 in both directions
    (b'K\x02K\x05\x86', b'J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86', '.'),
    (b'K\x02K\x05\x86', b'J\xfe\xff\xff\xffJ\xfb\xff\xff\xff\x86', '.'),
    (b'K\x02K\x05\x86', b')', 'cannot reshape array'),
    (b'K\x02K\x05\x86', b'NK\x05\x86', '.'),
    (b'U\x02u1', b'U\x01O', 'other than integers'),
    (b'U\x02u1', b'U\x02O8', 'other than integers'),
    (b'U\x02u1', b'U\x04u1u1', 'other than integers'),
    (b'U\x02u1', b'U\x02f8', 'other than integers'),
    (b'U\x02u1', b'K\x01', '.'),
    (b'K\x00tb\x89', b'K\x00tb(\x89', '.'),
    (b'tbu.', b'tbbu.', '.'),
    # What a name stands for cannot be changed.
    (b'ndarray\nq\x06', b'ndarray\nq\x06}b', '__setstate__'),
    (b'_reconstruct\nq\x05', b'_reconstruct\nq\x05}U\x01aK\x01sb',
     '__setstate__'),
    (b'_reconstruct\nq\x05', b'_reconstruct\nq\x05N}U\x05arrayK\x01s\x86b',
     '__setstate__'),
    (b'cnumpy.core.multiarray\n_reconstruct', b'cnumpy\nload', 'numpy.load'),
    (b'cnumpy.core.multiarray\n_reconstruct', b'cnumpy\ncore.multiarray.x',
     'numpy.core.multiarray.x is no array'),
    (b'cnumpy.core.multiarray\n_reconstruct',
     b'c_codecs\nencode.__globals__', 'is no array'),
    (b'u.', b'u0N.', 'no dictionary'),
    (b'u.', b'u', 'not a pickled batch'),
    (b'u.', b'uu.', 'not a pickled batch'),
    (b'u.', b'u.\0', 'data goes on after'),
])
def test_hostile_arrays(old, new, message):
    assert PYTHON_2.count(old) == 1
    _fails(PYTHON_2.replace(old, new), message)
    _check(pickles.read(PYTHON_2))


def test_without_content():
    # Not an array, and not an object of another kind
    found = pickles.read(PYTHON_2.replace(b'tbu.', b't0u.'))
    assert found['data'] is None
    for state in b'}U\x05_leftK\x01s', b'N}U\x05_leftK\x01s\x86':
        _fails(b'\x80\x02}U\x01ac_codecs\nencode\n' + state + b'bs.',
               'not callable')
    assert pickles.read(pickle.dumps({b'a': b'\xff'}, 2)) == {'a': b'\xff'}


def test_memory():
    # A batch in frames is there twice at most, and no garbage after that.
    data = numpy.zeros((1000, 3072), numpy.uint8)
    for protocol in 2, 4, 5:
        dumped = pickle.dumps({'data': data}, protocol)
        gc.disable()
        tracemalloc.start()
        try:
            pickles.read(dumped)
            left, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert left < 1 << 18
        assert peak < 2.1 * len(dumped) + (1 << 18)


def test_damaged_anywhere():
    # Cut anywhere; every byte, some values: a clean result or a clean error
    for batch in [PYTHON_2, PYTHON_2_TEXT, *(
            pickle.dumps(BATCH, protocol) for protocol in PROTOCOLS)]:
        for n in range(len(batch)):
            _fails(batch[:n], 'not a pickled batch')
    for i in range(len(PYTHON_2)):
        for value in 0, ord('.'), ord('R'), ord('b'), 0x81, 0x85, 0xff:
            damaged = PYTHON_2[:i] + bytes([value]) + PYTHON_2[i + 1:]
            try:
                pickles.read(damaged)
            except ValueError as error:
                assert '\n' not in str(error)


@random_cases.settings
@hypothesis.given(
    arrays.arrays(numpy.uint8, arrays.array_shapes(min_dims=2, max_dims=2)),
    strategies.lists(strategies.integers(0, 255)),
    strategies.lists(strategies.text(
        strategies.characters(codec='ascii'), min_size=1)),
    strategies.sampled_from(PROTOCOLS))
def test_any_batch(data, labels, names, protocol):
    found = pickles.read(pickle.dumps({
        b'data': data, b'labels': labels,
        b'filenames': [name.encode() for name in names]}, protocol))
    numpy.testing.assert_array_equal(found['data'], data)
    assert found['labels'] == labels
    assert [pickles.text(name) for name in found['filenames']] == names


@hypothesis.settings(random_cases.settings, max_examples=500)
@hypothesis.given(random_cases.damages(), strategies.sampled_from(
    [PYTHON_2, PYTHON_2_TEXT, *(pickle.dumps(BATCH, protocol)
                                for protocol in PROTOCOLS)]))
def test_any_damage(damage, batch):
    try:
        assert isinstance(pickles.read(damage(batch)), dict)
    except ValueError as error:
        assert '\n' not in str(error)


def test_no_pickle():
    for data in (
            b'', b'.', b'\x80', b'\x80\xff.', b'N.', b'K\x01.', b']a.',
            b'<html>', b'\x80\x02}U\x01aPx\n', b'\x80\x02}h\x01.', b'h\xff.',
            b'\x1f\x8b\x08\0', bytes(1000), b'I' + b'9' * 10000 + b'\n.'):
        _fails(data)


def test_any_frame():
    # A frame that ends within an opcode changes nothing.
    dumped = pickle.dumps(BATCH, 5)
    assert dumped[2] == 0x95
    for size in range(len(dumped) + 20):
        _check(pickles.read(
            dumped[:3] + struct.pack('<Q', size) + dumped[11:]))


@pytest.mark.parametrize('data', [
    b'}r\0\0\0\2.', b'}p33554432\n.',  # an index of the memo
    *(opcode + struct.pack('<Q', 1 << 34) + b'a.' for opcode in (
        b'\x8e', b'\x96', b'\x8d')),  # a length
    b'\x80\x04\x95' + struct.pack('<Q', 1 << 34) + b'}r\0\0\0\2.',
    b'})' + b'\x85' * 500_000 + b'Ns.', b'(' + b'}' * 600_000 + b'l.',
    b'\x80\x02c_codecs\nencode\nq\0(X' + struct.pack('<I', 1 << 16)
    + b'a' * (1 << 16) + b'X\6\0\0\0latin1tq\1' + b'h\0h\1R' * 5000 + b'.'])
def test_greedy(data):
    tracemalloc.start()
    try:
        _fails(data)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(data) + (1 << 20)
    finally:
        tracemalloc.stop()


def test_deep_tuples_do_not_crash():
    # In a process of its own, for it would take the tests with it
    subprocess.run(
        [sys.executable, '-c', 'from bnn.data import pickles\n'
         'for depth in 900, 19000, 200000:\n'
         '    try:\n'
         '        pickles.read(b"})" + b"\\x85" * depth + b"Ns.")\n'
         '    except ValueError:\n'
         '        pass\n'],
        cwd=os.path.join(os.path.dirname(__file__), *[os.pardir] * 3),
        check=True)
