"""SGD with momentum in one pass against Chainer's, bit for bit."""
import chainer
import chainer.links as L
import numpy
import pytest

import weight_clip
from bnn import kernels
from bnn.chainer_ops import momentum_sgd


def train(optimizer, dtype, hooks=()):
    with chainer.using_config('dtype', dtype):
        numpy.random.seed(0)
        model = L.Linear(13, 7)
    optimizer.setup(model)
    for hook in hooks:
        optimizer.add_hook(hook())
    for _ in range(20):
        for _, param in sorted(model.namedparams()):
            param.grad = numpy.random.randn(*param.shape).astype(param.dtype)
        optimizer.update()
    return model


@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('options', [{}, {'lr': .3, 'momentum': .5}])
@pytest.mark.parametrize('hooks', [(), (weight_clip.WeightClip,)])
def test_same_bits(dtype, options, hooks):
    ours, theirs = (train(make(**options), dtype, hooks) for make in (
        momentum_sgd.MomentumSGD, chainer.optimizers.MomentumSGD))
    for a, b in zip(ours.params(), theirs.params(), strict=True):
        assert a.dtype == dtype
        assert a.array.tobytes() == b.array.tobytes()


def test_clip_is_done_once(monkeypatch):
    calls = []
    monkeypatch.setattr(kernels, 'clip', lambda *args: calls.append(args))
    model = train(momentum_sgd.MomentumSGD(.5), 'f',
                  [weight_clip.WeightClip])
    assert not calls
    assert abs(model.W.array).max() == 1
