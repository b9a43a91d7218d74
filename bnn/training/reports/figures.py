"""A page of figures on a finished run."""
import contextlib

import chainer
import matplotlib
import numpy
from chainer.backends import cuda
from matplotlib import pyplot
from matplotlib import ticker

from bnn import data
from bnn.training.learning import batches
from bnn.training.learning import running_statistics
from bnn.training.reports import binary_weights
from bnn.training.reports import curves

N_FILTERS = 25
N_WRONG = 25
N_NAMED = 20  # classes that the confusion matrix has room to name


def draw_page(path: str, log: list[dict], model: chainer.Link,
              dataset: data.Dataset, feed: batches.Feed,
              device: chainer.backend.Device, part: str = 'test',
              test_statistics: str = 'running') -> None:
    """Draws curves, weights, filters, confusions and mistakes into a PNG.

    Args:
        path: The file.
        log: Entries of the log.
        model (~chainer.links.Classifier): The trained model.
        dataset: The data.
        feed: One pass over the test images.
        device: Where the model is.
        part: What the epochs were tested on, for the curves.
        test_statistics: What batch normalization computes with, see
            :class:`~bnn.training.learning.evaluator.Evaluator`.
    """
    with (running_statistics.of_the_batch(model)
          if test_statistics == 'batch' else contextlib.nullcontext()):
        rows, scores = _predict(model, feed, device, dataset.test_images)
    images, labels = dataset.test_images, dataset.test_labels[rows]
    names = dataset.class_names
    matplotlib.use('Agg')
    figure = pyplot.figure(figsize=(15, 13), layout='constrained')
    grid = figure.add_gridspec(3, 3)
    links = binary_weights.binary_links(model)
    for i, quantity in enumerate(('loss', 'accuracy')):
        ax = figure.add_subplot(grid[0, i])
        curves.draw(ax, log, quantity, part)
        ax.set(title=quantity, ylabel='')
    _flips(figure.add_subplot(grid[0, 2]), log, links)
    _histograms(figure.add_subplot(grid[1, 0]), model)
    _filters(figure.add_subplot(grid[1, 1]), model, images.shape[1:])
    _confusion(figure.add_subplot(grid[1, 2]), labels, scores, names)
    _wrong(figure, grid[2, :], images, rows, labels, scores, names)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _predict(model, feed, device, images):
    """Returns which examples are whole, int (k,), and scores (k, classes)."""
    rows, scores = [], []
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        for batch in feed.iterator:
            x, t = feed.converter(batch, device)
            if len(t) < len(batch):
                batch = numpy.asarray(batch)[images.read(batch)[1]]
            if not len(t):
                continue
            rows.append(batch)
            model(x, t)
            scores.append(cuda.to_cpu(model.y.array))
    return numpy.concatenate(rows), numpy.concatenate(scores)


def _flips(ax, log, links):
    ax.set(title='binary weights that changed sign')
    for name in links:
        ax.plot([entry['epoch'] for entry in log],
                [entry[name + '/flip_ratio'] for entry in log], '.-',
                label=name)
    if links:
        if any(entry[name + '/flip_ratio'] for entry in log
               for name in links):
            ax.set_yscale('log')
        ax.set(xlabel='epoch', ylabel='share in the epoch')
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.grid(alpha=.3)
        ax.legend()
    else:
        _empty(ax, 'this net has no binary weights')


def _histograms(ax, model):
    ax.set(title='latent weights' if binary_weights.binary_links(model) else
           'weights', xlabel='W', ylabel='density')
    for name, param in sorted(model.namedparams()):
        if name.endswith('/W'):
            W = cuda.to_cpu(param.array).ravel()
            ax.hist(W, bins=100, histtype='step', density=True,
                    label=name.rsplit('/predictor/', 1)[-1][:-2])
    ax.set_yscale('log')
    ax.legend(fontsize='small')


def _filters(ax, model, shape):
    title = 'first layer, weights'
    # By its shape: names are sorted, not in the order of computation.
    link = next(
        link for link in model.links() if hasattr(link, 'W')
        and link.W[0].size in (
            numpy.prod(shape), shape[0] * numpy.prod(link.W.shape[2:])))
    W = cuda.to_cpu(link.W.array)[:N_FILTERS]
    if getattr(link, 'w_bits', 32) == 1:
        title += ' (white +1, black -1)'
        W = numpy.where(W >= 0, 1, -1)
    if W.ndim == 2:
        W = W.reshape(-1, *shape)
    if W.shape[1] == 3:  # a colour for each channel
        low, high = W.min(), W.max()
        _tile(ax, ((W - low) / (high - low)).transpose(0, 2, 3, 1))
    else:
        _tile(ax, W.mean(axis=1))
    ax.set_title(title)


def _tile(ax, images):
    """Shows images (n, h, w[, 3]) in a square of tiles, a pixel apart."""
    n, h, w = images.shape[:3]
    side = int(numpy.ceil(numpy.sqrt(n)))
    sheet = numpy.full((-(-n // side) * (h + 1), side * (w + 1),
                        *images.shape[3:]), numpy.nan)
    for i, image in enumerate(images):
        y, x = i // side * (h + 1), i % side * (w + 1)
        sheet[y:y + h, x:x + w] = image
    ax.imshow(sheet, cmap=pyplot.get_cmap('gray').with_extremes(
        bad='tab:blue'), interpolation='nearest')
    ax.set_axis_off()


def _confusion(ax, labels, scores, class_names):
    n = len(class_names)
    counts = numpy.zeros((n, n), int)
    numpy.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    shades = numpy.log1p(counts)
    ax.imshow(shades, cmap='Blues')
    ax.set(title='confusion matrix, test', xlabel='predicted',
           ylabel='true')
    if n > N_NAMED:
        return
    for i, j in numpy.argwhere(counts):
        ax.text(j, i, counts[i, j], ha='center', va='center', fontsize=7,
                color='white' if shades[i, j] > shades.max() / 2
                else 'black')
    ax.set_xticks(range(n), class_names, rotation=45, ha='right',
                  rotation_mode='anchor', parse_math=False)
    ax.set_yticks(range(n), class_names, parse_math=False)


def _wrong(figure, grid, images, rows, labels, scores, class_names):
    """The mistakes that the net is surest of."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    p = numpy.exp(shifted) / numpy.exp(shifted).sum(axis=1, keepdims=True)
    predicted = p.argmax(axis=1)
    order = numpy.argsort(
        p[numpy.arange(len(labels)), labels], kind='stable')
    order = order[predicted[order] != labels[order]][:N_WRONG]
    if not len(order):
        _empty(figure.add_subplot(grid), 'no mistake on the test set')
        return
    tiles = grid.subgridspec(2, -(-N_WRONG // 2))
    for k, i in enumerate(order):
        ax = figure.add_subplot(tiles[k // tiles.ncols, k % tiles.ncols])
        image = images[int(rows[i])].transpose(1, 2, 0)
        ax.imshow(image[..., 0] if image.shape[2] == 1 else image,
                  cmap='gray_r')
        ax.set_axis_off()
        ax.set_title(
            f'{class_names[labels[i]]},\nnot {class_names[predicted[i]]}\n'
            f'{100 * p[i, predicted[i]]:.0f} %', fontsize=8,
            parse_math=False)


def _empty(ax, text):
    ax.text(.5, .5, text, ha='center', va='center',
            transform=ax.transAxes)
    ax.set_axis_off()
