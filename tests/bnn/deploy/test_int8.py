"""Float first and last layers in 8 bits."""
import numpy

from bnn.deploy import int8
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import run


def test_int8_ends(described, make_rescale, make_images):
    for name, kind in (
            ('lenet5', 'standard'), ('nin', 'standard'), ('lenet5', 'unit'),
            ('FloatMLP-1', 'standard'), ('lenet5-float', 'signed')):
        shape, before = described(name)
        rescale = make_rescale(kind, shape[0])
        x = make_images(20, shape)
        found, rescale8 = int8.quantize_ends(before, rescale, x)
        packed = packing.pack(found, shape, rescale8, map(str, range(10)),
                              pad_pixels=True)
        first, last = packed.products[0], packed.products[-1]
        assert first.operand == 'pixels' and last.operand == 'levels'
        assert first.weights.bits == last.weights.bits == 8
        assert first.is_integer and last.is_integer
        scores = run.Net(packed).scores(x)
        numpy.testing.assert_allclose(  # what it says that it computes
            scores, reference.run([rescale8, *found], x),
            atol=.1 * abs(scores).max())
        if 'float' in name.lower():  # no signs that a rounding turns
            expected = reference.run([rescale, *before], x)
            numpy.testing.assert_allclose(
                scores, expected, atol=.05 * abs(expected).max())


def test_int8_takes_levels_as_they_are(described, make_rescale, make_images):
    for name, operand in (
            ('dorefa-32-1', 'bits'), ('dorefa-32-2', 'levels'),
            ('linear-32-2', 'levels')):
        shape, before = described(name)
        x = make_images(20, shape)
        found, rescale = int8.quantize_ends(
            before, make_rescale('unit', 1), x)
        assert len(found) == len(before)
        packed = packing.pack(found, shape, rescale, map(str, range(10)))
        last = packed.products[-1]
        assert last.operand == operand and last.weights.bits == 8
        assert last.is_integer
        expected = reference.run([rescale, *found], x)
        numpy.testing.assert_allclose(
            run.Net(packed).scores(x), expected, rtol=1e-5,
            atol=1e-5 * abs(expected).max())


def test_int8_leaves_binary_ends(described, make_rescale, make_images):
    shape, before = described('binary-1')
    rescale = make_rescale('unit', 1)
    after, same = int8.quantize_ends(before, rescale, make_images(2, shape))
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert same is rescale
