"""Does a packed net agree with Chainer's, and if not, why?"""
import dataclasses

import chainer
import numpy

from bnn.deploy import operations
from bnn.deploy import reference
from bnn.training import inputs

_BATCH = 100
# A sign that float32 may turn: so near to 0, relative to the largest of its
# kind, or to 1, about what batch normalization gives.  float32 rounds at
# 6e-8, and a sum of a thousand adds up to this.
_TIE = 1e-4
_MAX_EXPLAINED = 100


@dataclasses.dataclass
class Agreement:

    """What a comparison found.

    Attributes:
        n (int): Images.
        chainer_accuracy, packed_accuracy (float): On them.
        differing (list): Of each image that differs: its number, the two
            classes, and the explanation in words, or ``None`` where there is
            no tie.
    """

    n: int
    chainer_accuracy: float
    packed_accuracy: float
    differing: list


def compare(trained, net, data, explain=True):
    """Compares predictions on the test images.

    Args:
        trained (trained.Trained): The net in Chainer.
        net (~bnn.deploy.runtime.Net): The packed one.
        data (~bnn.datasets.Dataset): The data.
        explain (bool): Whether to look for the ties.

    Returns:
        Agreement: What was found.
    """
    images, labels = data.test_images, data.test_labels
    n, hits, differing = 0, numpy.zeros(2, int), []
    for start in range(0, len(labels), _BATCH):
        x, some = pixels(trained, images, range(start, start + _BATCH))
        theirs, ours = predict(trained, x), net.predict(x)
        n += len(some)
        hits += [(y == labels[some]).sum() for y in (theirs, ours)]
        for i in numpy.flatnonzero(theirs != ours):
            words = None
            if explain and len(differing) >= _MAX_EXPLAINED:
                words = 'not looked at, after %d others' % _MAX_EXPLAINED
            elif explain:
                words = find_tie(trained, x[i:i + 1], theirs[i], ours[i])
            differing.append((int(some[i]), theirs[i], ours[i], words))
    return Agreement(n, *(hits / max(n, 1)), differing)


def pixels(trained, images, some):
    """Reads images as the net is given them to test.

    Args:
        trained (trained.Trained): The net.
        images (array-like): uint8 (n, channels, h, w), or pictures in files.
        some (range): Which of them; those past the end are none.

    Returns:
        tuple: uint8 (n, channels, h, w), and the numbers of the images, of
        which broken ones are left out.
    """
    some = numpy.arange(some.start, min(some.stop, len(images)))
    x, kept = inputs.gather(images, some)
    if kept is not None:
        x, some = x[kept], some[kept]
    return trained.crop(x), some


def predict(trained, x):
    """Returns the classes that Chainer gives to uint8 images."""
    with (chainer.using_config('train', False), chainer.no_backprop_mode(),
          numpy.errstate(over='ignore')):
        return trained.predictor(trained.scale(x)).array.argmax(axis=1)


class _Outputs(chainer.LinkHook):

    """Keeps what each link gave."""

    name = 'Outputs'

    def __init__(self, predictor):
        super().__init__()
        self._names = {id(link): name.strip('/')
                       for name, link in predictor.namedlinks()}
        self.arrays = {}

    def forward_postprocess(self, args):
        self.arrays[self._names.get(id(args.link))] = chainer.as_array(
            args.out)


def find_tie(trained, x, theirs, ours):
    """Says which tie made two classes of an image.

    The net is computed in float64, and the first sign looked for that
    float32 turned.

    Args:
        trained (trained.Trained): The net in Chainer.
        x (numpy.ndarray): One uint8 image, (1, channels, h, w).
        theirs, ours (int): The classes.

    Returns:
        str: In words, or ``None`` if there is no tie.
    """
    found = trained.predictor.describe()
    with _Outputs(trained.predictor) as hook:
        predict(trained, x)
    before, names = {}, {}

    def watch(operation, value):
        if isinstance(operation, (operations.Sign, operations.Quantize)):
            i = found.index(operation)
            before[i] = operation, value
            names[i] = operation.name or found[i - 1].name

    scores = reference.run([trained.rescale, *found], x, watch=watch)[0]
    for i, (operation, value) in before.items():
        wanted = reference.apply(operation, value, numpy.float64)
        given = hook.arrays.get(names[i])
        if given is None:
            continue
        if not operation.name:  # of batch normalization, its sign or not
            given = reference.apply(operation, given, numpy.float64)
        turned = (given.reshape(wanted.shape) != wanted)
        if turned.any():
            return _words(operation, value, turned, names[i])
    gap = abs(scores[theirs] - scores[ours])
    if gap <= _TIE * max(abs(scores).max(), 1e-30):
        return 'the two scores differ by %.1e in float64' % gap
    # Chainer is right, so a float layer of the packed net was rounded.
    for i, (operation, value) in before.items():
        margin = _margin(operation, value)
        if margin.min() <= _TIE * _size(value):
            return '%s: a value is %.1e from a threshold in float64' % (
                names[i], margin.min())
    return None


def _size(x):
    return max(abs(x).max(), 1.)


def _margin(operation, x):
    """Returns how far values are from where they would become others."""
    if isinstance(operation, operations.Quantize):
        levels = x * operation.n
        inside = (levels > operation.low * operation.n - 1) & (
            levels < operation.high * operation.n + 1)
        return numpy.where(
            inside, abs(levels - numpy.floor(levels) - .5), 1) / operation.n
    if operation.shift is not None:
        x = x - reference.channels(operation.shift.astype(x.dtype), x)
    return abs(x)


def _words(operation, x, turned, name):
    at = numpy.argwhere(turned)
    margin = _margin(operation, x)[turned]
    if margin.max() > _TIE * _size(x):
        return None
    return '%s, unit %s: %.1e from its threshold in float64, on the other ' \
        'side in float32%s' % (
            name, ','.join(map(str, at[0][1:])), margin[0],
            '' if len(at) == 1 else ' (and %d more)' % (len(at) - 1))
