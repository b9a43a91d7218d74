"""CNV: layers and work of the published net, what it computes, packed."""
import chainer
import numpy
import pytest

from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import tracing
from bnn.training.learning import inputs
from bnn.training.reports import summary
from tests.golden import contents
from zoo.bnn_pynq import cnv

CNV = cnv.CNV
# Shapes of the weights and of the result, multiply-adds: those of Brevitas'
# bnn_pynq for images of 32x32 pixels
LAYERS = {
    'conv1': ((64, 3, 3, 3), (64, 30, 30), 1_555_200),
    'conv2': ((64, 64, 3, 3), (64, 28, 28), 28_901_376),
    'conv3': ((128, 64, 3, 3), (128, 12, 12), 10_616_832),
    'conv4': ((128, 128, 3, 3), (128, 10, 10), 14_745_600),
    'conv5': ((256, 128, 3, 3), (256, 3, 3), 2_654_208),
    'conv6': ((256, 256, 3, 3), (256, 1, 1), 589_824),
    'l7': ((512, 256), (512,), 131_072),
    'l8': ((512, 512), (512,), 262_144),
    'l9': ((10, 512), (10,), 5_120)}
# Bits of weights and activations
BITS = (1, 1), (1, 2), (2, 2), (32, 32)


def test_layers(layer_table, layer_shapes):
    x = numpy.zeros((1, 3, 32, 32), 'f')
    for w_bits, a_bits in BITS:
        model = CNV(w_bits=w_bits, a_bits=a_bits)
        table, shapes = layer_table(model), layer_shapes(model, x)
        assert list(table) == list(shapes) == list(LAYERS)
        for i, (name, (W, shape, _)) in enumerate(LAYERS.items(), 1):
            assert table[name][:3] == (W, 1, 0)
            assert shapes[name] == shape
            assert model[name].b is None
            assert model[name].w_bits == w_bits
            bn = model[f'b{i}']
            assert bn.gamma.shape == shape[:1]
            assert bn.eps == 1e-4
        assert len(list(model.children())) == 18


@pytest.mark.parametrize('w_bits, a_bits, n_binary', [
    # The 8-bit pixels are not signs, those behind a pool are.
    (1, 1, 8), (1, 2, 0), (2, 2, 0), (32, 32, 0)])
def test_work(w_bits, a_bits, n_binary):
    x = numpy.full((1, 3, 32, 32), .5, 'f')
    *rows, total = summary.summarize(CNV(w_bits=w_bits, a_bits=a_bits), x)
    rows = [row for row in rows if row['layer'] in LAYERS]
    works = [work for *_, work in LAYERS.values()]
    assert [row['1-bit MACs'] + row['other MACs'] for row in rows] == works
    assert [row['bits'] for row in rows] == [w_bits] * 9
    assert total['1-bit MACs'] == sum(works[9 - n_binary:])
    assert total['1-bit MACs'] + total['other MACs'] == 59_461_376


def test_initial_weights():
    for bits, variance in (1, 1), (32, 2):
        for name in 'conv4', 'l8':
            W = CNV(w_bits=bits, a_bits=bits)[name].W.array.astype('d')
            assert abs(W.var() * W[0].size / variance - 1) < (
                5 * (2 / W.size) ** .5)


def test_wrong_bits():
    for options in ({'w_bits': 0}, {'a_bits': 9}, {'quantizer': 'log'}):
        with pytest.raises(ValueError):
            CNV(**options)


def test_surrogate():
    x = numpy.random.normal(0, 1, (5, 3, 32, 32)).astype('f')
    grads = []
    for surrogate in 'ste', 'approx-sign':
        numpy.random.seed(0)
        model = CNV(surrogate=surrogate)
        model.cleargrads()
        chainer.functions.sum(model(x) ** 3).backward()
        grads.append(model.conv1.W.grad)
    assert abs(grads[0] - grads[1]).max() > 1e-3 * abs(grads[0]).max()


@pytest.mark.parametrize('w_bits, a_bits', BITS)
def test_forward(w_bits, a_bits, reference):
    """Layer, normalization, activation, pool."""
    def weights(W):
        if w_bits == 32:
            return W
        if w_bits == 1:
            return reference.sign(W)
        t = numpy.tanh(W)
        return 2 * numpy.rint((t / (2 * abs(t).max()) + .5) * 3) / 3 - 1

    activate = {1: reference.sign, 32: lambda x: numpy.maximum(x, 0),
                2: lambda x: numpy.rint(numpy.clip(x, 0, 1) * 3) / 3}[a_bits]
    with chainer.using_config('dtype', numpy.float64):
        model = CNV(3, w_bits, a_bits)
    reference.disturb(model)
    h = x = numpy.random.normal(0, 1, (1, 3, 32, 32))
    nobias = chainer.Variable(numpy.zeros(1))
    for i, name in enumerate(LAYERS, 1):
        W = weights(model[name].W.array)
        h = (reference.convolution(h, W, nobias) if W.ndim == 4
             else reference.linear(h, W, nobias))
        h = reference.normalize(model[f'b{i}'], h)
        if i < 9:
            h = activate(h)
        if i in (2, 4):
            h = reference.pool(h, numpy.max, 2)
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(model(x).array, h, rtol=1e-8)


@pytest.mark.parametrize('w_bits, a_bits, kinds', [
    (1, 1, ('pixels>bits', *['bits>bits'] * 7, 'bits>float')),
    (1, 2, ('pixels>levels', *['levels>levels'] * 7, 'levels>float')),
    (2, 2, ('pixels>levels', *['levels>levels'] * 7, 'levels>float'))])
def test_packed(w_bits, a_bits, kinds):
    """Whole numbers up to the last sum, which is Chainer's."""
    model = CNV(w_bits=w_bits, a_bits=a_bits)
    contents.fill(model, 2)
    images = contents.images(16, (3, 32, 32), 2)
    x = inputs.rescaler('signed')(images)
    packed = packing.pack(
        tracing.trace(model, x[:1]), (3, 32, 32),
        operations.Rescale(kind='signed'), map(str, range(10)))
    assert tuple(f'{one.operand}>{one.result}'
                 for one in packed.products) == kinds
    assert all(one.is_integer for one in packed.products)

    scores = contents.scores(model, x)
    model.b9 = chainer.Sequential(chainer.functions.identity)
    sums = contents.scores(model, x)
    # Weights and activations of 2 bits are thirds.
    unit = 3 ** ((w_bits == 2) + (a_bits == 2))
    whole = numpy.rint(sums * unit)
    numpy.testing.assert_allclose(sums * unit, whole, rtol=0, atol=.01)
    last = packed.products[-1]
    ours = run.Net(packed).scores(images)
    numpy.testing.assert_array_equal(ours, whole * last.scale + last.offset)
    numpy.testing.assert_allclose(
        ours, scores, rtol=0, atol=2e-6 * abs(scores).max())
