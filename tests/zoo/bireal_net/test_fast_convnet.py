"""FastConvNet: layers, work, results, packed."""
import chainer
import numpy
import pytest

from bnn.training.reports import summary
from zoo.bireal_net import fast_convnet

FastConvNet = fast_convnet.FastConvNet
# Weights, shape of the result before the pool, multiply-adds
LAYERS = {
    'conv1': ((64, 3, 3, 3), (64, 32, 32), 1_769_472),
    'block2/conv': ((64, 64, 3, 3), (64, 16, 16), 9_437_184),
    'block3/conv': ((256, 64, 3, 3), (256, 16, 16), 37_748_736),
    'block4/conv': ((256, 256, 3, 3), (256, 8, 8), 37_748_736),
    'block5/conv': ((256, 256, 3, 3), (256, 8, 8), 37_748_736),
    'block6/conv': ((256, 256, 3, 3), (256, 4, 4), 9_437_184),
    'l7': ((10, 256), (10,), 2_560),
}


@pytest.mark.parametrize('binary', [True, False])
def test_layers(layer_table, layer_shapes, binary):
    x = numpy.full((1, 3, 32, 32), .5, 'f')
    model = FastConvNet(binary=binary)
    table, shapes = layer_table(model), layer_shapes(model, x)
    assert list(shapes) == list(LAYERS)
    assert set(table) == set(LAYERS)
    *rows, _ = summary.summarize(model, x)
    work = {row['layer']: row['1-bit MACs' if binary and row['bits'] == 1
                              else 'other MACs'] for row in rows}
    for name, (W, shape, macs) in LAYERS.items():
        inside = binary and name not in ('conv1', 'l7')
        assert table[name] == (
            W, 1, int(len(W) == 4), 'sign' if inside else 'float')
        assert shapes[name] == shape
        assert work[name] == macs


@pytest.mark.parametrize('width', [2, 3])
@pytest.mark.parametrize('binary', [True, False])
def test_forward(reference, apply_block, binary, width):
    nobias = chainer.Variable(numpy.zeros(1))
    x = numpy.random.normal(0, 1, (2, 3, 16, 16))
    with chainer.using_config('dtype', numpy.float64):
        model = FastConvNet(3, binary, width=width)
    reference.disturb(model)
    h = reference.convolution(x, model.conv1.W.array, nobias, pad=1)
    h = reference.normalize(model.bn1, reference.pool(h, numpy.max, 2), 2e-5)
    for i in range(2, 7):
        h = apply_block(model[f'block{i}'], h, binary, pool=i in (3, 5))
    h = reference.linear(h.mean(axis=(2, 3)), model.l7.W.array, model.l7.b)
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(model(x).array, h, rtol=1e-8)


@pytest.mark.parametrize('binary', [True, False])
def test_packed(check_packed, binary):
    model = FastConvNet(binary=binary, width=4)
    check_packed(model, 5 * ['bits' if binary else 'float'])


def test_packed_with_float_weights(check_packed):
    check_packed(FastConvNet(binary_weights=False, width=4), 5 * ['bits'])
