"""The optimizers' updates against their definition."""
import unittest

import chainer
import numpy
from chainer import testing

from bnn import kernels
from bnn.kernels import reference


@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
@testing.parameterize(
    # Behind parameters, gradients and moments, of which Adam's second is
    # never below 0
    {'name': 'adam', 'options': (.1, .9, .99, 1e-8, .9, .5, -1., 1.)},
    {'name': 'momentum_sgd', 'options': (.1, .9, -1., 1.)},
)
class TestUpdate(unittest.TestCase):

    def test_reference(self, backend_config):
        for shape in (), (0,), (1,), (1001,), (13, 17):
            for dtype in 'f', 'd':
                arrays = [numpy.asarray(numpy.random.normal(size=shape), dtype)
                          for _ in range(3)]
                if self.name == 'adam':
                    arrays.append(numpy.asarray(
                        numpy.random.uniform(size=shape), dtype))
                ours = [backend_config.get_array(a.copy()) for a in arrays]
                getattr(reference, self.name)(*arrays, *self.options)
                getattr(kernels, self.name)(*ours, *self.options)
                for a, b in zip(ours, arrays, strict=True):
                    numpy.testing.assert_allclose(
                        chainer.get_device('@numpy').send(a), b,
                        rtol=3e-7, atol=1e-7)


testing.run_module(__name__, __file__)
