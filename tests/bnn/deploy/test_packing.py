"""Nets packed, written, read and run; what is refused with a reason."""
import dataclasses
import itertools
import math

import numpy
import pytest

import net
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import run
from bnn.deploy import stages
from bnn.deploy import table

KINDS = 'unit', 'signed', 'standard', 'binary'


def check(packed, found, x):
    """Compares a packed net, written and read, with its operations."""
    contents = file_format.dump(packed)
    again = file_format.parse(contents)
    assert file_format.dump(again) == contents
    found = [packed.rescale, *found]
    scores = run.Net(again).scores(x)
    # A sign of float sums may be turned by their rounding; the first net of
    # that sort is looked at in float32, which has the same.
    exact, rounded = (reference.run(found, x, dtype)
                      for dtype in (numpy.float64, numpy.float32))
    assert min(abs(scores - exact).max(), abs(scores - rounded).max()) <= (
        1e-4 * abs(exact).max())


def check_nets(cases, pack, described, make_images):
    for name, kind in cases:
        shape, found = described(name)
        check(pack(name, kind), found, make_images(3, shape))


def test_nets(pack, described, make_images):
    # Each scaling where the first layer is another sort
    check_nets(itertools.product((
        'binary-3', 'dorefa-3-3', 'BinaryWeightMLP-1', 'lenet5-shift',
        'convnet-binary-0'), KINDS), pack, described, make_images)


@pytest.mark.slow
def test_every_net(net_names, pack, described, make_images):
    check_nets(((name, kind) for name in net_names for kind in KINDS
                if kind == 'standard'
                or name not in ('alexnet', 'nin-imagenet')),
               pack, described, make_images)


def test_random_small_nets(make_images):
    """Odd sizes, strides, pads, groups, pools, every end."""
    random = numpy.random.RandomState(0)

    def draw(low, high, n=2):
        return tuple(random.randint(low, high, n).tolist())

    for case in range(60):
        channels, filters, bits = *draw(1, 4, 1), *draw(1, 40, 1), (1, 3, 32)[
            case % 3]
        groups = channels if case % 5 == 0 else 1
        filters *= groups
        size = draw(6, 12)
        found = [operations.Convolution2D(
            name='c', groups=groups, pad=draw(0, 2), pad_value=case % 2,
            stride=draw(1, 3), b=random.uniform(-1, 1, filters).astype('f'),
            W=weights(random, (filters, channels // groups, *draw(1, 4)),
                      bits, random.uniform(.1, 1, filters).astype('f')))]
        if random.randint(2):
            found.append(operations.MaxPooling2D(
                ksize=(2, 2), stride=draw(1, 3), cover_all=case % 4 < 2))
        found += [normalization(random, filters), (
            operations.Sign(), operations.Quantize(n=3, low=0., high=1.),
            operations.Quantize(n=50, low=-1., high=1.), operations.ReLU())[
                random.randint(4)]]
        if random.randint(2):
            found.append(operations.MaxPooling2D(
                ksize=(1, 1), stride=draw(1, 3)))
        shape = channels, *size
        for one in found:
            shape = tuple(one.output_shape(shape))
        found += [operations.Flatten(), operations.Linear(
            name='l', W=weights(random, (3, math.prod(shape)), 1))]
        rescale = operations.Rescale(
            kind=KINDS[random.randint(4)], mean=(.3,), std=(.2,))
        check(packing.pack(found, (channels, *size), rescale, 'abc'), found,
              make_images(4, (channels, *size), case))


def weights(random, shape, bits, scale=None):
    values = {1: lambda: random.choice(numpy.int8([-1, 1]), shape),
              3: lambda: random.randint(-4, 5, shape).astype(numpy.int16),
              32: lambda: random.uniform(-1, 1, shape).astype('f')}[bits]()
    return operations.Weights(bits, values, scale if bits == 1 else None)


def normalization(random, n):
    return operations.BatchNormalization(name='b', eps=1e-4, **{
        name: random.uniform(low, 2, n).astype('f') for name, low in (
            ('gamma', -2), ('beta', -2), ('mean', -2), ('var', .1))})


def test_kinds(pack):
    whole = ['bits>bits'] * 7
    for name, kinds in (
            ('binary-3', ['pixels>bits', *whole[:2], 'bits>float']),
            ('dorefa-3-3', ['pixels>levels', 'levels>levels',
                            'levels>float']),
            ('dorefa-8-8', ['pixels>levels', 'levels>levels',
                            'levels>float']),
            ('lenet5', ['float>bits', 'bits>bits', 'bits>float',
                        'float>float']),
            ('convnet-binary-0', ['pixels>bits', *whole, 'bits>float']),
            ('convnet-binary-1', ['pixels>bits', *whole, 'bits>float']),
            ('resnet20', ['float>float', *['bits>float'] * 18,
                          'float>float'])):
        packed = pack(name, 'signed')
        assert [f'{one.operand}>{one.result}'
                for one in packed.products] == kinds
        assert name.startswith(('binary', 'dorefa', 'resnet20')) or any(
            isinstance(one, stages.BitMaxPooling) for one in packed.stages)


@pytest.mark.slow
def test_whitened(described, whiten, make_rescale, make_images):
    for name in ('convnet-binary-0', 'convnet-binary-weight-0'):
        shape, found = described(name)
        found = [whiten, *found]
        packed = packing.pack(
            found, shape, make_rescale('unit', 3), map(str, range(10)))
        assert packed.products[0].operand == 'float'
        check(packed, found, make_images(4, shape))
    *_, total = table.rows(packed)
    assert total['packed bytes'] > 4 * (3072 ** 2 + 3072)


def test_damaged_whitening(described, whiten, make_rescale):
    shape, found = described('convnet-binary-0')
    for changes in {'mean': whiten.mean[1:]}, {'matrix': whiten.matrix[1:]}:
        with pytest.raises(errors.UserError, match='whitening: an array is'):
            packing.pack([dataclasses.replace(whiten, **changes), *found],
                         shape, make_rescale('unit', 3), map(str, range(10)))


def test_file_is_small(pack):
    n_weights = 784 * 1000 + 1000 * 1000 + 1000 * 10
    assert len(file_format.dump(pack(
        net.BinaryMLP(1000)))) <= 4 * n_weights / 28


def test_groups_of_pixels_with_other_means(make_images):
    random = numpy.random.RandomState(0)
    found = [
        operations.Convolution2D(
            name='c', groups=2, W=weights(random, (6, 2, 3, 3), 1)),
        operations.Sign(), operations.Flatten(),
        operations.Linear(name='l', W=weights(random, (3, 6 * 5 * 5), 1))]
    packed = packing.pack(found, (4, 7, 7), operations.Rescale(
        kind='standard', mean=(.1, .3, .6, .9), std=(.25,) * 4), 'abc')
    assert packed.products[0].operand == 'pixels'
    check(packed, found, make_images(9, (4, 7, 7)))


@pytest.mark.parametrize('activation, kind', [
    (operations.Sign(), stages.BitMaxPooling),
    (operations.Quantize(n=3, low=0., high=1.), stages.FloatStage),
    (operations.Quantize(n=50, low=-1., high=1.), stages.FloatStage)])
@pytest.mark.parametrize('cover_all', [True, False])
def test_pool_behind_an_activation(activation, kind, cover_all, make_images):
    random = numpy.random.RandomState(0)
    found = [
        operations.Convolution2D(
            name='c', W=weights(random, (40, 1, 2, 2), 1)),
        normalization(random, 40), activation,
        operations.MaxPooling2D(
            ksize=(3, 2), stride=(2, 2), pad=(1, 0), cover_all=cover_all),
        operations.Flatten(), operations.Linear(name='l', W=weights(
            random, (3, 40 * 6 * (5 + cover_all)), 3))]
    packed = packing.pack(found, (1, 12, 12), operations.Rescale(
        kind='unit'), 'abc')
    assert isinstance(packed.stages[1], kind)
    assert all(one.is_integer for one in packed.products)
    check(packed, found, make_images(9, (1, 12, 12)))


@pytest.mark.parametrize('one, words', [
    (operations.Keep(name='b2'), 'b2 behind b cannot be packed'),
    (operations.ReLU(), 'ReLU behind b cannot be packed: it takes floats, '
     'not bits'),
    (operations.Bias(name='b2', b=numpy.ones(3, 'f')),
     'b2 behind b cannot be packed')])
def test_refuses_arithmetic_of_bits(one, words):
    found = [operations.Sign(name='b'), one, operations.Linear(
        name='l', W=weights(numpy.random.RandomState(0), (2, 3), 32))]
    with pytest.raises(errors.UserError, match=words):
        packing.pack(found, (3, 1, 1), operations.Rescale(kind='unit'), '01')


def test_refuses_levels_padded_with_1():
    found = [operations.Quantize(n=3, low=0., high=1.),
             operations.Convolution2D(
                 name='c', pad=(1, 0), pad_value=1, W=weights(
                     numpy.random.RandomState(0), (2, 1, 3, 3), 1))]
    with pytest.raises(errors.UserError, match='c cannot be packed: it pads'):
        packing.pack(found, (1, 3, 3), operations.Rescale(kind='unit'), '01')
