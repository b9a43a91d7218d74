"""The training scripts on two ranks, as mpiexec starts them."""
import importlib.util
import pathlib
import re
import signal
import sys
import time

import pytest

import train_cifar10
import train_imagenet

MPIEXEC = pathlib.Path(sys.executable).with_name('mpiexec')
MPI = pytest.mark.skipif(
    importlib.util.find_spec('mpi4py') is None,
    reason='no mpi4py: pip install -r requirements-distributed.txt')
# The digits in batches of 100 of all ranks
DATA = '--dataset', 'digits', '--unit', '16', '--no-plot'
ONE = *DATA, '--batchsize', 100
TWO = *DATA, '--batchsize', 50, '--multi-node-bn'


@pytest.fixture
def ranks(trainer):
    """A trainer whose script runs on two ranks."""
    words = trainer.words
    trainer.alone = lambda *options: _with(trainer, words, options)
    trainer.words = lambda *options: [
        str(MPIEXEC), '-n', '2', *words('--distributed', *options)]
    return trainer


def _with(trainer, words, options):
    on_ranks, trainer.words = trainer.words, words
    try:
        return trainer.succeed(*options)
    finally:
        trainer.words = on_ranks


def assert_close(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-3)


@MPI
@pytest.mark.parametrize('options', [
    ['--optimizer', 'momentum'],
    ['--optimizer', 'momentum', '--validation', 101, '--precise-bn']])
def test_as_one_process(ranks, results, options):
    result = ranks.succeed(*TWO, '--epoch', 1, '--out', 'two', *options)
    ranks.alone(*ONE, '--epoch', 1, '--out', 'one', *options)
    assert_close(results.log(ranks.cwd / 'two'),
                 results.log(ranks.cwd / 'one'))
    one, two = (results.attributes(ranks.cwd / name / 'mlp.model')
                for name in ('one', 'two'))
    assert two['test_accuracy'] == pytest.approx(one['test_accuracy'], abs=.01)
    # Printed once
    assert result.stdout.count('graph generated') == 1
    assert result.stdout.count('save the model') == 1
    assert re.search(r'^batch size: 50 x 2 ranks, Naive', result.stderr, re.M)
    assert sorted(path.name for path in (ranks.cwd / 'two').iterdir()) == (
        sorted(path.name for path in (ranks.cwd / 'one').iterdir()))


@MPI
def test_resumes_on_other_numbers_of_ranks(ranks, results):
    options = '--optimizer', 'momentum', '--epoch', 2
    ranks.alone(*ONE, *options, '--out', 'one')
    ranks.alone(*ONE, *options[:-1], 1, '--out', 'a')
    ranks.succeed('--resume', 'auto', '--out', 'a', '--epoch', 2, '--no-plot')
    ranks.succeed(*TWO, *options[:-1], 1, '--out', 'b')
    ranks.alone('--resume', 'auto', '--out', 'b', '--epoch', 2, '--no-plot')
    for name in 'a', 'b':
        log = results.log(ranks.cwd / name)
        assert [entry['iteration'] for entry in log] == [15, 29]
        if name == 'b':  # which had batch normalization over all ranks
            assert_close(log, results.log(ranks.cwd / 'one'))


@MPI
def test_ranks_with_other_options(ranks):
    words = ranks.words
    ranks.words = lambda *options: [
        *words(*options), ':', '-n', '1', *words(*options, '--unit', 17)[3:]]
    result = ranks.run(*TWO)
    assert result.returncode == 1
    assert re.search(r'error: rank 0 and rank \d have different --unit: '
                     r'16 and 17\n', result.stderr)
    assert 'Traceback' not in result.stderr


@MPI
def test_cifar10_and_stochastic_weights(ranks, results, write_cifar10):
    ranks.script = pathlib.Path(train_cifar10.__file__)
    write_cifar10(ranks.cwd / 'data')
    ranks.succeed(
        '--data-dir', 'data', '--allow-modified', '--batchsize', 10,
        '--augment', 'crop-flip', '--binarize', 'stochastic', '--epoch', 1,
        '--plot', '--out', 'run')
    entry, = results.log(ranks.cwd / 'run')
    assert entry['iteration'] == 15
    assert (ranks.cwd / 'run' / 'figures.png').exists()


@MPI
def test_broken_images_of_all_ranks(ranks, write_pictures):
    ranks.script = pathlib.Path(train_imagenet.__file__)
    ranks.env['XDG_CACHE_HOME'] = str(ranks.cwd / 'cache')
    write_pictures(ranks.cwd / 'data', n_train=12, n_val=1)
    paths = sorted((ranks.cwd / 'data' / 'train').rglob('*.jpg'))
    for path in paths[::2][:11]:
        path.write_bytes(b'torn')
    result = ranks.run('--data-dir', 'data', '--batchsize', 12, '--no-plot',
                       '--net', 'nin', '--workers', 1, '--epoch', 1)
    assert result.returncode == 1
    assert 'error: 11 of the 24 pictures' in result.stderr


@MPI
def test_stops_and_goes_on(ranks, results):
    options = *TWO, '--optimizer', 'momentum'
    # Longer than a busy machine takes to send a signal
    with ranks.start(
            *options, '--epoch', 2000, '--out', 'run') as process:
        while not list(ranks.cwd.glob('run/snapshot_iter_*')):
            assert process.poll() is None
            time.sleep(.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    assert process.returncode, err[-3000:]
    command = re.search(r'to go on: (.*)', err)[1]
    assert command.startswith('mpiexec -n 2 ')
    assert '--distributed' in command
    n = len(results.log(ranks.cwd / 'run')) + 3
    ranks.succeed(*command.split('train_mnist.py ')[1].replace(
        '--distributed ', '').split(), '--epoch', n)
    ranks.succeed(*options, '--epoch', n, '--out', 'whole')
    log = results.log(ranks.cwd / 'run')
    assert len(log) == n
    for ours, whole in zip(log, results.log(ranks.cwd / 'whole'), strict=True):
        assert ours == pytest.approx(whole, rel=1e-9)


@MPI
def test_errors_are_printed_once(ranks, tmp_path):
    line = ranks.refuse(*TWO, '--net', 'float', '--clip', 'all')
    assert '--clip belongs to' in line
    line = ranks.refuse('--dataset', 'mnist', '--data-dir', 'nowhere')
    assert 'nowhere' in line
    line = ranks.refuse(*TWO, '--communicator', 'flat')
    assert '--communicator flat needs a GPU' in line
    ranks.succeed(*TWO, '--epoch', 1, '--out', 'run')
    line = ranks.refuse(*TWO, '--epoch', 1, '--out', 'run')
    assert 'holds the results of another run' in line
    snapshot = next((ranks.cwd / 'run').glob('snapshot_iter_*'))
    ranks.words = lambda *options: [
        str(MPIEXEC), '-n', '3', *type(ranks).words(ranks, *options)]
    line = ranks.refuse('--distributed', '--resume', snapshot)
    assert 'batches of 100 images, which 3 ranks cannot share' in line


@MPI
def test_one_damaged_rank_ends_all(ranks):
    # A weight that is infinite stops the first rank before it saves.
    result = ranks.run(*DATA, '--batchsize', 50, '--optimizer', 'sgd', '--lr',
                       1e38, '--clip', 'none', '--epoch', 3)
    assert result.returncode
    assert 'Traceback' not in result.stderr
    assert result.stderr.count('error:') == 1


@MPI
def test_outside_mpiexec(trainer):
    line = trainer.refuse(*TWO, '--distributed')
    assert 'mpiexec -n 2 ' in line


def test_option_without_distributed(trainer):
    for option in ['--multi-node-bn'], ['--communicator', 'naive']:
        result = trainer.run(*option)
        assert result.returncode == 2
        assert 'belongs to --distributed' in result.stderr


@MPI
def test_forgotten_option(ranks, trainer):
    ranks.words = lambda *options: [
        str(MPIEXEC), '-n', '2', *type(ranks).words(ranks, *options)]
    line = ranks.refuse(*ONE)
    assert '--distributed' in line


@MPI
@pytest.mark.parametrize('package, words', [
    ('mpi4py', 'train_mnist.py: error: --distributed needs mpi4py'),
    ('numba', 'train_mnist.py: Numba is not installed'),
    ('h5py', 'Traceback')])
def test_one_rank_without_a_package_ends_all(ranks, package, words):
    ranks.env['PYTHONPATH'] = str(ranks.cwd / 'broken')
    (ranks.cwd / 'broken').mkdir()
    (ranks.cwd / 'broken' / 'sitecustomize.py').write_text(
        "import os, sys\n"
        "if os.environ.get('PMI_RANK') == '1':\n"
        "    sys.modules[%r] = None\n" % package)
    result = ranks.run(*TWO, '--epoch', 1)
    assert result.returncode
    assert 'rank 1: ' + words in result.stderr
    assert package in result.stderr.lower()
