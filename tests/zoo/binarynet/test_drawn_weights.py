"""Weights that training draws: their start, and what tests compute with."""
import chainer
import numpy
import pytest

from bnn.training.learning import classifier
from bnn.training.learning import losses
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binarynet import drawn_weights
from zoo.quantized_net import quantized_mlp


def test_kinds():
    """The scores are those of the weights that the kind says."""
    model = classifier.Classifier(
        binary_weight_mlp.BinaryWeightMLP(
            6, 3, 8, 1, batch_norm=False, stochastic=True),
        losses.softmax_cross_entropy)
    drawn_weights.draw_uniform(model)
    x = numpy.random.uniform(0, 1, (5, 8)).astype('f')
    t = numpy.array([0, 1, 2, 0, 1], 'i')
    W1, W2 = (model.predictor[name].W.array for name in ('l1', 'l2'))

    def scores(kind, n=1):
        drawn_weights.choose(model, kind, n)
        with chainer.using_config('train', False):
            model(x, t)
        return model.y.array

    def by_hand(W1, W2):
        return numpy.maximum(x @ W1.T, 0) @ W2.T

    def sign(W):
        return numpy.where(W >= 0, 1, -1).astype('f')

    numpy.testing.assert_allclose(
        scores('signs'), by_hand(sign(W1), sign(W2)), rtol=1e-5, atol=1e-5)
    numpy.testing.assert_allclose(
        scores('real'), by_hand(W1, W2), rtol=1e-5, atol=1e-5)
    state = numpy.random.get_state()[1].copy()
    mean = scores('mean', 7)
    numpy.testing.assert_array_equal(scores('mean', 7), mean)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)
    numpy.random.seed(0)
    with chainer.using_config('train', False):
        draws = [model.predictor(x).array for _ in range(7)]
    numpy.testing.assert_allclose(mean, numpy.mean(draws, axis=0), rtol=1e-5)
    assert numpy.ptp(draws, axis=0).max() > 0
    with pytest.raises(ValueError, match="no kind 'mode'.*signs, real, mean"):
        drawn_weights.choose(model, 'mode')


def test_draw_uniform():
    net = quantized_mlp.QuantizedMLP(400, w_bits=2)
    drawn_weights.draw_uniform(net)
    W = net.l1.W.array
    assert W.dtype == numpy.float32 and abs(W).max() <= 1
    # Five standard errors of the mean and of the variance
    assert abs(W.mean()) < 5 * (1 / 3 / W.size) ** .5
    assert abs(W.var() - 1 / 3) < 5 * (4 / 45 / W.size) ** .5
    float_net = quantized_mlp.QuantizedMLP(8, w_bits=32)
    before = float_net.l1.W.array.copy()
    drawn_weights.draw_uniform(float_net)
    numpy.testing.assert_array_equal(float_net.l1.W.array, before)
