"""The k-bit activation: values, gradients, 1 and 32 bits."""
import chainer
import numpy
import pytest
from chainer.utils import type_check

import bst
from zoo.quantized_net import qst

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
QUANTIZERS = ('dorefa', 'linear')


def run(x, gy, *args):
    """Returns value and gradient."""
    x = chainer.Variable(x)
    y = qst.qst(x, *args)
    y.grad = gy
    y.backward()
    assert y.dtype == x.grad.dtype == x.dtype
    return y.array, x.grad


def edges(end, dtype):
    end = dtype(end)
    return [numpy.nextafter(end, dtype(-9)), end,
            numpy.nextafter(end, dtype(9))]


def test_dorefa_by_hand():
    for dtype in DTYPES:
        x = numpy.array(
            [-5, *edges(0, dtype), .1, .2, .4, .5, .6, .9, *edges(1, dtype),
             5, numpy.nan, numpy.inf, -numpy.inf], dtype)
        gy = numpy.arange(1, len(x) + 1).astype(dtype)
        y, gx = run(x, gy, 2)  # DoReFa by default
        expected = numpy.array(
            [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, numpy.nan, 3, 0])
        numpy.testing.assert_array_equal(y, (expected / 3).astype(dtype))
        numpy.testing.assert_array_equal(
            gx, [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0, 0])


def test_linear_by_hand():
    for dtype in DTYPES:
        x = numpy.array(
            [-5, *edges(-1, dtype), -.76, -.75, -.74, -.25, -.2, 0, .25, .26,
             .75, *edges(1, dtype), 5, numpy.nan, numpy.inf, -numpy.inf],
            dtype)
        gy = numpy.arange(1, len(x) + 1).astype(dtype)
        y, gx = run(x, gy, 2, 'linear')
        numpy.testing.assert_array_equal(
            y, [-1, -1, -1, -1, -1, -1, -.5, 0, 0, 0, 0, .5, 1, 1, 1, 1, 1,
                numpy.nan, 1, -1])
        numpy.testing.assert_array_equal(
            gx, [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0,
                 0, 0])


def test_against_formula():
    for bits in 2, 3, 8:
        for quantizer in QUANTIZERS:
            n = (2 ** bits - 1 if quantizer == 'dorefa'
                 else 2 ** (bits - 1))
            low = 0 if quantizer == 'dorefa' else -1
            for shape in (4, 3), (2, 3, 1, 5), (), (0, 3):
                # Moved by less than half a step: no value near a boundary
                x = numpy.asarray(
                    numpy.random.randint(-2 * n, 2 * n, shape)
                    + numpy.random.uniform(-.2, .2, shape)) / n
                expected = numpy.floor(numpy.clip(x, low, 1) * n + .5) / n
                for dtype in DTYPES:
                    y = qst.qst(numpy.array(x, dtype), bits, quantizer)
                    assert y.dtype == dtype
                    assert y.shape == shape
                    numpy.testing.assert_allclose(
                        y.array, expected,
                        atol=1e-3 if dtype is numpy.float16 else 1e-6)


def test_one_bit():
    x = numpy.random.uniform(-2, 2, 200)
    for dtype in DTYPES:
        x_edges = numpy.concatenate([x, [
            0, -0., 1, -1, *edges(1, dtype), *edges(-1, dtype), numpy.inf,
            -numpy.inf, numpy.nan]]).astype(dtype)
        gy = numpy.random.normal(size=len(x_edges)).astype(dtype)
        v = chainer.Variable(x_edges)
        expected = bst.bst(v)
        expected.grad = gy
        expected.backward()
        for quantizer in QUANTIZERS:
            y, gx = run(x_edges, gy, 1, quantizer)
            assert y.tobytes() == expected.array.tobytes()
            assert gx.tobytes() == v.grad.tobytes()


def test_32_bits():
    for dtype in DTYPES:
        for quantizer, low in ('dorefa', 0), ('linear', -1):
            x = numpy.array(
                [-5, *edges(low, dtype), -.3, .123, *edges(1, dtype), 5],
                dtype)
            gy = numpy.arange(1, len(x) + 1).astype(dtype)
            y, gx = run(x, gy, 32, quantizer)
            numpy.testing.assert_array_equal(y, numpy.clip(x, low, 1))
            numpy.testing.assert_array_equal(
                gx, numpy.where((low <= x) & (x <= 1), gy, 0))


def test_double_backward():
    x, gy, v = (chainer.Variable(numpy.array(values, 'f')) for values in (
        [-2, 0, .5, 1, 3], [1, 2, 3, 4, 5], [10] * 5))
    gx, = chainer.grad(
        [qst.qst(x, 2)], [x], [gy], enable_double_backprop=True)
    ggy, gx_x = chainer.grad([gx], [gy, x], [v])
    numpy.testing.assert_array_equal(ggy.array, [0, 10, 10, 10, 0])
    assert gx_x is None  # the mask is a constant


def test_levels():
    assert qst.levels(2, 'dorefa') == (3, 0, 1)
    assert qst.levels(8, 'dorefa') == (255, 0, 1)
    assert qst.levels(2, 'linear') == (2, -1, 1)
    assert qst.levels(8, 'linear') == (128, -1, 1)
    node = qst.qst(chainer.Variable(numpy.zeros(2, 'f')), 3).creator
    assert (node.n, node.low, node.high) == (7, 0, 1)


def test_number_of_levels():
    x = numpy.linspace(-1.2, 1.2, 20001).astype(numpy.float32)
    for bits in range(2, 9):
        y = qst.qst(x, bits).array
        assert len(numpy.unique(y)) == 2 ** bits
        assert (y.min(), y.max()) == (0, 1)
        levels = numpy.unique(qst.qst(x, bits, 'linear').array)
        numpy.testing.assert_array_equal(
            levels, numpy.arange(-2 ** (bits - 1), 2 ** (bits - 1) + 1)
            * 2. ** (1 - bits))
        assert len(levels) == 2 ** bits + 1


def test_levels_are_fixed_points():
    for bits in range(2, 9):
        for quantizer in QUANTIZERS:
            n, low, high = qst.levels(bits, quantizer)
            for dtype in DTYPES:
                x = (numpy.arange(low * n, high * n + 1) / n).astype(dtype)
                numpy.testing.assert_array_equal(
                    qst.qst(x, bits, quantizer).array, x)


def test_wrong_arguments():
    for quantizer in QUANTIZERS:
        for bits in 0, -1, 9, 16, 31, 33, 2.5, None, '2':
            with pytest.raises(
                    ValueError, match='bits must be 1 to 8 or 32'):
                qst.qst(numpy.zeros(3, 'f'), bits, quantizer)
    for bits in 1, 2, 32:
        with pytest.raises(
                ValueError, match="no quantizer 'log'.*dorefa.*linear"):
            qst.qst(numpy.zeros(3, 'f'), bits, 'log')
    for bits in 1, 2:
        for dtype in 'i', 'u1', '?':
            with pytest.raises(type_check.InvalidType):
                qst.qst(numpy.ones(3, dtype), bits)
