"""C nets: compiled by gcc, clang and for a Cortex-M4, and run."""
import importlib.util
import pathlib
import shutil
import subprocess

import numpy
import pytest

import net
from bnn import data as datasets
from bnn import errors
from bnn.deploy import c_export
from bnn.deploy import int8
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import runtime
from bnn.training.files import atomic

_spec = importlib.util.spec_from_file_location(
    'deploy_conftest', pathlib.Path(__file__).with_name('conftest.py'))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)
# Large, and the same layers as the others
NETS = [name for name in _conftest.NETS
        if name not in ('alexnet', 'nin-imagenet')]
_WARNINGS = ['-std=c99', '-Wall', '-Wextra', '-pedantic', '-Werror']
_WORDS = [['-DBNN_WORD_BITS=%d' % bits, '-DBNN_BUILTIN_POPCOUNT=%d' % builtin]
          for bits in (32, 64) for builtin in (0, 1)]
_ARM = ['arm-none-eabi-gcc', 'qemu-system-arm']


def _needs(*programs):
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(
        bool(missing), reason='%s not installed' % ', '.join(missing))


COMPILERS = [pytest.param(name, marks=_needs(name))
             for name in ('gcc', 'clang')]


def export(packed, folder):
    c_export.write(c_export.export(packed), str(folder), atomic.write)
    return folder


def compile_(folder, compiler, options):
    subprocess.run(
        [compiler, *_WARNINGS, *options, 'main.c', 'bnn_net.c', '-o', 'bnn'],
        cwd=folder, check=True)


def run(folder, images):
    """Returns classes and scores."""
    (folder / 'all.bin').write_bytes(images.tobytes())
    found = subprocess.run(
        ['./bnn', '--raw-scores', 'all.bin'], cwd=folder, check=True,
        stdout=subprocess.PIPE).stdout.split()
    table = numpy.array(found, numpy.float64).reshape(len(images), -1)
    return table[:, 0].astype(int), table[:, 1:].astype(numpy.float32)


def check(folder, packed, images):
    expected = runtime.Net(packed).scores(images)
    classes, scores = run(folder, images)
    # A sum times a scale, plus an offset: the same floats, bit by bit
    numpy.testing.assert_array_equal(scores, expected)
    numpy.testing.assert_array_equal(classes, expected.argmax(axis=1))


def pack(predictor, shape, rescale, int8_ends=False, images=None):
    found = predictor.describe()
    if int8_ends:
        found, rescale = int8.quantize_ends(found, rescale, images)
    return packing.pack(found, shape, rescale, map(str, range(10)),
                        pad_pixels=int8_ends)


def perceptron(n_units, n_layers=2, kind='unit', seed=3):
    state = numpy.random.get_state()
    numpy.random.seed(seed)
    predictor = net.BinaryMLP(n_units, n_layers=n_layers)
    numpy.random.set_state(state)
    _conftest.disturb(predictor, numpy.random.RandomState(seed))
    return pack(predictor, (1, 28, 28), operations.Rescale(kind=kind))


@pytest.fixture(scope='session')
def mnist_shaped():
    """Digits of scikit-learn's set and noise, uint8 (10000, 1, 28, 28)."""
    digits = numpy.asarray(datasets.load('digits').train_images)
    digits = digits.reshape(-1, *digits.shape[-2:])
    random = numpy.random.RandomState(0)
    x = random.randint(0, 256, (10000, 1, 28, 28)).astype(numpy.uint8)
    some = numpy.resize(digits, (6000, *digits.shape[1:]))
    x[:6000, 0] = numpy.kron(some, numpy.ones((1, 4, 4), numpy.uint8))[
        :, 2:30, 2:30] if some.shape[1] == 8 else some
    x[6000], x[6001] = 0, 255
    return x


@pytest.mark.parametrize('kind, int8_ends', [
    *((kind, False) for kind in ('unit', 'signed', 'standard', 'binary')),
    ('signed', True), ('standard', True)])
@pytest.mark.parametrize('name', NETS)
@_needs('gcc')
def test_every_net(name, kind, int8_ends, make_net, make_rescale,
                   make_images, tmp_path):
    shape, predictor = make_net(name)
    rescale = make_rescale(kind, shape[0])
    x = make_images(5, shape)
    try:
        packed = pack(predictor, shape, rescale, int8_ends, x)
        export(packed, tmp_path)
    except errors.UserError as e:
        links = [path.strip('/') for path, _ in predictor.namedlinks()]
        assert str(e).split(' cannot go to C: ')[0] in links, e
        assert not name.startswith('binary-')
        return
    compile_(tmp_path, 'gcc', ['-O1', '-fsanitize=address,undefined',
                               '-fno-sanitize-recover=all'])
    check(tmp_path, packed, x)


@pytest.mark.parametrize('a_bits', (1, 2, 8))
@_needs('gcc')
def test_float_ends_around_few_levels(a_bits, make_rescale, make_images,
                                      tmp_path):
    predictor = net.QuantizedMLP(33, n_layers=1, w_bits=32, a_bits=a_bits)
    _conftest.disturb(predictor, numpy.random.RandomState(1))
    x = make_images(20, (1, 28, 28))
    packed = pack(predictor, (1, 28, 28), make_rescale('unit', 1), True, x)
    export(packed, tmp_path)
    compile_(tmp_path, 'gcc', ['-O1'])
    check(tmp_path, packed, x)


@pytest.mark.parametrize('name, kind, int8_ends', [
    *(('binary-%d' % n, kind, False) for n in (1, 3)
      for kind in ('unit', 'signed', 'standard', 'binary')),
    ('dorefa-1-1', 'unit', False), ('dorefa-3-3', 'unit', False),
    ('linear-8-8', 'signed', False), ('lenet5', 'standard', True),
    ('lenet5', 'unit', True), ('convnet-binary-0', 'signed', False),
    ('convnet-binary-1', 'signed', False)])
def test_taken(name, kind, int8_ends, make_net, make_rescale, make_images):
    shape, predictor = make_net(name)
    packed = pack(predictor, shape, make_rescale(kind, shape[0]), int8_ends,
                  make_images(5, shape))
    rows = c_export.export(packed).rows
    assert rows[-1]['flash bytes'] == sum(
        row['flash bytes'] for row in rows[:-1])
    assert [row['layer'] for row in rows if row['weights']] == [
        one.name for one in packed.products]


@pytest.mark.parametrize('name, words', [
    ('lenet5', 'conv1 cannot go to C: its weights are floats, and the C net '
     'is of whole numbers. --int8-ends makes 8-bit'),
    ('dorefa-2-32', 'l1 cannot go to C: it gives floats, and'),
    ('dorefa-32-2', 'l1 cannot go to C: its weights are floats'),
    ('FloatMLP-1', 'l1 cannot go to C: its weights are floats')])
def test_refused(name, words, make_net, make_rescale):
    shape, predictor = make_net(name)
    packed = pack(predictor, shape, make_rescale('unit', shape[0]))
    with pytest.raises(errors.UserError, match=words):
        c_export.export(packed)


@pytest.mark.parametrize('n_units', (1, 31, 32, 33, 63, 64, 65, 127))
@_needs('gcc')
def test_odd_widths(n_units, make_images, tmp_path):
    packed = perceptron(n_units)
    export(packed, tmp_path)
    for options in _WORDS:
        compile_(tmp_path, 'gcc', ['-O3', *options])
        check(tmp_path, packed, make_images(50, (1, 28, 28)))


@pytest.mark.parametrize('words', _WORDS, ids=' '.join)
@pytest.mark.parametrize('compiler', COMPILERS)
def test_of_mnist_shape(compiler, words, mnist_shaped, tmp_path):
    packed = perceptron(100)
    export(packed, tmp_path)
    for options in (['-O2'], ['-O1', '-fsanitize=address,undefined',
                              '-fno-sanitize-recover=all']):
        compile_(tmp_path, compiler, [*options, *words])
        check(tmp_path, packed, mnist_shaped)


@pytest.mark.parametrize('words', _WORDS, ids=' '.join)
@pytest.mark.parametrize('name', ('lenet5', 'linear-8-8', 'convnet-binary-0',
                                  'dorefa-3-3'))
@pytest.mark.parametrize('compiler', COMPILERS)
def test_compilers(compiler, name, words, make_net, make_rescale,
                   make_images, tmp_path):
    shape, predictor = make_net(name)
    x = make_images(20, shape)
    packed = pack(predictor, shape, make_rescale('signed', shape[0]),
                  name == 'lenet5', x)
    export(packed, tmp_path)
    for options in (['-O2'], ['-O3', '-march=native']):
        compile_(tmp_path, compiler, [*options, *words])
        check(tmp_path, packed, x)


@_needs('gcc', 'make')
def test_makefile_and_pictures(tmp_path, make_images):
    packed = perceptron(20)
    export(packed, tmp_path)
    subprocess.run(['make', '-s', 'CFLAGS=-O1'], cwd=tmp_path, check=True)
    x = make_images(1, (1, 28, 28))
    expected = '%d' % runtime.Net(packed).predict(x)[0]
    (tmp_path / 'a.pgm').write_bytes(
        b'P5\n# a digit\n28 28\n255\n' + x.tobytes())
    (tmp_path / 'b.pgm').write_text(
        'P2 28 28 255\n%s\n' % ' '.join(map(str, x.ravel())))
    (tmp_path / 'short.pgm').write_bytes(b'P5 28 28 255\n1234')
    (tmp_path / 'large.pgm').write_bytes(b'P5 280 28 255\n1234')
    (tmp_path / 'none.pgm').write_bytes(b'GIF89a')

    def call(*names):
        done = subprocess.run(['./bnn', *names], cwd=tmp_path, text=True,
                              capture_output=True)
        return done.returncode, done.stdout, done.stderr

    assert call('a.pgm', 'b.pgm') == (
        0, 'a.pgm: %s\nb.pgm: %s\n' % (expected, expected), '')
    for name, words in (
            ('short', 'ends too early'), ('large', 'is not of the size'),
            ('none', 'is no PGM'), ('missing', 'cannot be opened')):
        code, out, error = call(name + '.pgm')
        assert (code, out) == (1, '') and error.startswith(
            '%s.pgm %s' % (name, words))
    assert call()[0] == call('--no')[0] == 2


@pytest.mark.parametrize('name', ('binary', 'lenet5'))
@_needs(*_ARM, 'make', 'sed')
def test_cortex_m4(name, make_net, make_rescale, make_images, mnist_shaped,
                   tmp_path):
    x = mnist_shaped[5960:6040]
    if name == 'lenet5':
        shape, predictor = make_net(name)
        packed = pack(predictor, shape, make_rescale('signed', 1), True,
                      make_images(5, shape))
        x = x[:10]
    else:
        packed = perceptron(1000)
    export(packed, tmp_path)
    (tmp_path / 'images.bin').write_bytes(x.tobytes())
    # The linker holds it to 256 KB of flash and 8 KB of RAM.
    size = subprocess.run(
        ['make', '-s', 'arm', 'ARM_FLAGS=-O2 -mcpu=cortex-m4 -mthumb -Werror '
         '-ffunction-sections -fdata-sections'], cwd=tmp_path, check=True,
        text=True, stdout=subprocess.PIPE).stdout
    text, data, bss = map(int, size.splitlines()[1].split()[:3])
    out = subprocess.run(
        ['make', '-s', 'qemu'], cwd=tmp_path, check=True, text=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        timeout=300).stdout.split()
    *classes, word, stack = out
    assert word == 'stack'
    numpy.testing.assert_array_equal(
        numpy.array(classes, int), runtime.Net(packed).predict(x))
    assert text + data <= 256000
    assert data + bss + int(stack) <= 8000


def test_no_library(make_net, make_rescale):
    source = c_export.export(perceptron(9)).files['bnn_net.c']
    assert [line for line in source.splitlines()
            if line.startswith('#include')] == [
                '#include <stdint.h>', '#include <string.h>',
                '#include "bnn_net.h"']
    assert 'malloc' not in source
