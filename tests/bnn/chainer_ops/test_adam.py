"""Adam in one pass against Chainer's, bit for bit."""
import unittest

import chainer
import chainer.links as L
import numpy
import pytest
from chainer import testing

import weight_clip
from bnn import kernels
from bnn.chainer_ops import adam
from zoo.xnor_net import hooks


def make(optimizer, dtype='f', hooks=()):
    numpy.random.seed(0)
    with chainer.using_config('dtype', dtype):
        model = L.Linear(13, 7)
    optimizer.setup(model)
    for hook in hooks:
        optimizer.add_hook(hook())
    return model


def train(optimizer, model, n=20, size=1.):
    random = numpy.random.RandomState(1)
    for _ in range(n):
        for _, param in sorted(model.namedparams()):
            param.grad = (size * random.randn(*param.shape)).astype(
                param.dtype)
        optimizer.update()
    return {name: param.array for name, param in model.namedparams()}


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name].tobytes() == theirs[name].tobytes()


@testing.parameterize(*testing.product({
    'dtype': ('e', 'f', 'd'),
    'options': ({}, {'alpha': .3, 'beta1': .5, 'beta2': .9, 'eps': 1e-3},
                {'eta': .5, 'weight_decay_rate': .1}, {'amsgrad': True},
                {'adabound': True})}))
class TestAdam(unittest.TestCase):

    def test_same_bits(self):
        if self.dtype == 'e':
            self.options = {'eps': 1e-3, **self.options}
        results = []
        for make_optimizer in adam.Adam, chainer.optimizers.Adam:
            optimizer = make_optimizer(**self.options)
            model = make(optimizer, self.dtype)
            results.append(train(optimizer, model))
        assert_same(*results)


class Shrink(object):

    name = 'Shrink'
    call_for_each_param = True
    timing = 'post'

    def __call__(self, rule, param):
        param.array *= .5


@pytest.mark.parametrize('hooks', [
    [weight_clip.WeightClip], [Shrink, weight_clip.WeightClip],
    [weight_clip.WeightClip, Shrink],
    [lambda: weight_clip.WeightClip(-.1, .2)]])
def test_clip(hooks):
    results = []
    for optimizer in adam.Adam(.5), chainer.optimizers.Adam(.5):
        model = make(optimizer, hooks=hooks)
        results.append(train(optimizer, model))
    assert_same(*results)


def test_clip_of_one_parameter_only():
    results = []
    for optimizer in adam.Adam(.5), chainer.optimizers.Adam(.5):
        model = make(optimizer)
        model.W.update_rule.add_hook(weight_clip.WeightClip())
        results.append(train(optimizer, model))
        assert abs(model.W.array).max() == 1
        assert abs(model.b.array).max() > 1
    assert_same(*results)


def test_clip_is_done_once(monkeypatch):
    calls = []
    monkeypatch.setattr(kernels, 'clip', lambda *args: calls.append(args))
    optimizer = adam.Adam(.5)
    model = make(optimizer, hooks=[weight_clip.WeightClip])
    train(optimizer, model)
    assert not calls
    assert abs(model.W.array).max() == 1
    # Whose hook comes after another has to be called
    optimizer = adam.Adam(.5)
    model = make(optimizer, hooks=[Shrink, weight_clip.WeightClip])
    train(optimizer, model, 3)
    assert len(calls) == 6


def test_clip_goes_with_its_hook():
    optimizer = adam.Adam(.5)
    model = make(optimizer, hooks=[weight_clip.WeightClip])
    train(optimizer, model)
    optimizer.remove_hook('WeightClip')
    train(optimizer, model)
    assert abs(model.W.array).max() > 1


def test_hook_of_another_kind_is_left_alone():
    optimizer = adam.Adam(.5)
    model = make(optimizer)
    model.W.update_rule.add_hook(hooks.WeightPreparation())
    train(optimizer, model)
    numpy.testing.assert_allclose(
        numpy.clip(model.W.array, -1, 1), model.W.array)


def test_disabled_and_without_gradient():
    optimizer = adam.Adam(.5)
    model = make(optimizer, hooks=[weight_clip.WeightClip])
    model.W.array[...] = 3
    model.b.array[...] = 3
    model.W.update_rule.enabled = False
    model.cleargrads()
    optimizer.update()
    # The hook clips whatever the update does not.
    assert (model.W.array == 1).all()
    assert (model.b.array == 1).all()


def test_gradient_that_is_not_contiguous():
    optimizer, other = adam.Adam(), chainer.optimizers.Adam()
    results = []
    for o in optimizer, other:
        model = make(o)
        train(o, model, 1)
        model.W.grad = numpy.random.RandomState(2).randn(13, 7).astype('f').T
        o.update()
        results.append(model.W.array)
    assert results[0].tobytes() == results[1].tobytes()


def test_not_finite_gradients():
    optimizer = adam.Adam()
    model = make(optimizer, hooks=[weight_clip.WeightClip])
    model.b.grad = numpy.array(
        [numpy.nan, numpy.inf, -numpy.inf, 0, 1, -1, 1e30], 'f')
    model.W.grad = numpy.zeros_like(model.W.array)
    before = model.W.array.copy()
    optimizer.update()
    assert numpy.isnan(model.b.array[0])
    numpy.testing.assert_array_equal(model.W.array, before)


testing.run_module(__name__, __file__)
