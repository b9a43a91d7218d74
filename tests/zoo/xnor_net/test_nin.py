"""NIN: layers and shapes of the seed and of Caffe, what they compute."""
import chainer
import numpy

from zoo.xnor_net import nin

NIN = nin.NIN
NINImageNet = nin.NINImageNet
# (filters, channels, kh, kw), stride, pad, weights
CIFAR = {
    'conv1': ((192, 3, 5, 5), 1, 2, 'float'),
    'block2/conv': ((160, 192, 1, 1), 1, 0, 'scaled'),
    'block3/conv': ((96, 160, 1, 1), 1, 0, 'scaled'),
    'block4/conv': ((192, 96, 5, 5), 1, 2, 'scaled'),
    'block5/conv': ((192, 192, 1, 1), 1, 0, 'scaled'),
    'block6/conv': ((192, 192, 1, 1), 1, 0, 'scaled'),
    'block7/conv': ((192, 192, 3, 3), 1, 1, 'scaled'),
    'block8/conv': ((192, 192, 1, 1), 1, 0, 'scaled'),
    'conv9': ((10, 192, 1, 1), 1, 0, 'float'),
}
IMAGENET = {
    'conv1': ((96, 3, 11, 11), 4, 0, 'float'),
    'block2/conv': ((96, 96, 1, 1), 1, 0, 'scaled'),
    'block3/conv': ((96, 96, 1, 1), 1, 0, 'scaled'),
    'block4/conv': ((256, 96, 5, 5), 1, 2, 'scaled'),
    'block5/conv': ((256, 256, 1, 1), 1, 0, 'scaled'),
    'block6/conv': ((256, 256, 1, 1), 1, 0, 'scaled'),
    'block7/conv': ((384, 256, 3, 3), 1, 1, 'scaled'),
    'block8/conv': ((384, 384, 1, 1), 1, 0, 'scaled'),
    'block9/conv': ((384, 384, 1, 1), 1, 0, 'scaled'),
    'block10/conv': ((1024, 384, 3, 3), 1, 1, 'scaled'),
    'block11/conv': ((1024, 1024, 1, 1), 1, 0, 'scaled'),
    'conv12': ((1000, 1024, 1, 1), 1, 0, 'float'),
}
# Side of what each layer gives
SIDES = {
    NIN: [32] * 3 + [16] * 3 + [8] * 3,
    NINImageNet: [55] * 3 + [27] * 3 + [13] * 3 + [6] * 3,
}
DROPOUT = {NIN: ['block4', 'block7'], NINImageNet: ['block10']}


def as_float(table):
    return {name: (*row[:-1], 'float') for name, row in table.items()}


def test_layers(layer_table):
    for net, expected in (NIN, CIFAR), (NINImageNet, IMAGENET):
        assert layer_table(net()) == expected
        assert layer_table(net(binary=False)) == as_float(expected)
        for child in net().children():
            if child.name.startswith('block'):
                assert child.dropout == (
                    .5 if child.name in DROPOUT[net] else 0), child.name
        for model in net(), net(binary=False):
            for link in model.links():
                if hasattr(link, 'avg_mean'):
                    assert link.eps == 1e-4
                    affine = getattr(link, 'gamma', None) is not None
                    assert affine == (link.name == 'bn')


def test_shapes(layer_shapes):
    for net, side in (NIN, 32), (NINImageNet, 227), (NINImageNet, 224):
        shapes = layer_shapes(net(), numpy.zeros((1, 3, side, side), 'f'))
        # The pools round up, as Caffe's: 54 becomes 27 too.
        assert [shape[1] for shape in shapes.values()] == [
            54 if s == 55 and side == 224 else s for s in SIDES[net]]


def test_initial_weights():
    for net in NIN, NINImageNet:
        for link in net().links():
            if hasattr(link, 'W'):
                W = link.W.array.astype('d')
                assert abs(W.std() / .05 - 1) < 5 / (2 * W.size) ** .5
                assert (link.b.array == 0).all()


def test_options_reach_the_blocks():
    for net in NIN, NINImageNet:
        model = net(3, input_scale=True, shift=True, scaled=False,
                    surrogate='approx-sign')
        blocks = [child for child in model.children()
                  if child.name.startswith('block')]
        assert len(blocks) == len(SIDES[net]) - 2
        for block in blocks:
            assert block.input_scale
            assert block.sign.surrogate == 'approx-sign'
            assert not block.scaled


def make(net, reference):
    with chainer.using_config('dtype', numpy.float64):
        model = net(3)
    reference.disturb(model)
    return model


def first(reference, model, x, **options):
    h = reference.convolution(
        x, model.conv1.W.array, model.conv1.b, **options)
    return numpy.maximum(reference.normalize(model.bn1, h), 0)


def last(reference, h, bn, conv):
    h = reference.normalize(bn, h)
    h = reference.convolution(h, conv.W.array, conv.b)
    return numpy.maximum(h, 0).mean(axis=(2, 3))


def test_forward(reference):
    model = make(NIN, reference)
    x = numpy.random.normal(0, 1, (1, 3, 32, 32))
    h = first(reference, model, x, pad=2)
    for name in 'block2', 'block3':
        h = reference.block(model[name], h)
    h = reference.pool(h, numpy.max, pad=1, pad_value=-numpy.inf)
    h = reference.block(model.block4, h, pad=2)
    for name in 'block5', 'block6':
        h = reference.block(model[name], h)
    h = reference.pool(h, numpy.mean, pad=1)
    h = reference.block(model.block7, h, pad=1)
    h = reference.block(model.block8, h)
    expected = last(reference, h, model.bn9, model.conv9)
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(model(x).array, expected, rtol=1e-8)


def test_forward_imagenet(reference):
    model = make(NINImageNet, reference)
    x = numpy.random.normal(0, 1, (1, 3, 99, 99))
    h = first(reference, model, x, stride=4)
    for stage, pad in ((3, 0), (6, 2), (9, 1)):
        names = [f'block{i}' for i in range(stage - 2, stage + 1)]
        for name in names if stage > 3 else names[1:]:
            h = reference.block(
                model[name], h, pad=pad if name == names[0] else 0)
        if h.shape[2] % 2 == 0:  # rounded up
            h = numpy.pad(h, ((0, 0), (0, 0), (0, 1), (0, 1)),
                          constant_values=-numpy.inf)
        h = reference.pool(h, numpy.max)
    h = reference.block(model.block10, h, pad=1)
    h = reference.block(model.block11, h)
    expected = last(reference, h, model.bn12, model.conv12)
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(model(x).array, expected, rtol=1e-8)
