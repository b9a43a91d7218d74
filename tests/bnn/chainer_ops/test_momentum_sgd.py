"""SGD with momentum in one pass against Chainer's, bit for bit."""
import chainer
import chainer.links as L
import numpy
import pytest

from bnn.chainer_ops import momentum_sgd
from bnn.kernels import optimizers


def train(optimizer, dtype, change=numpy.ascontiguousarray):
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        numpy.random.seed(0)
        model = L.Linear(13, 7)
    optimizer.setup(model)
    for _ in range(20):
        for _, param in sorted(model.namedparams()):
            param.grad = change(numpy.random.randn(*param.shape)).astype(
                param.dtype)
        optimizer.update()
    return model


def test_same_bits():
    for dtype in 'efd':
        for options in {}, {'lr': .3, 'momentum': .5}:
            for change in numpy.ascontiguousarray, numpy.asfortranarray:
                ours, theirs = (
                    train(make(**options), dtype, change) for make in (
                        momentum_sgd.MomentumSGD,
                        chainer.optimizers.MomentumSGD))
                for a, b in zip(ours.params(), theirs.params(), strict=True):
                    assert a.dtype == dtype
                    assert a.array.tobytes() == b.array.tobytes()


def test_it_is_the_kernel(monkeypatch):
    monkeypatch.setattr(optimizers, 'momentum_sgd', None)
    train(momentum_sgd.MomentumSGD(), 'e')  # Chainer's
    with pytest.raises(TypeError, match='not callable'):
        train(momentum_sgd.MomentumSGD(), 'f')
