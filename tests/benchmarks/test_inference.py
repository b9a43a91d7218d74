"""A short run of each contender, and that they compute the same net."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'
# Another environment that has PyTorch
TORCH_PYTHON = os.environ.get('TORCH_PYTHON', sys.executable)
HEADER = '''
#include <stdint.h>
int bnn_predict(const uint8_t *image);
'''
SOURCE = '''
#include "net.h"
int bnn_predict(const uint8_t *image) { return image[0] ? 1 : 0; }
'''


def has(python, package):
    return subprocess.run([python, '-c', 'import ' + package],
                          capture_output=True).returncode == 0


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """What a run printed, and its results."""
    folder = tmp_path_factory.mktemp('inference')
    path = folder / 'results.json'
    (folder / 'net.h').write_text(HEADER)
    (folder / 'net.c').write_text(SOURCE)
    output = subprocess.run(
        [sys.executable, BENCHMARKS / 'inference.py', '--unit', '33',
         '--batch', '7', '1', '--threads', '1', '--rounds', '2', '--least',
         '0.001', '--only', 'Chainer', 'eager', 'onnxruntime', 'C, -O2',
         '--torch-python', TORCH_PYTHON, '--c-dir', folder, '--out', path],
        check=True, capture_output=True, text=True).stdout
    return output, json.loads(path.read_text())


def test_table(run):
    output, results = run
    assert output.startswith('784-33-33-10, medians of 2 turns')
    for words in ('end to end, batch 1\n', 'kernel with packing, batch 7\n',
                  'kernel alone, batch 7\n', 'memory\n'):
        assert '\n%s\n' % words in output
    assert output.splitlines()[-1].startswith('other programs used ')
    for one in results['contenders']:
        assert ('not measured: %s, 1 threads' % one['name'] in output) == (
            'unavailable' in one)


def test_results(run):
    results = run[1]
    assert results['sizes'] == [784, 33, 33, 10]
    assert results['settings']['batch'] == [1, 7]
    assert results['machine']['cores_used_by_others'] >= 0
    for row in results['rows']:
        assert len(row['round_medians']) == 2
        assert row['images_per_second'] == row['batch'] / row['seconds']
        assert row['by_packed'] > 0
        assert row['peak_bytes'] > 0
    jobs = {(row['name'], row['job']) for row in results['rows']}
    for job in 'net', 'packing', 'kernel':
        assert ('packed', job) in jobs
    for one in results['contenders']:
        if 'unavailable' not in one:
            assert {job for name, job in jobs if name == one['name']} == set(
                one['jobs'])
            assert one['model_bytes'] > 0


@pytest.mark.parametrize('name, python, package', (
    ('Chainer', sys.executable, 'chainer'),
    ('PyTorch, eager', TORCH_PYTHON, 'torch'),
    *(('onnxruntime, ' + kind, sys.executable, 'onnxruntime') for kind in (
        'as exported', 'float32', 'int8 by hand'))))
def test_same_classes(name, python, package, run):
    if not has(python, package):
        pytest.skip('%s is not installed' % package)
    rows = [row for row in run[1]['rows']
            if row['name'] == name and row['job'] == 'net']
    assert [row['differing'] for row in rows] == [0, 0]


def test_c(run):
    one, = (one for one in run[1]['contenders'] if one['name'] == 'C, -O2')
    if one.get('unavailable') == 'no C compiler':
        pytest.skip('no C compiler')
    assert one['flags'] == '-O2' and one['threads'] == 1
    # Of which net it is nobody knows.
    assert not any('differing' in row for row in run[1]['rows']
                   if row['name'] == 'C, -O2')


def test_c_of_another_folder(tmp_path):
    spec = importlib.util.spec_from_file_location(
        'benchmark_infer_c', BENCHMARKS / 'peers' / 'infer_c.py')
    module = importlib.util.module_from_spec(spec)
    path = sys.path[:]
    try:
        sys.path[:0] = str(BENCHMARKS), str(BENCHMARKS / 'peers')
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
    assert 'no C net in ' in module.build(
        str(tmp_path), '-O2', str(tmp_path / 'c.so'))


def test_no_model(tmp_path):
    (tmp_path / 'text').write_text('no model')
    for name, words in ('nope', 'cannot read nope: No such'), (
            'text', 'text is damaged or not a model file'):
        done = subprocess.run(
            [sys.executable, BENCHMARKS / 'inference.py', '--model', name,
             '--batch', '1'], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1
        line, = done.stderr.splitlines()
        assert line.startswith('inference.py: error: ' + words)


def test_trained_net_of_another_kind(tmp_path):
    import chainer.links as L

    import net
    from bnn.training.files import model_file
    path = tmp_path / 'mlp.model'
    model_file.save(path, L.Classifier(net.FloatMLP(8)), {
        'net_class': 'FloatMLP', 'dataset': 'mnist', 'input': 'unit',
        'net_args': {'n_units': 8}, 'class_names': list('0123456789')})
    done = subprocess.run(
        [sys.executable, BENCHMARKS / 'inference.py', '--model', path,
         '--batch', '1'], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        '%s is no binary perceptron on pixels in [0, 1]' % path]
