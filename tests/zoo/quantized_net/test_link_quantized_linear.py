"""The k-bit layer, the net of it, and what clips its weights."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import serializers

import link_binary_linear
import net
import weight_clip
from zoo.quantized_net import function_quantized_linear
from zoo.quantized_net import link_quantized_linear

QUANTIZERS = ('dorefa', 'linear')


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


# ---- the layer

@pytest.mark.parametrize('quantizer', QUANTIZERS)
@pytest.mark.parametrize('bits', [1, 2, 8, 32])
@pytest.mark.parametrize('nobias', [False, True])
def test_forward(quantizer, bits, nobias):
    numpy.random.seed(0)
    link = link_quantized_linear.QuantizedLinear(
        12, 4, bits, quantizer, nobias, initial_bias=.5)
    assert link.W.shape == (4, 12)
    assert link.w_bits == bits
    assert link.quantizer == quantizer
    x = numpy.random.normal(size=(5, 3, 2, 2)).astype('f')
    y = link(x)
    expected = function_quantized_linear.quantized_linear(
        x, link.W, link.b, bits, quantizer)
    same_bits(y.array, expected.array)
    link.cleargrads()
    F.sum(y).backward()
    assert link.W.grad.shape == link.W.shape
    if nobias:
        assert link.b is None
    else:
        assert link.b.array.tolist() == [.5] * 4
        assert link.b.grad.tolist() == [5] * 4


def test_lazy():
    link = link_quantized_linear.QuantizedLinear(None, 3, 2)
    assert link.W.array is None
    assert link(numpy.ones((2, 1, 5), 'f')).shape == (2, 3)
    assert link.W.shape == (3, 5)


def test_initial_weights():
    W = numpy.arange(6, dtype='f').reshape(2, 3)
    link = link_quantized_linear.QuantizedLinear(3, 2, 2, initialW=W)
    numpy.testing.assert_array_equal(link.W.array, W)
    numpy.random.seed(0)
    W = link_quantized_linear.QuantizedLinear(400, 300, 2).W.array
    # Of 120000 values the deviation is within 1 % but for 1 in 10^6
    assert abs(W.std() * 20 - 1) < .01


def test_specs():
    link = link_quantized_linear.QuantizedLinear(3, 2, 4, 'linear')
    specs = dict(link.printable_specs)
    assert specs['in_size'] == 3
    assert specs['out_size'] == 2
    assert specs['bits'] == 4
    assert specs['quantizer'] == 'linear'
    assert 'bits=4' in str(link)


@pytest.mark.parametrize('args', [
    (0, 2, 2), (3, 0, 2), (-1, 2, 2), (3, 2, 0), (3, 2, 9), (3, 2, 16),
    (3, 2, None), (3, 2, 2, 'log'), (None, 0, 2)])
def test_wrong_arguments(args):
    with pytest.raises(ValueError):
        link_quantized_linear.QuantizedLinear(*args)


@pytest.mark.parametrize('kind', ['npz', 'hdf5'])
@pytest.mark.parametrize('lazy', [False, True])
def test_serialize(tmp_path, kind, lazy):
    numpy.random.seed(0)
    x = numpy.random.normal(size=(5, 6)).astype('f')
    link = link_quantized_linear.QuantizedLinear(6, 4, 3)
    path = str(tmp_path / 'link')
    getattr(serializers, 'save_' + kind)(path, link)
    other = link_quantized_linear.QuantizedLinear(
        None if lazy else 6, 4, 3)
    getattr(serializers, 'load_' + kind)(path, other)
    same_bits(other.W.array, link.W.array)
    same_bits(other.b.array, link.b.array)
    same_bits(other(x).array, link(x).array)
    same_bits(link.copy('copy')(x).array, link(x).array)


# ---- the net

def updated(model, n, clip=True):
    """Returns the parameters after each of ``n`` updates."""
    classifier = L.Classifier(model)
    optimizer = chainer.optimizers.Adam(alpha=.05).setup(classifier)
    if clip:
        weight_clip.clip_weights(model)
    random = numpy.random.RandomState(5)
    found = []
    numpy.random.seed(7)  # dropout's
    for _ in range(n):
        x = random.uniform(0, 1, (20, 12)).astype('f')
        t = random.randint(0, 3, 20).astype('i')
        optimizer.update(classifier, x, t)
        found.append({name: param.array.copy()
                      for name, param in classifier.namedparams()})
        found[-1]['loss'] = classifier.loss.array
    return found


def made(kind, **kwargs):
    numpy.random.seed(3)
    return kind(16, 3, 12, **kwargs)


@pytest.mark.parametrize('quantizer', QUANTIZERS)
@pytest.mark.parametrize('dropout', [0., .2])
def test_one_bit_net_is_the_binary_net(quantizer, dropout):
    dropouts = {'dropout_input': dropout, 'dropout_hidden': dropout}
    binary, quantized = [updated(model, 8) for model in (
        made(net.BinaryMLP, **dropouts),
        made(net.QuantizedMLP, w_bits=1, a_bits=1, quantizer=quantizer,
             **dropouts))]
    for ours, theirs in zip(quantized, binary, strict=True):
        assert list(ours) == list(theirs)
        for name in ours:
            same_bits(ours[name], theirs[name])
    # There was something to compare
    assert (binary[0]['/predictor/l1/W'] != binary[7]['/predictor/l1/W']).any()
    x = numpy.random.RandomState(0).uniform(0, 1, (7, 12)).astype('f')
    with chainer.using_config('train', False):
        same_bits(made(net.QuantizedMLP, w_bits=1, a_bits=1)(x).array,
                  made(net.BinaryMLP)(x).array)


def test_32_bits_net_is_a_float_net():
    model = made(net.QuantizedMLP, w_bits=32, a_bits=32)
    x = numpy.random.RandomState(0).uniform(0, 1, (7, 12)).astype('f')
    y = model(x)
    h = x
    for i in 1, 2, 3:
        h = model['b%d' % i](F.linear(h, model['l%d' % i].W, None))
        if i < 3:
            h = F.clip(h, 0., 1.)
    numpy.testing.assert_allclose(y.array, h.array, atol=1e-5)


def test_wrong_bits_of_a_net():
    for bits in {'w_bits': 9}, {'a_bits': 0}, {'quantizer': 'log'}:
        with pytest.raises(ValueError):
            net.QuantizedMLP(8, **bits)


# ---- the clip

def mixed():
    """A model with layers of every kind, its weights out of the range."""
    model = chainer.Chain()
    with model.init_scope():
        model.first = L.Linear(4, 4)
        model.binary = link_binary_linear.BinaryLinear(4, 4)
        model.dorefa = link_quantized_linear.QuantizedLinear(4, 4, 2)
        model.linear = link_quantized_linear.QuantizedLinear(
            4, 4, 3, 'linear')
        model.one_bit = link_quantized_linear.QuantizedLinear(4, 4, 1)
        model.float = link_quantized_linear.QuantizedLinear(4, 4, 32)
        model.norm = L.BatchNormalization(4)
        model.last = L.Linear(4, 2)
    for param in model.params():
        param.array[...] = 5
    return model


def test_clip_weights_covers_quantized_weights_only():
    model = mixed()
    optimizer = chainer.optimizers.SGD(lr=0).setup(model)
    weight_clip.clip_weights(model)
    for param in model.params():
        param.grad = numpy.zeros_like(param.array)
    optimizer.update()
    clipped = {name for name, param in model.namedparams()
               if abs(param.array).max() <= 1}
    # DoReFa's tanh bounds its own
    assert clipped == {'/binary/W', '/linear/W', '/one_bit/W'}
    assert all((param.array == 5).all() for name, param
               in model.namedparams() if name not in clipped)


def test_clip_weights_of_a_float_net():
    model = net.FloatMLP(8, 3, 12)
    chainer.optimizers.SGD().setup(model)
    weight_clip.clip_weights(model)
    for param in model.params():
        assert not param.update_rule._hookable._post_update_hooks


def test_unbounded_weights():
    model = mixed()
    optimizer = chainer.optimizers.SGD().setup(model)
    # DoReFa's tanh bounds its own
    assert sorted(weight_clip.unbounded_weights(optimizer)) == [
        '/binary/W', '/linear/W', '/one_bit/W']
    model.binary.W.update_rule.add_hook(weight_clip.WeightClip())
    assert sorted(weight_clip.unbounded_weights(optimizer)) == [
        '/linear/W', '/one_bit/W']
    weight_clip.clip_weights(model.linear)
    weight_clip.clip_weights(model.one_bit)
    assert weight_clip.unbounded_weights(optimizer) == []
    optimizer = chainer.optimizers.SGD().setup(mixed())
    optimizer.add_hook(weight_clip.WeightClip())
    assert weight_clip.unbounded_weights(optimizer) == []
