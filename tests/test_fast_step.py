"""One training step from an equal state, against slow definitions.

One step alone: later, one unit in the last place before a sign grows from
step to step.
"""
import inspect

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import training

import net
import weight_clip
from bnn.chainer_ops import adam
from bnn.kernels import batch_norm
from bnn.kernels import convolution
from bnn.kernels import dorefa
from bnn.kernels import elementwise
from bnn.kernels import optimizers
from bnn.kernels import pool
from bnn.kernels import reference
from bnn.kernels import scaled_signs
from bnn.kernels import sign_images
from bnn.kernels import signs
from bnn.training.learning import means
from tests.helpers import devices
from tests.helpers import paper
from zoo.binarynet import convnet
from zoo.binarynet import function_binary_convolution_2d
from zoo.binarynet import function_normalized_sign
from zoo.binarynet import function_normalized_sign_convolution
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import hooks
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

N, N_UNITS, ALPHA = 64, 96, .05


def state_of(model):
    """Copies parameters, moments and running statistics in float64."""
    params, moments, statistics = {}, {}, {}
    for name, param in model.predictor.namedparams():
        params[name[1:]] = devices.to_cpu(param).astype('d')
        moments[name[1:]] = [
            devices.to_cpu(param.update_rule.state[key]).astype('d')
            for key in 'mv']
    for k in 1, 2, 3:
        bn = model.predictor[f'b{k}']
        statistics[k] = [devices.to_cpu(array).astype('d')
                         for array in (bn.avg_mean, bn.avg_var)]
    return params, moments, statistics


@devices.each
def test_step_of_the_paper(device):
    """The lines of train_mnist.py compute BinaryNet's step."""
    device = devices.get(device)
    numpy.random.seed(0)  # No sign is at a tie, see below.
    # Products of pixels and signs, and their sums, are exact in float32.
    x = (numpy.random.randint(0, 256, (N, 1, 28, 28)) / 256).astype('f')
    t = numpy.random.randint(0, 10, N).astype('i')

    model = L.Classifier(net.BinaryMLP(N_UNITS, 10), accfun=means.accuracy)
    model.to_device(device)
    optimizer = adam.Adam(alpha=ALPHA)
    optimizer.setup(model)
    optimizer.add_hook(weight_clip.WeightClip())
    updater = training.StandardUpdater(
        chainer.iterators.SerialIterator(
            chainer.datasets.TupleDataset(x, t), N, shuffle=False),
        optimizer, device=device)

    # A first update of chosen gradients: the moments are then neither 0,
    # where Adam's step is the sign of any rounding error, nor too large.
    for param in model.params():
        param.grad = device.send(numpy.random.normal(
            0, .1, param.shape).astype('f'))
    optimizer.update()
    params, moments, statistics = state_of(model)
    observation = {}
    reporter = chainer.Reporter()
    reporter.add_observer('main', model)
    with reporter.scope(observation):
        updater.update()
    found, found_moments, found_statistics = state_of(model)

    y, kept = paper.forward(params, x.reshape(N, -1).astype('d'))
    loss, gradient = paper.loss_and_gradient(y, t)
    grads = paper.backward(params, kept, gradient)
    for *_, a, _, _ in kept[:2]:
        # No rounding error of float32 turns a sign or moves a bound.
        assert min(abs(a).min(), abs(abs(a) - 1).min()) > 1e-5
    assert float(observation['main/loss'].array) == pytest.approx(
        loss, rel=1e-5)
    assert float(observation['main/accuracy'].array) == (
        y.argmax(axis=1) == t).mean()
    clipped = 0
    for name, param in params.items():
        expected, *expected_moments = paper.adam(
            param, grads[name], *moments[name], t=2, alpha=ALPHA)
        clipped += (abs(expected) > 1).sum()
        numpy.testing.assert_allclose(
            found[name], paper.clip(expected), rtol=0, atol=1e-5,
            err_msg=name)
        for one, other in zip(
                found_moments[name], expected_moments, strict=True):
            numpy.testing.assert_allclose(
                one, other, rtol=1e-3, atol=1e-6, err_msg=name)
    assert clipped > 50
    assert (found['b1/gamma'] <= 1).all()
    for k, (*_, mean, var) in enumerate(kept, 1):
        for one, before, now in zip(
                found_statistics[k], statistics[k], (mean, var * N / (N - 1)),
                strict=True):
            numpy.testing.assert_allclose(
                one, .9 * before + .1 * now, rtol=1e-4, atol=1e-4)


# Nets and their batches of images
NETS = {
    'mlp': lambda: (net.BinaryMLP(70), (50, 1, 28, 28)),
    'quantized': lambda: (quantized_mlp.QuantizedMLP(70), (50, 1, 28, 28)),
    'lenet5': lambda: (lenet5.LeNet5(), (50, 1, 28, 28)),
    'convnet': lambda: (convnet.ConvNet(width=4), (50, 3, 32, 32)),
    'nin': lambda: (nin.NIN(), (4, 3, 32, 32)),
}


class SlowSigns:
    """The signs of a matrix by the definition."""

    def __init__(self, W):
        self.array = reference.binarize(W)

    def apply(self, x):
        return reference.sign_product(x, self.array)

    def apply_transposed(self, g, precision):
        return reference.weight_gradient(g.T, self.array, precision)


def slow_sign_convolution(self, x, W, b=None):
    scale = self.scale(W)
    return reference.sign_convolution(
        x, W, scale, 0 * scale if b is None else b, *self.geometry)


def step(name, make_optimizer):
    """Returns loss and parameters after one step."""
    numpy.random.seed(0)
    predictor, shape = NETS[name]()
    model = L.Classifier(predictor)
    optimizer = make_optimizer(lr=.1).setup(model)
    optimizer.add_hook(weight_clip.WeightClip())
    hooks.add_to(model)
    x = numpy.random.standard_normal(shape).astype('f')
    t = numpy.random.randint(0, 10, len(x)).astype('i')
    optimizer.update(model, x, t)
    return model.loss.array, {
        name: param.array for name, param in model.namedparams()}


@pytest.mark.slow
@pytest.mark.parametrize('bits, bound', [
    ('float32', 2e-5),  # a few thousand rounding errors of sums
    ('bfloat16', 2e-4)])  # and of 8 bits, where a gradient is at a tie
@pytest.mark.parametrize('name', NETS)
def test_kernels_against_their_definition(
        name, bits, bound, monkeypatch):
    monkeypatch.setattr(
        chainer.global_config, 'precision', bits, raising=False)
    loss, fast = step(name, chainer.optimizers.MomentumSGD)
    n_replaced = 0
    for module in (elementwise, batch_norm, pool, optimizers,
                   convolution, signs, scaled_signs,
                   dorefa):
        for function, definition in inspect.getmembers(
                reference, inspect.isfunction):
            if hasattr(module, function):
                monkeypatch.setattr(module, function, definition)
                n_replaced += 1
    assert n_replaced > 12
    monkeypatch.setattr(signs, 'Signs', SlowSigns)
    # The images stay floats.
    pack = sign_images.pack
    monkeypatch.setattr(sign_images, 'pack', lambda x, pad: (
        None if pack(x, pad) is None else x))
    monkeypatch.setattr(
        function_binary_convolution_2d.BinaryConvolution2DFunction,
        'convolve_signs', slow_sign_convolution)
    monkeypatch.setattr(
        function_normalized_sign_convolution, 'normalized_sign_convolution',
        lambda x, bn, *args, rectify, **options: (
            function_binary_convolution_2d.binary_convolution_2d(
                function_normalized_sign.normalized_sign(
                    F.relu(x) if rectify else x, bn), *args, **options)))
    expected_loss, slow = step(name, chainer.optimizers.MomentumSGD)

    assert abs(loss - expected_loss) < 1e-5 * expected_loss
    for key, value in slow.items():
        numpy.testing.assert_allclose(
            fast[key], value, rtol=0, atol=bound, err_msg=key)
