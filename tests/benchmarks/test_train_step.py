"""A short run of each contender, and that they train the same net."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import chainer
import numpy
import pytest

import net
import weight_clip
from bnn.chainer_ops import adam

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'
# Another environment that has PyTorch
TORCH_PYTHON = os.environ.get('TORCH_PYTHON', sys.executable)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """What a run printed, and its results."""
    path = tmp_path_factory.mktemp('train_step') / 'results.json'
    output = subprocess.run(
        [sys.executable, '-W', 'error', BENCHMARKS / 'train_step.py',
         '--unit', '8', '--batchsize', '10', '--images', '60', '--threads',
         '1', '--rounds', '2', '--iterations', '3', '--torch-python',
         TORCH_PYTHON, '--out', path], check=True, capture_output=True,
        text=True).stdout
    return output, json.loads(path.read_text())


def is_there(results):
    return 'unavailable' not in results


def test_table(run):
    output, results = run
    assert output.startswith('784-8-8-10, batch 10, 1 threads; 2 rounds of 3')
    rows = {line.split('|')[1].strip(): [
        cell.strip() for cell in line.split('|')[2:-1]]
        for line in output.splitlines() if line.startswith('|')}
    for name, found in {**results['contenders'], **results['floors']}.items():
        if is_there(found):
            assert rows[name][0] == '%.2f' % (1e3 * found['seconds'])
            assert rows[name][3] == '%.2f' % found['by_ours']
        else:
            assert rows[name] == ['-'] * 5
            assert 'not measured: %s: %s' % (
                name, found['unavailable']) in output
    assert rows['train_mnist.py'][3:] == ['1.00', '1.00']
    assert rows['floor: both'][4] == '%.2f' % results['ours_by_floor']
    assert set(results['parts_seconds']) < set(rows)
    assert output.splitlines()[-1].startswith('other programs used ')


def test_results(run):
    _, results = run
    assert results['settings']['unit'] == 8
    assert results['machine']['threads'] == 1
    assert 'chainer' in results['machine']
    assert results['machine']['cores_used_by_others'] >= 0
    there = [one for one in (*results['contenders'].values(),
                             *results['floors'].values()) if is_there(one)]
    for one in there:
        assert len(one['round_medians']) == 2
        assert min(one['round_medians']) <= one['seconds']
        assert one['by_ours'] > 0
    floors = results['floors']
    assert floors['floor: matrix products']['operations'] == 20 * (
        2 * 784 * 8 + 3 * 8 * 8 + 3 * 8 * 10)
    assert floors['floor: optimizer memory']['bytes'] == 28 * (
        787 * 8 + 11 * 8 + 11 * 10)
    for name in 'train_mnist.py', 'plain Chainer':
        assert 0 < results['contenders'][name]['loss'] < 5


def test_parts(run):
    parts = run[1]['parts_seconds']
    assert {'binarize weights', 'matrix products, bias', 'loss, accuracy',
            'batch normalization, activation', 'optimizer, clip',
            'data: batch and conversion', 'trainer: reports, log, triggers',
            'Chainer: graph, types, gradients'} == set(parts)
    assert min(parts.values()) > 0


def test_torch(run):
    contenders = run[1]['contenders']
    assert 'CUDA graphs are of GPUs' in (
        contenders['PyTorch, CUDA graph']['unavailable']) or not is_there(
            contenders['PyTorch, eager, fused Adam'])
    has_torch = subprocess.run(
        [TORCH_PYTHON, '-c', 'import torch'],
        capture_output=True).returncode == 0
    for name in 'PyTorch, eager, fused Adam', 'PyTorch, bfloat16 autocast':
        assert is_there(contenders[name]) == has_torch
        if has_torch:
            assert 0 < contenders[name]['loss'] < 5
            assert contenders[name]['torch']
        else:
            assert '--torch-python' in contenders[name]['unavailable']


def test_no_such_python(tmp_path):
    timing = load('timing')
    contender = timing.Contender(
        'PyTorch', 'torch_mlp.py', threads=1, python=tmp_path / 'none')
    assert contender.unavailable == 'No such file or directory'


def test_broken_contender(tmp_path):
    timing = load('timing')
    with pytest.raises(
            RuntimeError, match=r'PyTorch ended, status 2(.|\n)*--way'):
        timing.Contender('PyTorch', 'torch_mlp.py', '--way=no', threads=1)


def load(name):
    """Imports a module of the benchmarks by its file."""
    spec = importlib.util.spec_from_file_location(
        'benchmark_' + pathlib.Path(name).name, BENCHMARKS / (name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_plain_chainer_is_the_same_net(monkeypatch):
    monkeypatch.setattr(sys, 'path', sys.path[:])
    monkeypatch.setitem(sys.modules, 'timing', load('timing'))
    plain, optimizer = load('peers/plain_chainer').make(
        [784, 8, 8, 10], chainer.get_device('@numpy'))
    ours = chainer.links.Classifier(net.BinaryMLP(8))
    ours.copyparams(plain)
    our_optimizer = adam.Adam().setup(ours)
    our_optimizer.add_hook(weight_clip.WeightClip())
    x = numpy.random.uniform(size=(20, 784)).astype('f')
    t = numpy.random.randint(0, 10, 20).astype('i')
    optimizer.update(plain, chainer.Variable(x), chainer.Variable(t))
    our_optimizer.update(ours, x, t)
    numpy.testing.assert_allclose(
        plain.loss.array, ours.loss.array, rtol=1e-5)
    for (name, one), (_, other) in zip(
            sorted(plain.namedparams()), sorted(ours.namedparams())):
        if not name.endswith('/b'):  # a gradient of 0 but for its rounding
            numpy.testing.assert_allclose(
                one.array, other.array, atol=1e-5, err_msg=name)
            assert abs(one.array).max() <= 1
