"""Thresholds against batch normalization in float64, at every sum."""
import itertools

import numpy
import pytest

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import run
from bnn.deploy import stages

BINARY = operations.Rescale(kind='binary')


def normalization(random, n):
    def f(*args):
        return random.uniform(*args, n).astype('f')
    # Of every sign, and some 0
    gamma = f(-1, 1) * random.choice([0, 1, 1, 1, 1], n).astype('f')
    return operations.BatchNormalization(
        name='b', gamma=gamma, beta=f(-1, 1), mean=f(-5, 5), var=f(.1, 9),
        eps=1e-4)


def rprelu(random, n, least_slope=0):
    return operations.RPReLU(**{
        name: random.uniform(low, 1, n).astype('f') for name, low in (
            ('gamma', -1), ('zeta', -1), ('beta', least_slope))})


def layers(random, n_in, n_out, following, alpha=False):
    values = random.choice([-1, 1], (n_out, n_in)).astype(numpy.int8)
    scale = random.uniform(.1, 1, n_out).astype('f') if alpha else None
    return [operations.Linear(
        name='l', W=operations.Weights(1, values, scale),
        b=random.uniform(-2, 2, n_out).astype('f')), *following]


def scores_of(n):
    """A layer whose scores tell all of n signs."""
    return operations.Linear(name='last', W=operations.Weights(
        1, numpy.eye(n, dtype=numpy.int8) * 2 - 1))


def pack(found, shape, rescale=BINARY):
    n = len(found[0].b)
    return packing.pack([operations.Flatten(), *found, scores_of(n)], shape,
                        rescale, map(str, range(n)))


def check(found, shape, rescale=BINARY):
    """Compares the scores with the definition's; returns the packed net."""
    packed = pack(found, shape, rescale)
    x = numpy.random.RandomState(0).randint(
        0, 256, (200, *shape)).astype(numpy.uint8)
    expected = reference.run([rescale, operations.Flatten(), *found,
                              scores_of(len(found[0].b))], x)
    assert (run.Net(packed).scores(x) == expected).all()
    return packed


def test_every_sum():
    for n_in, middle in itertools.product(
            (1, 63, 64, 65, 127), ('', 'alpha', 'relu', 'rprelu')):
        random = numpy.random.RandomState(n_in)
        n_out = 40
        following = [normalization(random, n_out)]
        if middle in ('relu', 'rprelu'):
            following += [
                operations.ReLU() if middle == 'relu' else rprelu(
                    random, n_out), normalization(random, n_out)]
        following.append(operations.Sign(shift=None if middle == '' else (
            random.uniform(-.1, .1, n_out).astype('f'))))
        found = layers(random, n_in, n_out, following, middle != '')
        layer = pack(found, (n_in, 1, 1)).products[0]
        assert layer.result == 'bits'
        assert layer.thresholds.dtype == numpy.int32
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
        assert ((y > 0) == bits).all(), (n_in, middle)


def test_gamma_0_is_a_constant():
    random = numpy.random.RandomState(0)
    one = normalization(random, 3)
    one.gamma[...] = 0
    one.beta[...] = .5, 0, -.5
    layer = pack(layers(random, 9, 3, [one, operations.Sign()]),
                 (9, 1, 1)).products[0]
    assert layer.thresholds.tolist() == [
        stages.ALWAYS, stages.ALWAYS, stages.NEVER]


def test_zero_is_plus_one():
    found = layers(numpy.random.RandomState(0), 8, 4, [operations.Sign()])
    found[0].b[...] = [0, -2, 2, -1]
    layer = pack(found, (8, 1, 1)).products[0]
    assert (layer.thresholds == [0, 2, -2, 1]).all()


def test_pixels():
    for kind in 'unit', 'signed', 'standard':
        random = numpy.random.RandomState(1)
        found = layers(random, 30, 50, [
            normalization(random, 50), operations.Sign()])
        packed = check(found, (1, 5, 6), operations.Rescale(
            kind=kind, mean=(.1307,), std=(.3081,)))
        assert packed.products[0].operand == 'pixels'


def test_pool_on_bits():
    for where, pad, cover_all in itertools.product(
            range(3), (0, 1), (False, True)):
        random = numpy.random.RandomState(2)
        n = 37
        middle = [normalization(random, n), normalization(random, n)]
        middle.insert(where, operations.MaxPooling2D(
            ksize=(3, 2), stride=(2, 2), pad=(pad, pad),
            cover_all=cover_all))
        found = [
            operations.Convolution2D(
                name='c', W=operations.Weights(1, random.choice(
                    [-1, 1], (n, 2, 3, 3)).astype(numpy.int8)),
                b=random.uniform(-1, 1, n).astype('f'), pad=(1, 1)),
            *middle, operations.Sign()]
        shape = (2, 9, 8)
        for one in found:
            shape = one.output_shape(shape)
        found += [operations.Flatten(), operations.Linear(
            name='last', W=operations.Weights(1, random.choice(
                [-1, 1], (20, int(numpy.prod(shape)))).astype(numpy.int8)))]
        packed = packing.pack(found, (2, 9, 8), BINARY, map(str, range(20)))
        pool, = (one for one in packed.stages
                 if isinstance(one, stages.BitMaxPooling))
        assert where == 2 or 0 < pool.is_minimum.sum() < n
        x = random.randint(0, 256, (6, 2, 9, 8)).astype(numpy.uint8)
        assert (run.Net(packed).scores(x) == reference.run(
            [BINARY, *found], x)).all()


def test_no_single_threshold():
    # A slope below 0 turns the order on one side.
    random = numpy.random.RandomState(3)
    one = rprelu(random, 6, -1)
    one.beta[0] = -1
    packed = check(layers(random, 20, 6, [one, operations.Sign()]),
                   (1, 4, 5))
    assert [one.result for one in packed.products] == ['float', 'float']


def test_refused():
    for name, value in itertools.product(
            ('gamma', 'beta', 'mean', 'var'), (numpy.nan, numpy.inf)):
        random = numpy.random.RandomState(4)
        one = normalization(random, 5)
        getattr(one, name)[3] = value
        with pytest.raises(errors.UserError, match='b cannot be packed: its '
                           f'{name} is NaN or infinite'):
            pack(layers(random, 9, 5, [one, operations.Sign()]), (9, 1, 1))
    found = layers(numpy.random.RandomState(5), 9, 5, [operations.Sign()])
    with pytest.raises(errors.UserError, match='l cannot be packed: it does '
                       'not take 8$'):
        pack(found, (8, 1, 1))
    with pytest.raises(errors.UserError, match='ends with bits'):
        packing.pack(found, (9, 1, 1), BINARY, ['0'])
