"""Stages in NumPy alone, beside the compiled ones."""
import numpy
import pytest

from bnn.deploy import numpy_stages
from bnn.deploy import run


def check(packed, images):
    """Compares the scores of each image, bit for bit."""
    net = run.Net(packed)
    net.scores(images)
    for i in range(len(images)):
        x = images[i:i + 1]
        numpy.testing.assert_array_equal(
            numpy_stages.run(packed.stages, x), net.scores(x))


@pytest.mark.parametrize('kind', ['unit', 'signed', 'standard', 'binary'])
@pytest.mark.parametrize('name', [
    'binary-3', 'dorefa-3-3', 'linear-8-8', 'BinaryWeightMLP-1', 'lenet5-k',
    'lenet5-shift', 'convnet-binary-0', 'convnet-binary-1', 'cnv-1-2',
    'residual'])
def test_nets(name, kind, pack, make_images):
    packed = pack(name, kind)
    check(packed, make_images(3, packed.input_shape))


def test_int8_ends(pack, make_images):
    packed = pack('lenet5', 'standard', int8_ends=True)
    check(packed, make_images(3, packed.input_shape))


@pytest.mark.slow
def test_every_net(net_names, pack, make_images):
    for name in net_names:
        packed = pack(name)
        check(packed, make_images(3, packed.input_shape))
