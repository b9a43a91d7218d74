"""RSign: thresholds, their gradient, shapes."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing

import bst
from zoo.reactnet import link_shifted_bst

ShiftedBST = link_shifted_bst.ShiftedBST


@testing.parameterize(*testing.product({
    'shape': [(5, 3), (2, 3, 4, 5)], 'surrogate': sorted(bst.SURROGATES)}))
@testing.inject_backend_tests(['test_link'], [{}, {'use_cuda': True}])
class TestShiftedBST(unittest.TestCase):

    def test_link(self, backend_config):
        x = numpy.random.uniform(-2, 2, self.shape).astype('f')
        gy = numpy.random.uniform(-1, 1, self.shape).astype('f')
        alpha = numpy.random.uniform(-1, 1, 3).astype('f')
        shifted = x - alpha.reshape((1, 3) + (1,) * (x.ndim - 2))
        link = ShiftedBST(3, self.surrogate)
        link.alpha.array[...] = alpha
        device = backend_config.device
        link.to_device(device)
        x = chainer.Variable(device.send(x))
        link.cleargrads()
        y = link(x)
        y.grad = device.send(gy)
        y.backward()
        cpu = chainer.get_device('@numpy')
        numpy.testing.assert_array_equal(
            cpu.send(y.array), numpy.where(shifted >= 0, 1, -1))
        expected = bst.SURROGATES[self.surrogate](shifted, gy).astype('d')
        numpy.testing.assert_allclose(
            cpu.send(x.grad), expected, rtol=1e-4, atol=1e-5)
        axes = (0, *range(2, x.ndim))
        numpy.testing.assert_allclose(
            cpu.send(link.alpha.grad), -expected.sum(axis=axes),
            rtol=1e-4, atol=1e-4)


def test_without_shift_it_is_bst():
    x = numpy.random.normal(0, 1, (2, 3, 4, 4)).astype('f')
    x[0, 0, 0] = 0
    link = ShiftedBST(3)
    assert link.alpha.shape == (3,)
    assert (link.alpha.array == 0).all()
    numpy.testing.assert_array_equal(link(x).array, bst.bst(x).array)


def test_sign_of_0():
    link = ShiftedBST(1)
    link.alpha.array[...] = .3
    x = numpy.array([[.3], [.25]], 'f')
    numpy.testing.assert_array_equal(link(x).array, [[1], [-1]])


def test_wrong_surrogate():
    with pytest.raises(ValueError, match='no surrogate gradient'):
        ShiftedBST(1, 'tanh')(numpy.zeros((1, 1), 'f'))


def test_names():
    link = ShiftedBST(3, 'approx-sign')
    assert [name for name, _ in link.namedparams()] == ['/alpha']
    assert dict(link.printable_specs) == {
        'n_channels': 3, 'surrogate': 'approx-sign'}


def test_learns_a_threshold():
    x = numpy.random.uniform(0, 1, (200, 1)).astype('f')
    t = numpy.where(x > .6, 1, -1).astype('f')
    link = ShiftedBST(1)
    optimizer = chainer.optimizers.SGD(lr=.3).setup(link)
    for _ in range(60):
        optimizer.update(lambda: F.mean_squared_error(link(x), t))
    assert abs(link.alpha.array.item() - .6) < .1


testing.run_module(__name__, __file__)
