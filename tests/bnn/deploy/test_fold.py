"""Thresholds against batch normalization in float64, at every sum."""
import numpy
import pytest

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import runtime


def normalization(random, n, gamma=None):
    def f(*args):
        return random.uniform(*args, n).astype('f')
    if gamma is None:
        # Of every sign, and some 0
        gamma = f(-1, 1) * random.choice([0, 1, 1, 1, 1], n).astype('f')
    return operations.BatchNormalization(
        name='b', gamma=gamma, beta=f(-1, 1), mean=f(-5, 5), var=f(.1, 9),
        eps=1e-4)


def layers(random, n_in, n_out, following, alpha=False):
    values = random.choice([-1, 1], (n_out, n_in)).astype(numpy.int8)
    scale = random.uniform(.1, 1, n_out).astype('f') if alpha else None
    return [operations.Linear(
        name='l', W=operations.Weights(1, values, scale),
        b=random.uniform(-2, 2, n_out).astype('f')), *following]


def pack(found, shape, kind='binary'):
    n = found[-1].output_shape((len(found[0].b),))[0]
    # Scores behind the signs, so that it is a whole net
    last = operations.Linear(name='last', W=operations.Weights(
        1, numpy.ones((1, n), numpy.int8)))
    return packing.pack([*found, last], shape, operations.Rescale(kind=kind),
                        ['0'])


@pytest.mark.parametrize('n_in', (1, 63, 64, 65, 127))
@pytest.mark.parametrize('middle', ('', 'alpha', 'relu', 'two', 'rprelu'))
def test_every_sum(n_in, middle):
    random = numpy.random.RandomState(n_in)
    n_out = 40
    following = [normalization(random, n_out)]
    if middle in ('relu', 'two'):
        following.append(operations.ReLU())
    if middle == 'rprelu':
        following.append(operations.RPReLU(**{
            name: random.uniform(low, 1, n_out).astype('f') for name, low in (
                ('gamma', -1), ('zeta', -1), ('beta', 0))}))
    if middle in ('two', 'rprelu', 'relu'):
        following.append(normalization(random, n_out))
    following.append(operations.Sign(shift=None if middle == '' else (
        random.uniform(-.1, .1, n_out).astype('f'))))
    found = layers(random, n_in, n_out, following, middle != '')
    layer = pack(found, (n_in, 1, 1)).products[0]
    assert layer.result == 'bits' and layer.thresholds.dtype == numpy.int32
    W = found[0].W.values
    turned = (layer.weights.rows() != W).any(axis=1)
    assert (layer.weights.rows() == numpy.where(
        turned[:, None], -W, W)).all()
    # All popcounts, by the sums that they make
    sums = n_in - 2 * numpy.arange(n_in + 1)[:, None]
    y = sums * found[0].W.scales() + found[0].b
    for one in following:
        y = reference.apply(one, y, numpy.float64)
    bits = numpy.where(
        turned, -sums, sums) >= layer.thresholds.astype(numpy.int64)
    assert ((y > 0) == bits).all()


@pytest.mark.parametrize('beta, bit', [(.5, 1), (0., 1), (-.5, -1)])
def test_gamma_0_is_a_constant(beta, bit):
    random = numpy.random.RandomState(0)
    one = normalization(random, 3, numpy.zeros(3, 'f'))
    one.beta[...] = beta
    layer = pack(layers(random, 9, 3, [one, operations.Sign()]),
                 (9, 1, 1)).products[0]
    assert (layer.thresholds == (
        packed.ALWAYS if bit == 1 else packed.NEVER)).all()


def test_zero_is_plus_one():
    random = numpy.random.RandomState(0)
    found = layers(random, 8, 4, [operations.Sign()])
    found[0].b[...] = [0, -2, 2, -1]
    layer = pack(found, (8, 1, 1)).products[0]
    assert (layer.thresholds == [0, 2, -2, 1]).all()


@pytest.mark.parametrize('kind', ('unit', 'signed', 'standard'))
def test_pixels(kind):
    random = numpy.random.RandomState(1)
    n_out = 50
    found = layers(random, 30, n_out, [
        normalization(random, n_out), operations.Sign()])
    rescale = operations.Rescale(kind=kind, mean=(.1307,), std=(.3081,))
    net = packing.pack([
        operations.Flatten(), *found, operations.Linear(
            name='last', W=operations.Weights(
                1, numpy.eye(n_out, dtype=numpy.int8) * 2 - 1))],
        (1, 5, 6), rescale, map(str, range(n_out)))
    assert net.products[0].operand == 'pixels'
    x = random.randint(0, 256, (500, 1, 5, 6)).astype(numpy.uint8)
    bits = reference.run([rescale, operations.Flatten(), *found], x)
    expected = bits @ (numpy.eye(n_out) * 2 - 1).T
    assert (runtime.Net(net).scores(x) == expected).all()


@pytest.mark.parametrize('cover_all', (False, True))
@pytest.mark.parametrize('pad', (0, 1))
@pytest.mark.parametrize('where', ('before', 'between', 'after'))
def test_pool_on_bits(where, pad, cover_all):
    random = numpy.random.RandomState(2)
    n = 37
    pool = operations.MaxPooling2D(
        ksize=(3, 2), stride=(2, 2), pad=(pad, pad), cover_all=cover_all)
    middle = [normalization(random, n), normalization(random, n)]
    middle.insert(('before', 'between', 'after').index(where), pool)
    found = [
        operations.Convolution2D(
            name='c', W=operations.Weights(1, random.choice(
                [-1, 1], (n, 2, 3, 3)).astype(numpy.int8)),
            b=random.uniform(-1, 1, n).astype('f'), pad=(1, 1)),
        *middle, operations.Sign()]
    shape = (2, 9, 8)
    for one in found:
        shape = one.output_shape(shape)
    n_in = int(numpy.prod(shape))
    found += [operations.Flatten(), operations.Linear(
        name='last', W=operations.Weights(1, random.choice(
            [-1, 1], (20, n_in)).astype(numpy.int8)))]
    rescale = operations.Rescale(kind='binary')
    net = packing.pack(found, (2, 9, 8), rescale, map(str, range(20)))
    pools = [one for one in net.stages
             if isinstance(one, packed.BitMaxPooling)]
    assert len(pools) == 1
    if where != 'after':
        assert 0 < pools[0].is_minimum.sum() < n
    x = random.randint(0, 256, (6, 2, 9, 8)).astype(numpy.uint8)
    expected = reference.run([rescale, *found], x)
    assert (runtime.Net(net).scores(x) == expected).all()


def test_no_single_threshold():
    # A slope below 0 turns the order on one side.
    random = numpy.random.RandomState(3)
    n = 6
    found = layers(random, 20, n, [
        operations.RPReLU(gamma=numpy.zeros(n, 'f'), zeta=-numpy.ones(
            n, 'f'), beta=-numpy.ones(n, 'f')), operations.Sign()])
    rescale = operations.Rescale(kind='binary')
    last = operations.Linear(name='last', W=operations.Weights(
        1, numpy.eye(n, dtype=numpy.int8) * 2 - 1))
    net = packing.pack([operations.Flatten(), *found, last], (1, 4, 5),
                       rescale, map(str, range(n)))
    assert [one.result for one in net.products] == ['float', 'float']
    x = random.randint(0, 256, (50, 1, 4, 5)).astype(numpy.uint8)
    assert (runtime.Net(net).scores(x) == reference.run(
        [rescale, operations.Flatten(), *found, last], x)).all()


@pytest.mark.parametrize('name', ('gamma', 'beta', 'mean', 'var'))
@pytest.mark.parametrize('value', (numpy.nan, numpy.inf))
def test_refused(name, value):
    random = numpy.random.RandomState(4)
    one = normalization(random, 5)
    getattr(one, name)[3] = value
    with pytest.raises(errors.UserError,
                       match='b cannot be packed: its %s is NaN' % name):
        pack(layers(random, 9, 5, [one, operations.Sign()]), (9, 1, 1))


def test_refused_shapes():
    random = numpy.random.RandomState(5)
    found = layers(random, 9, 5, [operations.Sign()])
    with pytest.raises(errors.UserError, match='l cannot be packed: it does '
                       'not take 8x1x1'):
        pack(found, (8, 1, 1))
    with pytest.raises(errors.UserError, match='ends with bits'):
        packing.pack(found, (9, 1, 1), operations.Rescale(kind='binary'),
                     ['0'])
