"""A short run of each script."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Another environment that has PyTorch
TORCH_PYTHON = os.environ.get('TORCH_PYTHON', sys.executable)
HAS_TORCH = subprocess.run(
    [TORCH_PYTHON, '-c', 'import torch'], capture_output=True).returncode == 0
SHORT = '--rounds', '1'
TURNS = *SHORT, '--seconds', '.001'
DIGITS = './train_mnist.py --dataset digits --unit 8'


def run(name, *options):
    """Runs a script and returns the tables that it prints.

    Returns:
        tuple: What it prints, and a dict of the first cells of lines to the
        rest of them.
    """
    result = subprocess.run(
        [sys.executable, '-W', 'error', ROOT / 'benchmarks' / f'{name}.py',
         *map(str, options)], capture_output=True, text=True, timeout=600,
        env={**os.environ, 'COLUMNS': '80'})
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('## ')
    lines = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in result.stdout.splitlines() if line.startswith('|')]
    return result.stdout, {line[0]: line[1:] for line in lines}


def times(cells, n=3):
    return [float(cell) for cell in cells[:n]]


def refuse(name, *options):
    result = subprocess.run(
        [sys.executable, ROOT / 'benchmarks' / f'{name}.py', *options],
        capture_output=True, text=True)
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_kernels():
    out, table = run('kernels', *SHORT, '--scale', '1000', '--threads', '1',
                     '--only', 'clip', 'signs by signs')
    assert float(table['clip'][1]) >= 0 and table['clip'][3] == 'GB/s'
    assert table['signs by signs'][3] == 'Gop/s'
    assert table['signs by signs'][4].startswith('BLAS ')
    assert '\n1 threads on ' in out
    assert 'adam' not in table


def test_no_such_kernel():
    assert 'no kernel none; there are: ' in refuse(
        'kernels', '--scale', '1000', '--only', 'none')


@pytest.mark.slow
def test_all_kernels():
    out, table = run('kernels', *SHORT, '--scale', '100', '--threads', '1')
    assert {'adam', 'batch_norm_gradient', 'max_pool_gradient', 'pack',
            'sign_convolution', 'weight_gradient', 'copy'} < set(table)
    assert '\n| k  |    m |' in out


@pytest.mark.slow
def test_train_step():
    out, table = run('train_step', *TURNS, '--threads', '1', '--torch-python',
                     TORCH_PYTHON, '--', '--unit', '8', '--batchsize', '10')
    assert out.startswith('## An iteration of binary_net, batches of 10, ')
    for name in ('ours', 'floor: products',
                 'floor: activation memory', 'floor: optimizer memory',
                 'floor: all'):
        assert min(times(table[name])) >= 0
    for name in ('PyTorch, eager', 'PyTorch, bfloat16', 'PyTorch, compiled',
                 'PyTorch, compiled, bfloat16'):
        assert (name in table) == (f'not measured: {name}: ' not in out)
    assert ('PyTorch, eager' in table) == ('PyTorch, best' in table) == (
        HAS_TORCH)
    for part in ('linear layers, forward', 'linear layers, gradients',
                 'batch normalization, sign', 'data', 'loss, accuracy',
                 'optimizer, hooks', 'Chainer: graph, types, gradients',
                 'trainer: reports, log'):
        assert times(table[part], 1)[0] >= 0
    shares = [int(cells[-1][:-1]) for cells in table.values()
              if cells[-1].endswith('%')]
    assert 95 <= sum(shares) <= 105


@pytest.mark.slow
@pytest.mark.parametrize('config, options, parts', [
    ('lenet5', [], ['pools', 'ReLU', 'binary weights',
                    'linear layers, gradients']),
    ('nin', [], ['pools', 'ReLU', 'binary weights', 'dropout']),
    ('convnet', ['--width', '4'], ['pools', 'linear layers, forward'])])
def test_train_step_of_a_convolutional_net(config, options, parts):
    out, table = run('train_step', config, *TURNS, '--torch-python',
                     TORCH_PYTHON, '--', '--batchsize', '2', *options)
    assert out.startswith(f'## An iteration of {config}, batches of 2, ')
    for name in ('ours', *parts, 'convolutions, forward',
                 'convolutions, gradients', 'batch normalization, sign'):
        assert times(table[name], 1)[0] >= 0
    for name in 'PyTorch, eager', 'PyTorch, channels last':
        assert (name in table) == HAS_TORCH


def test_no_such_configuration():
    result = subprocess.run(
        [sys.executable, ROOT / 'benchmarks' / 'train_step.py', 'none'],
        capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        line for line in result.stderr.splitlines()
        if line.startswith("train_step.py: error: no configuration 'none'; ")]


@pytest.mark.slow
def test_scaling(tmp_path):
    out, table = run(
        'scaling', *TURNS, '--threads', '1', '--unit', '4', '8',
        '--batchsize', '10', '--over-threads', '--figure',
        tmp_path / 'figure.png')
    assert {'units of a hidden layer', 'images in a batch', '4', '8',
            '10'} < set(table)
    assert 'threads' not in table
    assert (tmp_path / 'figure.png').stat().st_size > 10000


@pytest.mark.slow
def test_epoch_time():
    out, table = run(
        'epoch_time', *SHORT, '--epoch', '1', '--command', DIGITS,
        '--against', ROOT, '--command-there', DIGITS + ' --batchsize 50')
    assert min(times(table[DIGITS])) >= 0
    assert 50 < float(table[DIGITS][-1]) < 5000
    assert f'before: {DIGITS} --batchsize 50' in table


@pytest.mark.slow
def test_epoch_time_of_ranks():
    pytest.importorskip('mpi4py')
    _, table = run(
        'epoch_time', *SHORT, '--epoch', '1', '--ranks', '2', '--command',
        './train.py binary_net --dataset digits --unit 8')
    assert {'one process, one thread', 'one process, 2 threads',
            '2 ranks, one thread each',
            '2 ranks, one thread each --multi-node-bn'} < set(table)


@pytest.mark.slow
def test_startup():
    out, table = run('startup', *SHORT, '--dataset', 'digits')
    for name in './train_mnist.py', 'models/best.bnn, one image':
        assert min(times(table[name])) > 0
    assert re.search(r'\n-?\d\.\d\d s more than', out)


@pytest.mark.slow
def test_inference():
    out, table = run(
        'inference', *TURNS, '--torch-python', TORCH_PYTHON, '--unit', '40',
        '--batch', '1', '300', '--threads', '1')
    assert '\n300 images, 1 threads:\n' in out
    for name in ('packed', 'Chainer', 'onnxruntime, float32',
                 'onnxruntime, int8 by hand', 'C, gcc -O3 -march=native'):
        if name in table or f'not measured: {name}' not in out:
            assert table[name][-1] == '0'  # classes that differ
    if 'PyTorch, eager' in table:
        assert table['PyTorch, eager'][-1] == '0'


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('gcc'), reason='no gcc')
def test_inference_in_c():
    _, table = run('inference', *TURNS, '--c', '--unit', '40', '--only', 'gcc')
    found = {name: cells for name, cells in table.items()
             if name.startswith(('C, gcc ', 'float loop, gcc '))}
    assert len(found) == 6
    assert {cells[-1] for cells in found.values()} == {'0'}


def test_web_page_bad_input(tmp_path):
    path = tmp_path / 'torn.bnn'
    path.write_bytes(b'torn')
    assert 'torn.bnn' in refuse('web_page', str(path))


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which('chromium') and shutil.which(
    'chromedriver')), reason='no chromium and chromedriver: on Debian and '
    'Ubuntu apt install chromium chromium-driver')
def test_web_page(tmp_path):
    pytest.importorskip('selenium')
    subprocess.run(
        [sys.executable, '-c', 'import sys, random_net; '
         'random_net.write(sys.argv[1], 9, 300)', tmp_path], check=True,
        cwd=ROOT / 'benchmarks')
    _, table = run('web_page', tmp_path / 'net.bnn', '--dataset', 'digits',
                   '--images', '5', '--rounds', '2')
    assert table['net.bnn'][-1] == '0 of 5'


@pytest.mark.parametrize('name', (
    'epoch_time', 'inference', 'kernels', 'scaling', 'startup', 'train_step',
    'web_page'))
def test_help_begins_with_examples(name):
    text = (ROOT / 'benchmarks' / f'{name}.py').read_text().partition('"""')[2]
    first, second = text.splitlines()[2:4]
    assert second.startswith(f'    benchmarks/{name}.py')
    assert first.startswith(('    benchmarks/', '    ./export.py MODEL'))
