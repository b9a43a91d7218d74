"""The tensor cores' layers, run on the CPU, against plain sums."""
import numpy
import pytest


def draw(*shape):
    return numpy.random.choice([-1, 1], shape).astype(numpy.int8)


@pytest.mark.parametrize('of_pixels', [False, True])
@pytest.mark.parametrize('sizes', [
    (1, 1), (16, 10), (33, 65, 10), (784, 100, 7), (70, 130, 129, 64),
    (65, 16, 17)])
@pytest.mark.parametrize('n', [1, 64, 129])
def test_perceptron(sizes, of_pixels, n, gpu):
    from bnn.kernels import gpu_perceptron
    weights = [draw(o, i)
               for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    x = numpy.random.randint(0, 256, (n, sizes[0])).astype(
        numpy.uint8) if of_pixels else draw(n, sizes[0])
    h, limits = x.astype(int), []
    for W in weights:
        s = h @ W.T.astype(int)
        limits.append(numpy.rint(numpy.median(s, axis=0)).astype('i4'))
        limits[-1][0] = numpy.random.choice([-2 ** 31, 2 ** 31 - 1])
        h = numpy.where(s >= limits[-1], 1, -1)
    bits = gpu_perceptron.Perceptron(weights, limits, of_pixels=of_pixels)
    result = gpu.fetch(bits(gpu.send(x)))
    assert result.dtype == numpy.float32
    numpy.testing.assert_array_equal(result, h)
    scale, offset = numpy.random.uniform(-1, 1, (2, sizes[-1])).astype('f')
    floats = gpu_perceptron.Perceptron(
        weights, [*limits[:-1], None], scale, offset, of_pixels)
    result = gpu.fetch(floats(gpu.send(x)))
    assert result.dtype == numpy.float32
    numpy.testing.assert_array_equal(
        result, s.astype(numpy.float32) * scale + offset)


def test_operands(gpu):
    from bnn.kernels import gpu_perceptron
    weights, limits = [draw(9, 48)], [numpy.zeros(9, numpy.int32)]
    layer = gpu_perceptron.Perceptron(weights, limits)
    x = draw(6, 48)
    expected = numpy.where(x.astype(int) @ weights[0].T >= 0, 1, -1)
    there = gpu.send(numpy.tile(x, 2))
    for same in (gpu.send(x.astype('f')), there[:, :48], there[:, 48:],
                 gpu.send(x.T.copy()).T, gpu.send(numpy.frombuffer(
                     b'.' + x.tobytes(), numpy.int8))[1:].reshape(6, 48)):
        numpy.testing.assert_array_equal(gpu.fetch(layer(same)), expected)
    assert layer(gpu.send(x[:0])).shape == (0, 9)


def test_too_many_inputs(gpu):
    from bnn.kernels import gpu_perceptron
    with pytest.raises(ValueError, match='int32'):
        gpu_perceptron.Perceptron(
            [numpy.broadcast_to(numpy.int8(1), (1, 1 << 24))],
            [numpy.zeros(1, numpy.int32)])


def test_argmax(gpu):
    from bnn.kernels import gpu_perceptron
    nan = numpy.nan
    x = numpy.array([[1, 3, 3, 2], [nan, 1, nan, 9], [5, nan, 9, nan],
                     [-numpy.inf] * 4, [4, 3, 2, 1]], 'f')
    found = gpu.fetch(gpu_perceptron.argmax(gpu.send(x)))
    assert found.dtype == numpy.int64
    assert (found == x.argmax(axis=1)).all()


def test_is_supported(emulated_gpu, monkeypatch):
    from bnn.kernels import gpu_int8
    assert gpu_int8.is_supported()
    monkeypatch.setattr(
        emulated_gpu.cupy.cuda.Device, 'compute_capability', '75')
    assert not gpu_int8.is_supported()
