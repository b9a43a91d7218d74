"""The training scripts on a GPU: what only a GPU can show."""
import re

import pytest

from tests.helpers import results
from tests.helpers import scripts

pytestmark = pytest.mark.gpu


def test_trains(script):
    result = script.succeed(
        *script.SMALL, '--epoch', 5, '--gpu', 0, '--plot', '--out', 'run')
    assert re.search('^device: +GPU 0', result.stderr, re.MULTILINE)
    accuracy = results.log(script.cwd / 'run')[-1]['validation/main/accuracy']
    assert accuracy > .6
    # On the CPU the same model is as good.
    line = script.succeed(
        '--evaluate', '-m', 'run/mlp.model').stdout.splitlines()[-1]
    assert float(line.split('accuracy=')[1]) == pytest.approx(
        accuracy, abs=.02)


def test_first_epoch_as_on_the_cpu(script):
    options = *script.SMALL, '--epoch', 1
    script.succeed(*options, '--out', 'cpu')
    script.succeed(*options, '--gpu', 0, '--out', 'gpu')
    ours, theirs = (results.log(script.cwd / name)[0]
                    for name in ('gpu', 'cpu'))
    assert ours.keys() == theirs.keys()
    for name in 'main/loss', 'validation/main/loss':
        assert ours[name] == pytest.approx(theirs[name], rel=.05)


@pytest.mark.parametrize('name,options', [
    ('binary_net', ()),
    ('binary_weight_mlp', ('--binarize', 'stochastic', '--validation', 100)),
    ('binary_net', ('--dropout-input', .2, '--augment', 'affine')),
    ('binary_net', ('--optimizer', 'bop')),
    ('quantized_net', ('--optimizer', 'momentum')),
    ('lenet5', ())], ids=lambda value: ' '.join(map(str, value))
    if isinstance(value, tuple) else value)
def test_resumes(tmp_path, name, options):
    """Draws on the GPU follow from the seed and the iteration."""
    script = scripts.Call(tmp_path, 'train.py')
    words = (name, '--dataset', 'digits', '--batchsize', 100, '--no-plot',
             '--gpu', 0)
    if name != 'lenet5':
        words += '--unit', 16
    script.succeed(*words, *options, '--epoch', 2, '--snapshot-every', 7,
                   '--keep-snapshots', 99, '--out', 'whole')
    script.succeed(name, '--gpu', 0, '--resume', 'whole/snapshot_iter_7',
                   '--out', 'parts', '--no-plot')
    for ours, theirs in zip(*(results.log(tmp_path / folder) for folder in (
            'parts', 'whole')), strict=True):
        # Sums on a GPU are added in another order each time.
        assert ours['main/loss'] == pytest.approx(
            theirs['main/loss'], rel=.01)


def test_no_such_gpu(script):
    assert '--gpu 99' in script.refuse('--dataset', 'digits', '--gpu', 99)
