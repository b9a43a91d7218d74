"""The best epoch on the validation part, and the model that is kept."""
import contextlib
import io
import types

import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

import train_mnist
from bnn.training.learning import keep_best

KEY = 'validation/main/accuracy'


def log_of(*accuracies):
    return [{'epoch': i, 'iteration': 10 * i, KEY: accuracy}
            for i, accuracy in enumerate(accuracies, 1)]


@pytest.mark.parametrize('accuracies,epoch', [
    ([.5], 1), ([.5, .6, .4], 2), ([.5, .6, .6], 2), ([.6, .5, .6], 1),
    ([.1, .1, .1], 1), ([.1, .2, .3], 3), ([0., 0.], 1)])
def test_first_of_equal_maxima(accuracies, epoch):
    assert keep_best.best(log_of(*accuracies))['epoch'] == epoch


def test_kept_on_improvement_only():
    model = L.Linear(2, 1)
    extension = keep_best.KeepBest(model)
    log = []
    trainer = types.SimpleNamespace(get_extension=lambda name: {
        'LogReport': types.SimpleNamespace(log=log)}[name])
    for entry in log_of(.5, .4, .5, .7, .7, .6, .8, .1):
        log.append(entry)
        model.W.array[...] = entry['epoch']
        extension(trainer)
    assert (model.W.array == 8).all()
    extension.restore()
    assert (model.W.array == 7).all()


def test_snapshots_hold_the_best():
    model = L.Linear(2, 1)
    extension = keep_best.KeepBest(model)
    saved = npz.serialize(extension)
    other = keep_best.KeepBest(L.Linear(2, 1))
    npz.NpzDeserializer(saved).load(other)
    expected = model.W.array.copy()
    model.W.array[...] += 1
    other.restore()
    numpy.testing.assert_array_equal(other._model.W.array, expected)
    with pytest.raises(ValueError, match='shape'):
        npz.NpzDeserializer(saved).load(keep_best.KeepBest(L.Linear(3, 1)))


def test_trigger():
    extension = keep_best.KeepBest(L.Linear(2, 1))
    for new in True, False:
        assert extension.trigger(types.SimpleNamespace(
            updater=types.SimpleNamespace(is_new_epoch=new))) == new


@pytest.mark.parametrize('statistics', ['running', 'batch'])
def test_never_touches_the_test_set(
        tmp_path, results, write_mnist, statistics):
    """Other test images and labels: the same epoch and the same model."""
    lines = []
    for name in 'a', 'b':
        write_mnist(tmp_path / name, n_train=120, n_test=40)
        if name == 'b':
            random = numpy.random.RandomState(0)
            for file, header in (('t10k-labels-idx1-ubyte', 8),
                                 ('t10k-images-idx3-ubyte', 16)):
                path = tmp_path / name / file
                data = numpy.frombuffer(path.read_bytes(), 'u1').copy()
                data[header:] = random.permutation(data[header:])
                path.write_bytes(data.tobytes())
        out = io.StringIO()
        with (contextlib.redirect_stdout(out),
              contextlib.redirect_stderr(io.StringIO())):
            assert not train_mnist.main([
                '--data-dir', str(tmp_path / name), '--allow-modified',
                '--unit', '8', '--batchsize', '20', '--epoch', '5',
                '--validation', '40', '--dropout-hidden', '.2', '--no-plot',
                '--test-statistics', statistics,
                '--out', str(tmp_path / ('run-' + name))])
        lines.append(out.getvalue().splitlines())
    a, b = tmp_path / 'run-a', tmp_path / 'run-b'
    assert results.log(a) == results.log(b)
    assert results.hdf5(a / 'mlp.model') == results.hdf5(b / 'mlp.model')
    ours, theirs = [results.attributes(run / 'mlp.model') for run in (a, b)]
    assert ours['epoch'] == theirs['epoch']
    assert ours['test_loss'] != theirs['test_loss']
    # Only the line of the test is another
    different = [pair for pair in zip(*lines, strict=True)
                 if pair[0] != pair[1]]
    assert len(different) == 1
    assert different[0][0].startswith('test  mean loss=')
    log = results.log(a)
    accuracies = [entry[KEY] for entry in log]
    assert ours['epoch'] == 1 + accuracies.index(max(accuracies))
    assert ours['validation_accuracy'] == max(accuracies)
