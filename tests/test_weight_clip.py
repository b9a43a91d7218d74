"""The hook: when it works, on what, and what it leaves alone."""
import chainer
import chainer.links as L
import numpy
import pytest

import weight_clip
from bnn.chainer_ops import adam
from tests.helpers import devices

WeightClip = weight_clip.WeightClip
OPTIMIZERS = (
    lambda: chainer.optimizers.SGD(lr=100), lambda: adam.Adam(alpha=100),
    lambda: chainer.optimizers.Adam(alpha=100),
    lambda: chainer.optimizers.MomentumSGD(lr=100))


def make(make_optimizer, device='@numpy', value=1., dtype='f'):
    """Returns a model whose gradients are all of one value."""
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        model = chainer.Sequential(L.Linear(3, 2), L.Linear(2, 4))
    model.to_device(device)
    for param in model.params():
        param.grad = param.device.xp.full_like(param.array, value)
    return model, make_optimizer().setup(model)


def arrays(model):
    return {name: devices.to_cpu(param.array)
            for name, param in model.namedparams()}


@devices.each
def test_all_parameters(device):
    devices.get(device)
    for optimizer in OPTIMIZERS:
        model, optimizer = make(optimizer, device)
        optimizer.add_hook(WeightClip())
        optimizer.update()
        for array in arrays(model).values():
            # After the update, which moved each value far below -1
            numpy.testing.assert_array_equal(array, -1)


@devices.each
def test_one_parameter(device):
    devices.get(device)
    for optimizer in OPTIMIZERS:
        model, optimizer = make(optimizer, device)
        model[0].W.update_rule.add_hook(WeightClip())
        optimizer.update()
        found = arrays(model)
        numpy.testing.assert_array_equal(found.pop('/0/W'), -1)
        assert len(found) == 3
        for array in found.values():
            assert (array < -50).all()


@devices.each
def test_range(device):
    devices.get(device)
    for optimizer in OPTIMIZERS:
        model, optimizer = make(optimizer, device)
        optimizer.add_hook(WeightClip(-.5, .25))
        optimizer.update()
        for array in arrays(model).values():
            numpy.testing.assert_array_equal(array, -.5)
        for param in model.params():
            param.grad *= -1e6
        optimizer.update()
        for array in arrays(model).values():
            numpy.testing.assert_array_equal(array, .25)


def test_attributes():
    hook = WeightClip()
    assert hook.timing == 'post'
    assert hook.call_for_each_param
    assert hook.name == 'WeightClip'
    assert (hook.low, hook.high) == (-1, 1)


def test_order():
    """Update, then clip: the other order would end at 1 - 4.5."""
    for add in (lambda optimizer, W: optimizer.add_hook(WeightClip()),
                lambda optimizer, W: W.update_rule.add_hook(WeightClip())):
        model = chainer.Sequential(L.Linear(1, 1, initialW=5, nobias=True))
        optimizer = chainer.optimizers.SGD(lr=1).setup(model)
        W = model[0].W
        add(optimizer, W)
        seen = []

        class Watch:
            timing = 'pre'
            call_for_each_param = True

            def __call__(self, rule, param, seen=seen):
                seen.append(param.array.item())

        optimizer.add_hook(Watch(), name='watch')
        for grad, expected in (4.5, .5), (-.25, .75), (-9, 1), (9, -1):
            W.grad = numpy.full((1, 1), grad, 'f')
            optimizer.update()
            assert W.array.item() == expected
        # Nothing clips before the update.
        assert seen == [5, .5, .75, 1]


def test_adam_goes_on_from_the_clipped_weight():
    for make_optimizer in adam.Adam, chainer.optimizers.Adam:
        link = L.Linear(1, 1, initialW=.75, nobias=True)
        optimizer = make_optimizer(alpha=.5).setup(link)
        optimizer.add_hook(WeightClip())
        # The unbiased mean of the squared gradients is 9 throughout, that of
        # the gradients -3, -3, -.213 / .271, .1083 / .3439.
        for grad, expected in (
                (-3, 1), (-3, 1), (3, 1),
                (3, 1 - .5 * .1083 / .3439 / 3)):
            link.W.grad = numpy.full((1, 1), grad, 'f')
            optimizer.update()
            assert link.W.array.item() == pytest.approx(expected, rel=1e-5)


def test_values_inside_stay():
    model, optimizer = make(chainer.optimizers.SGD, value=0)
    before = arrays(model)
    model[0].b.array[...] = [-0., 1]
    optimizer.add_hook(WeightClip(-100, 100))
    optimizer.update()
    for name, array in arrays(model).items():
        if name != '/0/b':
            assert array.tobytes() == before[name].tobytes()
    assert numpy.signbit(model[0].b.array[0])


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


def test_float16():
    for optimizer in OPTIMIZERS:
        model, optimizer = make(optimizer, dtype='e')
        optimizer.add_hook(WeightClip())
        optimizer.update()
        for array in arrays(model).values():
            assert array.dtype == numpy.float16
            numpy.testing.assert_array_equal(array, -1)


def test_float32_copy_stays_in_the_range():
    """With use_fp32_update the hook of a parameter gets the float32 copy."""
    for optimizer in OPTIMIZERS:
        model, optimizer = make(optimizer, dtype='e')
        optimizer.use_fp32_update()
        copies = []

        class Watch:
            timing = 'post'

            def __call__(self, rule, param, copies=copies):
                copies.append(param)

        for param in model.params():
            param.update_rule.add_hook(WeightClip())
            param.update_rule.add_hook(Watch(), name='watch')
        optimizer.update()
        for array in arrays(model).values():
            assert array.dtype == numpy.float16
            numpy.testing.assert_array_equal(array, -1)
        assert len(copies) == 4
        for copy in copies:
            assert copy.dtype == numpy.float32
            numpy.testing.assert_array_equal(copy.array, -1)


def test_float32_copy_comes_back_at_once():
    with chainer.using_config('dtype', numpy.float16):
        link = L.Linear(1, 1, nobias=True, initialW=0)
    optimizer = chainer.optimizers.SGD(lr=1).setup(link)
    optimizer.use_fp32_update()
    link.W.update_rule.add_hook(WeightClip())
    for grad, expected in ((50, -1), (-.5, -.5)):
        link.W.grad = numpy.full((1, 1), grad, numpy.float16)
        optimizer.update()
        assert link.W.array.item() == expected


def test_nan_and_infinity():
    model = chainer.Sequential(L.Linear(3, 1, nobias=True))
    model[0].W.array[...] = [numpy.nan, numpy.inf, -numpy.inf]
    model[0].W.grad = numpy.zeros((1, 3), numpy.float32)
    optimizer = chainer.optimizers.SGD().setup(model)
    optimizer.add_hook(WeightClip())
    optimizer.update()
    numpy.testing.assert_array_equal(model[0].W.array, [[numpy.nan, 1, -1]])


def test_wrong_range():
    for bounds in (1, -1), (0, 0), (1, 1), (numpy.nan, 1), (-1, numpy.nan):
        with pytest.raises(
                ValueError, match='low must be less than high') as e:
            WeightClip(*bounds)
        for bound in bounds:
            assert str(bound) in str(e.value)
