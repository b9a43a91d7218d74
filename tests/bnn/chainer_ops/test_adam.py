"""Adam in one pass against Chainer's, bit for bit."""
import chainer
import chainer.links as L
import numpy
import pytest

from bnn.chainer_ops import adam
from bnn.kernels import optimizers

OPTIONS = ({}, {'alpha': .3, 'beta1': .5, 'beta2': .9, 'eps': 1e-3},
           {'eta': .5, 'weight_decay_rate': .1}, {'amsgrad': True},
           {'adabound': True})


def make(optimizer, dtype='f'):
    numpy.random.seed(0)
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        model = L.Linear(13, 7)
    optimizer.setup(model)
    return model


def train(optimizer, model, n=20):
    random = numpy.random.RandomState(1)
    for _ in range(n):
        for _, param in sorted(model.namedparams()):
            param.grad = random.randn(*param.shape).astype(param.dtype)
        optimizer.update()


def assert_same(ours, theirs):
    for a, b in zip(ours.params(), theirs.params(), strict=True):
        assert a.dtype == b.dtype
        assert a.array.tobytes() == b.array.tobytes()


def test_same_bits():
    for dtype in 'efd':
        for options in OPTIONS:
            if dtype == 'e':
                options = {'eps': 1e-3, **options}
            models = []
            for make_optimizer in adam.Adam, chainer.optimizers.Adam:
                optimizer = make_optimizer(**options)
                models.append(make(optimizer, dtype))
                train(optimizer, models[-1])
            assert_same(*models)


def test_it_is_the_kernel(monkeypatch):
    monkeypatch.setattr(optimizers, 'adam', None)
    for options in OPTIONS:
        optimizer = adam.Adam(**options)
        model = make(optimizer)
        if 'amsgrad' in options or 'adabound' in options:
            train(optimizer, model)
        else:
            with pytest.raises(TypeError, match='not callable'):
                train(optimizer, model)


def test_gradient_that_is_not_contiguous():
    models = []
    for optimizer in adam.Adam(), chainer.optimizers.Adam():
        model = make(optimizer)
        train(optimizer, model, 1)
        model.W.grad = numpy.random.RandomState(2).randn(13, 7).astype('f').T
        optimizer.update()
        models.append(model)
    assert_same(*models)


def test_parameter_that_is_not_contiguous():
    models = []
    for optimizer in adam.Adam(), chainer.optimizers.Adam():
        model = make(optimizer)
        model.W.array = numpy.asfortranarray(model.W.array)
        train(optimizer, model)
        models.append(model)
    assert_same(*models)


def test_without_gradient_and_disabled():
    optimizer = adam.Adam(.5)
    model = make(optimizer)
    before = model.copy('copy')
    model.W.update_rule.enabled = False
    model.cleargrads()
    model.W.grad = numpy.ones_like(model.W.array)
    optimizer.update()
    assert_same(model, before)


def test_not_finite_gradients():
    optimizer = adam.Adam()
    model = make(optimizer)
    model.b.grad = numpy.array(
        [numpy.nan, numpy.inf, -numpy.inf, 0, 1, -1, 1e30], 'f')
    model.W.grad = numpy.zeros_like(model.W.array)
    before = model.W.array.copy()
    optimizer.update()
    assert numpy.isnan(model.b.array[0])
    numpy.testing.assert_array_equal(model.W.array, before)


def test_eps_that_is_0_in_float32():
    optimizer = adam.Adam(eps=1e-50)
    # Chainer's error, whose message needs a name that the type has not
    with pytest.raises((ValueError, AttributeError)):
        train(optimizer, make(optimizer))
