"""AlexNet: the seed's layers, weights, shapes, what it computes."""
import chainer
import numpy
import pytest

from zoo.xnor_net import alexnet

AlexNet = alexnet.AlexNet
TABLE = {
    'conv1': ((96, 3, 11, 11), 4, 0, 'float'),
    'block2/conv': ((256, 96, 5, 5), 1, 2, 'scaled'),
    'block3/conv': ((384, 256, 3, 3), 1, 1, 'scaled'),
    'block4/conv': ((384, 384, 3, 3), 1, 1, 'scaled'),
    'block5/conv': ((256, 384, 3, 3), 1, 1, 'scaled'),
    'block6/linear': ((4096, 9216), 1, 0, 'scaled'),
    'block7/linear': ((4096, 4096), 1, 0, 'scaled'),
    'l8': ((1000, 4096), 1, 0, 'float'),
}
EPS = {'bn1': 1e-4, 'block2/bn': 1e-4, 'block3/bn': 1e-4, 'block4/bn': 1e-4,
       'block5/bn': 1e-4, 'block6/bn': 1e-4, 'block7/bn': 1e-4, 'bn8': 1e-3}
SIZES = {'bn1': 96, 'block2/bn': 96, 'block3/bn': 256, 'block4/bn': 384,
         'block5/bn': 384, 'block6/bn': 9216, 'block7/bn': 4096, 'bn8': 4096}


@pytest.fixture(scope='module')
def model():
    """The net in its full size, which takes seconds to make; read only."""
    return AlexNet()


def test_layers(model, layer_table):
    assert layer_table(model) == TABLE
    normalizations = {
        name[1:]: link for name, link in model.namedlinks()
        if hasattr(link, 'avg_mean')}
    assert {n: bn.eps for n, bn in normalizations.items()} == EPS
    assert {n: bn.gamma.size for n, bn in normalizations.items()} == SIZES
    assert {child.name: child.dropout for child in model.children()
            if getattr(child, 'dropout', 0)} == {'block7': .5}


def test_initial_weights(model):
    for link in model.links():
        if hasattr(link, 'W'):
            W = link.W.array
            expected = 2 / W[0].size
            assert abs(W.std(dtype='d') / expected - 1) < (
                5 / (2 * W.size) ** .5)
            assert abs(W.mean(dtype='d')) < 5 * expected / W.size ** .5
            assert (link.b.array == 0).all()


def test_shapes(model, layer_shapes):
    shapes = layer_shapes(model, numpy.zeros((1, 3, 227, 227), 'f'))
    assert shapes == {
        'conv1': (96, 55, 55), 'block2/conv': (256, 27, 27),
        'block3/conv': (384, 13, 13), 'block4/conv': (384, 13, 13),
        'block5/conv': (256, 13, 13), 'block6/linear': (4096,),
        'block7/linear': (4096,), 'l8': (1000,)}


def test_float(layer_table):
    assert layer_table(AlexNet(7, False, 32)) == {
        name: (*row[:-1], 'float') for name, row in {
            **TABLE, 'block6/linear': ((32, 9216), 1, 0, None),
            'block7/linear': ((32, 32), 1, 0, None),
            'l8': ((7, 32), 1, 0, None)}.items()}


def test_options_reach_the_blocks():
    model = AlexNet(3, n_units=8, input_scale=True, shift=True,
                    scaled=False, surrogate='approx-sign')
    blocks = [child for child in model.children()
              if child.name.startswith('block')]
    assert len(blocks) == 6
    for block in blocks:
        assert block.input_scale
        assert block.sign.surrogate == 'approx-sign'
        assert not block.scaled


def test_dropout_in_front_of_the_last_layer():
    seen = []

    class Recorder(chainer.LinkHook):
        def forward_preprocess(self, args):
            if args.link.name == 'l8':
                seen.append((args.args[0].array == 0).mean())

    model = AlexNet(3, n_units=500)
    model.bn8.beta.array[...] = .5  # no 0 from dead units
    x = numpy.random.normal(0, 1, (2, 3, 227, 227)).astype('f')
    for train in True, False:
        with Recorder(), chainer.using_config('train', train):
            model(x)
    assert abs(seen[0] - .5) < .1
    assert seen[1] == 0


def test_forward(reference):
    with chainer.using_config('dtype', numpy.float64):
        model = AlexNet(3, n_units=20)
    reference.disturb(model)
    x = numpy.random.normal(0, 1, (1, 3, 227, 227))
    h = reference.convolution(
        x, model.conv1.W.array, model.conv1.b, stride=4)
    h = numpy.maximum(reference.normalize(model.bn1, h), 0)
    h = reference.pool(h, numpy.max)
    h = reference.pool(reference.block(model.block2, h, pad=2), numpy.max)
    for name in 'block3', 'block4', 'block5':
        h = reference.block(model[name], h, pad=1)
    h = reference.pool(h, numpy.max).reshape(1, -1)
    h = reference.block(model.block7, reference.block(model.block6, h))
    h = reference.normalize(model.bn8, h, 1e-3)
    expected = reference.linear(h, model.l8.W.array, model.l8.b)
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(model(x).array, expected, rtol=1e-8)
