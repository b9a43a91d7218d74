"""Does a packed net agree with Chainer's, and if not, why?"""
import dataclasses

import chainer
import numpy

from bnn.deploy import operations
from bnn.deploy import reference
from bnn.training.learning import inputs

# Images at once; ten where they are of ImageNet's size
_BATCH, _LARGE_BATCH = 100, 10
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


def compare(trained, net_operations, net, data, explain=True):
    """Compares predictions on the test images.

    Args:
        trained (trained.Trained): The net in Chainer.
        net_operations (list of ~bnn.deploy.operations.Operation): What it
            computes, behind ``trained.rescale``.
        net (~bnn.deploy.run.Net): The packed one.
        data (~bnn.data.Dataset): The data.
        explain (bool): Whether to look for the ties.

    Returns:
        Agreement: What was found.
    """
    images, labels = data.test_images, data.test_labels
    n, hits, differing = 0, numpy.zeros(2, int), []
    size = _LARGE_BATCH if trained.input_shape[1] > 100 else _BATCH
    for start in range(0, len(labels), size):
        x, some = pixels(trained, images, range(start, start + size))
        theirs, ours = predict(trained, x), net.predict(x)
        n += len(some)
        hits += [(y == labels[some]).sum() for y in (theirs, ours)]
        for i in numpy.flatnonzero(theirs != ours):
            words = None
            if explain and len(differing) >= _MAX_EXPLAINED:
                words = f'not looked at, after {_MAX_EXPLAINED} others'
            elif explain:
                words = find_tie(
                    trained, net_operations, x[i:i + 1], theirs[i], ours[i])
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


def find_tie(trained, net_operations, x, theirs, ours):
    """Says which tie made two classes of an image.

    The net is computed in float64, and the first sign looked for that
    float32 turned.

    Args:
        trained (trained.Trained): The net in Chainer.
        net_operations (list of ~bnn.deploy.operations.Operation): What it
            computes, behind ``trained.rescale``.
        x (numpy.ndarray): One uint8 image, (1, channels, h, w).
        theirs, ours (int): The classes.

    Returns:
        str: In words, or ``None`` if there is no tie.
    """
    found = [trained.rescale, *net_operations]
    scores, signs = _signs(found, x, numpy.float64)
    gap = abs(scores[theirs] - scores[ours])
    if gap <= _TIE * max(abs(scores).max(), 1e-30):
        return f'the two scores differ by {gap:.1e} in float64'
    if scores.argmax() == ours:
        with _Outputs(trained.predictor) as hook:
            predict(trained, x)
        given = {name: (operation, hook.arrays[name])
                 for name, (operation, _) in signs.items()
                 if name in hook.arrays}
    else:  # then a float layer of the packed net was rounded
        given = _signs(found, x, numpy.float32)[1]
    for name, (operation, value) in signs.items():
        if name not in given:
            continue
        _, other = given[name]
        if not numpy.isin(other, (-1, 1)).all():  # not binarized yet
            other = reference.apply(operation, other, numpy.float64)
        wanted = reference.apply(operation, value, numpy.float64)
        turned = other.reshape(wanted.shape) != wanted
        if turned.any():
            return _words(operation, value, turned, name)
    return None


def _signs(found, x, dtype):
    """Computes a net, and what goes into its signs and k-bit activations.

    Returns:
        tuple: The scores, and a dict of the names of links, of the sign or
        else of what is before it, to the operation and its operand.
    """
    signs = {}
    names = {id(one): one.name or before.name
             for before, one in zip(found, found[1:], strict=False)}

    def watch(operation, value):
        if isinstance(operation, (operations.Sign, operations.Quantize)):
            signs[names[id(operation)]] = operation, value

    return reference.run(found, x, dtype, watch)[0], signs


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
    if margin.max() > _TIE * max(abs(x).max(), 1.):
        return None
    unit = ','.join(map(str, at[0][1:]))
    more = '' if len(at) == 1 else f' (and {len(at) - 1} more)'
    return (f'{name}, unit {unit}: {margin[0]:.1e} from its threshold in '
            f'float64, on the other side in float32{more}')
