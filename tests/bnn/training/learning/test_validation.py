"""A run with a validation part chooses its model without the test set."""
import numpy
import pytest

from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts

KEY = 'validation/main/accuracy'


def spoil(folder):
    """Shuffles the pixels and labels of the test set."""
    random = numpy.random.RandomState(0)
    for name, header in (('t10k-labels-idx1-ubyte', 8),
                         ('t10k-images-idx3-ubyte', 16)):
        data = numpy.frombuffer((folder / name).read_bytes(), 'u1').copy()
        data[header:] = random.permutation(data[header:])
        (folder / name).write_bytes(data.tobytes())


@pytest.mark.slow
def test_never_touches_the_test_set(tmp_path):
    """With other test images: the same log, epoch and model."""
    for statistics in 'running', 'batch':
        lines, runs = [], []
        for name in 'a', 'b':
            script = scripts.Call(tmp_path / f'{statistics}-{name}',
                                  'train.py')
            script.cwd.mkdir()
            data = script.cwd / 'data'
            made_data.write_mnist(data, n_train=120, n_test=40)
            if name == 'b':
                spoil(data)
            result = script.succeed(
                'binary_net', '--data-dir', data, '--allow-modified',
                '--unit', 8, '--batchsize', 20, '--epoch', 3, '--no-plot',
                '--validation', 40, '--test-statistics', statistics,
                '--out', 'run')
            lines.append(result.stdout.splitlines())
            runs.append(script.cwd / 'run')
        a, b = runs
        assert results.log(a) == results.log(b)
        assert results.hdf5(a / 'mlp.model') == results.hdf5(b / 'mlp.model')
        ours, theirs = (results.attributes(run / 'mlp.model') for run in runs)
        assert ours['epoch'] == theirs['epoch']
        assert ours['test_loss'] != theirs['test_loss']
        # Only the line of the test is another.
        different = [pair for pair in zip(*lines, strict=True)
                     if pair[0] != pair[1]]
        assert len(different) == 1
        assert different[0][0].startswith('test  mean loss=')
        accuracies = [entry[KEY] for entry in results.log(a)]
        assert ours['epoch'] == 1 + accuracies.index(max(accuracies))
        assert ours['validation_accuracy'] == max(accuracies)
