"""Packed nets on an emulated GPU."""
import numpy
import pytest

from bnn.deploy import gpu_runtime
from bnn.deploy import int8
from bnn.deploy import packed as deploy_packed
from bnn.deploy import packing
from bnn.deploy import runtime


def test_results(pack, make_images, emulated_cupy):
    packed = pack('binary-3')
    net, on_cpu = gpu_runtime.GPUNet(packed), runtime.Net(packed)
    x = make_images(70, (1, 28, 28))
    scores = net.scores(x)
    assert scores.dtype == numpy.float32
    numpy.testing.assert_array_equal(scores, on_cpu.scores(x))
    classes = net.predict(x)
    assert classes.dtype == numpy.int64
    assert (classes == on_cpu.predict(x)).all()
    numpy.testing.assert_allclose(
        net.probabilities(x), on_cpu.probabilities(x), rtol=1e-5)
    for same in (x.reshape(70, 28, 28), x.reshape(70, 784), x[::-1][::-1],
                 numpy.asfortranarray(x)):
        assert (net.scores(same) == scores).all()
    assert net.scores(x[:0]).shape == (0, 10)
    assert net.predict(x[:0]).shape == (0,)


@pytest.mark.parametrize('name', ['binary-3', 'lenet5'])
def test_images_are_there_already(name, pack, make_images, emulated_cupy):
    net = gpu_runtime.GPUNet(pack(name))
    x = make_images(3, (1, 28, 28))
    there = emulated_cupy.asarray(x)
    before = emulated_cupy.n_copies
    scores, classes = net.scores(there), net.predict(there)
    assert emulated_cupy.n_copies == before + 2  # the results
    assert (scores == net.scores(x)).all()
    assert (classes == scores.argmax(axis=1)).all()


@pytest.mark.parametrize('name', ['binary-3', 'convnet-binary-0'])
def test_one_kernel_a_layer(name, pack, make_images, emulated_cupy,
                            monkeypatch):
    net = gpu_runtime.GPUNet(pack(name))
    started = []
    monkeypatch.setattr(emulated_cupy, 'recorded', started)
    net.scores(make_images(2, net.input_shape))
    assert len(started) == sum(isinstance(
        stage, (deploy_packed.Product, deploy_packed.BitMaxPooling))
        for stage in net.packed.stages)


@pytest.mark.parametrize('name', ['binary-3', 'binary-1', 'lenet5'])
def test_older_gpu(name, pack, make_images, emulated_cupy, monkeypatch):
    monkeypatch.setattr(emulated_cupy.cuda.Device, 'compute_capability', '75')
    packed = pack(name)
    x = make_images(5, (1, 28, 28))
    expected = runtime.Net(packed).scores(x)
    numpy.testing.assert_allclose(
        gpu_runtime.GPUNet(packed).scores(x), expected, rtol=1e-4,
        atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize('images, error', [
    (numpy.zeros((2, 1, 28, 28)), TypeError), ([[0]], TypeError),
    (numpy.zeros((2, 785), numpy.uint8), ValueError)])
def test_bad_images(images, error, pack, emulated_cupy):
    with pytest.raises(error, match='images must be'):
        gpu_runtime.GPUNet(pack('binary-1')).predict(images)


def test_chunks(pack, make_images, emulated_cupy, monkeypatch):
    packed = pack('lenet5')
    x = make_images(9, (1, 28, 28))
    expected = gpu_runtime.GPUNet(packed).scores(x)
    monkeypatch.setattr(gpu_runtime.GPUNet, 'memory', 1 << 17)
    net = gpu_runtime.GPUNet(packed)
    assert net._chunk < 9
    numpy.testing.assert_allclose(net.scores(x), expected, rtol=1e-4)


def test_int8_ends(make_net, make_rescale, make_images, emulated_cupy):
    shape, predictor = make_net('lenet5')
    rescale, x = make_rescale('standard', 1), make_images(4, shape)
    found, rescale = int8.quantize_ends(predictor.describe(), rescale, x)
    packed = packing.pack(found, shape, rescale, map(str, range(10)),
                          pad_pixels=True)
    expected = runtime.Net(packed).scores(x)
    numpy.testing.assert_allclose(
        gpu_runtime.GPUNet(packed).scores(x), expected,
        atol=1e-4 * abs(expected).max())
