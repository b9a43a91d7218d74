import chainer
import numpy
import pytest

from bnn.kernels import gpu_steps
from bnn.training.learning import batches
from bnn.training import device_data
from bnn.training.learning import inputs


@pytest.mark.parametrize('shape', [(1, 28, 28), (3, 5, 3), (1, 1, 1)])
def test_gather(shape, cuda_on_cpu):
    images = numpy.random.randint(0, 256, (50, *shape), numpy.uint8)
    labels = numpy.random.randint(0, 10, 50).astype('i')
    order = numpy.random.permutation(50).astype('i')
    position = numpy.array([13], numpy.int64)
    x, t = gpu_steps.gather(images, labels, order, position, 20)
    numpy.testing.assert_array_equal(x, images[order[13:33]])
    numpy.testing.assert_array_equal(t, labels[order[13:33]])
    assert x.dtype == numpy.uint8 and t.dtype == numpy.int32


@pytest.mark.parametrize('scale', inputs.SCALES)
@pytest.mark.parametrize('n_channels', [1, 3])
def test_gather_scaled(n_channels, scale, cuda_on_cpu):
    """Has the bits of what scales whole images."""
    images = numpy.random.randint(
        0, 256, (50, n_channels, 11, 13), numpy.uint8)
    labels = numpy.random.randint(0, 10, 50).astype('i')
    batches = device_data.Batches(
        batches.Indices(images, 20), inputs.Pixels(images, labels, (
            inputs.rescaler(scale, ((.5, .4, .3)[:n_channels],
                                    (.2, .3, .7)[:n_channels])))),
        chainer.get_device('@numpy'))
    order = batches.iterator._state.order
    for i in range(2):
        batches.advance()
        x, t = batches.take()
        assert x.dtype == numpy.float32
        chosen = order[20 * i:20 * i + 20]
        assert x.tobytes() == batches._pixels.rescale(
            images[chosen]).tobytes()
        numpy.testing.assert_array_equal(t, labels[chosen])
        batches.position += 20


@pytest.mark.parametrize('dtype', 'efdi')
def test_add(dtype, cuda_on_cpu):
    sums = numpy.array([.1, .2, .3])
    gpu_steps.add(numpy.array(3, dtype), sums, 1)
    gpu_steps.add(numpy.array([4], dtype), sums, 2)
    assert list(sums) == [.1, 3.2, 4.3]
