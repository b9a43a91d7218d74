"""Nets in Python files, exported; what is wrong with them in one line."""
import sys

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import bnn.deploy
from bnn import errors
from bnn.deploy import operations
from tests.helpers import scripts

FILE = '''\
import chainer
import chainer.functions as F
import chainer.links as L

import sizes
from zoo.binarynet.link_binary_convolution_2d import BinaryConvolution2D


class Net(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.conv = BinaryConvolution2D(None, n, 3, pad=1)
            self.l = L.Linear(None, sizes.CLASSES)

    def forward(self, x):
        return self.l(F.max_pooling_2d(F.relu(self.conv(x)), 2))


class Sized(Net):
    def __init__(self, n, *, m):
        super().__init__(n)


class Wrong(Net):
    def forward(self, x):
        return self.l(F.sigmoid(self.conv(x)))


class Broken(Net):
    def __init__(self):
        raise RuntimeError('a\\nb')


def make_net():
    return L.Classifier(Sized(4, m=1))


def make_pair():
    return Net(), Net()


made = chainer.Sequential(Net(), F.relu)
bare = chainer.Sequential(F.relu)
'''


@pytest.fixture
def script(tmp_path, monkeypatch):
    """export.py in a folder with a net.py, whose name is ours too."""
    # As without PYTHONDONTWRITEBYTECODE, which may be set here
    monkeypatch.setattr(sys, 'dont_write_bytecode', False)
    (tmp_path / 'net.py').write_text(FILE)
    (tmp_path / 'sizes.py').write_text('CLASSES = 3\n')
    return scripts.Call(tmp_path, 'export.py')


@pytest.mark.parametrize('name', ['Net', 'make_net', 'made'])
def test_names(name, script):
    out = script.succeed(f'net.py:{name}', '--example', '2,6,6').stdout
    assert '100 random images: predictions packed that differ from ' in out
    net = bnn.deploy.load(script.cwd / 'net.bnn')
    assert net.input_shape == (2, 6, 6) and net.class_names == tuple('012')
    assert net.packed.facts == {'net': name}


def test_options(script):
    script.succeed(
        'net.py:Net', '--example', '2,6,6', '--input', 'standard', '--mean',
        '.5', '--std', '.25,.5', '--classes', 'a,b,c', '-o', 'a.bnn')
    net = bnn.deploy.load(script.cwd / 'a.bnn')
    assert net.class_names == tuple('abc')
    assert net.packed.rescale.std == (.25, .5)


def test_summary(script):
    lines = script.succeed('net.py:Net', '--example', '2,6,6', '--input',
                           'binary', '--summary').stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [
        ['conv', 'BinaryConvolution2D'], ['l', 'Linear']]
    assert lines[1].split()[5] == f'{4 * 36 * 18:,}'  # 1-bit MACs
    assert not (script.cwd / 'net.bnn').exists()


def test_weights(script, tmp_path):
    net = chainer.Sequential(L.Linear(4, 3))
    (tmp_path / 'mine.py').write_text(
        'import chainer\nimport chainer.links as L\n'
        'def make():\n    return chainer.Sequential(L.Linear(None, 3))')
    chainer.serializers.save_npz(tmp_path / 'my.npz', net)
    options = 'mine.py:make', '--example', '1,2,2', '--weights'
    script.succeed(*options, 'my.npz')
    images = numpy.random.randint(0, 256, (5, 1, 2, 2)).astype(numpy.uint8)
    numpy.testing.assert_allclose(
        bnn.deploy.load(tmp_path / 'mine.bnn').scores(images),
        net(images.astype('f') / 255).array, rtol=1e-5, atol=1e-6)
    chainer.serializers.save_npz(tmp_path / 'my.npz', L.Linear(4, 3))
    (tmp_path / 'mine.bnn').unlink()
    assert script.refuse(*options, 'my.npz') == (
        'export.py: error: my.npz is not of this net: it has no 0/W')
    for path in 'my.npz', 'mine.py':
        chainer.serializers.save_npz(tmp_path / 'my.npz', net)
        assert 'is the model itself' in script.refuse(
            *options, 'my.npz', '-o', path)


def test_data(script, tmp_path):
    """Of another number of classes, and absent."""
    (tmp_path / 'mine.py').write_text(
        'import chainer.links as L\nfive, ten = L.Linear(784, 5), '
        'L.Linear(784, 10)')
    options = '--example', '1,28,28', '--dataset'
    assert script.refuse('mine.py:five', *options, 'digits') == (
        'export.py: error: mine.py:five is of 1x28x28 images and 5 classes, '
        'digits of 1x28x28 and 10')
    line = script.refuse('mine.py:ten', *options, 'mnist')
    assert line.endswith('); name the folder of the data: --data-dir DIR, or '
                         'compare nothing: --no-check')
    assert script.refuse('mine.py:ten', *options, 'mnist', '--int8-ends'
                         ).endswith('--data-dir DIR')


@pytest.mark.slow
def test_int8_ends(script, tmp_path):
    (tmp_path / 'mine.py').write_text(
        'import chainer\nimport chainer.links as L\nimport bst\n'
        'net = chainer.Sequential(\n'
        '    L.Linear(784, 9), bst.bst, L.Linear(9, 10))')
    out = script.succeed('mine.py:net', '--example', '1,28,28', '--dataset',
                         'digits', '--int8-ends', '--to', 'c').stdout
    assert '360 test images of' in out
    assert (tmp_path / 'mine_c' / 'bnn_net.c').exists()


@pytest.mark.parametrize('words, line', [
    ('net.py', 'net.py names no net: write net.py:NAME'),
    ('none.py:Net', 'cannot read none.py: there is no such file'),
    ('net.py:Nix', "net.py has no 'Nix'; it has Net, Sized, Wrong, Broken, "
     'make_net, make_pair'),
    ('net.py:Sized', 'net.py:Sized needs arguments (n, m): write a function '
     'of none, def make_net(): return Sized(...), and name it, '),
    ('net.py:Broken', 'net.py:Broken cannot be made: RuntimeError: a b '
     '(line 32 of net.py)'),
    ('net.py:make_pair', 'net.py:make_pair gives tuple, not a'),
    ('net.py:sizes', 'net.py:sizes gives module, not a'),
    ('net.py:Wrong', 'Sigmoid behind conv is not supported: use relu'),
    ('net.py:Net --weights none', 'cannot read none'),
    ('net.py:Net --classes a,b', 'a net of 3 scores cannot be packed with'),
    ('net.py:Net --input standard', '--input standard, --mean and --std'),
    ('net.py:Net --mean 1', '--input standard, --mean and --std'),
    ('net.py:Net --input standard --mean 1,2,3 --std 1', '--mean has 3 num'),
    ('net.py:Net --input standard --mean 1 --std 0', '--std must be above'),
    *((f'net.py:Net --input standard --mean {mean} --std {std}',
       'pixels less --mean, by --std, are no finite float32')
      for mean, std in (('nan', 1), ('1e300', 1), (0, 'inf'), (0, 'nan'),
                        (0, '1e-300'))),
    ('net.py:bare --summary', 'the net has no layers to summarize'),
    ('net.py:Net --dataset digits', 'images of digits are of --example 1,28'),
    ('net.py:Net --int8-ends', '--int8-ends needs training images'),
    ('net.py:Net --to web', 'the web page takes nets of grey or colour'),
    ('net.py:Net --to c', 'conv cannot go to C: it gives floats'),
])
def test_refused(words, line, script):
    words = words.split()
    assert script.refuse(words[0], '--example', '2,6,6', *words[1:]
                         ).startswith(f'export.py: error: {line}')


def test_refused_examples(script):
    assert 'needs the size of an image: --example' in script.refuse(
        'net.py:Net')
    for size in '28', '1,0,3', '1,a,3':
        assert 'is not CHANNELS,HEIGHT,WIDTH' in script.refuse(
            'net.py:Net', '--example', size)
    assert 'MaxPooling2D: a window does not fit' in script.refuse(
        'net.py:Net', '--example', '2,1,1')
    (script.cwd / 'linear.py').write_text(
        'import chainer.links as L\nnet = L.Linear(5, 3)')
    line = script.refuse('linear.py:net', '--example', '2,1,1')
    assert 'linear.py:net does not take an example of 2x1x1: ' in line
    assert '--weights is of a net in a Python file' in script.refuse(
        'mlp.model', '--weights', 'x')


@pytest.mark.parametrize('text, line', [
    ('1 / 0', 'ZeroDivisionError: division by zero (line 2 of bad.py)'),
    ('import nix', "ModuleNotFoundError: No module named 'nix' (line 2"),
    ('def', 'SyntaxError: '), ('exit(3)', 'SystemExit: 3 (line 2 of')])
def test_files_that_raise(text, line, script):
    (script.cwd / 'bad.py').write_text('\n' + text)
    assert script.refuse('bad.py:Net', '--example', '1,2,2').startswith(
        f'export.py: error: bad.py cannot be run: {line}')


def test_in_python(tmp_path):
    net = chainer.Sequential(
        L.Linear(None, 6), F.relu, lambda x: F.concat((x, F.leaky_relu(x))),
        L.Linear(None, 3))
    packed = bnn.deploy.pack(
        net, numpy.zeros((1, 2, 3, 2)), operations.Rescale(kind='signed'),
        'abc', {'net': 'mine'})
    images = numpy.random.randint(0, 256, (5, 2, 3, 2)).astype(numpy.uint8)
    numpy.testing.assert_allclose(
        packed.scores(images), net(images.astype('f') / 127.5 - 1).array,
        rtol=1e-4, atol=1e-5)
    bnn.deploy.save(tmp_path / 'a.bnn', packed)
    again = bnn.deploy.load(tmp_path / 'a.bnn')
    assert again.class_names == tuple('abc')
    assert again.packed.facts == {'net': 'mine'}
    numpy.testing.assert_array_equal(
        again.scores(images), packed.scores(images))
    with pytest.raises(errors.UserError, match=r'shape \(1, 12\) is not of'):
        bnn.deploy.pack(net, numpy.zeros((1, 12), 'f'))
