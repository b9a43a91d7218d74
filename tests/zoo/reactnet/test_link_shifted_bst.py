"""RSign: thresholds, their gradient, shapes."""
import chainer
import chainer.functions as F
import numpy
import pytest

import bst
from bnn.kernels import reference
from zoo.reactnet import link_shifted_bst

ShiftedBST = link_shifted_bst.ShiftedBST
GRADIENTS = {'ste': reference.ste_gradient,
             'approx-sign': reference.approx_sign_gradient,
             'swish-sign': reference.swish_sign_gradient}


def test_against_numpy():
    for surrogate, gradient in GRADIENTS.items():
        for shape in (5, 3), (2, 3, 4, 5):
            x = numpy.random.uniform(-2, 2, shape).astype('f')
            gy = numpy.random.uniform(-1, 1, shape).astype('f')
            alpha = numpy.random.uniform(-1, 1, 3).astype('f')
            shifted = x - alpha.reshape((1, 3) + (1,) * (x.ndim - 2))
            link = ShiftedBST(3, surrogate)
            link.alpha.array[...] = alpha
            link.cleargrads()
            v = chainer.Variable(x)
            y = link(v)
            y.grad = gy
            y.backward()
            numpy.testing.assert_array_equal(
                y.array, numpy.where(shifted >= 0, 1, -1))
            expected = gradient(shifted, gy).astype('d')
            numpy.testing.assert_allclose(
                v.grad, expected, rtol=1e-4, atol=1e-5)
            numpy.testing.assert_allclose(
                link.alpha.grad,
                -expected.sum(axis=(0, *range(2, x.ndim))), rtol=1e-4,
                atol=1e-4)


def test_without_shift_it_is_bst():
    x = numpy.random.normal(0, 1, (2, 3, 4, 4)).astype('f')
    x[0, 0, 0] = 0
    link = ShiftedBST(3)
    assert [name for name, _ in link.namedparams()] == ['/alpha']
    assert link.alpha.shape == (3,)
    assert (link.alpha.array == 0).all()
    numpy.testing.assert_array_equal(link(x).array, bst.bst(x).array)


def test_surrogate():
    link = ShiftedBST(3, 'approx-sign')
    assert dict(link.printable_specs) == {
        'n_channels': 3, 'surrogate': 'approx-sign'}
    with pytest.raises(ValueError, match='no surrogate gradient'):
        ShiftedBST(1, 'tanh')(numpy.zeros((1, 1), 'f'))


def test_learns_a_threshold():
    x = numpy.random.uniform(0, 1, (200, 1)).astype('f')
    t = numpy.where(x > .6, 1, -1).astype('f')
    link = ShiftedBST(1)
    optimizer = chainer.optimizers.SGD(lr=.3).setup(link)
    for _ in range(60):
        optimizer.update(lambda: F.mean_squared_error(link(x), t))
    assert abs(link.alpha.array.item() - .6) < .1
