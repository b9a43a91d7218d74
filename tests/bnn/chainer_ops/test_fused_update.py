"""The update of all parameters in one launch, as a GPU has it.

The kernels run on the CPU, so that Chainer's own updates are beside them.
"""
import copy
import pickle

import chainer
import chainer.links as L
import numpy
import pytest

import weight_clip
from bnn.chainer_ops import adam
from bnn.chainer_ops import momentum_sgd
from bnn.chainer_ops import sgd
from bnn.kernels import gpu_graph
from zoo.xnor_net import hooks

PAIRS = {
    'adam': (adam.Adam, chainer.optimizers.Adam),
    'momentum': (momentum_sgd.MomentumSGD, chainer.optimizers.MomentumSGD),
    'sgd': (sgd.SGD, chainer.optimizers.SGD)}
RULES = adam.AdamRule, momentum_sgd.MomentumSGDRule, sgd.SGDRule


@pytest.fixture
def on_gpu(cuda_on_cpu, monkeypatch):
    """Sends arrays of NumPy where those of a GPU go."""
    for rule in RULES:
        monkeypatch.setattr(
            rule, 'update_core_cpu', _update_core_gpu, raising=False)
    return cuda_on_cpu


def _update_core_gpu(self, param):
    if self.fused is not None and self.fused.take(self, param):
        self.take_range()
    else:
        super(weight_clip.ClippingRule, self).update_core_cpu(param)


def make(optimizer, hooks=(), dtype='f'):
    numpy.random.seed(0)
    with chainer.using_config('dtype', dtype):
        model = chainer.Sequential(L.Linear(13, 7), L.Linear(7, 3))
    optimizer.setup(model)
    for hook in hooks:
        optimizer.add_hook(hook())
    return model


def set_gradients(model, random):
    for _, param in sorted(model.namedparams()):
        param.grad = random.randn(*param.shape).astype(param.dtype)


def train(optimizer, model, n=5, change=None, seed=1):
    random = numpy.random.RandomState(seed)
    for i in range(n):
        set_gradients(model, random)
        if change is not None:
            change(optimizer, i)
        optimizer.update()
    return [param.array.tobytes() for _, param in sorted(
        model.namedparams())]


def both(name, hooks=(), **kwargs):
    results = []
    for kind in PAIRS[name]:
        optimizer = kind(.3)
        results.append(train(optimizer, make(optimizer, hooks), **kwargs))
    return results


@pytest.mark.parametrize('hooks', [
    (), [weight_clip.WeightClip], [lambda: weight_clip.WeightClip(-.1, .2)]])
@pytest.mark.parametrize('name', PAIRS)
def test_same_bits(name, hooks, on_gpu):
    ours, theirs = both(name, hooks)
    assert ours == theirs
    updates = [one for one in on_gpu.launches if one != 'set_rates']
    assert len(updates) == 5
    assert len(on_gpu.launches) == 6  # the rates once


@pytest.mark.parametrize('name', PAIRS)
def test_schedule(name, on_gpu):
    def change(optimizer, i):
        setattr(optimizer, 'alpha' if name == 'adam' else 'lr', .1 / (1 + i))
        next(optimizer.target.params()).update_rule.hyperparam.lr = .2

    ours, theirs = both(name, [weight_clip.WeightClip], change=change)
    assert ours == theirs


def test_hooks_of_parameters(on_gpu):
    results = []
    for kind in PAIRS['adam']:
        optimizer = kind(.5)
        model = make(optimizer, [weight_clip.WeightClip])
        model[0].W.update_rule.add_hook(
            chainer.optimizer_hooks.WeightDecay(.1))
        model[0].b.update_rule.add_hook(weight_clip.WeightClip(-.2, .2))
        # Which has to see what the update made
        model[1].W.update_rule.add_hook(hooks.WeightPreparation())
        results.append(train(optimizer, model))
        assert abs(model[0].b.array).max() == numpy.float32(.2)
    assert results[0] == results[1]


def test_what_it_has_no_kernel_for(on_gpu):
    for options, dtype in (({'amsgrad': True}, 'f'), ({'adabound': True}, 'f'),
                           ({'eps': 1e-3}, 'e')):
        results = []
        for kind in PAIRS['adam']:
            optimizer = kind(**options)
            results.append(train(optimizer, make(optimizer, dtype=dtype)))
        assert results[0] == results[1]
    assert not on_gpu.launches


def test_disabled_rule_and_other_parameters(on_gpu):
    def change(optimizer, i):
        optimizer.target[0].W.update_rule.enabled = i % 2 == 0

    ours, theirs = both('adam', [weight_clip.WeightClip], change=change)
    assert ours == theirs


def test_rule_outside_of_an_update(on_gpu):
    results = []
    for kind in PAIRS['adam']:
        optimizer = kind()
        model = make(optimizer)
        set_gradients(model, numpy.random)
        numpy.random.seed(0)
        model[0].W.update()
        results.append(model[0].W.array.tobytes())
    assert not on_gpu.launches


def test_loaded_state(on_gpu):
    results = []
    for kind in PAIRS['adam']:
        optimizer = kind(.1)
        model = make(optimizer)
        train(optimizer, model)
        state = chainer.serializers.npz.serialize(optimizer)
        train(optimizer, model)
        chainer.serializers.NpzDeserializer(state).load(optimizer)
        results.append(train(optimizer, model))
        assert optimizer.t == 10
    assert results[0] == results[1]


@pytest.mark.parametrize('name', PAIRS)
def test_recorded(name, on_gpu, monkeypatch):
    """A capture queues nothing; a replay follows rates and counts."""
    ours, theirs = (kind(.3) for kind in PAIRS[name])
    models = [make(one, [weight_clip.WeightClip]) for one in (ours, theirs)]
    for one, model in zip((ours, theirs), models, strict=True):
        train(one, model, 2)
    random = numpy.random.RandomState(3)
    set_gradients(models[0], random)

    queue = []
    before = len(on_gpu.launches)
    from bnn.kernels import gpu_launch
    launch = gpu_launch.launch
    with monkeypatch.context() as m, gpu_graph.record() as recording:
        m.setattr(gpu_launch, 'launch', lambda *args: queue.append(args))
        ours.update()
    assert len(on_gpu.launches) == before and len(queue) == 1
    for function in recording.after:
        function()
    for i in range(4):
        if i:
            random.seed(i)
            for _, param in sorted(models[0].namedparams()):
                param.grad[...] = random.randn(*param.shape)
                param.update_rule.t += 1
            ours.t += 1
            setattr(ours, 'alpha' if name == 'adam' else 'lr', .1 / i)
            setattr(theirs, 'alpha' if name == 'adam' else 'lr', .1 / i)
        for (_, a), (_, b) in zip(*(sorted(
                model.namedparams()) for model in models), strict=True):
            b.grad = a.grad.copy()
        theirs.update()
        for function in recording.before_replay:
            function()
        for args in queue:
            launch(*args)
        for function in recording.after_replay:
            function()
        for (_, a), (_, b) in zip(*(sorted(
                model.namedparams()) for model in models), strict=True):
            assert a.array.tobytes() == b.array.tobytes()


@pytest.mark.parametrize('copied', [
    copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_copies_go_on_by_themselves(copied, on_gpu):
    optimizer = adam.Adam(.3)
    model = make(optimizer, [weight_clip.WeightClip])
    train(optimizer, model)
    other, its_model = copied((optimizer, model))
    assert train(optimizer, model) == train(other, its_model)
    assert train(optimizer, model, seed=2) != train(other, its_model, seed=3)
