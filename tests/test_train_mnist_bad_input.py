"""train_mnist.py: bad input gives one line, no traceback, and no harm."""
import gzip
import importlib.util
import json
import os
import re
import shutil
import sys

import filelock
import h5py
import numpy
import pytest


@pytest.fixture
def model(trainer, trained):
    """A copy of a trained model, in the folder of the test."""
    return shutil.copy(trained.out / 'mlp.model', trainer.cwd / 'model')


# ---- options

@pytest.mark.parametrize('options,words', [
    (['--gpu', '-5'], ['-5']),
    (['--gpu', 'x'], ['--gpu', 'x']),
    (['--batchsize', '0'], ['--batchsize', '0']),
    (['--batchsize', '-3'], ['--batchsize', '-3']),
    (['--batchsize', '1438'], ['--batchsize', '1438', 'digits', '1437']),
    (['--epoch', 'x'], ['--epoch', 'x']),
    (['--epoch', '0'], ['--epoch', '0']),
    (['--unit', '0'], ['--unit', '0']),
    (['--seed', '-1'], ['--seed', '-1']),
    (['--seed', '4294967296'], ['--seed', '4294967296']),
    (['--keep-snapshots', '0'], ['--keep-snapshots', '0']),
    (['--snapshot-every', '0'], ['--snapshot-every', '0']),
    (['--dataset', 'cifar'], ['--dataset', 'cifar', 'mnist', 'digits']),
    (['--report', 'loud'], ['--report', 'loud', 'seed', 'table', 'quiet']),
    (['--test-statistics', 'x'], ['--test-statistics', 'x']),
    (['--nonsense'], ['--nonsense']),
    (['--epo', '1'], ['--epo']),
    (['nonsense'], ['nonsense']),
    (['--evaluate'], ['--evaluate', '--initmodel']),
    (['--resume', 'auto', '--initmodel', 'model'],
     ['--resume', '--initmodel'])])
def test_options(trainer, options, words):
    line = trainer.refuse('--dataset', 'digits', *options)
    for word in words:
        assert word in line


@pytest.mark.skipif(importlib.util.find_spec('cupy') is not None,
                    reason='CuPy is installed')
def test_no_cupy(trainer):
    line = trainer.refuse('--dataset', 'digits', '--gpu', 0)
    assert 'pip install -r requirements-gpu.txt' in line


@pytest.mark.gpu
def test_no_such_gpu(trainer):
    assert '--gpu 99' in trainer.refuse('--dataset', 'digits', '--gpu', 99)


# ---- the output folder

def test_results_of_another_run(trainer, trained):
    shutil.copytree(trained.out, trainer.cwd / 'run')
    line = trainer.refuse(*trainer.SMALL, '--out', 'run')
    for word in 'run', '--resume auto', '--out':
        assert word in line


@pytest.mark.parametrize('name', ['log', 'mlp.model', 'snapshot_iter_15'])
def test_some_results_of_another_run(trainer, trained, name):
    (trainer.cwd / 'run').mkdir()
    shutil.copy(trained.out / name, trainer.cwd / 'run')
    assert '--out' in trainer.refuse(*trainer.SMALL, '--out', 'run')


@pytest.mark.parametrize('out', ['file', 'file/run', '/proc/nonexistent'])
def test_no_folder(trainer, out):
    (trainer.cwd / 'file').write_text('mine')
    line = trainer.refuse(*trainer.SMALL, '--out', out)
    assert out in line
    assert '--out' in line


def test_no_folder_for_the_numbers(trainer):
    (trainer.cwd / 'result').write_text('mine')
    assert 'result' in trainer.refuse(*trainer.SMALL)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_read_only_folder(trainer):
    (trainer.cwd / 'run').mkdir(mode=0o555)
    assert '--out' in trainer.refuse(*trainer.SMALL, '--out', 'run')


@pytest.mark.parametrize('options', [(), ('--resume', 'auto', '-e', 3)])
def test_two_runs_in_one_folder(trainer, trained, options):
    if options:
        shutil.copytree(trained.out, trainer.cwd / 'run')
    else:
        (trainer.cwd / 'run').mkdir()
    with filelock.FileLock(trainer.cwd / 'run' / '.lock'):
        line = trainer.refuse(*trainer.SMALL, '--out', 'run', *options)
    assert 'another run is at work in run' in line


# ---- models

def damage_half(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_all(path):
    os.truncate(path, 0)


def damage_text(path):
    path.write_text('Dear net,\n' * 100)


def damage_header(path):
    data = bytearray(path.read_bytes())
    data[8:64] = bytes(56)
    path.write_bytes(data)


def make_folder(path):
    path.unlink()
    path.mkdir()


def make_empty_hdf5(path):
    h5py.File(path, 'w').close()


def edit(path, name, value, **kwargs):
    with h5py.File(path, 'r+') as f:
        del f[name]
        if value is not None:
            f.create_dataset(name, data=value, **kwargs)


def broadcast(path):
    edit(path, 'predictor/l1/W', numpy.ones((1, 784), 'f'))


def make_scalar(path):
    edit(path, 'predictor/l3/b', numpy.float32(1))


def lose(path):
    edit(path, 'predictor/b2/avg_var', None)


def make_text(path):
    edit(path, 'predictor/b3/gamma', ['x'] * 10, dtype=h5py.string_dtype())


def make_group(path):
    edit(path, 'predictor/b3/gamma', None)
    with h5py.File(path, 'r+') as f:
        f.create_group('predictor/b3/gamma')


def link_outside(path):
    shutil.copy(path, path.with_name('other'))
    edit(path, 'predictor/l1/W', None)
    with h5py.File(path, 'r+') as f:
        f['predictor/l1/W'] = h5py.ExternalLink('other', 'predictor/l1/W')


def store_outside(path):
    # The raw bytes of any file of this user would become weights.
    secret = path.with_name('secret')
    secret.write_bytes(bytes(4 * 16 * 784))
    edit(path, 'predictor/l1/W', None)
    with h5py.File(path, 'r+') as f:
        f.create_dataset(
            'predictor/l1/W', (16, 784), 'f',
            external=[(str(secret), 0, 4 * 16 * 784)])


def set_version(path):
    with h5py.File(path, 'r+') as f:
        f.attrs['format_version'] = 99


def set_attribute(name, value):
    def change(path):
        with h5py.File(path, 'r+') as f:
            f.attrs[name] = value
    change.__name__ = '%s=%s' % (name, value)
    return change


@pytest.mark.parametrize('damage', [
    os.remove, damage_half, damage_all, damage_text, damage_header,
    make_folder, make_empty_hdf5, broadcast, make_scalar, lose, make_text,
    make_group, link_outside, store_outside, set_version,
    set_attribute('unit', 'no JSON'), set_attribute('unit', '"x"'),
    set_attribute('unit', '-1'), set_attribute('unit', '8'),
    set_attribute('unit', 7), set_attribute('unit', '1000000000'),
    set_attribute('layers', '1000000000'), set_attribute('net', '["binary"]')],
    ids=lambda damage: damage.__name__)
def test_model(trainer, model, damage):
    damage(model)
    line = trainer.refuse(
        '--initmodel', 'model', '--dataset', 'digits', '--out', 'run')
    assert 'model' in line


def test_model_of_another_net(trainer, model):
    # --unit given: not taken from the file
    line = trainer.refuse('-m', 'model', '--unit', 8, '--dataset', 'digits')
    # Whichever parameter comes first: its shape there, then its shape here
    assert re.search(r'\(.*\b16\b.*\).*\(.*\b8\b.*\)', line)


def test_snapshot_as_model(trainer, trained):
    shutil.copy(trained.out / 'snapshot_iter_29', trainer.cwd)
    line = trainer.refuse('-m', 'snapshot_iter_29', '--dataset', 'digits')
    assert '--resume' in line


@pytest.mark.parametrize('damage', [
    os.remove, damage_half, broadcast, set_attribute('dataset', '"x"'),
    set_attribute('dataset', '5')], ids=lambda damage: damage.__name__)
def test_evaluated_model(trainer, model, damage):
    damage(model)
    trainer.refuse('--evaluate', '--initmodel', 'model')


# ---- data

def test_mnist_by_name(trainer):
    line = trainer.refuse('--dataset', 'mnist', '--unit', 8)
    assert 'MNIST' in line
    assert '--dataset digits' in line


def test_evaluate_never_falls_back(trainer, model):
    with h5py.File(model, 'r+') as f:
        f.attrs['dataset'] = json.dumps('mnist')
    assert 'MNIST' in trainer.refuse('--evaluate', '-m', 'model')
    with h5py.File(model, 'r+') as f:
        del f.attrs['format']
    # A file of another program does not say its data set.
    assert 'MNIST' in trainer.refuse('--evaluate', '-m', 'model', '-u', 16)


IMAGES = 'train-images-idx3-ubyte'
LABELS = 'train-labels-idx1-ubyte'


def truncate_data(folder):
    damage_half(folder / IMAGES)


def truncate_gzip(folder):
    data = gzip.compress((folder / IMAGES).read_bytes())
    (folder / IMAGES).write_bytes(data[:len(data) // 2])


def corrupt_gzip(folder):
    data = bytearray(gzip.compress((folder / IMAGES).read_bytes()))
    data[-8] ^= 1  # in the checksum
    (folder / IMAGES).write_bytes(data)


def mislabel(folder):
    shutil.copy(folder / LABELS, folder / IMAGES)


def swap_parts(folder):
    shutil.copy(folder / LABELS.replace('train', 't10k'), folder / LABELS)


def write_letter(folder):
    (folder / IMAGES).write_text('Dear net,\n' * 100)


@pytest.mark.parametrize('damage', [
    truncate_data, truncate_gzip, corrupt_gzip, mislabel, swap_parts,
    write_letter])
def test_data(trainer, write_mnist, damage):
    # Not asked for by name, and yet digits never take the place.
    write_mnist(trainer.cwd / 'data')
    damage(trainer.cwd / 'data')
    line = trainer.refuse(
        '--data-dir', 'data', '--allow-modified', '-b', 20)
    assert str(trainer.cwd / 'data') in line


def test_modified_data(trainer, write_mnist):
    write_mnist(trainer.cwd / 'data')
    line = trainer.refuse('--data-dir', 'data', '-b', 20)
    assert '--allow-modified' in line


def test_batch_larger_than_own_data(trainer, write_mnist):
    write_mnist(trainer.cwd / 'data')
    line = trainer.refuse('--data-dir', 'data', '--allow-modified')
    for word in '--batchsize 100', '60':
        assert word in line


# ---- a full disk

def run_on_a_full_disk(trainer, size, *options):
    """Runs it where no file can grow beyond some bytes."""
    plain = trainer.words(*options)
    trainer.words = lambda *_: [
        sys.executable, '-c',
        'import os, resource, sys\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d))\n'
        'os.execv(sys.argv[1], sys.argv[1:])' % (size, size), *plain]
    return trainer.run()


def test_full_disk_at_a_snapshot(trainer, results):
    # A snapshot of this net has 200 kB.
    trainer.succeed(*trainer.SMALL, '--epoch', 1, '--out', 'run')
    folder = trainer.cwd / 'run'
    before = results.contents(folder)
    result = run_on_a_full_disk(
        trainer, 100000, '--resume', 'auto', '--out', 'run', '--epoch', 2,
        '--no-plot')
    line = results.error_line(result)
    assert 'cannot write run/snapshot_iter_' in line
    after = results.contents(folder)
    assert set(after) == set(before)
    for name in 'mlp.model', 'mlp.state', 'snapshot_iter_15':
        assert after[name] == before[name]


def test_full_disk_at_the_model(trainer, trained, results):
    folder = shutil.copytree(trained.out, trainer.cwd / 'run')
    (folder / 'mlp.model').unlink()
    before = results.contents(folder)
    result = run_on_a_full_disk(
        trainer, 50000, '--resume', 'auto', '--out', 'run', '--no-plot')
    assert 'mlp.model' in results.error_line(result)
    after = results.contents(folder)
    assert set(after) == set(before)
    for name in 'mlp.state', 'snapshot_iter_15', 'snapshot_iter_29':
        assert after[name] == before[name]
    # There is space again.
    trainer.words = type(trainer)(trainer.cwd).words
    trainer.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert results.hdf5(folder / 'mlp.model') == results.hdf5(
        trained.out / 'mlp.model')


# ---- a loss that is no number

@pytest.mark.parametrize('value', [numpy.nan, numpy.inf])
def test_loss_from_the_start(trainer, model, results, value):
    with h5py.File(model, 'r+') as f:
        f['predictor/b3/gamma'][0] = value
    result = trainer.run('--initmodel', 'model', '--dataset', 'digits',
                         '--out', 'run', '--no-plot')
    line = results.error_line(result)
    assert 'iteration 1;' in line
    assert 'there is no snapshot yet' in line
    assert not (trainer.cwd / 'run' / 'mlp.model').exists()


@pytest.mark.parametrize('options,at', [
    ((), 'iteration 31'),
    # The weights are no numbers one iteration before the loss is none.
    (('--snapshot-every', 1), 'snapshot_iter_30')])
def test_loss_on_the_way(trainer, trained, results, options, at):
    folder = shutil.copytree(trained.out, trainer.cwd / 'run')

    def change(arrays, settings):
        arrays['updater/optimizer:main/predictor/b3/gamma/m'][0] = numpy.nan

    results.edit_snapshot(folder / 'snapshot_iter_29', change)
    before = results.contents(folder)
    result = trainer.run('--resume', 'auto', '--out', 'run', '--epoch', 3,
                         '--no-plot', *options)
    line = results.error_line(result)
    assert at in line
    assert 'the last whole snapshot is run/snapshot_iter_29' in line
    assert results.contents(folder) == before
