"""Runs the scripts as their users do: a process of its own, in a folder."""
import hashlib
import importlib.util
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import h5py
import numpy
import PIL.Image
import pytest
from chainer.backends import cuda

from bnn.data import batches

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Trainer:

    """Starts a script in a folder, without data and without network.

    Attributes:
        cwd (pathlib.Path): The folder.
        env (dict): Its environment.
        script (pathlib.Path): The script, train_mnist.py at first.
    """

    # Short runs: 15 iterations in the first epoch, 14 in the second.
    SMALL = ('--dataset', 'digits', '--unit', '16', '--batchsize', '100',
             '--no-plot')
    # Long enough to be interrupted: 72 iterations an epoch.
    LONG = ('--dataset', 'digits', '--unit', '32', '--batchsize', '20',
            '--epoch', '3', '--no-plot')

    script = ROOT / 'train_mnist.py'

    def __init__(self, cwd):
        self.cwd = cwd
        self.env = {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'OPENBLAS_NUM_THREADS': '1',
            'COLUMNS': '80',
            'CHAINER_DATASET_ROOT': str(cwd / 'no-data'),
            # The environment's python3, for commands run as they are printed
            'PATH': os.pathsep.join(
                [os.path.dirname(sys.executable), os.environ['PATH']]),
            # Nothing listens there: as good as a machine without network
            'https_proxy': 'http://127.0.0.1:9',
        }
        for name in 'HTTPS_PROXY', 'ALL_PROXY', 'all_proxy', 'no_proxy':
            self.env.pop(name, None)

    def words(self, *options):
        return [sys.executable, '-W', 'error', str(self.script),
                *map(str, options)]

    def start(self, *options, **kwargs):
        return subprocess.Popen(
            self.words(*options),
            **{'cwd': self.cwd, 'env': self.env, 'text': True,
               'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE,
               'stderr': subprocess.PIPE, **kwargs})

    def run(self, *options, **kwargs):
        """Runs it to its end, whatever that is."""
        with self.start(*options, **kwargs) as process:
            try:
                out, err = process.communicate(timeout=300)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(
            process.args, process.returncode, out, err)

    def succeed(self, *options, **kwargs):
        """Runs it to a good end."""
        result = self.run(*options, **kwargs)
        assert result.returncode == 0, result.stderr
        return result

    def refuse(self, *options, **kwargs):
        """Runs it to an error of one line, which is returned.

        No run may have begun: the line stands alone and no file in the folder
        is another than before.
        """
        before = contents(self.cwd)
        result = self.run(*options, **kwargs)
        line = error_line(result, self.script.name)
        assert result.stderr.splitlines() == [line]
        assert contents(self.cwd) == before
        return line


def error_line(result, script='train_mnist.py'):
    """Returns the last line on stderr, which has to be the only error."""
    assert result.returncode > 0, result
    assert 'Traceback' not in result.stderr
    assert '\x1b' not in result.stderr + result.stdout
    assert result.stderr.count('error:') == 1, result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith(script + ': error: ')
    return line


def contents(folder):
    """Returns everything in a folder: names, times and digests."""
    found = {}
    for path in sorted(folder.rglob('*')):
        stat = path.lstat()
        found[str(path.relative_to(folder))] = (
            stat.st_mtime_ns, stat.st_size,
            hashlib.md5(path.read_bytes()).hexdigest()
            if path.is_file() else None)
    return found


def _read_log(folder):
    log = json.loads((folder / 'log').read_text())
    for entry in log:
        assert entry.pop('elapsed_time') >= 0
    return log


def _read_hdf5(path):
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype.str, item.shape, item[()].tobytes())

    with h5py.File(path, 'r') as f:
        f.visititems(add)
    return found


def _read_attributes(path):
    with h5py.File(path, 'r') as f:
        return {name: value if name.startswith('format')
                else json.loads(value) for name, value in f.attrs.items()}


def _edit_snapshot(path, change):
    """Rewrites a snapshot after ``change(arrays, settings)``."""
    with numpy.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    settings = json.loads(str(arrays.pop('settings')))
    change(arrays, settings)
    arrays = {'settings': json.dumps(settings), **arrays}
    with open(path, 'wb') as f:
        numpy.savez(f, **arrays)


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers in each run of a test, alone or among others."""
    numpy.random.seed(0)


@pytest.fixture
def trainer(tmp_path):
    """A :class:`Trainer` in a folder of the test."""
    return Trainer(tmp_path)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A finished run of two epochs, to look at or to copy; read only.

    Its results are in ``out``, its ``result`` is a CompletedProcess.
    """
    trainer = Trainer(tmp_path_factory.mktemp('trained'))
    trainer.result = trainer.succeed(
        *trainer.SMALL, '--plot', '--epoch', 2, '--out', 'run')
    trainer.out = trainer.cwd / 'run'
    return trainer


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory):
    """Folder of a run with the options ``Trainer.LONG``; read only."""
    trainer = Trainer(tmp_path_factory.mktemp('uninterrupted'))
    trainer.succeed(*trainer.LONG, '--out', 'run')
    return trainer.cwd / 'run'


@pytest.fixture(scope='session')
def results():
    """What reads results: functions, under the names used in the tests."""
    class Results:
        contents = staticmethod(contents)
        error_line = staticmethod(error_line)
        log = staticmethod(_read_log)
        hdf5 = staticmethod(_read_hdf5)
        attributes = staticmethod(_read_attributes)
        edit_snapshot = staticmethod(_edit_snapshot)
    return Results


@pytest.fixture(scope='session')
def write_mnist():
    """A function that writes four small, well-formed files of own data."""
    def write(folder, seed=0, n_train=60, n_test=20):
        folder.mkdir(exist_ok=True)
        random = numpy.random.RandomState(seed)
        for part, n in ('train', n_train), ('t10k', n_test):
            sizes = numpy.array([n, 28, 28], '>u4').tobytes()
            (folder / (part + '-images-idx3-ubyte')).write_bytes(
                b'\0\0\x08\x03' + sizes + random.bytes(n * 28 * 28))
            (folder / (part + '-labels-idx1-ubyte')).write_bytes(
                b'\0\0\x08\x01' + sizes[:4]
                + (numpy.arange(n) % 10).astype('u1').tobytes())
    return write


@pytest.fixture(scope='session')
def write_cifar10():
    """A function that writes the seven files of CIFAR-10, small ones.

    A class is a colour under noise, which a net learns in a few steps.
    """
    def write(folder, n=60, seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        random = numpy.random.RandomState(seed)
        names = [b'class %d' % i for i in range(10)]
        colours = random.randint(0, 200, (10, 3, 1))
        for file in (*batches.TRAIN, batches.TEST):
            labels = random.randint(0, 10, n)
            images = colours[labels] + random.randint(0, 56, (n, 3, 1024))
            (folder / file).write_bytes(pickle.dumps({
                b'data': images.reshape(n, 3072).astype(numpy.uint8),
                b'labels': labels.tolist()}))
        (folder / batches.META).write_bytes(
            pickle.dumps({b'label_names': names}))
    return write


@pytest.fixture(scope='session')
def write_pictures():
    """A function that writes a folder as ImageNet's, of small JPEGs."""
    def write(folder, n_train=12, n_val=5, n_classes=2, size=(40, 30)):
        random = numpy.random.RandomState(0)
        colours = random.randint(0, 200, (n_classes, 3))
        for part, n in ('train', n_train), ('val', n_val):
            for label, colour in enumerate(colours):
                path = folder / part / ('class %d' % label)
                path.mkdir(parents=True)
                for i in range(n):
                    pixels = colour + random.randint(0, 56, (*size[::-1], 3))
                    PIL.Image.fromarray(pixels.astype(numpy.uint8)).save(
                        path / ('%d.jpg' % i))
    return write


@pytest.fixture(scope='session')
def layer_table():
    """A function that lists a net's layers: shape, stride, pad, weights."""
    def table(model):
        rows = {}
        for name, link in model.namedlinks():
            if hasattr(link, 'W'):
                options = getattr(link, 'options', vars(link))
                weights = 'float' if getattr(link, 'w_bits', 32) == 32 else (
                    'scaled' if link.scaled else 'sign')
                rows[name[1:]] = (
                    link.W.shape, numpy.max(options.get('stride', 1)),
                    numpy.max(options.get('pad', 0)), weights)
        return rows
    return table


class Reference(object):

    """Layers in evaluation, computed in NumPy from their parameters."""

    @staticmethod
    def disturb(model):
        """Moves biases, gammas, betas and statistics from their defaults."""
        for link in model.links():
            for param in link.params(include_uninit=False):
                if param.ndim == 1:
                    param.array[...] += numpy.random.uniform(
                        -.2, .2, param.shape)
            if hasattr(link, 'avg_mean'):
                shape = link.avg_mean.shape
                link.avg_mean[...] = numpy.random.uniform(-.2, .2, shape)
                link.avg_var[...] = numpy.random.uniform(.5, 2, shape)

    @staticmethod
    def sign(x):
        return numpy.where(x >= 0, 1., -1.)

    @staticmethod
    def normalize(bn, x, eps=1e-4):
        def shaped(array):
            return array.reshape((1, -1) + (1,) * (x.ndim - 2))
        y = (x - shaped(bn.avg_mean)) / numpy.sqrt(shaped(bn.avg_var) + eps)
        if getattr(bn, 'gamma', None) is None:
            return y
        return y * shaped(bn.gamma.array) + shaped(bn.beta.array)

    @staticmethod
    def linear(x, W, b):
        return x.reshape(len(x), -1) @ W.T + b.array

    @staticmethod
    def convolution(x, W, b, stride=1, pad=0, pad_value=0):
        x = numpy.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)),
                      constant_values=pad_value)
        windows = numpy.lib.stride_tricks.sliding_window_view(
            x, W.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        y = numpy.tensordot(windows, W, ((1, 4, 5), (1, 2, 3)))
        return y.transpose(0, 3, 1, 2) + b.array.reshape(-1, 1, 1)

    @staticmethod
    def pool(x, reduce, size=3, stride=2, pad=0, pad_value=0):
        x = numpy.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)),
                      constant_values=pad_value)
        return reduce(numpy.lib.stride_tricks.sliding_window_view(
            x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride],
            axis=(4, 5))

    @classmethod
    def block(cls, block, x, pad=0):
        """XNOR-Net's, with scaled weights."""
        h = cls.sign(cls.normalize(block.bn, x))
        layer = getattr(block, 'conv', None) or block.linear
        W = layer.W.array
        W = cls.sign(W) * abs(W).mean(
            axis=tuple(range(1, W.ndim)), keepdims=True)
        y = (cls.linear(h, W, layer.b) if W.ndim == 2
             else cls.convolution(h, W, layer.b, pad=pad))
        return numpy.maximum(y, 0)


@pytest.fixture(scope='session')
def reference():
    """The class :class:`Reference`."""
    return Reference


@pytest.fixture(scope='session')
def _emulator(tmp_path_factory):
    path = ROOT / 'tests' / 'bnn' / 'kernels' / 'cuda_on_cpu.py'
    spec = importlib.util.spec_from_file_location('cuda_on_cpu', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.unavailable():
        pytest.skip(module.unavailable())
    return module.Emulator(tmp_path_factory.mktemp('kernels'))


@pytest.fixture
def cuda_on_cpu(_emulator, monkeypatch):
    """Runs kernels in CUDA C on NumPy arrays; has the names of the launches.

    So that what arranges them is the very code that a GPU gets.
    """
    from bnn.kernels import gpu_launch
    _emulator.launches.clear()
    monkeypatch.setattr(gpu_launch, 'launch', _emulator)
    return _emulator


# What chainer.testing puts on the variants of inject_backend_tests.
_MARKERS = ('gpu', 'cudnn', 'ideep', 'chainerx', 'slow')


def pytest_configure(config):
    for name in _MARKERS:
        config.addinivalue_line('markers', name + ': set by chainer.testing')


def pytest_collection_modifyitems(items):
    if _has_gpu():
        return
    skip = pytest.mark.skip(reason='no GPU')
    for item in items:
        if item.get_closest_marker('gpu') or item.get_closest_marker('cudnn'):
            item.add_marker(skip)


def _has_gpu():
    if not cuda.available:
        return False
    try:
        return cuda.cupy.cuda.runtime.getDeviceCount() > 0
    except cuda.cupy.cuda.runtime.CUDARuntimeError:
        return False  # CuPy is there, the driver is not


@pytest.fixture
def emulated_cupy(monkeypatch):
    """A module like CuPy whose kernels run on the CPU, in the place of CuPy.
    """
    if shutil.which('g++') is None:
        pytest.skip('no g++ to compile the kernels with')
    folder = ROOT / 'tests' / 'cuda_emulation'
    if folder.name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            folder.name, folder / '__init__.py',
            submodule_search_locations=[str(folder)])
        sys.modules[folder.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[folder.name])
    return sys.modules[folder.name].install(monkeypatch)


@pytest.fixture(params=['cpu', 'gpu'])
def kernels_of(request, monkeypatch):
    """The kernels of NumPy arrays, and in their place those of a GPU.

    Chainer goes on with NumPy arrays: they go to the emulated GPU and come
    back around each kernel.
    """
    if request.param == 'gpu':
        cupy = request.getfixturevalue('emulated_cupy')
        from bnn import kernels
        from bnn.kernels import gpu
        monkeypatch.setattr(
            kernels, '_kernels_of', lambda x: _OnGPU(cupy, gpu))
    return request.param


class _OnGPU(object):

    def __init__(self, cupy, gpu):
        self._cupy, self._gpu = cupy, gpu

    def Signs(self, x, is_binary):  # noqa: N802
        # Its products stay with NumPy.
        from bnn.kernels import sign_matrices
        return sign_matrices.Signs(
            x if is_binary else self.binarize(x), is_binary=True)

    def __getattr__(self, name):
        def call(*args):
            there = [self._cupy.asarray(one) if isinstance(
                one, numpy.ndarray) else one for one in args]
            result = getattr(self._gpu, name)(*there)
            for one, changed in zip(args, there, strict=True):
                if isinstance(one, numpy.ndarray) and one.flags.writeable:
                    one[...] = changed.get()
            return tuple(one.get() for one in result) if isinstance(
                result, tuple) else None if result is None else result.get()
        return call
