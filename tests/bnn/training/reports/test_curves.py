"""Curves: their points are those of the log."""
import matplotlib
import numpy
import pytest
from chainer.serializers import npz
from matplotlib import pyplot

from bnn.training.reports import curves
from bnn.training.reports import log
from tests.helpers import small_runs

PNG = b'\x89PNG\r\n\x1a\n'
LOG = [{'epoch': 1, 'main/loss': .5, 'main/accuracy': .75},
       {'epoch': 2, 'main/loss': .25, 'main/accuracy': .875,
        'validation/main/loss': .375, 'validation/main/accuracy': 1.}]


@pytest.fixture(autouse=True)
def no_display():
    matplotlib.use('Agg')


def test_files(tmp_path):
    trainer = small_runs.make(tmp_path, 1)
    trainer.extend(log.LogReport())
    for quantity in 'loss', 'accuracy':
        trainer.extend(curves.CurvePlot(quantity))
    trainer.run()
    for name in 'loss.png', 'accuracy.png':
        assert (tmp_path / name).read_bytes().startswith(PNG)
        assert pyplot.imread(str(tmp_path / name)).std() > .01
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'accuracy.png', 'log', 'loss.png']
    assert not pyplot.get_fignums()
    # The points come from the log: a snapshot has nothing of them.
    assert npz.serialize(trainer.get_extension('loss_plot')) == {}


def test_points():
    for quantity in 'loss', 'accuracy':
        figure, ax = pyplot.subplots()
        curves.draw(ax, LOG, quantity, 'validation')
        train, validation = ax.lines
        numpy.testing.assert_array_equal(
            train.get_xydata(),
            [(entry['epoch'], entry['main/' + quantity]) for entry in LOG])
        numpy.testing.assert_array_equal(
            validation.get_xydata(),
            [(2, LOG[1]['validation/main/' + quantity])])
        assert (train.get_label(), validation.get_label()) == (
            'train', 'validation')
        assert (ax.get_xlabel(), ax.get_ylabel()) == ('epoch', quantity)
        pyplot.close(figure)
