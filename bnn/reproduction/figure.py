"""A figure of a published experiment beside ours."""
import matplotlib
from matplotlib import pyplot
from matplotlib import ticker

from bnn.training.command_line import config as config_module


def draw(path: str, config: config_module.Config, runs: list[dict],
         curve: list[dict[str, float]]) -> None:
    """Draws the published curve and ours, loss and accuracy, into a PNG.

    Args:
        path: The file.
        config: The configuration.
        runs: Ours: ``log``, ``validation``, ``epoch`` and ``test_accuracy``.
        curve: See :func:`bnn.reproduction.results.published_curve`.
    """
    matplotlib.use('Agg')
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout='tight')
    tested = 'validation' if runs[0]['validation'] else 'test'
    for ax, quantity in zip(axes, ('loss', 'accuracy'), strict=True):
        for part, key, color in (('train', 'main/', 'C0'),
                                 ('test', 'validation/main/', 'C1')):
            for i, run in enumerate(runs):
                log = [entry for entry in run['log'] if key + quantity
                       in entry]
                ax.plot([entry['epoch'] for entry in log],
                        [entry[key + quantity] for entry in log], color,
                        alpha=.6, linewidth=1,
                        label=f'{"train" if part == "train" else tested}, '
                        'ours' if i == 0 else None)
            if curve:
                ax.plot([entry['epoch'] for entry in curve],
                        [entry[f'{part}_{quantity}'] for entry in curve],
                        color + '.', label=f'{part}, published')
        if quantity == 'accuracy' and not curve:
            ax.plot([run['epoch'] for run in runs],
                    [run['test_accuracy'] for run in runs], 'C2*',
                    label='test of the saved model')
            if config.published and config.published.accuracy:
                ax.axhline(config.published.accuracy, color='C2',
                           linestyle=':', label='test, published')
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.set_xlabel('epoch')
        ax.set_ylabel(quantity)
        ax.grid(alpha=.3)
        ax.legend()
    figure.suptitle(config.title, fontsize=11)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
