"""Figures of a run."""
import matplotlib
from chainer.training import extension
from chainer.training import extensions
from matplotlib import ticker


class CurvePlot(extensions.PlotReport):

    """Chainer's PlotReport on the epoch means of the log.

    The points come from the log itself, so that figure and log cannot differ
    and a resumed run draws the epochs before it too.

    Args:
        quantity (str): ``'loss'`` or ``'accuracy'``; drawn for training and
            ``part`` into ``<quantity>.png``.
        part (str): What the epochs are tested on, for the legend.
    """

    # After the LogReport, which leaves the means in the observation.
    priority = extension.PRIORITY_READER - 1

    def __init__(self, quantity, part='test'):
        matplotlib.use('Agg')  # a terminal without display has to do
        keys = ('main/' + quantity, 'validation/main/' + quantity)
        super().__init__(keys, 'epoch', filename=quantity + '.png',
                         postprocess=self._label, marker='.')
        self.name = quantity + '_plot'
        self._quantity = quantity
        self._part = part

    def trigger(self, trainer):
        return trainer.updater.is_new_epoch

    def initialize(self, trainer):
        log = trainer.get_extension('LogReport').log
        self._data = {key: [(entry['epoch'], entry[key])
                            for entry in log if key in entry]
                      for key in self._y_keys}

    def serialize(self, serializer):
        pass  # the log has it all

    def _label(self, figure, axes, summary):
        for line, label in zip(
                axes.lines, ('train', self._part), strict=False):
            line.set_label(label)
        axes.set_ylabel(self._quantity)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))


def extend(trainer, part='test'):
    """Adds ``loss.png`` and ``accuracy.png`` to a trainer."""
    trainer.extend(CurvePlot('loss', part))
    trainer.extend(CurvePlot('accuracy', part))
