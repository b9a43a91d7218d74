"""Model files: a round trip, and files that are damaged or hostile."""
import os
import subprocess
import sys

import chainer
import chainer.links as L
import h5py
import numpy
import pytest
from chainer.serializers import npz

from bnn import errors
from bnn.kernels import whitening
from bnn.training.files import model_file
from tests.helpers import small_runs


def make_model(n_units=5):
    return small_runs.Net(n_units)


def state(model):
    return {name: numpy.array(value)
            for name, value in npz.serialize(model).items()}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        numpy.testing.assert_array_equal(actual[name], expected[name], name)


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / 'mlp.model')
    model = make_model()
    model(numpy.random.rand(6, 3).astype(numpy.float32))
    model_file.save(path, model, {'epoch': 3})
    return path


def error(path, model=None):
    """The error, with the model as it was."""
    model = make_model() if model is None else model
    before = state(model)
    with pytest.raises(errors.UserError) as e:
        model_file.load(str(path), model)
    assert_same(state(model), before)
    line = str(e.value)
    assert str(path) in line
    assert '\n' not in line
    return line


def test_round_trip(tmp_path):
    path = str(tmp_path / 'mlp.model')
    saved = make_model()
    for _ in range(3):
        saved(numpy.random.rand(6, 3).astype(numpy.float32))
    model_file.save(path, saved)
    model = make_model()
    model_file.load(path, model)
    assert_same(state(model), state(saved))
    assert os.listdir(tmp_path) == ['mlp.model']
    with h5py.File(path) as f:  # of a large net it takes most of the time
        assert f['l1/W'].compression is None


def test_file_of_chainer(tmp_path):
    path = str(tmp_path / 'other.model')
    saved = make_model()
    chainer.serializers.save_hdf5(path, saved)
    assert model_file.read_attributes(path) == {}
    model = make_model()
    model_file.load(path, model)
    assert_same(state(model), state(saved))


def test_attributes(tmp_path):
    path = str(tmp_path / 'mlp.model')
    attributes = {
        'net': 'BinaryMLP', 'net_args': {'n_units': 5, 'n_in': 784},
        'input_range': [0, 1], 'class_names': ['0', 'T-shirt', 'caf\u00e9'],
        'epoch': 20, 'dataset': None, 'x': 1.5}
    model_file.save(path, make_model(), attributes)
    assert model_file.read_attributes(path) == attributes
    with h5py.File(path) as f:
        assert f.attrs['format'] == model_file.FORMAT
        assert f.attrs['format_version'] == model_file.FORMAT_VERSION


def test_optimizer(tmp_path):
    def make_optimizer():
        optimizer = chainer.optimizers.Adam().setup(make_model())
        optimizer.target.cleargrads()
        for param in optimizer.target.params():
            param.grad = numpy.random.rand(*param.shape).astype('f')
        optimizer.update()
        return optimizer

    path = str(tmp_path / 'mlp.state')
    saved, optimizer = make_optimizer(), make_optimizer()
    model_file.save(path, saved)
    chainer.serializers.load_hdf5(path, optimizer)
    assert_same(state(optimizer), state(saved))


def test_broadcast_shape(tmp_path):
    path = str(tmp_path / 'mlp.model')
    model_file.save(path, chainer.Sequential(L.Linear(3, 1)))
    line = error(path, chainer.Sequential(L.Linear(3, 5)))
    assert '(1' in line
    assert '(5' in line


def test_scalar(path):
    with h5py.File(path, 'r+') as f:
        del f['bn/beta']
        f['bn/beta'] = numpy.float32(1)
    assert 'has the shape ()' in error(path)


def test_empty_file(path):
    h5py.File(path, 'w').close()
    error(path)


def test_other_size(path):
    for n_units in 1, 4, 6:
        line = error(path, make_model(n_units))
        theirs, ours = line.split('has the shape ')[1].split(', here')
        assert '5' in theirs
        assert str(n_units) in ours


def test_missing_parameter(path):
    with h5py.File(path, 'a') as f:
        del f['l2/W']
    assert 'has no l2/W' in error(path)


def replace(path, make):
    with h5py.File(path, 'a') as f:
        shape = f['l1/W'].shape
        del f['l1/W']
        make(f, shape)


def test_group_for_parameter(path):
    replace(path, lambda f, shape: f.create_group('l1/W'))
    error(path)


def test_dataset_for_group(path):
    with h5py.File(path, 'a') as f:
        del f['l1']
        f['l1'] = numpy.zeros(3)
    error(path)


def test_external_link(path, tmp_path):
    other = str(tmp_path / 'other.h5')
    with h5py.File(other, 'w') as f:
        f['W'] = numpy.zeros((5, 3), 'f')

    def link(f, shape):
        f['l1/W'] = h5py.ExternalLink(other, '/W')

    replace(path, link)
    assert 'has no l1/W' in error(path)


def test_soft_link(path):
    def link(f, shape):
        f['elsewhere'] = numpy.zeros(shape, 'f')
        f['l1/W'] = h5py.SoftLink('/elsewhere')

    replace(path, link)
    assert 'has no l1/W' in error(path)


def test_external_group(path, tmp_path):
    other = str(tmp_path / 'other.h5')
    with h5py.File(other, 'w') as f:
        f['g/W'] = numpy.zeros((5, 3), 'f')
        f['g/b'] = numpy.zeros(5, 'f')
    with h5py.File(path, 'a') as f:
        del f['l1']
        f['l1'] = h5py.ExternalLink(other, '/g')
    error(path)


def test_virtual_dataset(path, tmp_path):
    other = str(tmp_path / 'other.h5')
    with h5py.File(other, 'w') as f:
        f['W'] = numpy.zeros((5, 3), 'f')

    def make(f, shape):
        layout = h5py.VirtualLayout(shape, 'f')
        layout[...] = h5py.VirtualSource(other, 'W', shape=shape)
        f.create_virtual_dataset('l1/W', layout)

    replace(path, make)
    assert 'has no l1/W' in error(path)


def test_external_storage(path, tmp_path):
    raw = tmp_path / 'secret'
    raw.write_bytes(bytes(60))
    replace(path, lambda f, shape: f.create_dataset(
        'l1/W', shape, 'f', external=[(str(raw), 0, 60)]))
    assert 'has no l1/W' in error(path)


def test_no_numbers(path):
    for dtype in 'S4', h5py.string_dtype(), 'c8', '?':
        replace(path, lambda f, shape, dtype=dtype: f.create_dataset(
            'l1/W', shape, dtype))
        assert 'holds no numbers' in error(path)


def test_more_than_the_net_has(path):
    with h5py.File(path, 'a') as f:
        f['l3/W'] = numpy.zeros(3)
    assert 'which has no l3/W' in error(path)


def test_empty_dataset(path):
    replace(path, lambda f, shape: f.create_dataset(
        'l1/W', data=h5py.Empty('f')))
    error(path)


class TestUnreadable:

    def errors(self, path):
        lines = []
        for read in model_file.read_attributes, lambda path: (
                model_file.load(path, make_model())):
            with pytest.raises(errors.UserError) as e:
                read(str(path))
            assert str(path) in str(e.value)
            assert '\n' not in str(e.value)
            lines.append(str(e.value))
        return ' '.join(lines)

    def test_missing(self, tmp_path):
        assert self.errors(tmp_path / 'none').count('No such file') == 2

    def test_directory(self, tmp_path):
        assert 'directory' in self.errors(tmp_path)

    def test_snapshot(self, tmp_path):
        numpy.savez(tmp_path / 'x.npz', x=numpy.zeros(3))
        assert self.errors(tmp_path / 'x.npz').count('--resume') == 2

    def test_other_file(self, tmp_path):
        for content in b'', b'x', b'text\n' * 1000:
            (tmp_path / 'x').write_bytes(content)
            self.errors(tmp_path / 'x')

    def test_zeros_over_the_header(self, path):
        with open(path, 'r+b') as f:
            f.seek(8)
            f.write(bytes(56))
        self.errors(path)

    def test_truncated(self, path):
        with open(path, 'rb') as f:
            whole = f.read()
        n = len(whole)
        for length in (8, 9, 50, 96, n // 4, n // 2, 3 * n // 4, n - 1):
            with open(path, 'wb') as f:
                f.write(whole[:length])
            self.errors(path)


def test_future_format(path):
    for version in 2, 100, 'two':
        with h5py.File(path, 'a') as f:
            f.attrs['format_version'] = version
        with pytest.raises(errors.UserError, match='format version') as e:
            model_file.read_attributes(path)
        assert str(version) in str(e.value)


def test_attribute_that_is_no_json(path):
    for value in 3, 'no json', numpy.zeros(3), b'\xff':
        with h5py.File(path, 'a') as f:
            f.attrs['epoch'] = value
        with pytest.raises(errors.UserError, match='damaged'):
            model_file.read_attributes(path)


def test_net_that_is_far_larger(path):
    """What a file says of its net may be hostile."""
    with model_file.bounded(path):
        make_model()
    with pytest.raises(errors.UserError, match='is not of this net') as e:
        with model_file.bounded(path):
            make_model(10 ** 9)
    assert '\n' not in str(e.value)
    # Arrays of a shape that were never stored do not count.
    replace(path, lambda f, shape: f.create_dataset(
        'l1/W', (10 ** 9, 3), 'f', chunks=(1000, 3)))
    with pytest.raises(errors.UserError, match='is not of this net'):
        with model_file.bounded(path):
            make_model(10 ** 9)
    make_model()  # The limit holds within it alone.
    numpy.ones(1 << 27, 'u1')


def test_full_disk(path, monkeypatch):
    with open(path, 'rb') as f:
        content = f.read()

    def fsync(fd):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises(errors.UserError, match='No space left'):
        model_file.save(path, make_model(), {})
    with open(path, 'rb') as f:
        assert f.read() == content


SWEEP = '''
import sys
import numpy
from bnn import errors
from bnn.kernels import whitening
from bnn.training.files import model_file
from tests.helpers import small_runs
path, flipped = sys.argv[1:]
whole = open(path, 'rb').read()
wrong = []
model = small_runs.Net(5)
# Not in the heap of the attributes, where a wrong size lets HDF5 2.0 read
# forever, https://github.com/h5py/h5py/issues/2088
heap = whole.index(b'GCOL')
for k, position in enumerate(
        numpy.linspace(0, len(whole) - 1, 400).astype(int)):
    if heap <= position < heap + 4096:
        continue
    data = bytearray(whole)
    data[position] ^= 1 << k % 8
    with open(flipped, 'wb') as f:
        f.write(data)
    print(position, k % 8, flush=True)
    for read in (model_file.read_attributes,
                 lambda path: model_file.load(path, model)):
        try:
            read(flipped)
        except errors.UserError:
            pass
        except BaseException as e:
            wrong.append((int(position), k % 8, repr(e)))
print('wrong:', wrong)
'''


@pytest.mark.slow
def test_bit_flips(path, tmp_path, pytestconfig):
    # In a process of its own: damage must not crash the interpreter either.
    result = subprocess.run(
        [sys.executable, '-c', SWEEP, path, str(tmp_path / 'flipped')],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, 'PYTHONPATH': str(pytestconfig.rootpath)})
    last = result.stdout.splitlines()[-1:]
    assert result.returncode == 0, (result.returncode, last, result.stderr)
    assert last == ['wrong: []']


def test_whitening(path, tmp_path):
    """It is beside the arrays of the model."""
    assert model_file.read_whitening(path, 3) is None
    found = whitening.Whitening(
        numpy.random.rand(3).astype('f'), numpy.random.rand(3, 3).astype('f'))
    path, model = str(tmp_path / 'whitened.model'), make_model()
    model_file.save(path, model, {'epoch': 3}, found)
    for ours, theirs in zip(model_file.read_whitening(path, 3), found):
        numpy.testing.assert_array_equal(ours, theirs)
    loaded = make_model()
    model_file.load(path, loaded)
    assert_same(state(loaded), state(model))
    assert model_file.read_attributes(path) == {'epoch': 3}
    with pytest.raises(errors.UserError, match=r'mean is float32 \(3,\), not '
                       r'float32 \(4,\)'):
        model_file.read_whitening(path, 4)
    with h5py.File(path, 'r+') as f:
        del f['whitening/matrix']
        f['whitening/matrix'] = h5py.ExternalLink('x', 'y')
    with pytest.raises(errors.UserError, match='no matrix'):
        model_file.read_whitening(path, 3)
