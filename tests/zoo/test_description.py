"""What links say of themselves, against what they compute."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import link_binary_linear
from bnn.deploy import operations
from bnn.deploy import reference
from zoo import description
from zoo.quantized_net import qst


def random(*shape):
    return numpy.random.uniform(-1, 1, shape).astype('f')


def disturbed(link):
    """Moves what is a constant at first."""
    for param in link.params():
        param.array[...] += random(*param.shape)
    if isinstance(link, L.BatchNormalization):
        link.avg_mean[...] = random(*link.avg_mean.shape)
        link.avg_var[...] += random(*link.avg_var.shape) / 2
    return link


@pytest.mark.parametrize('make, shape', [
    (lambda: L.Linear(6, 4), (3, 6)),
    (lambda: L.Linear(6, 4, nobias=True), (3, 6)),
    (lambda: L.Convolution2D(2, 4, 3), (3, 2, 7, 8)),
    (lambda: L.Convolution2D(2, 4, (3, 2), stride=(1, 2), pad=(2, 1)),
     (3, 2, 7, 8)),
    (lambda: L.Convolution2D(2, 4, 3, dilate=(1, 2), groups=2, nobias=True),
     (3, 2, 7, 8)),
    (lambda: L.BatchNormalization(4), (3, 4)),
    (lambda: L.BatchNormalization(4, eps=.1, use_gamma=False), (3, 4, 2, 2)),
    (lambda: L.BatchNormalization(4, use_beta=False), (3, 4)),
    (lambda: L.Bias(1, (4,)), (3, 4, 2, 2))])
def test_chainers_links(make, shape):
    link = disturbed(make())
    x = random(*shape)
    with chainer.using_config('train', False):
        expected = link(x).array
    found = description.of(link)
    numpy.testing.assert_allclose(
        reference.run(found, x), expected, rtol=1e-5, atol=1e-6)
    assert found[-1].output_shape(shape[1:]) == expected.shape[1:]


def test_unknown_link():
    with pytest.raises(TypeError, match='EmbedID cannot describe itself'):
        description.of(L.EmbedID(3, 3))


def test_names():
    chain = chainer.Chain()
    with chain.init_scope():
        chain.l1 = L.Linear(2, 3)
        chain.l2 = link_binary_linear.BinaryLinear(3, 2)
        chain.l3 = chainer.Link()
    chain.l3.describe = lambda: [
        operations.Sign(name='a'), operations.ReLU()]
    assert [one.name for link in (chain.l1, chain.l2, chain.l3, L.Linear(1, 1))
            for one in description.of(link)] == [
        'l1', 'l2', 'l3/a', 'l3', '']


def test_descriptions_stay_as_they_are():
    link = L.Linear(2, 3)
    found, = description.of(link)
    before = found.W.values.copy(), found.b.copy()
    link.W.array += 1
    link.b.array += 1
    numpy.testing.assert_array_equal(found.W.values, before[0])
    numpy.testing.assert_array_equal(found.b, before[1])
    assert description.array(None) is None


def test_weights():
    W = chainer.Parameter(numpy.array([[0, -.5, 1], [-0., 2, -4]], 'f'))
    found = description.weights(W)
    assert found.bits == 1 and found.scale is None
    assert found.values.tolist() == [[1, -1, 1], [1, 1, -1]]
    assert description.weights(W, scaled=True).scale.tolist() == [.5, 2]
    found = description.weights(W, 32)
    assert found.bits == 32 and (found.values == W.array).all()


@pytest.mark.parametrize('value, pair', [
    (3, (3, 3)), ((1, 2), (1, 2)), (numpy.array([1, 2]), (1, 2))])
def test_pair(value, pair):
    assert description.pair(value) == pair


@pytest.mark.parametrize('args', [
    (2,), (3, 2), (3, 2, 1), ((2, 3), (1, 2))])
def test_pooling(args):
    x = random(2, 3, 7, 8)
    for describe, function in (
            (description.max_pooling, F.max_pooling_2d),
            (description.average_pooling, F.average_pooling_2d)):
        numpy.testing.assert_allclose(
            reference.apply(describe(*args), x, numpy.float32),
            function(x, *args).array, rtol=1e-5, atol=1e-6)
    numpy.testing.assert_array_equal(
        reference.apply(description.max_pooling(
            *args, cover_all=False), x, numpy.float32),
        F.max_pooling_2d(x, *args, cover_all=False).array)


@pytest.mark.parametrize('name', ['dorefa', 'linear'])
@pytest.mark.parametrize('bits', [1, 2, 5, 32])
def test_quantizer(name, bits):
    x = 2 * random(200)
    numpy.testing.assert_allclose(
        reference.apply(description.quantizer(bits, name), x, numpy.float32),
        qst.qst(x, bits, name).array, rtol=1e-6)
