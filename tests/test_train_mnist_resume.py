"""train_mnist.py: killed, interrupted, resumed."""
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import time

import h5py
import numpy
import pytest


def make_hostile(path):
    """Returns an object that makes a file when it is unpickled."""
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(path),)
    return Hostile()


@pytest.fixture
def copy(trainer, trained):
    """A copy of the finished run of two epochs, in the folder run."""
    return shutil.copytree(trained.out, trainer.cwd / 'run')


def assert_same_run(results, ours, theirs):
    assert results.log(ours) == results.log(theirs)
    for name in 'mlp.model', 'mlp.state':
        assert results.hdf5(ours / name) == results.hdf5(theirs / name)


# ---- killed

def test_killed_again_and_again(trainer, uninterrupted, results):
    delays = random.Random(0)
    options = *trainer.LONG, '--snapshot-every', 3, '--out', 'run'
    kills = 0
    resume = ()
    while True:
        with trainer.start(*options, *resume) as process:
            # From the moment that an epoch begins: what is before is slow and
            # writes nothing.
            while line := process.stdout.readline():
                if line.startswith('epoch'):
                    break
            # In the end it has to get through.
            if kills < 7:
                time.sleep(delays.uniform(0, .1))
                process.kill()
            err = process.communicate(timeout=120)[1]
        assert 'Traceback' not in err
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, err
            break
        kills += 1
        resume = '--resume', 'auto'
    assert kills >= 2
    assert_same_run(results, trainer.cwd / 'run', uninterrupted)
    assert not list((trainer.cwd / 'run').glob('.*.tmp'))


def test_killed_between_log_and_snapshot(trainer, trained, results):
    # The log of the first epoch is there before its snapshot.
    folder = trainer.cwd / 'run'
    folder.mkdir()
    shutil.copy(trained.out / 'log', folder)
    shutil.copy(trained.out / 'graph.dot', folder)
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 2, '--out', 'run', '--resume', 'auto')
    assert 'starting anew' in result.stderr
    assert_same_run(results, folder, trained.out)


@pytest.mark.parametrize('missing', [
    ['mlp.model'], ['mlp.state'], ['mlp.model', 'mlp.state']])
def test_killed_while_saving(trainer, trained, copy, results, missing):
    for name in missing:
        (copy / name).unlink()
    trainer.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert_same_run(results, copy, trained.out)


def test_killed_while_saving_a_longer_run(trainer, trained, copy, results):
    # The state of the second epoch lies beside the model of the third.
    trainer.succeed('--resume', 'auto', '--out', 'run', '-e', 3, '--no-plot')
    state = results.hdf5(copy / 'mlp.state')
    shutil.copy(trained.out / 'mlp.state', copy)
    trainer.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert results.hdf5(copy / 'mlp.state') == state


# ---- interrupted

def interrupt(trainer, number, *options, **kwargs):
    """Sends a signal after the first iteration; returns status and stderr.

    Again, where a busy machine was so late that the run had ended.
    """
    for _ in range(5):
        with trainer.start(*options, **kwargs) as process:
            while process.stdout.readline() != 'graph generated\n':
                assert process.poll() is None
            process.send_signal(number)
            err = process.communicate(timeout=120)[1]
        assert 'Traceback' not in err
        if process.returncode:
            break
        if '--out' in options:
            shutil.rmtree(trainer.cwd / options[options.index('--out') + 1])
    return process.returncode, err


def printed_command(err):
    return re.search(r'to go on: (.+)$', err.splitlines()[-1])[1]


@pytest.mark.parametrize('number,status', [
    (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal(trainer, uninterrupted, results, number, status):
    code, err = interrupt(
        trainer, number, *trainer.LONG, '--out', 'a run')
    assert code == status
    folder = trainer.cwd / 'a run'
    iteration = int(re.search(r'stopped at iteration (\d+)', err)[1])
    assert (folder / ('snapshot_iter_%d' % iteration)).is_file()
    assert 1 <= iteration < 216
    assert not (folder / 'mlp.model').exists()

    result = subprocess.run(
        printed_command(err), shell=True, cwd=trainer.cwd, env=trainer.env,
        capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert 'go on from a run/snapshot_iter_%d' % iteration in result.stderr
    assert_same_run(results, folder, uninterrupted)


def test_printed_command_of_a_relative_start(trainer):
    # `python train_mnist.py`: its first word alone is no command.
    trainer.words = lambda *options: [
        'python3', 'train_mnist.py', *map(str, options)]
    code, err = interrupt(
        trainer, signal.SIGINT, *trainer.LONG, '--out', trainer.cwd / 'run',
        cwd=trainer.script.parent)
    assert code == 130
    result = subprocess.run(
        printed_command(err), shell=True, cwd=trainer.script.parent,
        env=trainer.env, capture_output=True, text=True, timeout=120,
        check=False)
    assert result.returncode == 0, result.stderr
    assert (trainer.cwd / 'run' / 'mlp.model').is_file()


def test_interrupted_dry_run_promises_nothing(trainer):
    # Its folder goes with it: there is nothing to go on with.
    trainer.env['TMPDIR'] = str(trainer.cwd)
    code, err = interrupt(
        trainer, signal.SIGINT, '--dry-run', '--dataset', 'digits',
        '--unit', 500, '--batchsize', 400, '--no-plot')
    assert code == 130
    assert os.listdir(trainer.cwd) == []
    assert 'to go on' not in err


# ---- resumed

def test_nothing_there(trainer, trained, results):
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 1, '--resume', 'auto')
    assert 'starting anew' in result.stderr
    assert results.log(trainer.cwd / 'result' / '1') == results.log(
        trained.out)[:1]


def test_finished(trainer, copy, results):
    before = results.contents(copy)
    for options in (), ('--epoch', 1):
        result = trainer.succeed(
            '--resume', 'auto', '--out', 'run', '--no-plot', *options)
        assert 'is finished' in result.stderr
        assert 'larger --epoch' in result.stderr
        assert results.contents(copy) == before


def test_larger_epoch(trainer, trained, copy, results):
    # Settings are taken over; those of the reports may be others.
    for name in 'loss.png', 'accuracy.png':
        (copy / name).unlink()
    result = trainer.succeed(
        '--resume', 'auto', '--out', 'run', '--epoch', 3,
        '--report', 'table', '--plot')
    assert 'go on from run/snapshot_iter_29' in result.stderr
    assert '784-16-16-10' in result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0][:2] == ['epoch', 'main/loss']
    assert rows[-1][0] == '3'
    log = results.log(copy)
    assert log[:2] == results.log(trained.out)
    assert [entry['epoch'] for entry in log] == [1, 2, 3]
    assert results.attributes(copy / 'mlp.model')['epoch'] == 3
    assert (copy / 'loss.png').is_file()
    # The newest two stay, of the whole run.
    assert sorted(path.name for path in copy.glob('snapshot*')) == [
        'snapshot_iter_29', 'snapshot_iter_44']


def test_named_snapshot_into_another_folder(trainer, trained, results):
    before = results.contents(trained.cwd)
    result = trainer.succeed(
        '-r', trained.out / 'snapshot_iter_15', '-o', 'other', '--no-plot')
    assert 'snapshot_iter_15' in result.stderr
    assert_same_run(results, trainer.cwd / 'other', trained.out)
    assert not list((trainer.cwd / 'other').glob('*.png'))
    assert results.contents(trained.cwd) == before


def test_same_settings_may_be_repeated(trainer, copy):
    result = trainer.succeed(
        *trainer.SMALL, '--seed', 0, '--resume', 'auto', '--out', 'run',
        '--epoch', 2)
    assert 'is finished' in result.stderr


@pytest.mark.parametrize('option,given,saved', [
    ('--unit', '8', '16'), ('--batchsize', '50', '100'),
    ('--seed', '1', '0'), ('--dataset', 'mnist', 'digits'),
    ('--test-statistics', 'batch', 'running')])
def test_other_setting(trainer, copy, option, given, saved):
    line = trainer.refuse(
        '--resume', 'run/snapshot_iter_29', option, given, '--epoch', 3)
    assert option in line
    assert re.search(r'\b%s\b.*\b%s\b' % (given, saved), line)


def test_dry_run_of_a_whole_run(trainer, copy):
    line = trainer.refuse('--resume', 'auto', '--out', 'run', '--dry-run')
    assert '--dry-run' in line


def test_whole_run_of_a_dry_run(trainer):
    trainer.succeed('--dry-run', *trainer.SMALL, '--out', 'run')
    # It stays a dry run, and that is finished.
    result = trainer.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert 'is finished' in result.stderr


@pytest.mark.parametrize('out', ['run', 'other'])
def test_other_data(trainer, write_mnist, out):
    write_mnist(trainer.cwd / 'data')
    trainer.succeed(
        '--data-dir', 'data', '--allow-modified', '--unit', 8,
        '--batchsize', 20, '--epoch', 1, '--no-plot', '--out', 'run')
    write_mnist(trainer.cwd / 'data', seed=1)
    line = trainer_refuses_after_reading(
        trainer, '--resume', 'run/snapshot_iter_3', '--epoch', 2,
        '--out', out, '--no-plot')
    assert 'other data' in line


def trainer_refuses_after_reading(trainer, *options):
    """As ``trainer.refuse``, with the header, which says what was read."""
    before = sorted(trainer.cwd.rglob('*'))
    result = trainer.run(*options)
    assert result.returncode > 0
    *header, line = result.stderr.splitlines()
    assert 'Traceback' not in result.stderr
    assert line.startswith('train_mnist.py: error: ')
    assert all(re.match(r'[a-z ]+: ', text) for text in header)
    assert sorted(trainer.cwd.rglob('*')) == before
    return line


def test_data_gone(trainer, write_mnist):
    # Never with digits instead: not when resuming.
    write_mnist(trainer.cwd / 'data')
    trainer.succeed(
        '--data-dir', 'data', '--allow-modified', '--unit', 8,
        '--batchsize', 20, '--epoch', 1, '--no-plot', '--out', 'run')
    shutil.rmtree(trainer.cwd / 'data')
    line = trainer.refuse('--resume', 'auto', '--out', 'run', '--epoch', 2)
    assert 'MNIST' in line


# ---- snapshots that are none

@pytest.mark.parametrize('name', ['mlp.state', 'mlp.model'])
def test_not_a_snapshot(trainer, copy, name):
    line = trainer.refuse('--resume', 'run/' + name)
    assert 'run/' + name in line
    assert '--resume auto' in line


def damage_half(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_all(path):
    os.truncate(path, 0)


def damage_bit(path):
    # In the middle of the weights, where only a checksum notices
    with numpy.load(path) as archive:
        weights = archive['updater/model:main/predictor/l1/W'].tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(data)


def damage_text(path):
    path.write_text('PK, but this is a letter\n' * 100)


def damage_settings(path):
    with open(path, 'wb') as f:
        numpy.savez(f, x=numpy.zeros(3))


def damage_pickle(path):
    path.write_bytes(pickle.dumps(
        make_hostile(path.parent / 'executed'), protocol=2))


def damage_object(path):
    with numpy.load(path) as archive:
        arrays = dict(archive)
    hostile = numpy.empty((), object)
    hostile[()] = make_hostile(path.parent / 'executed')
    arrays['updater/iteration'] = hostile
    with open(path, 'wb') as f:
        numpy.savez(f, **arrays)


@pytest.mark.parametrize('damage', [
    damage_half, damage_all, damage_bit, damage_text, damage_settings,
    damage_pickle, damage_object, os.remove])
def test_damaged(trainer, copy, damage):
    newest = copy / 'snapshot_iter_29'
    damage(newest)
    # --epoch 3: not to be taken for finished
    line = trainer.refuse('--resume', 'run/snapshot_iter_29', '-e', 3)
    assert 'run/snapshot_iter_29' in line
    assert not (copy / 'executed').exists()


@pytest.mark.parametrize('damage', [damage_half, damage_bit, damage_object])
def test_damaged_newest_one(trainer, trained, copy, results, damage):
    damage(copy / 'snapshot_iter_29')
    result = trainer.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    warning = result.stderr.splitlines()[0]
    assert warning.startswith('warning: run/snapshot_iter_29 ')
    assert 'go on from run/snapshot_iter_15' in result.stderr
    assert_same_run(results, copy, trained.out)
    assert not (copy / 'executed').exists()


def test_all_damaged(trainer, copy, results):
    # The rest of the run is not overwritten, and the advice is of use.
    for path in copy.glob('snapshot*'):
        damage_half(path)
    before = results.contents(copy)
    result = trainer.run('--resume', 'auto', '--out', 'run', '--no-plot',
                         '--dataset', 'digits')
    line = results.error_line(result)
    assert 'add --resume auto' not in line
    assert '--out' in line
    assert results.contents(copy) == before


def narrow(arrays, settings):
    settings['unit'] = 8


def broadcast(arrays, settings):
    name = 'updater/model:main/predictor/l2/W'
    arrays[name] = arrays[name][:1]


def broadcast_moment(arrays, settings):
    name = 'updater/optimizer:main/predictor/l2/W/m'
    arrays[name] = arrays[name][:1]


def lose(arrays, settings):
    del arrays['updater/model:main/predictor/b2/avg_var']


def shorten_order(arrays, settings):
    name = 'updater/iterator:main/order'
    arrays[name] = arrays[name][:-1]


@pytest.mark.parametrize('change', [
    narrow, broadcast, broadcast_moment, lose, shorten_order])
def test_of_another_net(trainer, copy, results, change):
    results.edit_snapshot(copy / 'snapshot_iter_29', change)
    line = trainer_refuses_after_reading(
        trainer, '--resume', 'run/snapshot_iter_29', '--epoch', 3,
        '--no-plot')
    assert 'run/snapshot_iter_29' in line


@pytest.mark.parametrize('name,value', [
    ('unit', 'x'), ('unit', -1), ('batchsize', 0), ('batchsize', None),
    ('epoch', 'x'), ('dataset', 'x'), ('dataset', 5), ('seed', -1)])
def test_hostile_settings(trainer, copy, results, name, value):
    results.edit_snapshot(
        copy / 'snapshot_iter_29',
        lambda arrays, settings: settings.update({name: value}))
    more = () if name == 'epoch' else ('--epoch', 3)
    trainer_refuses_after_reading(
        trainer, '--resume', 'run/snapshot_iter_29', '--no-plot', *more)


def test_snapshot_holds_the_settings_of_a_model(trainer, trained, results):
    # Started from a model, which need not be there any more when going on.
    shutil.copy(trained.out / 'mlp.model', trainer.cwd / 'm')
    trainer.succeed('-m', 'm', '--dataset', 'digits', '-e', 1, '-o', 'run',
                    '--no-plot')
    (trainer.cwd / 'm').unlink()
    trainer.succeed('-r', 'auto', '-o', 'run', '-e', 2, '--no-plot')
    with h5py.File(trainer.cwd / 'run' / 'mlp.model') as f:
        assert f['predictor/l1/W'].shape == (16, 784)
