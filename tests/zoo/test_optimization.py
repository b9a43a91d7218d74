import chainer
import chainer.links as L
import numpy
import pytest

import net
from zoo import optimization
from zoo.xnor_net import alexnet
from zoo.xnor_net import lenet5


@pytest.mark.parametrize('predictor', [
    lambda: net.FloatMLP(3), lambda: net.BinaryMLP(3),
    lambda: lenet5.LeNet5(binary=True),
    lambda: alexnet.AlexNet(n_out=2, n_units=3)])
def test_weights_alone_decay(predictor):
    model = L.Classifier(predictor())
    optimizer = chainer.optimizers.SGD(lr=1).setup(model)
    optimization.decay_weights(model, .25)
    params = [param for param in model.params() if param.array is not None]
    for param in params:
        param.array[...] = 1
        param.grad = numpy.zeros_like(param.array)
    optimizer.update()
    kinds = {param.name for param in params}
    assert {'W', 'beta'} <= kinds
    for param in params:
        numpy.testing.assert_array_equal(
            param.array, .75 if param.name == 'W' else 1, param.name)
