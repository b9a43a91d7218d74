"""train_mnist.py: killed, interrupted, resumed."""
import os
import random
import re
import shutil
import signal
import subprocess
import time

import h5py
import pytest

from tests.helpers import damage
from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts


@pytest.fixture
def copy(tmp_path, trained):
    """A copy of the finished run of two epochs, in the folder run."""
    return shutil.copytree(trained.out, tmp_path / 'run')


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Folder of a run with the options ``LONG``; read only."""
    script = scripts.Call(tmp_path_factory.mktemp('uninterrupted'))
    script.succeed(*script.LONG, '--out', 'run')
    return script.cwd / 'run'


def names_of(folder):
    return sorted(path.name for path in folder.glob('snapshot*'))


# ---- killed

@pytest.mark.parametrize('most', [
    1, pytest.param(8, marks=pytest.mark.slow)])
def test_killed_again_and_again(trainer, uninterrupted, most):
    delays = random.Random(most)
    folder = trainer.cwd / 'run'
    options = *trainer.LONG, '--snapshot-every', 3, '--out', 'run'
    kills = late = 0
    resume = ()
    while True:
        before = names_of(folder)
        with trainer.start(*options, *resume) as process:
            if kills < most:  # In the end it has to get through.
                while names_of(folder) == before and process.poll() is None:
                    time.sleep(.001)
                time.sleep(delays.uniform(0, .05))
                process.kill()
            err = process.communicate(timeout=120)[1]
        assert 'Traceback' not in err
        if kills:
            assert 'go on from run/snapshot_iter_' in err
        if process.returncode == -signal.SIGKILL:
            kills += 1
            resume = '--resume', 'auto'
            continue
        assert process.returncode == 0, err
        if kills or late == 5:
            break
        # On a busy machine the run had ended.
        late += 1
        shutil.rmtree(folder)
    assert kills
    results.assert_same_run(folder, uninterrupted)
    assert not list(folder.glob('.*.tmp'))


def test_every_iteration_is_a_place_to_go_on_from(script, trained):
    options = *script.SMALL, '--epoch', 2
    script.succeed(*options, '--out', 'run', '--snapshot-every', 1,
                   '--keep-snapshots', 99)
    for n in 1, 14, 15, 16, 28:
        out = script.cwd / f'from-{n}'
        out.mkdir()
        shutil.copy(script.cwd / 'run' / f'snapshot_iter_{n}', out)
        script.succeed('--resume', 'auto', '--out', out, '--no-plot',
                       '--keep-snapshots', 2)
        results.assert_same_run(out, trained.out)
        assert names_of(out)[-1] == 'snapshot_iter_29'


def test_killed_between_log_and_snapshot(script, trained):
    # The log of the first epoch is there before its snapshot.
    folder = script.cwd / 'run'
    folder.mkdir()
    shutil.copy(trained.out / 'log', folder)
    shutil.copy(trained.out / 'graph.dot', folder)
    result = script.succeed(
        *script.SMALL, '--epoch', 2, '--out', 'run', '--resume', 'auto')
    assert 'starting anew' in result.stderr
    results.assert_same_run(folder, trained.out)


@pytest.mark.parametrize('missing', [
    ['mlp.model'], ['mlp.state'], ['mlp.model', 'mlp.state']])
def test_killed_while_saving(script, trained, copy, missing):
    for name in missing:
        (copy / name).unlink()
    script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    results.assert_same_run(copy, trained.out)


def test_killed_while_saving_a_longer_run(script, trained, copy):
    # The state of the second epoch lies beside the model of the third.
    script.succeed('--resume', 'auto', '--out', 'run', '-e', 3, '--no-plot')
    state = results.hdf5(copy / 'mlp.state')
    shutil.copy(trained.out / 'mlp.state', copy)
    script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
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


def go_on(trainer, err, cwd=None):
    """Runs the command that an interrupted run printed, in a shell."""
    command = re.search(r'to go on: (.+)$', err.splitlines()[-1])[1]
    result = subprocess.run(
        command, shell=True, cwd=cwd or trainer.cwd, env=trainer.env,
        capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.parametrize('number,status', [
    pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    (signal.SIGTERM, 143)])
def test_signal(trainer, uninterrupted, number, status):
    code, err = interrupt(
        trainer, number, *trainer.LONG, '--out', 'a run')
    assert code == status
    folder = trainer.cwd / 'a run'
    iteration = int(re.search(r'stopped at iteration (\d+)', err)[1])
    assert (folder / f'snapshot_iter_{iteration}').is_file()
    assert 1 <= iteration < 216
    assert not (folder / 'mlp.model').exists()
    result = go_on(trainer, err)
    assert f'go on from a run/snapshot_iter_{iteration}' in result.stderr
    results.assert_same_run(folder, uninterrupted)


@pytest.mark.slow
def test_printed_command_of_a_relative_start(trainer):
    # `python train_mnist.py`: its first word alone is no command.
    trainer.words = lambda *options: [
        'python3', 'train_mnist.py', *map(str, options)]
    code, err = interrupt(
        trainer, signal.SIGINT, *trainer.LONG, '--out', trainer.cwd / 'run',
        cwd=trainer.script.parent)
    assert code == 130
    go_on(trainer, err, trainer.script.parent)
    assert (trainer.cwd / 'run' / 'mlp.model').is_file()


@pytest.mark.slow
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

def test_nothing_there(script, trained):
    result = script.succeed(*script.SMALL, '--epoch', 1, '--resume', 'auto')
    assert 'starting anew' in result.stderr
    assert results.log(script.cwd / 'result' / '1') == results.log(
        trained.out)[:1]


def test_finished(script, copy):
    before = results.contents(copy)
    for options in (), ('--epoch', 1), (*script.SMALL, '--seed', 0):
        result = script.succeed(
            *options, '--resume', 'auto', '--out', 'run', '--no-plot')
        assert 'is finished' in result.stderr
        assert 'larger --epoch' in result.stderr
        assert results.contents(copy) == before


def test_larger_epoch(script, trained, copy):
    # Settings are taken over; those of the reports may be others.
    result = script.succeed(
        '--resume', 'auto', '--out', 'run', '--epoch', 3,
        '--report', 'table', '--no-plot')
    assert 'go on from run/snapshot_iter_29' in result.stderr
    assert '784-16-16-10' in result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0][:2] == ['epoch', 'main/loss']
    assert rows[-1][0] == '3'
    log = results.log(copy)
    assert log[:2] == results.log(trained.out)
    assert [entry['epoch'] for entry in log] == [1, 2, 3]
    assert results.attributes(copy / 'mlp.model')['epoch'] == 3
    # The newest two stay, of the whole run.
    assert names_of(copy) == ['snapshot_iter_29', 'snapshot_iter_44']


def test_named_snapshot_into_another_folder(script, trained):
    before = results.contents(trained.cwd)
    result = script.succeed(
        '-r', trained.out / 'snapshot_iter_15', '-o', 'other', '--no-plot')
    assert 'snapshot_iter_15' in result.stderr
    results.assert_same_run(script.cwd / 'other', trained.out)
    assert not list((script.cwd / 'other').glob('*.png'))
    assert results.contents(trained.cwd) == before


def test_older_snapshot_in_its_own_folder(script, copy):
    # The run would write over what came after it.
    line = script.fail('--resume', 'run/snapshot_iter_15', '--no-plot')
    assert 'not the newest' in line
    assert '--out' in line


def test_of_train_py(script, copy):
    """What this script cannot do is never left out silently."""
    results.edit_snapshot(
        copy / 'snapshot_iter_29',
        lambda arrays, settings: settings.update(lr_schedule='cosine'))
    line = script.refuse(
        '--resume', 'run/snapshot_iter_29', '--epoch', 2, '--no-plot')
    assert "--lr-schedule 'cosine'" in line
    assert './train.py binary_net' in line


@pytest.mark.parametrize('out', ['run', 'other'])
def test_other_data(script, out):
    made_data.write_mnist(script.cwd / 'data')
    script.succeed(
        '--data-dir', 'data', '--allow-modified', '--unit', 8,
        '--batchsize', 20, '--epoch', 1, '--no-plot', '--out', 'run')
    made_data.write_mnist(script.cwd / 'data', seed=1)
    line = script.refuse(
        '--resume', 'run/snapshot_iter_3', '--epoch', 2, '--out', out,
        '--no-plot')
    assert 'other data' in line


def test_data_gone(script):
    # Never with digits instead: not when resuming
    made_data.write_mnist(script.cwd / 'data')
    script.succeed(
        '--data-dir', 'data', '--allow-modified', '--unit', 8,
        '--batchsize', 20, '--epoch', 1, '--no-plot', '--out', 'run')
    shutil.rmtree(script.cwd / 'data')
    line = script.refuse('--resume', 'auto', '--out', 'run', '--epoch', 2)
    assert 'MNIST' in line


def test_snapshot_holds_the_settings_of_a_model(script, trained):
    # Started from a model, which need not be there any more when going on
    shutil.copy(trained.out / 'mlp.model', script.cwd / 'm')
    script.succeed('-m', 'm', '--dataset', 'digits', '-e', 1, '-o', 'run',
                   '--no-plot')
    (script.cwd / 'm').unlink()
    script.succeed('-r', 'auto', '-o', 'run', '-e', 2, '--no-plot')
    with h5py.File(script.cwd / 'run' / 'mlp.model') as f:
        assert f['predictor/l1/W'].shape == (16, 784)


# ---- snapshots that are none

@pytest.mark.parametrize('name', ['mlp.state', 'mlp.model'])
def test_not_a_snapshot(script, copy, name):
    line = script.refuse('--resume', f'run/{name}')
    assert f'run/{name}' in line
    assert '--resume auto' in line


@pytest.mark.parametrize('spoil', [
    damage.halve, damage.add_object, os.remove])
def test_damaged(script, copy, spoil):
    spoil(copy / 'snapshot_iter_29')
    # --epoch 3: not to be taken for finished
    line = script.refuse('--resume', 'run/snapshot_iter_29', '-e', 3)
    assert 'run/snapshot_iter_29' in line
    assert not (copy / 'executed').exists()


@pytest.mark.parametrize('spoil', [damage.flip_bit, damage.add_object])
def test_damaged_newest_one(script, trained, copy, spoil):
    spoil(copy / 'snapshot_iter_29')
    result = script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    warning = result.stderr.splitlines()[0]
    assert warning.startswith('warning: run/snapshot_iter_29 ')
    assert 'go on from run/snapshot_iter_15' in result.stderr
    results.assert_same_run(copy, trained.out)
    assert not (copy / 'executed').exists()


def test_all_damaged(script, copy):
    # The rest of the run is not overwritten, and the advice is of use.
    for path in copy.glob('snapshot*'):
        damage.halve(path)
    line = script.fail('--resume', 'auto', '--out', 'run', '--no-plot',
                       '--dataset', 'digits')
    assert 'add --resume auto' not in line
    assert '--out' in line


def narrow(arrays, settings):
    settings['unit'] = 8


def lose(arrays, settings):
    del arrays['updater/model:main/predictor/b2/avg_var']


@pytest.mark.parametrize('change', [narrow, lose])
def test_of_another_net(script, copy, change):
    results.edit_snapshot(copy / 'snapshot_iter_29', change)
    line = script.fail('--resume', 'run/snapshot_iter_29', '--epoch', 3,
                       '--no-plot')
    assert 'run/snapshot_iter_29' in line


def test_hostile_settings(script, copy):
    results.edit_snapshot(
        copy / 'snapshot_iter_29',
        lambda arrays, settings: settings.update(unit=10 ** 9))
    script.fail('--resume', 'run/snapshot_iter_29', '--no-plot', '--epoch', 3)


def test_log_of_a_resumed_run_is_not_doubled(script, trained, copy):
    """What a killed run wrote beyond its snapshot is written anew."""
    (copy / 'snapshot_iter_29').unlink()
    (copy / 'mlp.model').unlink()
    script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert [entry['epoch'] for entry in results.log(copy)] == [1, 2]
    results.assert_same_run(copy, trained.out)
