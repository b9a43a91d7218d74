"""Dropout: Chainer's, with other random numbers and no mask."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.chainer_ops import function_dropout
from bnn.chainer_ops.function_dropout import dropout
from bnn.kernels import elementwise
from bnn.kernels import reference


def draw(shape, dtype=numpy.float32):
    return numpy.random.standard_normal(shape).astype(dtype)


def test_as_chainer_with_the_same_mask():
    for dtype in numpy.float32, numpy.float64:
        for shape in (7, 5), (2, 3, 4, 5), (300, 300), (0, 4):
            for ratio in 0, .2, .5:
                x, gy = draw(shape, dtype), draw(shape, dtype)
                numpy.random.seed(5)
                key = elementwise.draw_key()
                numpy.random.seed(5)
                mask = reference.dropout(numpy.ones(shape, dtype), ratio, key)
                ours, chainers = chainer.Variable(x), chainer.Variable(x)
                y = dropout(ours, ratio)
                expected = F.dropout(chainers, ratio, mask=mask)
                assert isinstance(y.creator, function_dropout.Dropout)
                for v in y, expected:
                    v.grad = gy
                    v.backward()
                for a, b in ((y.array, expected.array),
                             (ours.grad, chainers.grad)):
                    assert a.dtype == dtype
                    assert a.shape == shape
                    numpy.testing.assert_array_equal(a, b)


def test_each_call_draws_anew():
    x = numpy.ones((30, 40), 'f')
    first, second = dropout(x).array, dropout(x).array
    assert 0 < (first == second).mean() < 1
    numpy.random.seed(0)
    numpy.testing.assert_array_equal(dropout(x).array, first)


def test_share():
    y = dropout(numpy.ones((400, 500), 'f'), .3).array
    # Five standard errors
    assert abs((y == 0).mean() - .3) < 5 * (.3 * .7 / y.size) ** .5
    assert abs(y.mean() - 1) < .01


def test_special():
    x = numpy.array([numpy.nan, numpy.inf, -numpy.inf, -0., -1] * 20, 'f')
    with numpy.errstate(invalid='ignore'):
        y = dropout(x, .5).array
        mask = numpy.where(y[4::5], 2, 0)
        assert set(mask) == {0, 2}
        assert numpy.isnan(y[::5]).all()
        assert numpy.signbit(y[3::5]).all()


def test_layouts():
    assert dropout(draw((1,)).reshape(())).array.shape == ()
    x = draw((4, 6, 8))
    for v in x[::2], x[:, ::2], x.transpose(0, 2, 1), x[..., ::-1]:
        numpy.random.seed(1)
        y = dropout(v).array
        numpy.random.seed(1)
        numpy.testing.assert_array_equal(y, dropout(v.copy()).array)


def test_test_mode():
    x = chainer.Variable(draw((3, 4)))
    with chainer.using_config('train', False):
        assert dropout(x) is x
        assert dropout(x, 2) is x  # as Chainer's
        assert dropout(x.array).array is x.array


def test_chainers_own():
    x = draw((3, 4), numpy.float16)
    y = dropout(x)
    assert y.dtype == numpy.float16
    assert not isinstance(y.creator, function_dropout.Dropout)
    for ratio in -.1, 1, 1.5, float('nan'):
        with pytest.raises(ValueError):
            dropout(draw((3, 4)), ratio)
    with pytest.raises(type_check.InvalidType):
        dropout(numpy.ones((3, 4), int))


def test_gradients():
    x, gy, ggx = (draw((4, 5), numpy.float64) for _ in range(3))

    def fixed(v):
        numpy.random.seed(2)
        return dropout(v, .3)

    gradient_check.check_backward(fixed, x, gy, dtype=numpy.float64)
    gradient_check.check_double_backward(
        fixed, x, gy, ggx, dtype=numpy.float64)
