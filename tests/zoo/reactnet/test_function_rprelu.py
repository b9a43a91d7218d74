"""RPReLU in one operation: the chain of Chainer's functions that it is."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

from zoo.reactnet import function_rprelu

rprelu = function_rprelu.rprelu


def in_parts(x, gamma, beta, zeta):
    return F.bias(F.prelu(F.bias(x, -gamma), beta), zeta)


def case(*shape, dtype='d'):
    normal = numpy.random.standard_normal
    x, gy, ggx = normal((3, *shape)).astype(dtype)
    x[:, 0] = .5
    params = normal((3, shape[1])).astype(dtype)
    params[0, 0] = .5  # the corner
    return [x, *params], gy, ggx


def run(function, arrays, gy):
    """Result, gradients of all operands, and the creator's name."""
    v = [chainer.Variable(a) for a in arrays]
    y = function(*v)
    y.grad = gy
    y.backward()
    return [y.array, *(one.grad for one in v)], type(y.creator).__name__


@pytest.mark.parametrize('dtype, tolerance', [
    ('f', 1e-5), ('d', 1e-12), ('e', 0)])
def test_against_chainer(dtype, tolerance):
    for shape in (4, 3, 5, 6), (30, 8, 20, 21), (2, 3, 7), (6, 3):
        arrays, gy, _ = case(*shape, dtype=dtype)
        ours, name = run(rprelu, arrays, gy)
        theirs, _ = run(in_parts, arrays, gy)
        assert (name == 'RPReLUFunction') == (
            dtype != 'e' and len(shape) > 2)
        numpy.testing.assert_array_equal(ours[0], theirs[0])
        numpy.testing.assert_array_equal(ours[1], theirs[1])
        for a, b in zip(ours[2:], theirs[2:], strict=True):
            assert a.dtype == dtype
            numpy.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * gy[:, 0].size)


def test_not_finite():
    nan, inf = numpy.nan, numpy.inf
    values = numpy.array([nan, inf, -inf, 0., -0., 1, -1])
    zero = numpy.zeros(1)
    for x in values:
        for g in values:
            with numpy.errstate(invalid='ignore'):
                ours, theirs = (run(
                    function,
                    [numpy.full((1, 1, 1), x), zero, zero + .25, zero],
                    numpy.full((1, 1, 1), g))[0]
                    for function in (rprelu, in_parts))
            for a, b in zip(ours, theirs, strict=True):
                numpy.testing.assert_array_equal(a, b)


def test_double_backward():
    arrays, gy, ggx = case(4, 3, 5)
    found = []
    for function in rprelu, in_parts:
        v = [chainer.Variable(a) for a in arrays]
        g = chainer.Variable(gy)
        gradients = chainer.grad(
            [function(*v)], v, [g], enable_double_backprop=True)
        total = F.sum(gradients[0] * ggx) + sum(
            F.sum(one ** 2) for one in gradients[1:])
        found.append(chainer.grad([total], [*v[:3], g]))
    for a, b in zip(*found, strict=True):
        numpy.testing.assert_allclose(
            a.array, b.array, rtol=1e-9, atol=1e-9)


def test_bad_types():
    (x, *params), _, _ = case(2, 3, 4, dtype='f')
    for wrong in ((chainer.Variable(x.astype(int)), *params),
                  (x[:, :2], *params),
                  (x, params[0].astype('d'), *params[1:])):
        with pytest.raises(type_check.InvalidType):
            rprelu(*wrong)
