"""C nets: compiled by gcc, clang and for a Cortex-M4, and run."""
import itertools
import shutil
import subprocess

import numpy
import pytest

import net
from bnn import errors
from bnn.deploy import run
from bnn.deploy.c import folder
from bnn.training.files import atomic
from zoo.quantized_net import quantized_mlp

WARNINGS = ['-std=c99', '-Wall', '-Wextra', '-pedantic', '-Werror']
WORDS = [[f'-DBNN_WORD_BITS={bits}', f'-DBNN_BUILTIN_POPCOUNT={builtin}']
         for bits in (32, 64) for builtin in (0, 1)]
SANITIZED = ['-O1', '-fsanitize=address,undefined',
             '-fno-sanitize-recover=all']


def need(*programs):
    for name in programs:
        if shutil.which(name) is None:
            pytest.skip(f'{name} is not installed')


def export(packed, path):
    path.mkdir(exist_ok=True)
    folder.write(folder.export(packed)[0], str(path), atomic.write)


def check(path, packed, images, *options, compiler='gcc'):
    """Compiles a net, runs it, compares its scores and classes."""
    need(compiler)
    subprocess.run([compiler, *WARNINGS, *options, 'main.c', 'bnn_net.c',
                    '-o', 'bnn'], cwd=path, check=True)
    (path / 'all.bin').write_bytes(images.tobytes())
    found = subprocess.run(
        ['./bnn', '--raw-scores', 'all.bin'], cwd=path, check=True,
        stdout=subprocess.PIPE).stdout.split()
    table = numpy.array(found, numpy.float64).reshape(len(images), -1)
    expected = run.Net(packed).scores(images)
    # A sum times a scale, plus an offset: the same floats, bit by bit
    numpy.testing.assert_array_equal(
        table[:, 1:].astype(numpy.float32), expected)
    numpy.testing.assert_array_equal(table[:, 0], expected.argmax(axis=1))


@pytest.mark.parametrize('name, kind, int8_ends', [
    ('binary-3', 'unit', False), ('lenet5', 'standard', True),
    ('convnet-binary-0', 'signed', False), ('dorefa-3-3', 'binary', False),
    ('cnv-1-1', 'signed', False), ('cnv-1-2', 'signed', False)])
def test_compiled_and_run(name, kind, int8_ends, pack, make_images, tmp_path):
    packed = pack(name, kind, int8_ends)
    export(packed, tmp_path)
    check(tmp_path, packed, make_images(20, packed.input_shape), '-O2')


@pytest.mark.slow
def test_every_net(pack, net_names, make_images, tmp_path):
    """With the sanitizers; a net that C does not take is refused."""
    n_compiled = 0
    for name, (kind, int8_ends) in itertools.product(net_names, (
            ('unit', False), ('signed', True), ('standard', True),
            ('binary', False))):
        if name in ('alexnet', 'nin-imagenet'):
            continue  # Large, and the same layers as the others
        packed = pack(name, kind, int8_ends)
        try:
            export(packed, tmp_path / 'c')
        except errors.UserError as e:
            assert str(e).split(' cannot go to C: ')[0] in [
                one.name for one in packed.stages], e
            assert not name.startswith('binary-')
            continue
        check(tmp_path / 'c', packed, make_images(5, packed.input_shape),
              *SANITIZED)
        n_compiled += 1
    assert n_compiled > 50


@pytest.mark.slow
@pytest.mark.parametrize('compiler', ('gcc', 'clang'))
def test_compilers(compiler, pack, make_images, tmp_path):
    for name in 'lenet5', 'linear-8-8', 'convnet-binary-0', 'binary-1':
        packed = pack(name, 'signed', name == 'lenet5')
        export(packed, tmp_path / name)
        for options in (['-O2'], SANITIZED, *(
                ['-O3', '-march=native', *words] for words in WORDS)):
            check(tmp_path / name, packed,
                  make_images(50, packed.input_shape), *options,
                  compiler=compiler)


@pytest.mark.slow
def test_odd_widths(pack, make_images, tmp_path):
    for n_units in (1, 31, 32, 33, 63, 64, 65, 127):
        packed = pack(net.BinaryMLP(n_units))
        export(packed, tmp_path)
        for words in WORDS[::3]:
            check(tmp_path, packed, make_images(50, (1, 28, 28)), '-O1',
                  *words)


@pytest.mark.slow
def test_float_ends_around_few_levels(pack, make_images, tmp_path):
    for a_bits in (1, 2, 8):
        packed = pack(quantized_mlp.QuantizedMLP(
            33, n_layers=1, w_bits=32, a_bits=a_bits), 'unit', True)
        export(packed, tmp_path)
        check(tmp_path, packed, make_images(20, (1, 28, 28)), '-O1')


def test_table(pack):
    for name, kind, int8_ends in (
            ('binary-1', 'standard', False), ('linear-8-8', 'signed', False),
            ('lenet5', 'unit', True), ('convnet-binary-1', 'signed', False),
            ('cnv-2-2', 'signed', False)):
        packed = pack(name, kind, int8_ends)
        _, rows = folder.export(packed)
        assert rows[-1]['flash bytes'] == sum(
            row['flash bytes'] for row in rows[:-1])
        assert [row['layer'] for row in rows if row['weights']] == [
            one.name for one in packed.products]


@pytest.mark.parametrize('name, words', [
    ('lenet5', 'conv1 cannot go to C: its weights are floats, and the C net '
     'is of whole numbers. Where all layers between'),
    ('dorefa-2-32', 'l1 cannot go to C: it gives floats, and'),
    ('dorefa-32-2', 'l1 cannot go to C: its weights are floats'),
    ('FloatMLP-1', 'l1 cannot go to C: its weights are floats'),
    ('resnet20', 'conv1 cannot go to C: its weights are floats')])
def test_refused(name, words, pack):
    with pytest.raises(errors.UserError, match=words):
        folder.export(pack(name))


def test_makefile_and_pictures(pack, make_images, tmp_path):
    need('gcc', 'make')
    packed = pack(net.BinaryMLP(20))
    export(packed, tmp_path)
    subprocess.run(['make', '-s', 'CFLAGS=-O1'], cwd=tmp_path, check=True)
    x = make_images(1, (1, 28, 28))
    for name, contents in (
            ('a', b'P5\n# a digit\n28 28\n255\n' + x.tobytes()),
            ('b', b'P2 28 28 255\n%s\n' % ' '.join(map(
                str, x.ravel())).encode()),
            ('short', b'P5 28 28 255\n1234'),
            ('large', b'P5 280 28 255\n1234'), ('none', b'GIF89a')):
        (tmp_path / f'{name}.pgm').write_bytes(contents)

    def call(*names):
        done = subprocess.run(['./bnn', *names], cwd=tmp_path, text=True,
                              capture_output=True)
        return done.returncode, done.stdout, done.stderr

    expected = run.Net(packed).predict(x)[0]
    assert call('a.pgm', 'b.pgm') == (
        0, f'a.pgm: {expected}\nb.pgm: {expected}\n', '')
    for name, words in (
            ('short', 'ends too early'),
            ('large', "is not of the net's size, 28x28"),
            ('none', 'is no PGM'), ('missing', 'cannot be opened')):
        code, out, error = call(f'{name}.pgm')
        assert (code, out) == (1, '')
        assert error.startswith(f'{name}.pgm {words}')
    assert call()[0] == call('--no')[0] == 2
    assert '[--scores] IMAGE.pgm ...' in call()[2]


def test_usage_of_colours(pack, tmp_path):
    need('gcc')
    export(pack('convnet-binary-0', 'signed'), tmp_path)
    subprocess.run(['gcc', *WARNINGS, 'main.c', 'bnn_net.c', '-o', 'bnn'],
                   cwd=tmp_path, check=True)
    done = subprocess.run(['./bnn'], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.stderr.startswith('usage: ./bnn [--scores] IMAGE.ppm ...\n')


@pytest.mark.slow
@pytest.mark.parametrize('name', ('binary', 'lenet5'))
def test_cortex_m4(name, pack, make_images, tmp_path):
    need('arm-none-eabi-gcc', 'qemu-system-arm', 'make', 'sed')
    x = make_images(10, (1, 28, 28))
    packed = pack('lenet5', 'signed', True) if name == 'lenet5' else pack(
        net.BinaryMLP(1000))
    export(packed, tmp_path)
    (tmp_path / 'images.bin').write_bytes(x.tobytes())
    # The linker holds it to 256 KB of flash and 8 KB of RAM.
    size = subprocess.run(
        ['make', '-s', 'arm', 'ARM_FLAGS=-O2 -mcpu=cortex-m4 -mthumb -Werror '
         '-ffunction-sections -fdata-sections'], cwd=tmp_path, check=True,
        text=True, stdout=subprocess.PIPE).stdout
    text, data, bss = map(int, size.splitlines()[1].split()[:3])
    *classes, word, stack = subprocess.run(
        ['make', '-s', 'qemu'], cwd=tmp_path, check=True, text=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        timeout=300).stdout.split()
    assert word == 'stack'
    numpy.testing.assert_array_equal(
        numpy.array(classes, int), run.Net(packed).predict(x))
    assert text + data <= 256000
    assert data + bss + int(stack) <= 8000


def test_no_library(pack):
    files, _ = folder.export(pack('binary-1'))
    source = files['bnn_net.c']
    assert [line for line in source.splitlines()
            if line.startswith('#include')] == [
                '#include <stdint.h>', '#include <string.h>',
                '#include "bnn_net.h"']
    assert 'malloc' not in source
