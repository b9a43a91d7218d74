"""train.py on two ranks, as mpiexec starts it."""
import re

import pytest

from tests.helpers import made_data
from tests.helpers import results

# The digits in batches of 100 of all ranks
DATA = ('--dataset', 'digits', '--unit', 16, '--no-plot',
        '--optimizer', 'momentum')
ONE = *DATA, '--batchsize', 100
TWO = *DATA, '--batchsize', 50, '--multi-node-bn'


def assert_close(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-3)


# The one run of ranks in `make test`
@pytest.mark.parametrize('options', [
    (), pytest.param(('--validation', 101, '--precise-bn'),
                     marks=pytest.mark.slow)])
def test_as_one_process(ranks, alone, options):
    result = ranks.succeed(*TWO, '--epoch', 1, '--out', 'two', *options)
    alone.succeed(*ONE, '--epoch', 1, '--out', 'one', *options)
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


@pytest.mark.slow
def test_resumes_on_other_numbers_of_ranks(ranks, alone):
    alone.succeed(*ONE, '--epoch', 2, '--out', 'one')
    alone.succeed(*ONE, '--epoch', 1, '--out', 'a')
    ranks.succeed('--resume', 'auto', '--out', 'a', '--epoch', 2, '--no-plot')
    ranks.succeed(*TWO, '--epoch', 1, '--out', 'b')
    alone.succeed('--resume', 'auto', '--out', 'b', '--epoch', 2, '--no-plot')
    for name in 'a', 'b':
        log = results.log(ranks.cwd / name)
        assert [entry['iteration'] for entry in log] == [15, 29]
        if name == 'b':  # which had batch normalization over all ranks
            assert_close(log, results.log(ranks.cwd / 'one'))


@pytest.mark.slow
def test_ranks_with_other_options(ranks):
    ranks.on_rank_1 = '--unit', 17
    line = ranks.refuse(*TWO)
    assert 'rank 0 and rank 1 have different --unit: 16 and 17' in line


@pytest.mark.slow
def test_convolutions_and_stochastic_weights(ranks):
    ranks.config = 'shallow_convnet', '--distributed'
    made_data.write_cifar10(ranks.cwd / 'data')
    ranks.succeed(
        '--data-dir', 'data', '--allow-modified', '--batchsize', 10,
        '--augment', 'crop-flip', '--binarize', 'stochastic', '--epoch', 1,
        '--multi-node-bn', '--out', 'run')
    entry, = results.log(ranks.cwd / 'run')
    assert entry['iteration'] == 15
    assert (ranks.cwd / 'run' / 'figures.png').exists()


@pytest.mark.slow
def test_broken_images_of_all_ranks(ranks):
    ranks.config = 'nin_imagenet', '--distributed'
    made_data.write_pictures(ranks.cwd / 'data', n_train=12, n_val=1)
    paths = sorted((ranks.cwd / 'data' / 'train').rglob('*.jpg'))
    for path in paths[::2][:11]:
        path.write_bytes(b'torn')
    result = ranks.run('--data-dir', 'data', '--batchsize', 12, '--no-plot',
                       '--workers', 1, '--epoch', 1)
    assert result.returncode == 1
    assert 'error: 11 of the 24 pictures' in result.stderr


@pytest.mark.slow
def test_errors_are_printed_once(ranks):
    for options, words in (
            ((*TWO, '--adversarial', .1, '--input', 'binary'),
             '--adversarial 0.1 moves pixels'),
            ((*DATA, '--dataset', 'mnist', '--data-dir', 'nowhere'),
             'nowhere'),
            ((*TWO, '--communicator', 'flat'),
             '--communicator flat needs a GPU')):
        assert words in ranks.refuse(*options)
    ranks.succeed(*TWO, '--epoch', 1, '--out', 'run')
    line = ranks.refuse(*TWO, '--epoch', 1, '--out', 'run')
    assert 'holds the results of another run' in line
    ranks.n = 3
    line = ranks.refuse('--resume', next(
        (ranks.cwd / 'run').glob('snapshot_iter_*')))
    assert 'batches of 100 images, which 3 ranks cannot share' in line


@pytest.mark.slow
def test_one_damaged_rank_ends_all(ranks):
    # A weight that is infinite stops the first rank before it saves.
    result = ranks.run(*DATA, '--batchsize', 50, '--optimizer', 'sgd', '--lr',
                       1e38, '--clip', 'none', '--epoch', 3)
    assert result.returncode
    assert 'Traceback' not in result.stderr
    assert result.stderr.count('error:') == 1


@pytest.mark.slow
def test_forgotten_option(ranks):
    ranks.config = 'binary_net',
    line = ranks.refuse(*ONE)
    assert 'mpiexec started this 2 times' in line


@pytest.mark.slow
@pytest.mark.parametrize('package, words', [
    ('mpi4py', 'train.py: error: --distributed needs mpi4py'),
    ('numba', 'train.py: Numba is not installed'),
    ('h5py', 'Traceback')])
def test_one_rank_without_a_package_ends_all(ranks, package, words):
    ranks.env['PYTHONPATH'] = str(ranks.cwd / 'broken')
    (ranks.cwd / 'broken').mkdir()
    (ranks.cwd / 'broken' / 'sitecustomize.py').write_text(
        "import os, sys\n"
        "if os.environ.get('PMI_RANK') == '1':\n"
        f"    sys.modules[{package!r}] = None\n")
    result = ranks.run(*TWO, '--epoch', 1)
    assert result.returncode
    assert 'rank 1: ' + words in result.stderr
    assert package in result.stderr.lower()
