"""RPReLU: against NumPy, with numerical gradients."""
import chainer
import numpy
from chainer import gradient_check

from zoo.reactnet import link_rprelu

RPReLU = link_rprelu.RPReLU
NAMES = 'gamma', 'zeta', 'beta'


def test_initial_values():
    link = RPReLU(4)
    assert dict(link.printable_specs) == {'n_channels': 4}
    for name, value in ('gamma', 0), ('zeta', 0), ('beta', .25):
        param = getattr(link, name)
        assert param.shape == (4,)
        assert (param.array == value).all()
    x = numpy.array([[[[-4]], [[4]], [[0]], [[-1]]]], 'f')
    numpy.testing.assert_array_equal(
        link(x).array.ravel(), [-1, 4, 0, -.25])


def test_by_hand():
    link = RPReLU(1)
    link.gamma.array[...], link.zeta.array[...] = 1, 10
    numpy.testing.assert_array_equal(
        link(numpy.array([[3], [1], [-3]], 'f')).array, [[12], [10], [9]])


def test_against_numpy():
    for shape in (5, 3), (2, 3, 4, 5):
        link = RPReLU(3)
        # A corner that no input is near to: it has no derivative
        for name, size in zip(NAMES, (.1, 1, 1), strict=True):
            getattr(link, name).array[...] = numpy.random.uniform(
                -size, size, 3)
        x = numpy.random.choice([-1, 1], shape) * (
            numpy.random.uniform(.2, 2, shape))
        gamma, zeta, beta = (
            getattr(link, name).array.astype('d').reshape(
                (1, 3) + (1,) * (x.ndim - 2)) for name in NAMES)

        def expected(x, gamma, zeta, beta):
            return numpy.where(
                x > gamma, x - gamma, beta * (x - gamma)) + zeta,

        arrays = x, gamma, zeta, beta
        numpy.testing.assert_allclose(
            link(x.astype('f')).array, expected(*arrays)[0], rtol=1e-4,
            atol=1e-5)
        gy = numpy.random.uniform(-1, 1, shape)
        gx, *gradients = gradient_check.numerical_grad(
            lambda arrays=arrays: expected(*arrays), arrays, (gy,))
        link.cleargrads()
        v = chainer.Variable(x.astype('f'))
        y = link(v)
        y.grad = gy.astype('f')
        y.backward()
        numpy.testing.assert_allclose(v.grad, gx, rtol=1e-3, atol=1e-4)
        for name, gradient in zip(NAMES, gradients, strict=True):
            numpy.testing.assert_allclose(
                getattr(link, name).grad, gradient.ravel(), rtol=1e-3,
                atol=1e-3)
