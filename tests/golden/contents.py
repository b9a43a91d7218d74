"""Parameters and images from a seed; they know nothing of the project.

What is drawn is exact on every machine: whole numbers, and what they give
when they are scaled; of the normal distribution it is rounded coarsely.
"""
import chainer
import numpy
from chainer.serializers import npz


def state(model):
    """Returns the parameters and persistent values of a link.

    Args:
        model (~chainer.Link): The link.

    Returns:
        dict: Sorted names, as model files have them (``'l1/W'``), to arrays.
    """
    serializer = npz.DictionarySerializer()
    serializer.save(model)
    return dict(sorted(serializer.target.items()))


def fill(model, seed):
    """Fills the parameters and statistics of a link from a seed.

    They are drawn in the sorted order of their names, all from one
    ``numpy.random.RandomState(seed)``:

    - of two axes or more: normal with a deviation of 0.3, rounded to 1/64,
      so that sums of them are exact in float32 (a few are 0);
    - ``.../avg_mean``: from -1 to 1; ``.../avg_var``: from 0.5 to 2;
    - ``.../gamma``: from 0.05 to 0.5, one of five negative;
    - others of one axis: from -0.2 to 0.2.

    Single numbers stay as they are.

    Args:
        model (~chainer.Link): The link, with all of its arrays allocated.
        seed (int): The seed.
    """
    random = numpy.random.RandomState(seed)
    found = state(model)
    for name, array in found.items():
        if array.ndim == 0:
            continue
        if array.ndim > 1:
            new = numpy.round(random.normal(0, .3, array.shape) * 64) / 64
        elif name.endswith('avg_mean'):
            new = random.uniform(-1, 1, array.shape)
        elif name.endswith('avg_var'):
            new = random.uniform(.5, 2, array.shape)
        elif name.endswith('gamma'):
            new = random.uniform(.05, .5, array.shape) * numpy.where(
                random.uniform(size=array.shape) < .2, -1, 1)
        else:
            new = random.uniform(-.2, .2, array.shape)
        found[name] = new.astype(array.dtype)
    npz.NpzDeserializer(found).load(model)


def images(n, shape, seed, two_tone=False):
    """Draws uint8 images: squares of 8 pixels under noise.

    Noise alone looks alike to a net with wide filters.

    Args:
        n (int): How many.
        shape (tuple of int): (channels, h, w).
        seed (int): The seed.
        two_tone (bool): Whether all pixels are 0 or 255.
    """
    random = numpy.random.RandomState(seed)
    channels, h, w = shape
    squares = random.randint(0, 256, (n, channels, h // 8 + 1, w // 8 + 1))
    squares = squares.repeat(8, axis=2).repeat(8, axis=3)[..., :h, :w]
    x = (3 * squares + random.randint(0, 256, (n, *shape))) // 4
    if two_tone:
        x = numpy.where(x < 128, 0, 255)
    return x.astype(numpy.uint8)


def scores(predictor, x):
    """Computes Chainer's scores of scaled images, in test mode."""
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return predictor(x).array
