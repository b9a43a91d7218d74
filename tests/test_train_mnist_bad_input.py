"""train_mnist.py: bad input gives one line, no traceback, and no harm."""
import contextlib
import importlib.util
import json
import os
import re
import resource
import shutil

import filelock
import h5py
import numpy
import pytest

from tests.helpers import damage
from tests.helpers import made_data
from tests.helpers import results

DIGITS = '--dataset', 'digits'


@pytest.fixture
def model(tmp_path, trained):
    """A copy of a trained model, in the folder of the test."""
    return shutil.copy(trained.out / 'mlp.model', tmp_path / 'model')


@pytest.fixture
def run(tmp_path, trained):
    """A copy of the results of a finished run, in the folder run."""
    return shutil.copytree(trained.out, tmp_path / 'run')


# ---- options

def test_options(script):
    for options, words in (
            (['--gpu', '-5'], ['-5']),
            (['--batchsize', '1438'], ['--batchsize', '1438', '1437']),
            (['--nonsense'], ['--nonsense'])):
        line = script.refuse(*DIGITS, *options)
        for word in words:
            assert word in line, options


def test_options_of_train_py(script):
    for option in (
            ['--lr', '.1'], ['--net', 'float'], ['--clip', 'all'],
            ['--optimizer', 'sgd'], ['--validation', '10'], ['--layers', '3'],
            ['--recipe', 'best'], ['--summary'], ['--distributed']):
        line = script.refuse(*DIGITS, *option)
        assert f'unrecognized arguments: {" ".join(option)}; ' in line
        assert './train.py binary_net has more options' in line


def test_data_of_another_shape(script, model):
    for dataset in 'cifar10', 'imagenet':
        line = script.refuse('--dataset', dataset, '--data-dir', 'data')
        for word in '--dataset', dataset, 'mnist', 'fashion-mnist', 'digits':
            assert word in line
    set_attribute('dataset', '"cifar10"')(model)
    line = script.refuse('--evaluate', '-m', 'model')
    assert '--dataset cifar10: BinaryMLP takes mnist or ' in line


def test_status_of_a_process(trainer):
    result = trainer.run(*DIGITS, '--unit', 'x')
    assert result.returncode == 2
    assert results.error_line(result) == result.stderr[:-1]


@pytest.mark.skipif(importlib.util.find_spec('cupy') is not None,
                    reason='CuPy is installed')
def test_no_cupy(script):
    line = script.refuse(*DIGITS, '--gpu', 0)
    assert 'pip install -r requirements-gpu.txt' in line


# ---- the output folder

def test_results_of_another_run(script, run):
    line = script.refuse(*script.SMALL, '--out', 'run')
    for word in 'run', '--resume auto', '--out':
        assert word in line
    for name in 'log', 'mlp.model', 'snapshot_iter_15':
        (script.cwd / name).mkdir()
        shutil.copy(run / name, script.cwd / name)
        assert '--out' in script.refuse(*script.SMALL, '--out', name)


@pytest.mark.parametrize('out', ['file', 'file/run', '/proc/nonexistent'])
def test_no_folder(script, out):
    (script.cwd / 'file').write_text('mine')
    line = script.refuse(*script.SMALL, '--out', out)
    assert out in line
    assert '--out' in line


def test_no_folder_for_the_numbers(script):
    (script.cwd / 'result').write_text('mine')
    assert 'result' in script.refuse(*script.SMALL)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_read_only_folder(script):
    (script.cwd / 'run').mkdir(mode=0o555)
    assert '--out' in script.refuse(*script.SMALL, '--out', 'run')


def test_two_runs_in_one_folder(script, run):
    (script.cwd / 'new').mkdir()
    for out, options in (
            ('new', ()), ('run', ('--resume', 'auto', '-e', 3))):
        with filelock.FileLock(script.cwd / out / '.lock'):
            line = script.refuse(*script.SMALL, '--out', out, *options)
        assert f'another run is at work in {out}' in line


# ---- models

def make_folder(path):
    path.unlink()
    path.mkdir()


def set_version(path):
    with h5py.File(path, 'r+') as f:
        f.attrs['format_version'] = 99


def set_attribute(name, value):
    def change(path):
        with h5py.File(path, 'r+') as f:
            f.attrs[name] = value
    return change


def test_model(script, model):
    whole = model.read_bytes()
    for spoil in (
            os.remove, damage.halve, set_version, set_attribute('unit', '8'),
            set_attribute('net_class', '"QuantizedMLP"'), make_folder):
        model.write_bytes(whole)
        spoil(model)
        line = script.refuse('--initmodel', 'model', *DIGITS, '--out', 'run')
        assert 'model' in line


def test_model_of_another_net(script, model):
    # --unit given: not taken from the file
    line = script.refuse('-m', 'model', '--unit', 8, *DIGITS)
    # Whichever parameter comes first: its shape there, then its shape here
    assert re.search(r'\(.*\b16\b.*\).*\(.*\b8\b.*\)', line)
    set_attribute('net_class', '"QuantizedMLP"')(model)
    line = script.refuse('--evaluate', '-m', 'model', *DIGITS)
    assert 'QuantizedMLP' in line
    assert './train.py' in line


def test_snapshot_as_model(script, trained):
    shutil.copy(trained.out / 'snapshot_iter_29', script.cwd)
    line = script.refuse('-m', 'snapshot_iter_29', *DIGITS)
    assert '--resume' in line


def test_evaluated_model(script, model):
    whole = model.read_bytes()
    for spoil in (os.remove, damage.halve, set_attribute('dataset', '"x"')):
        model.write_bytes(whole)
        spoil(model)
        script.refuse('--evaluate', '--initmodel', 'model')


# ---- data

def test_mnist_by_name(script):
    line = script.refuse('--dataset', 'mnist', '--unit', 8)
    assert 'MNIST' in line
    assert '--dataset digits' in line


def test_evaluate_never_falls_back(script, model):
    with h5py.File(model, 'r+') as f:
        f.attrs['dataset'] = json.dumps('mnist')
    assert 'MNIST' in script.refuse('--evaluate', '-m', 'model')
    with h5py.File(model, 'r+') as f:
        del f.attrs['format']
    # A file of another program does not say its data set.
    assert 'MNIST' in script.refuse('--evaluate', '-m', 'model', '-u', 16)


IMAGES = 'train-images-idx3-ubyte'
LABELS = 'train-labels-idx1-ubyte'


def truncate_data(folder):
    damage.halve(folder / IMAGES)


def mislabel(folder):
    shutil.copy(folder / LABELS, folder / IMAGES)


def test_data(script):
    # Not asked for by name, and yet digits never take the place.
    for spoil in truncate_data, mislabel:
        made_data.write_mnist(script.cwd / 'data')
        spoil(script.cwd / 'data')
        line = script.refuse(
            '--data-dir', 'data', '--allow-modified', '-b', 20)
        assert str(script.cwd / 'data') in line


def test_no_data_where_they_were_said_to_be(script):
    assert 'no-such' in script.refuse('--data-dir', 'no-such')


def test_modified_data(script):
    made_data.write_mnist(script.cwd / 'data')
    line = script.refuse('--data-dir', 'data', '-b', 20)
    assert '--allow-modified' in line
    line = script.refuse('--data-dir', 'data', '--allow-modified')
    for word in '--batchsize 100', '60':  # which is larger than the data
        assert word in line


# ---- a full disk

@contextlib.contextmanager
def full_disk(size):
    """Lets no file grow beyond some bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_at_a_snapshot(script):
    # A snapshot of this net has 200 kB.
    script.succeed(*script.SMALL, '--epoch', 1, '--out', 'run')
    folder = script.cwd / 'run'
    before = results.contents(folder)
    with full_disk(100000):
        result = script.run('--resume', 'auto', '--out', 'run', '--epoch', 2,
                            '--no-plot')
    line = results.error_line(result)
    assert 'cannot write run/snapshot_iter_' in line
    after = results.contents(folder)
    assert set(after) == set(before)
    for name in 'mlp.model', 'mlp.state', 'snapshot_iter_15':
        assert after[name] == before[name]


def test_full_disk_at_the_model(script, trained, run):
    (run / 'mlp.model').unlink()
    before = results.contents(run)
    with full_disk(50000):
        result = script.run('--resume', 'auto', '--out', 'run', '--no-plot')
    assert 'mlp.model' in results.error_line(result)
    after = results.contents(run)
    assert set(after) == set(before)
    for name in 'mlp.state', 'snapshot_iter_15', 'snapshot_iter_29':
        assert after[name] == before[name]
    # There is space again.
    script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    results.assert_same_run(run, trained.out)


# ---- a loss that is no number

@pytest.mark.parametrize('value', [numpy.nan, numpy.inf])
def test_loss_from_the_start(script, model, value):
    with h5py.File(model, 'r+') as f:
        f['predictor/b3/gamma'][0] = value
    result = script.run('--initmodel', 'model', *DIGITS, '--out', 'run',
                        '--no-plot')
    line = results.error_line(result)
    assert 'iteration 1;' in line
    assert 'there is no snapshot yet' in line
    assert not (script.cwd / 'run' / 'mlp.model').exists()


@pytest.mark.parametrize('options,at', [
    ((), 'iteration 31'),
    # The weights are no numbers one iteration before the loss is none.
    (('--snapshot-every', 1), 'snapshot_iter_30')])
def test_loss_on_the_way(script, run, options, at):
    def change(arrays, settings):
        arrays['updater/optimizer:main/predictor/b3/gamma/m'][0] = numpy.nan

    results.edit_snapshot(run / 'snapshot_iter_29', change)
    line = script.fail('--resume', 'auto', '--out', 'run', '--epoch', 3,
                       '--no-plot', *options)
    assert at in line
    assert 'the last whole snapshot is run/snapshot_iter_29' in line
