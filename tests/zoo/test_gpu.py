"""Operations and nets on a GPU; collected only where there is one."""
import chainer
import chainer.functions as F
import numpy
import pytest

from zoo import nets
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d
from zoo.quantized_net import function_quantize
from zoo.quantized_net import qst
from zoo.reactnet import function_rprelu
from zoo.reactnet import function_shifted_sign
from zoo.surrogates import sign
from zoo.xnor_net import function_input_scale
from zoo.xnor_net import function_scaled_binarize
from zoo.xnor_net import function_scaled_linear
from zoo.xnor_net import hooks

pytestmark = pytest.mark.gpu

binary_convolution_2d = function_binary_convolution_2d.binary_convolution_2d
scaled_binarize = function_scaled_binarize.scaled_binarize
IMAGES, FILTERS = (2, 4, 7, 6), (6, 4, 3, 2)
# Operations, and the shapes of their arrays
OPERATIONS = {
    'ste': (sign.sign, IMAGES),
    'approx-sign': (lambda x: sign.sign(x, 'approx-sign'), IMAGES),
    'swish-sign': (lambda x: sign.sign(x, 'swish-sign'), IMAGES),
    'shifted-sign': (function_shifted_sign.shifted_sign, IMAGES, (4,)),
    'rprelu': (function_rprelu.rprelu, IMAGES, (4,), (4,), (4,)),
    'qst-dorefa': (lambda x: qst.qst(x, 3), IMAGES),
    'qst-linear': (lambda x: qst.qst(x, 3, 'linear'), IMAGES),
    'quantize': (lambda W: function_quantize.quantize(W, 3), FILTERS),
    'binarize': (function_binarize.binarize, FILTERS),
    'scaled-binarize': (scaled_binarize, FILTERS),
    'convolution': (binary_convolution_2d, IMAGES, FILTERS, (6,)),
    'convolution-scaled': (
        lambda x, W: binary_convolution_2d(
            x, W, stride=(2, 1), pad=1, pad_value=1,
            binarize=scaled_binarize), IMAGES, FILTERS),
    'scaled-linear': (
        function_scaled_linear.scaled_linear, (5, 8), (3, 8), (3,)),
    'input-scale': (
        lambda x: function_input_scale.input_scale(x, 3, 2, 1), IMAGES),
    'linear-input-scale': (function_input_scale.linear_input_scale, IMAGES),
}
NETS = {
    'DeepBinaryMLP': {'n_units': 20, 'stochastic': True,
                      'dropout_hidden': .1},
    'BinaryMLP': {'n_units': 20, 'surrogate': 'swish-sign'},
    'QuantizedMLP': {'n_units': 20}, 'FloatMLP': {'n_units': 20},
    'BinaryWeightMLP': {'n_units': 20}, 'LeNet5': {},
    'ShallowConvNet': {}, 'ConvNet': {'width': 8, 'pad_value': 1},
    'NIN': {'input_scale': True, 'shift': True},
    'NINImageNet': {}, 'AlexNet': {'n_units': 32},
    'CNV': {'a_bits': 2}, 'ResNet20': {'width': 4},
    'FastConvNet': {'width': 4}}
SHAPES = {'ShallowConvNet': (3, 32, 32), 'ConvNet': (3, 32, 32),
          'NIN': (3, 32, 32), 'NINImageNet': (3, 99, 99),
          'AlexNet': (3, 227, 227), 'CNV': (3, 32, 32),
          'ResNet20': (3, 32, 32), 'FastConvNet': (3, 32, 32)}


@pytest.fixture
def device():
    device = chainer.get_device('@cupy:0')
    device.use()
    return device


@pytest.mark.parametrize('name', OPERATIONS)
def test_operation(name, device):
    """Value and gradients are those of the CPU."""
    function, *shapes = OPERATIONS[name]
    arrays = [numpy.random.uniform(-1.5, 1.5, shape).astype('f')
              for shape in shapes]
    cpu, results, gy = chainer.get_device('@numpy'), [], None
    for here in cpu, device:
        v = [chainer.Variable(here.send(a)) for a in arrays]
        y = function(*v)
        assert isinstance(y.array, here.supported_array_types)
        if gy is None:
            gy = numpy.random.uniform(-1, 1, y.shape).astype('f')
        y.grad = here.send(gy)
        y.backward()
        results.append([cpu.send(a) for a in (
            y.array, *(one.grad for one in v))])
    for expected, actual in zip(*results, strict=True):
        numpy.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', nets.NETS)
def test_net(name, device):
    """A step of training, and the scores of the CPU."""
    model = nets.NETS[name](n_out=3, **NETS[name])
    x = numpy.random.uniform(
        -1, 1, (4, *SHAPES.get(name, (1, 28, 28)))).astype('f')
    model(x)  # statistics
    with chainer.using_config('train', False):
        expected = model(x).array
    model.to_device(device)
    optimizer = chainer.optimizers.Adam().setup(model)
    with chainer.using_config('train', False):
        scores = chainer.get_device('@numpy').send(
            model(device.send(x)).array)
    # A sign may fall on either side of a rounding error.
    assert (abs(scores - expected) > 1e-2).mean() < .5
    hooks.add_to(model)
    optimizer.update(lambda: F.sum(model(device.send(x)) ** 2))
    for param in model.params():
        assert isinstance(param.array, device.supported_array_types)
        assert isinstance(param.grad, device.supported_array_types)
