"""One training step by the fast kernels and by their definition.

From the same state: later, one unit in the last place before a sign grows
from step to step.
"""
import inspect

import chainer
import chainer.links as L
import numpy
import pytest

import net
import weight_clip
from bnn import kernels
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import momentum_sgd
from bnn.kernels import reference
from zoo.binarynet import convnet
from zoo.xnor_net import hooks
from zoo.xnor_net import lenet5

NETS = {
    'mlp': lambda: (net.BinaryMLP(70), (1, 28, 28)),
    'quantized': lambda: (net.QuantizedMLP(70), (1, 28, 28)),
    'lenet5': lambda: (lenet5.LeNet5(), (1, 28, 28)),
    'convnet': lambda: (convnet.ConvNet(width=4), (3, 32, 32)),
}


def step(name, make_optimizer):
    """Returns loss and parameters after one step."""
    numpy.random.seed(0)
    predictor, shape = NETS[name]()
    model = L.Classifier(predictor)
    optimizer = make_optimizer(lr=.1).setup(model)
    weight_clip.clip_weights(model)
    hooks.add_to(model)
    x = numpy.random.standard_normal((50, *shape)).astype('f')
    t = numpy.random.randint(0, 10, 50).astype('i')
    optimizer.update(model, x, t)
    return model.loss.array, {
        name: param.array for name, param in model.namedparams()}


@pytest.mark.parametrize('name', NETS)
def test_fast_against_reference(name, monkeypatch):
    loss, fast = step(name, momentum_sgd.MomentumSGD)

    for function, definition in inspect.getmembers(
            reference, inspect.isfunction):
        if function != 'stochastic_binarize':  # which takes the draws
            monkeypatch.setattr(kernels, function, definition)
    monkeypatch.setattr(link_batch_normalization.BatchNormalization,
                        '_is_fast', lambda self, x: False)
    expected_loss, slow = step(name, chainer.optimizers.MomentumSGD)

    assert abs(loss - expected_loss) < 1e-5 * expected_loss
    for key, value in slow.items():
        # Of float32: a few thousand rounding errors of sums
        numpy.testing.assert_allclose(
            fast[key], value, rtol=0, atol=2e-5, err_msg=key)


@pytest.mark.parametrize('name', ['mlp', 'quantized'])
def test_kernels_of_a_gpu(name, kernels_of):
    # kernels_of puts them in the place of the CPU's, or does not.
    kernels_now, kernels._kernels_of = kernels._kernels_of, _of_cpu
    try:
        expected_loss, expected = step(name, momentum_sgd.MomentumSGD)
    finally:
        kernels._kernels_of = kernels_now
    loss, found = step(name, momentum_sgd.MomentumSGD)
    assert abs(loss - expected_loss) < 1e-5 * expected_loss
    for key, value in expected.items():
        numpy.testing.assert_allclose(
            found[key], value, rtol=1e-4, atol=1e-5, err_msg=key)


def _of_cpu(x):
    from bnn.kernels import cpu
    return cpu
