"""Curves of loss and accuracy over the epochs."""
import os

import matplotlib
from chainer import training
from chainer.training import extension
from matplotlib import axes
from matplotlib import pyplot
from matplotlib import ticker


class CurvePlot(extension.Extension):
    """Draws a quantity of the log into ``<quantity>.png`` after each epoch.

    The points come from the log, so that a resumed run draws the epochs
    before it too.

    Args:
        quantity: ``'loss'`` or ``'accuracy'``.
        part: What the epochs are tested on, for the legend.
    """

    # After the LogReport
    priority = extension.PRIORITY_READER - 1

    def __init__(self, quantity: str, part: str = 'test') -> None:
        self.name = quantity + '_plot'
        self._quantity = quantity
        self._part = part

    def trigger(self, trainer: training.Trainer) -> bool:
        return trainer.updater.is_new_epoch

    def __call__(self, trainer: training.Trainer) -> None:
        matplotlib.use('Agg')  # A terminal without display has to do.
        figure, ax = pyplot.subplots(layout='tight')
        draw(ax, trainer.get_extension('LogReport').log, self._quantity,
             self._part)
        figure.savefig(os.path.join(trainer.out, self._quantity + '.png'))
        pyplot.close(figure)


def draw(ax: axes.Axes, log: list[dict], quantity: str, part: str) -> None:
    """Draws the epoch means of a quantity in training and in the tests.

    Args:
        ax: Where to draw.
        log: Entries of the log.
        quantity: ``'loss'`` or ``'accuracy'``.
        part: What the epochs are tested on, for the legend.
    """
    for label, key in (('train', 'main/'), (part, 'validation/main/')):
        points = [(entry['epoch'], entry[key + quantity])
                  for entry in log if key + quantity in entry]
        ax.plot(*zip(*points, strict=True), '.-', label=label)
    ax.set(xlabel='epoch', ylabel=quantity)
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.grid(alpha=.3)
    ax.legend()
