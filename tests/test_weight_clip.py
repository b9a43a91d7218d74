"""The hook: when it works, on what, and what it leaves alone."""
import unittest

import chainer
import chainer.links as L
import numpy
import pytest
from chainer import testing

import weight_clip

WeightClip = weight_clip.WeightClip
OPTIMIZERS = {
    'sgd': lambda: chainer.optimizers.SGD(lr=100),
    'adam': lambda: chainer.optimizers.Adam(alpha=100),
    'momentum': lambda: chainer.optimizers.MomentumSGD(lr=100),
}


def model_with_gradients(value=1.):
    model = chainer.Sequential(L.Linear(3, 2), L.Linear(2, 4))
    for param in model.params():
        param.grad = numpy.full_like(param.array, value)
    return model


@testing.parameterize(*testing.product({'name': sorted(OPTIMIZERS)}))
@testing.inject_backend_tests(
    ['test_all_parameters', 'test_one_parameter', 'test_range'],
    [{}, {'use_cuda': True}])
class TestWeightClip(unittest.TestCase):

    def setup(self, backend_config):
        model = model_with_gradients()
        model.to_device(backend_config.device)
        return model, OPTIMIZERS[self.name]().setup(model)

    def arrays(self, model):
        cpu = chainer.get_device('@numpy')
        return {name: cpu.send(param.array)
                for name, param in model.namedparams()}

    def test_all_parameters(self, backend_config):
        model, optimizer = self.setup(backend_config)
        optimizer.add_hook(WeightClip())
        optimizer.update()
        for array in self.arrays(model).values():
            # After the update: it moved each value far below -1.
            numpy.testing.assert_array_equal(array, -1)

    def test_one_parameter(self, backend_config):
        model, optimizer = self.setup(backend_config)
        model[0].W.update_rule.add_hook(WeightClip())
        optimizer.update()
        arrays = self.arrays(model)
        numpy.testing.assert_array_equal(arrays.pop('/0/W'), -1)
        assert len(arrays) == 3
        for array in arrays.values():
            assert (array < -50).all()

    def test_range(self, backend_config):
        model, optimizer = self.setup(backend_config)
        optimizer.add_hook(WeightClip(-.5, .25))
        optimizer.update()
        for array in self.arrays(model).values():
            numpy.testing.assert_array_equal(array, -.5)
        for param in model.params():
            param.grad *= -1e6
        optimizer.update()
        for array in self.arrays(model).values():
            numpy.testing.assert_array_equal(array, .25)


def test_timing():
    hook = WeightClip()
    assert hook.timing == 'post'
    assert hook.call_for_each_param
    assert hook.name == 'WeightClip'
    assert (hook.low, hook.high) == (-1, 1)


def test_not_before_the_update():
    model = chainer.Sequential(L.Linear(1, 1, initialW=5, nobias=True))
    optimizer = chainer.optimizers.SGD(lr=1).setup(model)
    optimizer.add_hook(WeightClip())
    model[0].W.grad = numpy.array([[4.5]], numpy.float32)
    optimizer.update()
    # A clip before the update would end at 1 - 4.5.
    assert model[0].W.array.item() == .5


def test_values_inside_stay():
    model = model_with_gradients(0)
    before = {n: p.array.copy() for n, p in model.namedparams()}
    optimizer = chainer.optimizers.SGD().setup(model)
    optimizer.add_hook(WeightClip(-100, 100))
    optimizer.update()
    for name, param in model.namedparams():
        numpy.testing.assert_array_equal(param.array, before[name])


def test_uninitialized_parameters():
    model = chainer.Sequential(L.Linear(None, 2), L.Linear(2, 2))
    optimizer = chainer.optimizers.SGD(lr=100).setup(model)
    optimizer.add_hook(WeightClip())
    model.cleargrads()
    for param in model[1].params():
        param.grad = numpy.ones_like(param.array)
    optimizer.update()
    assert model[0].W.array is None
    assert (model[1].W.array == -1).all()


@pytest.mark.parametrize('name', sorted(OPTIMIZERS))
def test_fp32_copy(name):
    with chainer.using_config('dtype', numpy.float16):
        model = chainer.Sequential(L.Linear(3, 2))
    optimizer = OPTIMIZERS[name]()
    optimizer.setup(model)
    optimizer.use_fp32_update()
    optimizer.add_hook(WeightClip())
    for _ in range(3):
        for param in model.params():
            param.grad = numpy.ones_like(param.array)
        optimizer.update()
    for param in model.params():
        assert param.dtype == numpy.float16
        assert (param.array == -1).all()
        copy = param.update_rule._fp32_param
        assert copy.dtype == numpy.float32
        assert (copy.array == -1).all()


def test_fp32_copy_comes_back_at_once():
    with chainer.using_config('dtype', numpy.float16):
        model = chainer.Sequential(L.Linear(1, 1, nobias=True, initialW=0))
    optimizer = chainer.optimizers.SGD(lr=1).setup(model)
    optimizer.use_fp32_update()
    optimizer.add_hook(WeightClip())
    for grad, expected in ((50, -1), (-.5, -.5)):
        model[0].W.grad = numpy.full((1, 1), grad, numpy.float16)
        optimizer.update()
        assert model[0].W.array.item() == expected


def test_nan_and_infinity():
    model = chainer.Sequential(L.Linear(3, 1, nobias=True))
    model[0].W.array[...] = [numpy.nan, numpy.inf, -numpy.inf]
    model[0].W.grad = numpy.zeros((1, 3), numpy.float32)
    optimizer = chainer.optimizers.SGD().setup(model)
    optimizer.add_hook(WeightClip())
    optimizer.update()
    numpy.testing.assert_array_equal(model[0].W.array, [[numpy.nan, 1, -1]])


@pytest.mark.parametrize('bounds', [
    (1, -1), (0, 0), (1, 1), (numpy.nan, 1), (-1, numpy.nan)])
def test_wrong_range(bounds):
    with pytest.raises(ValueError, match='low must be less than high'):
        WeightClip(*bounds)


testing.run_module(__name__, __file__)
