"""Learning rates at hand-computed points."""
import types

import chainer
import chainer.links as L
import numpy
import pytest

import link_binary_linear
from bnn import errors
from bnn.training.learning import schedule
from zoo.quantized_net import link_quantized_linear

KINDS = [(chainer.optimizers.Adam, 'alpha'), (chainer.optimizers.SGD, 'lr'),
         (chainer.optimizers.MomentumSGD, 'lr')]


def rates(one, *epochs):
    return [one(epoch) for epoch in epochs]


def test_constant():
    one = schedule.Schedule('constant', .1, 4)
    assert rates(one, 0, .5, 3.99, 4, 9) == [.1] * 5
    assert not one.depends_on_length


def test_step():
    one = schedule.Schedule('step', 1., 6, steps=[2, 4], decay=.5)
    assert rates(one, 0, 1.99, 2, 3.5, 4, 6) == [
        1, 1, .5, .5, .25, .25]
    assert not one.depends_on_length
    one = schedule.Schedule('step', 1., 6, steps=[5])
    assert rates(one, 4.9, 5) == [1, .1]


def test_exponential():
    one = schedule.Schedule('exponential', 1., 4, final=1 / 16)
    assert rates(one, 0, 1, 2, 3, 4, 5) == pytest.approx(
        [1, .5, .25, .125, .0625, .0625], rel=1e-12)
    assert one.depends_on_length
    one = schedule.Schedule('exponential', .3, 6)
    assert rates(one, 2, 4, 6) == pytest.approx(
        [.03, .003, .0003], rel=1e-12)


def test_cosine():
    one = schedule.Schedule('cosine', 2., 4)
    # 1 + cos of 0, 45, 60, 90, 135, 180 degrees
    assert rates(one, 0, 1, 4 / 3, 2, 3, 4, 5) == pytest.approx(
        [2, 1.7071067811865475, 1.5, 1, .2928932188134524, 0, 0], abs=1e-12)
    assert one.depends_on_length
    one = schedule.Schedule('cosine', 2., 4, final=.5)
    assert rates(one, 0, 2, 4, 7) == pytest.approx(
        [2, 1.25, .5, .5], rel=1e-12)


def test_warmup():
    one = schedule.Schedule('constant', .8, 4, warmup=2)
    assert rates(one, 0, .5, 1, 1.5, 2, 3) == pytest.approx(
        [0, .2, .4, .6, .8, .8], rel=1e-12)
    one = schedule.Schedule('cosine', 2., 4, warmup=2)
    assert rates(one, 1, 2, 3) == pytest.approx(
        [.5 * 1.7071067811865475, 1, .2928932188134524], rel=1e-12)
    one = schedule.Schedule('step', 1., 4, steps=[1], warmup=2)
    assert rates(one, .5, 1, 2) == pytest.approx([.25, .05, .1])
    one = schedule.Schedule('constant', 1., 4, warmup=.5)
    assert rates(one, .25, .5) == [.5, 1]


def test_warmup_begins_with_the_first_update():
    # Five updates in a warm-up of half an epoch of ten
    one = schedule.Schedule('constant', 1., 4, warmup=.5)
    assert [one(i / 10, .1) for i in range(7)] == pytest.approx(
        [.2, .4, .6, .8, 1, 1, 1])
    trainer = make_trainer(chainer.optimizers.SGD(), L.Linear(3, 2))
    schedule.LearningRate(one).initialize(trainer)
    assert trainer.updater.get_optimizer('main').lr == pytest.approx(.2)
    # A warm-up that is shorter than an update, and other schedules
    one = schedule.Schedule('constant', 1., 4, warmup=.05)
    assert one(0, .1) == 1
    one = schedule.Schedule('cosine', 2., 4)
    assert one(1, .1) == one(1)


def test_refused():
    for args, *words in (
            ({'name': 'step'}, '--lr-steps'),
            ({'name': 'step', 'steps': []}, '--lr-steps'),
            ({'name': 'step', 'steps': None}, '--lr-steps'),
            ({'name': 'step', 'steps': [2, 10]}, '--lr-steps 10',
             '10 epochs'),
            ({'name': 'step', 'steps': [30, 2]}, '--lr-steps 30',
             '10 epochs'),
            ({'name': 'exponential', 'final': 0.}, '--lr-final 0'),
            *(({'name': name, 'final': final}, '--lr-final')
              for name in ('exponential', 'cosine')
              for final in (-1., float('nan'), float('inf'))),
            ({'name': 'constant', 'warmup': 10}, '--warmup 10', '10 epochs'),
            ({'name': 'cosine', 'warmup': 25.5}, '--warmup 25.5',
             '10 epochs')):
        with pytest.raises(errors.UserError) as e:
            schedule.Schedule(lr=.1, n_epochs=10, **args)
        for word in words:
            assert word in str(e.value)
        assert '\n' not in str(e.value)


def test_within_the_run():
    schedule.Schedule('step', .1, 10, steps=[9])
    schedule.Schedule('constant', .1, 10, warmup=9.5)


# ---- the extension

def make_trainer(optimizer, model, epoch=0., new=False):
    optimizer.setup(model)
    iterator = types.SimpleNamespace(batch_size=10, dataset=range(100))
    updater = types.SimpleNamespace(
        epoch_detail=epoch, is_new_epoch=new,
        get_iterator=lambda name: {'main': iterator}[name],
        get_optimizer=lambda name: {'main': optimizer}[name])
    return types.SimpleNamespace(updater=updater, observation={})


@pytest.mark.parametrize('kind,name', KINDS)
def test_sets_the_rate(kind, name):
    optimizer = kind()
    model = L.Linear(3, 2)
    trainer = make_trainer(optimizer, model)
    extension = schedule.LearningRate(
        schedule.Schedule('exponential', 1., 4, final=1 / 16))
    extension.initialize(trainer)
    assert getattr(optimizer, name) == 1
    for epoch, expected in (.5, .5 ** .5), (1, .5), (2, .25):
        trainer.updater.epoch_detail = epoch
        extension(trainer)
        assert getattr(optimizer, name) == pytest.approx(expected)
        assert getattr(model.W.update_rule.hyperparam, name) == (
            pytest.approx(expected))
    assert trainer.observation == {}


def test_what_sgd_does_with_it():
    model = L.Linear(1, 1, initialW=0)
    optimizer = chainer.optimizers.SGD()
    trainer = make_trainer(optimizer, model, epoch=1.)
    schedule.LearningRate(schedule.Schedule(
        'step', 4., 3, steps=[1], decay=.5)).initialize(trainer)
    model.W.grad = numpy.ones((1, 1), 'f')
    model.b.grad = numpy.ones(1, 'f')
    optimizer.update()
    assert model.W.array == -2


def test_log_has_the_last_rate_of_the_epoch():
    optimizer = chainer.optimizers.SGD()
    trainer = make_trainer(optimizer, L.Linear(3, 2), .75)
    extension = schedule.LearningRate(
        schedule.Schedule('exponential', 1., 4, final=1 / 16))
    extension.initialize(trainer)
    before = optimizer.lr
    trainer.updater.epoch_detail = 1.
    trainer.updater.is_new_epoch = True
    extension(trainer)
    assert trainer.observation == {'lr': before}
    assert optimizer.lr == pytest.approx(.5)


def test_resumes():
    # A new one in the middle has the rates of one that was there all along.
    one = schedule.Schedule('cosine', 1., 5, warmup=1)
    optimizer = chainer.optimizers.Adam()
    trainer = make_trainer(optimizer, L.Linear(3, 2))
    first = schedule.LearningRate(one)
    first.initialize(trainer)
    for epoch in .5, 1, 2.5:
        trainer.updater.epoch_detail = epoch
        first(trainer)
    resumed = chainer.optimizers.Adam()
    schedule.LearningRate(one).initialize(
        make_trainer(resumed, L.Linear(3, 2), 2.5))
    assert resumed.alpha == optimizer.alpha


# ---- factors

def mixed():
    model = chainer.Chain()
    with model.init_scope():
        model.l1 = link_binary_linear.BinaryLinear(2, 4)
        model.l2 = link_quantized_linear.QuantizedLinear(4, 20, 2)
        model.l3 = link_quantized_linear.QuantizedLinear(4, 3, 32)
        model.l4 = L.Linear(3, 2)
    return model


def test_glorot_scales():
    # sqrt(6 / 1.5) and sqrt(24 / 1.5)
    assert schedule.glorot_scales(mixed()) == {'/l1/W': 2, '/l2/W': 4}


@pytest.mark.parametrize('kind,name', KINDS)
def test_scales(kind, name):
    optimizer = kind()
    model = mixed()
    trainer = make_trainer(optimizer, model)
    extension = schedule.LearningRate(
        schedule.Schedule('step', 1., 4, steps=[1]),
        schedule.glorot_scales(model))
    for epoch, lr in (0, 1), (1, .1), (2, .1):
        trainer.updater.epoch_detail = epoch
        extension(trainer)
        found = {path: getattr(param.update_rule.hyperparam, name)
                 for path, param in model.namedparams()}
        factors = {'/l1/W': 2, '/l2/W': 4}
        assert found == pytest.approx({
            path: lr * factors.get(path, 1) for path in found})
        assert getattr(optimizer, name) == pytest.approx(lr)
