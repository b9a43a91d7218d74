"""Figures: their points are those of the log."""
import chainer
import chainer.links as L
import matplotlib
import numpy
import pytest
from chainer.serializers import npz
from chainer.training import extensions

from bnn.training.reports import curves
from bnn.training.reports import log

PNG = b'\x89PNG\r\n\x1a\n'


def make_trainer(out, n_epochs=2):
    x = numpy.random.RandomState(0).randn(20, 3).astype(numpy.float32)
    data = chainer.datasets.TupleDataset(
        x, (x[:, 0] > 0).astype(numpy.int32))
    model = L.Classifier(L.Linear(3, 2))
    optimizer = chainer.optimizers.SGD().setup(model)
    trainer = chainer.training.Trainer(
        chainer.training.StandardUpdater(
            chainer.iterators.SerialIterator(data, 5), optimizer),
        (n_epochs, 'epoch'), str(out))
    trainer.extend(extensions.Evaluator(
        chainer.iterators.SerialIterator(
            data, 5, repeat=False, shuffle=False), model),
        name='validation')
    trainer.extend(log.LogReport(), name='LogReport')
    curves.extend(trainer)
    return trainer


def check_points(trainer):
    log = trainer.get_extension('LogReport').log
    for quantity in ('loss', 'accuracy'):
        plot = trainer.get_extension(quantity + '_plot')
        for key in ('main/' + quantity, 'validation/main/' + quantity):
            assert [(x, float(y)) for x, y in plot._data[key]] == [
                (entry['epoch'], pytest.approx(entry[key], rel=1e-6))
                for entry in log]


def test_files(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.run()
    for name in ('loss.png', 'accuracy.png'):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'accuracy.png', 'log', 'loss.png']
    assert matplotlib.get_backend().lower() == 'agg'
    check_points(trainer)


def test_resumed(tmp_path):
    first = make_trainer(tmp_path / 'a')
    first.run()
    path = str(tmp_path / 'state.npz')
    npz.save_npz(path, first)
    second = make_trainer(tmp_path / 'b', 3)
    npz.load_npz(path, second)
    second.run()
    assert len(second.get_extension('LogReport').log) == 3
    check_points(second)  # of all three epochs


def test_nothing_in_snapshots(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.run()
    assert npz.serialize(trainer.get_extension('loss_plot')) == {}


def test_labels(tmp_path, monkeypatch):
    seen = []
    label = curves.CurvePlot._label

    def watch(self, figure, axes, summary):
        label(self, figure, axes, summary)
        seen.append((axes.get_ylabel(),
                     [line.get_label() for line in axes.lines]))

    monkeypatch.setattr(curves.CurvePlot, '_label', watch)
    make_trainer(tmp_path, 1).run()
    assert sorted(seen) == [
        ('accuracy', ['train', 'test']), ('loss', ['train', 'test'])]
