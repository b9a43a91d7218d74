"""RPReLU: against NumPy, with numerical gradients."""
import numpy
from chainer import testing

from zoo.reactnet import link_rprelu

RPReLU = link_rprelu.RPReLU


@testing.parameterize(*testing.product({'shape': [(5, 3), (2, 3, 4, 5)]}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestRPReLU(testing.LinkTestCase):

    param_names = ('gamma', 'zeta', 'beta')

    def generate_params(self):
        # A corner that no input is near to: it has no derivative
        return tuple(numpy.random.uniform(-size, size, 3).astype('f')
                     for size in (.1, 1, 1))

    def generate_inputs(self):
        size = numpy.random.uniform(.2, 2, self.shape)
        sign = numpy.random.choice([-1, 1], self.shape)
        return (sign * size).astype('f'),

    def create_link(self, initializers):
        link = RPReLU(3)
        for name, array in zip(self.param_names, initializers, strict=True):
            getattr(link, name).array[...] = array
        return link

    def forward_expected(self, link, inputs):
        x, = inputs
        gamma, zeta, beta = (
            param.array.reshape((1, 3) + (1,) * (x.ndim - 2))
            for param in (link.gamma, link.zeta, link.beta))
        return numpy.where(
            x > gamma, x - gamma, beta * (x - gamma)) + zeta,


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


testing.run_module(__name__, __file__)
