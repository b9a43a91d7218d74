"""Bop: flips by hand, Adam for the rest, resume."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer import serializers

import link_binary_linear
import net
from zoo.latent_weights import bop
from zoo.quantized_net import link_quantized_linear


def weights(W):
    return link_binary_linear.BinaryLinear(
        len(W), 1, nobias=True, initialW=numpy.array([W], 'f'))


# All numbers are sums of powers of two: nothing rounds.
STEPS = [  # gradient, average, weights after it
    ([1, 1, -1], [.5, .5, -.5], [-1, -1, 1]),
    # The second and third average are just at the threshold
    ([-1.25, -1, 1], [-.375, -.25, .25], [1, -1, 1]),
    # The first is below it
    ([.125, -.75, .75], [-.125, -.5, .5], [1, 1, -1]),
    # Large averages of the other sign than the weight flip nothing
    ([-8.125, -8, 8.25], [-4.125, -4.25, 4.375], [1, 1, -1]),
]


def test_flips_by_hand():
    link = weights([.25, -.5, 2])
    optimizer = bop.Bop(adaptivity=.5, threshold=.25).setup(link)
    for g, m, W in STEPS:
        link.W.grad = numpy.array([g], 'f')
        optimizer.update()
        numpy.testing.assert_array_equal(link.W.update_rule.state['m'], [m])
        numpy.testing.assert_array_equal(link.W.array, [W])
    assert link.W.array.dtype == numpy.float32


def test_first_update():
    link = weights([0, -0., -.1])
    optimizer = bop.Bop(adaptivity=1, threshold=9).setup(link)
    link.W.grad = numpy.zeros((1, 3), 'f')
    optimizer.update()
    numpy.testing.assert_array_equal(link.W.array, [[1, 1, -1]])
    link.W.cleargrad()
    optimizer.update()  # nothing to do
    numpy.testing.assert_array_equal(link.W.array, [[1, 1, -1]])


def test_adaptivity_and_threshold():
    # One gradient of 2 on a weight of +1: the average is 2 x adaptivity.
    for adaptivity, threshold, flips in (
            (1, 0, True), (1, 2, False), (1, 1.5, True), (.5, 1.5, False),
            (.5, .75, True), (0, 0, False)):
        link = weights([1])
        optimizer = bop.Bop(
            adaptivity=adaptivity, threshold=threshold).setup(link)
        link.W.grad = numpy.full((1, 1), 2, 'f')
        optimizer.update()
        assert link.W.array == (-1 if flips else 1)


def setup(seed=0):
    numpy.random.seed(seed)
    model = L.Classifier(net.BinaryMLP(8, 3, 12))
    return model, bop.Bop(alpha=.01, adaptivity=.1, threshold=1e-4).setup(
        model)


def updates(model, optimizer, n, seed):
    random = numpy.random.RandomState(seed)
    for _ in range(n):
        optimizer.update(model, random.uniform(-1, 1, (20, 12)).astype('f'),
                         random.randint(0, 3, 20).astype('i'))


def test_weights_stay_binary():
    model, optimizer = setup()
    signs = model.predictor.l2.W.array >= 0
    for i in range(10):
        updates(model, optimizer, 1, i)
        for name in 'l1', 'l2', 'l3':
            assert (abs(model.predictor[name].W.array) == 1).all()
    assert (signs != (model.predictor.l2.W.array >= 0)).any()
    # All others are Adam's
    assert model.predictor.l1.b.array.std() > 0


def test_others_get_adam():
    def make(kind):
        numpy.random.seed(0)
        model = chainer.Chain()
        with model.init_scope():
            model.binary = link_binary_linear.BinaryLinear(4, 3)
            model.float = L.Linear(3, 2)
            model.two_bits = link_quantized_linear.QuantizedLinear(3, 2, 2)
        return model, kind(alpha=.03).setup(model)

    (ours, our_bop), (theirs, adam) = make(bop.Bop), make(
        chainer.optimizers.Adam)
    random = numpy.random.RandomState(0)
    for _ in range(5):
        for (_, a), (_, b) in zip(
                sorted(ours.namedparams()), sorted(theirs.namedparams()),
                strict=True):
            a.grad = random.normal(size=a.shape).astype('f')
            b.grad = a.grad.copy()
        our_bop.update()
        adam.update()
    for (name, a), (_, b) in zip(
            sorted(ours.namedparams()), sorted(theirs.namedparams()),
            strict=True):
        if name == '/binary/W':
            assert (abs(a.array) == 1).all()
        else:
            assert a.array.tobytes() == b.array.tobytes()


def test_resume(tmp_path):
    for kind in 'npz', 'hdf5':
        check_resume(tmp_path, kind)


def check_resume(tmp_path, kind):
    model, optimizer = setup()
    updates(model, optimizer, 6, 1)
    for name, target in ('model', model), ('optimizer', optimizer):
        getattr(serializers, 'save_' + kind)(str(tmp_path / name), target)
    updates(model, optimizer, 6, 2)
    resumed, its_optimizer = setup(seed=9)
    # In both orders the same
    for name, target in ('optimizer', its_optimizer), ('model', resumed):
        getattr(serializers, 'load_' + kind)(str(tmp_path / name), target)
    updates(resumed, its_optimizer, 6, 2)
    for (name, a), (_, b) in zip(
            sorted(model.namedparams()), sorted(resumed.namedparams()),
            strict=True):
        assert a.array.tobytes() == b.array.tobytes(), name
        for key, state in a.update_rule.state.items():
            numpy.testing.assert_array_equal(
                state, b.update_rule.state[key], name)


def test_lazy_layer():
    model = chainer.Sequential(
        link_binary_linear.BinaryLinear(None, 3), F.sum)
    optimizer = bop.Bop(adaptivity=1, threshold=0).setup(model)
    x = numpy.array([[1, -1]], 'f')
    optimizer.update(lambda: model(x))
    # The gradient is x: where the weight has its sign, it flips
    numpy.testing.assert_array_equal(model[0].W.array, [[-1, 1]] * 3)
