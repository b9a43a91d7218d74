import numpy
import pytest

from bnn.kernels import gpu_steps


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


@pytest.mark.parametrize('dtype', 'efdi')
def test_add(dtype, cuda_on_cpu):
    sums = numpy.array([.1, .2, .3])
    gpu_steps.add(numpy.array(3, dtype), sums, 1)
    gpu_steps.add(numpy.array([4], dtype), sums, 2)
    assert list(sums) == [.1, 3.2, 4.3]
