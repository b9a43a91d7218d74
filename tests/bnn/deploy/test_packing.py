"""What is packed, and what is refused with a reason."""
import numpy
import pytest

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import runtime


def test_groups_of_pixels_with_other_means(make_images):
    random = numpy.random.RandomState(0)
    found = [
        operations.Convolution2D(name='c', groups=2, W=operations.Weights(
            1, random.choice([-1, 1], (6, 2, 3, 3)).astype('i1'))),
        operations.Sign(), operations.Flatten(),
        operations.Linear(name='l', W=operations.Weights(
            1, random.choice([-1, 1], (3, 6 * 5 * 5)).astype('i1')))]
    rescale = operations.Rescale(
        kind='standard', mean=(.1, .3, .6, .9), std=(.25,) * 4)
    net = packing.pack(found, (4, 7, 7), rescale, 'abc')
    assert net.products[0].operand == 'pixels'
    x = make_images(9, (4, 7, 7))
    numpy.testing.assert_allclose(
        runtime.Net(net).scores(x), reference.run([rescale, *found], x))


@pytest.mark.parametrize('one, words', [
    (operations.ReLU(), 'ReLU behind b cannot be packed: it takes floats, '
     'not bits'),
    (operations.Bias(name='b2', b=numpy.ones(3, 'f')),
     'b2 behind b cannot be packed')])
def test_refuses_arithmetic_of_bits(one, words):
    random = numpy.random.RandomState(0)
    found = [operations.Sign(name='b'), one, operations.Linear(
        name='l', W=operations.Weights(
            32, random.uniform(-1, 1, (2, 3)).astype('f')))]
    with pytest.raises(errors.UserError, match=words):
        packing.pack(found, (3, 1, 1), operations.Rescale(kind='unit'), '01')
