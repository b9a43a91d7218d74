#!/usr/bin/env python3
"""Classify pictures with a packed net, or test it on a data set.

    ./predict.py best models/seven.png      class, probability
    ./predict.py net.bnn --dataset digits   accuracy, confusion matrix

./predict.py alone lists the nets of models/, which go by their names.  Needs
NumPy, Numba and Pillow, but no Chainer.  The time of each of several pictures
is printed too; a single one is computed by NumPy alone.
"""
from bnn import environment

environment.check(__file__, 'Numba')

import json
import os
import pathlib
import shlex
import sys
import time

import numpy

from bnn import data as datasets
from bnn import deploy
from bnn import errors
from bnn.data import augment
from bnn.deploy import pictures
from bnn.training.command_line import script
from bnn.training.command_line import setting

_BATCH = 1000  # test images at a time
# The nets that come with this program, each with its card
MODELS = pathlib.Path(__file__).resolve().with_name('models')


def make_parser():
    parser = script.Parser(__doc__, usage='NET [PICTURE ...] [OPTION ...]')
    parser.add_argument('net', metavar='NET',
                        help='a packed net of export.py, .bnn, or the name '
                        'of one in models/')
    parser.add_argument(
        'pictures', nargs='*', default=(), metavar='PICTURE',
        help='image files, of any size, in colour or grey')
    parser.add_argument(
        '--top', type=setting.positive, default=1, metavar='N',
        help='how many classes to print, the likeliest first')
    parser.add_argument('--json', action='store_true',
                        help='print JSON')
    parser.add_argument(
        '--dataset', choices=list(datasets.TITLES),
        help='test on the test images of a data set instead')
    parser.add_data()
    parser.add_argument('--data-dir', metavar='DIR',
                        help='folder of the data')
    parser.add_argument(
        '--allow-modified', action='store_true',
        help='accept well-formed data files with another content')
    return parser


def shipped():
    """Returns the nets of models/, names to files."""
    return {path.stem: path for path in sorted(MODELS.glob('*.bnn'))}


def describe_shipped():
    """Returns a line for each net of models/, the title of its card."""
    return '\n'.join(
        f'{name:16}{path.with_suffix(".md").read_text().splitlines()[2]}'
        for name, path in shipped().items())


def find(name):
    """Returns the file of a net.

    Args:
        name (str): A file, or one of :func:`shipped`.

    Raises:
        ~bnn.errors.UserError: If there is neither.
    """
    if os.path.exists(name) or os.path.basename(name) != name or (
            name.endswith('.bnn')):
        return name
    if name not in shipped():
        raise errors.UserError(
            f'{name}: no such file, and no net of models/; there are: '
            + ', '.join(shipped()))
    return str(shipped()[name])


def classify(net, paths, n_top):
    """Yields for each picture what it shows.

    Args:
        net (~bnn.deploy.run.Net): The net.
        paths (list of str): The pictures.
        n_top (int): How many classes.

    Yields:
        dict: ``'file'``, ``'class'``, ``'probability'``, ``'microseconds'``
        of the net alone, ``'assumed'`` and ``'top'``.  The time is that of
        the compiled kernels; of a single picture, which needs none, it is
        ``None``.
    """
    dataset = net.packed.facts.get('dataset')
    images = []
    for path in paths:
        images.append(pictures.load(path, net.input_shape, dataset))
    is_timed = len(paths) > 1
    for _ in range(2 * is_timed):  # The second call loads the kernels.
        net.scores(images[0][0][None])
    for path, (x, how) in zip(paths, images, strict=True):
        start = time.perf_counter()
        scores = net.scores(x[None])
        seconds = time.perf_counter() - start
        likely = deploy.softmax(scores)[0]
        best = numpy.argsort(-likely, kind='stable')[:n_top]
        top = [{'class': net.class_names[i], 'probability': round(
            float(likely[i]), 6)} for i in best]
        yield {'file': path, **top[0],
               'microseconds': round(1e6 * seconds, 1) if is_timed else None,
               'assumed': how, 'top': top}


def describe(found):
    """Returns the lines for a picture."""
    time_of_net = '' if found['microseconds'] is None else (
        f', {found["microseconds"]:.0f} microseconds')
    return '\n'.join([
        f'{found["file"]}: {found["class"]}, '
        f'{100 * found["probability"]:.1f} %{time_of_net} '
        f'({found["assumed"]})'] + [
        f'    {one["class"]:12} {100 * one["probability"]:5.1f} %'
        for one in found['top'] if len(found['top']) > 1])


def test(net, data):
    """Tests a net on a data set.

    Args:
        net (~bnn.deploy.run.Net): The net.
        data (~bnn.data.Dataset): The data.

    Returns:
        dict: ``'dataset'``, ``'images'``, ``'accuracy'``,
        ``'images_per_second'`` of the net alone, and ``'confusion'``, a list
        for each class of how often it was taken for which.
    """
    n = len(net.class_names)
    confusion = numpy.zeros((n, n), int)
    seconds = 0.
    for start in range(0, len(data.test_labels), _BATCH):
        batch = numpy.arange(
            start, min(start + _BATCH, len(data.test_labels)))
        images, labels = data.test_images, data.test_labels[batch]
        if hasattr(images, 'read'):
            images, kept = images.read(batch)
            labels = labels[kept]
            images = augment.center_crop(images, net.input_shape[1])
        else:
            images = images[batch]
        if not start:
            net.predict(images)  # loads the kernels
            net.predict(images[:1])  # and those of one thread
        before = time.perf_counter()
        found = net.predict(images)
        seconds += time.perf_counter() - before
        numpy.add.at(confusion, (labels, found), 1)
    total = int(confusion.sum())
    return {'dataset': data.title, 'images': total,
            'accuracy': float(numpy.trace(confusion)) / max(total, 1),
            'images_per_second': round(total / seconds),
            'confusion': confusion.tolist()}


def describe_test(net, found):
    """Returns the lines for a test."""
    # As much of the names as a terminal has room for
    longest, n = max(map(len, net.class_names)), len(net.class_names)
    width = 1 + max(len(str(max(map(max, found['confusion'])))), 4, min(
        longest, 79 // (n + 1) - 1))
    lines = [f'{found["dataset"]}: accuracy {found["accuracy"]:.4f} on '
             f'{found["images"]} images, {found["images_per_second"]:,} '
             'images/s']
    if n <= 20:
        names = [name[:width - 1] for name in net.class_names]
        lines += ['rows: what it is, columns: what it was taken for',
                  ''.join(name.rjust(width) for name in ['', *names])]
        lines += [''.join(str(cell).rjust(width) for cell in [name, *row])
                  for name, row in zip(names, found['confusion'])]
    return '\n'.join(lines)


def main(argv=None):
    if not (sys.argv[1:] if argv is None else argv):
        print(describe_shipped())
        return
    parser = make_parser()
    args = parser.parse_args(argv)
    parser.expand_data(args, None)
    if bool(args.pictures) == bool(args.dataset):
        parser.error('give pictures, or --dataset')
    net = deploy.load(find(args.net))
    command = shlex.join(
        [script.path(os.path.basename(sys.argv[0])), args.net])
    if args.dataset is not None:
        data = datasets.load(args.dataset, args.data_dir, args.allow_modified,
                             shape=net.input_shape)
        datasets.check_net(data, net.input_shape, net.class_names, args.net)
        found = test(net, data)
        print(json.dumps(found) if args.json else describe_test(net, found))
        script.say_next(classify=f'{command} PICTURE')
        return
    for found in classify(net, args.pictures, args.top):
        print(json.dumps(found) if args.json else describe(found))
        sys.stdout.flush()
    dataset = net.packed.facts.get('dataset')
    if dataset in list(datasets.TITLES):  # A list takes unhashable values too.
        script.say_next(test=f'{command} ' + (
            '--data DIR' if dataset in datasets.PICTURE_NAMES
            else f'--dataset {dataset}'))


def run():
    """Runs :func:`main` as the command of the installed package."""
    script.run(main)


if __name__ == '__main__':
    run()
