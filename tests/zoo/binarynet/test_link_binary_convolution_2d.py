"""The layer: parameters, laziness, serialization, what it passes on."""
import chainer
import chainer.functions as F
import numpy
import pytest

from zoo.binarynet import link_binary_convolution_2d

BinaryConvolution2D = link_binary_convolution_2d.BinaryConvolution2D


def random(*shape):
    return numpy.random.uniform(-1, 1, shape).astype(numpy.float32)


def test_forward():
    x = random(2, 4, 7, 6)
    for in_channels, nobias, options in (
            (4, True, {}), (4, False, {'dilate': 2}),
            (None, False, {'stride': (1, 2), 'pad': (2, 0), 'groups': 2})):
        link = BinaryConvolution2D(
            in_channels, 6, (3, 2), nobias=nobias,
            initial_bias=None if nobias else random(6), **options)
        link(x)
        link.W.array[0, 0, 0, 0] = 0
        link.cleargrads()
        y = link(x)
        expected = F.convolution_2d(
            x, numpy.where(link.W.array < 0, -1, 1).astype('f'), link.b,
            **options)
        numpy.testing.assert_allclose(
            y.array, expected.array, rtol=1e-5, atol=1e-5)
        F.sum(y).backward()
        for param in link.params():
            assert param.grad.shape == param.shape


def test_initial_values():
    link = BinaryConvolution2D(3, 100, 5)
    W = link.W.array.astype('d')
    # N(0, 1/fan_in): five standard errors of the mean and the variance.
    assert abs(W.mean()) < 5 * (1 / 75 / W.size) ** .5
    assert abs(W.var() * 75 - 1) < 5 * (2 / W.size) ** .5
    assert link.b.shape == (100,) and (link.b.array == 0).all()
    given = random(2, 3, 1, 1)
    for initialW in .25, given, chainer.initializers.Constant(.5):
        for in_channels in 3, None:
            link = BinaryConvolution2D(
                in_channels, 2, 1, initialW=initialW, initial_bias=-2)
            link(random(1, 3, 2, 2))
            numpy.testing.assert_array_equal(
                link.W.array, numpy.broadcast_to(
                    getattr(initialW, 'fill_value', initialW), (2, 3, 1, 1)))
            assert (link.b.array == -2).all()


def test_attributes():
    link = BinaryConvolution2D(4, 6, 3, groups=2)
    assert sorted(name for name, _ in link.namedparams()) == ['/W', '/b']
    assert link.W.shape == (6, 2, 3, 3)
    assert link.ksize == (3, 3)
    assert link.w_bits == 1
    link = BinaryConvolution2D(4, 6, (3, 2), nobias=True)
    assert [name for name, _ in link.namedparams()] == ['/W']
    assert link.W.shape == (6, 4, 3, 2)
    assert link.b is None


def test_lazy():
    link = BinaryConvolution2D(None, 6, (3, 2), groups=2)
    assert link(random(2, 4, 7, 6)).shape == (2, 6, 5, 5)
    assert link.W.shape == (6, 2, 3, 2)
    W = link.W.array
    link(random(1, 4, 3, 2))
    assert link.W.array is W
    with pytest.raises(chainer.utils.type_check.InvalidType):
        link(random(2, 6, 7, 6))
    link = BinaryConvolution2D(None, 6, 3)
    assert link(random(0, 4, 5, 6)).shape == (0, 6, 3, 4)


def test_wrong_arguments():
    for channels, groups in (((3, 4), 2), ((4, 3), 2), ((4, 6), 3)):
        match = (f'groups={groups} does not divide the channels, '
                 f'{channels[0]} and {channels[1]}')
        with pytest.raises(ValueError, match=match):
            BinaryConvolution2D(*channels, 3, groups=groups)
        link = BinaryConvolution2D(None, channels[1], 3, groups=groups)
        with pytest.raises(ValueError, match=match):
            link(random(2, channels[0], 5, 5))
        assert link.W.array is None
    for sizes in {'in_channels': 0}, {'out_channels': -1}, {'groups': 0}:
        with pytest.raises(ValueError, match='must be positive'):
            BinaryConvolution2D(**{
                'in_channels': 2, 'out_channels': 2, 'ksize': 3, **sizes})
    with pytest.raises(ValueError, match='pad_value must be 0 or 1'):
        BinaryConvolution2D(2, 2, 3, pad_value=2)


def test_pad_value():
    x, W = numpy.ones((1, 1, 1, 1), 'f'), numpy.ones((1, 1, 3, 3), 'f')
    for pad_value, expected in (0, 1), (1, 9):
        link = BinaryConvolution2D(
            1, 1, 3, pad=1, initialW=W, pad_value=pad_value)
        assert link(x).array.item() == expected


def test_stochastic_only_in_training():
    x = numpy.ones((1, 1, 1, 1), 'f')
    link = BinaryConvolution2D(1, 400, 1, initialW=0, stochastic=True)
    with chainer.using_config('train', False):
        assert (link(x).array == 1).all()
    with chainer.using_config('train', True):
        y = link(x).array
        assert (BinaryConvolution2D(
            1, 400, 1, initialW=0)(x).array == 1).all()
    assert set(y.ravel()) == {-1, 1}
    assert abs(y.mean()) < 5 / 20  # five standard deviations


def test_weights_of_tests():
    x, W = random(2, 3, 6, 5), random(4, 3, 3, 3)
    for pad_value in 0, 1:
        link = BinaryConvolution2D(
            3, 4, 3, pad=1, initialW=W, pad_value=pad_value, stochastic=True)
        padded = numpy.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)),
                           constant_values=pad_value)
        with chainer.using_config('train', False):
            for kind, filters in (
                    ('signs', numpy.where(W >= 0, 1, -1).astype('f')),
                    ('real', W)):
                link.test_weights = kind
                numpy.testing.assert_allclose(
                    link(x).array, F.convolution_2d(padded, filters).array,
                    rtol=1e-4, atol=1e-4)
            link.test_weights = 'mean'
            assert (link(x).array != link(x).array).any()
            # A layer whose weights are not drawn has signs in any case.
            link.stochastic = False
            numpy.testing.assert_array_equal(link(x).array, link(x).array)
            signs = link(x).array
            link.test_weights = 'real'
            numpy.testing.assert_array_equal(link(x).array, signs)


def test_serialization(tmp_path):
    path = str(tmp_path / 'link.npz')
    x = random(2, 4, 7, 6)
    link = BinaryConvolution2D(4, 6, (3, 2), groups=2, initial_bias=3)
    chainer.serializers.save_npz(path, link)
    for in_channels in 4, None:
        other = BinaryConvolution2D(in_channels, 6, (3, 2), groups=2)
        chainer.serializers.load_npz(path, other)
        numpy.testing.assert_array_equal(other.W.array, link.W.array)
        numpy.testing.assert_array_equal(other(x).array, link(x).array)
    chainer.serializers.save_npz(path, BinaryConvolution2D(None, 5, 3))
    other = BinaryConvolution2D(None, 5, 3)
    chainer.serializers.load_npz(path, other)
    assert other.W.array is None
    assert other(x).shape == (2, 5, 5, 4)


def test_printable_specs():
    link = BinaryConvolution2D(
        3, 4, (3, 2), 2, (1, 0), nobias=True, pad_value=1)
    assert dict(link.printable_specs) == {
        'out_channels': 4, 'ksize': (3, 2), 'stride': 2, 'pad': (1, 0),
        'dilate': 1, 'groups': 1, 'pad_value': 1, 'stochastic': False,
        'nobias': True}
    assert 'ksize=(3, 2)' in str(chainer.Sequential(link))
