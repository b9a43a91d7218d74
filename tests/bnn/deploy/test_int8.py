"""Float first and last layers in 8 bits."""
import numpy
import pytest

from bnn.deploy import file_format
from bnn.deploy import int8
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import runtime


@pytest.mark.parametrize('name, kind', [
    ('lenet5', 'standard'), ('nin', 'standard'), ('lenet5', 'unit'),
    ('FloatMLP-1', 'standard'), ('lenet5-float', 'signed')])
def test_int8_ends(name, kind, make_net, make_rescale, make_images):
    shape, predictor = make_net(name)
    rescale = make_rescale(kind, shape[0])
    x = make_images(20, shape)
    before = predictor.describe()
    found, rescale8 = int8.quantize_ends(before, rescale, x)
    net = packing.pack(found, shape, rescale8, map(str, range(10)),
                       pad_pixels=True)
    first, last = net.products[0], net.products[-1]
    assert first.operand == 'pixels' and last.operand == 'levels'
    assert first.weights.bits == last.weights.bits == 8
    assert first.is_integer and last.is_integer
    net = file_format.parse(file_format.dump(net))
    scores = runtime.Net(net).scores(x)
    numpy.testing.assert_allclose(  # what it says that it computes
        scores, reference.run([rescale8, *found], x),
        atol=.1 * abs(scores).max())
    if 'float' in name.lower():  # no signs that a rounding turns
        expected = reference.run([rescale, *before], x)
        numpy.testing.assert_allclose(
            scores, expected, atol=.05 * abs(expected).max())


@pytest.mark.parametrize('name, operand', [
    ('dorefa-32-1', 'bits'), ('dorefa-32-2', 'levels'),
    ('linear-32-2', 'levels')])
def test_int8_takes_levels_as_they_are(
        name, operand, make_net, make_rescale, make_images):
    shape, predictor = make_net(name)
    x, before = make_images(20, shape), predictor.describe()
    found, rescale = int8.quantize_ends(before, make_rescale('unit', 1), x)
    assert len(found) == len(before)
    net = packing.pack(found, shape, rescale, map(str, range(10)))
    last = net.products[-1]
    assert last.operand == operand and last.weights.bits == 8
    assert last.is_integer
    expected = reference.run([rescale, *found], x)
    numpy.testing.assert_allclose(
        runtime.Net(net).scores(x), expected, rtol=1e-5,
        atol=1e-5 * abs(expected).max())


def test_int8_leaves_binary_ends(make_net, make_rescale, make_images):
    shape, predictor = make_net('binary-1')
    before = predictor.describe()
    rescale = make_rescale('unit', 1)
    after, same = int8.quantize_ends(before, rescale, make_images(2, shape))
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert same is rescale
