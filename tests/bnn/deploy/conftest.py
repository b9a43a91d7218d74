"""Small nets of every kind, traced and packed."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from bnn.deploy import int8
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import tracing
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.binarynet import deep_binary_mlp
from zoo.bireal_net import link_bireal_block
from zoo.bireal_net import resnet20
from zoo.bnn_pynq import cnv
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import alexnet
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

_MNIST, _CIFAR = (1, 28, 28), (3, 32, 32)
_BLOCKS = {'': {}, '-k': {'input_scale': True}, '-shift': {'shift': True},
           '-plain': {'scaled': False}, '-float': {'binary': False}}

# Names to shape of the images and a function that makes the net
NETS = {
    **{f'binary-{n}': (_MNIST, lambda n=n: deep_binary_mlp.DeepBinaryMLP(
        33, n_layers=n)) for n in (1, 3)},
    **{f'{q}-{w}-{a}': (_MNIST, lambda w=w, a=a, q=q: (
        quantized_mlp.QuantizedMLP(33, w_bits=w, a_bits=a, quantizer=q)))
       for q in ('dorefa', 'linear') for w, a in (
           (1, 1), (1, 2), (2, 1), (3, 3), (8, 8), (32, 2), (2, 32),
           (32, 1))},
    **{f'{kind.__name__}-{bn}': (_MNIST, lambda kind=kind, bn=bn: kind(
        33, batch_norm=bool(bn))) for kind in (
            float_mlp.FloatMLP, binary_weight_mlp.BinaryWeightMLP)
       for bn in (0, 1)},
    **{'lenet5' + name: (_MNIST, lambda options=options: lenet5.LeNet5(
        **options)) for name, options in _BLOCKS.items()},
    **{f'convnet-{kind}-{pad}': (
        _CIFAR, lambda kind=kind, pad=pad: convnet.ConvNet(
            kind=kind, width=4, pad_value=pad)) for kind, pad in (
                ('binary', 0), ('binary', 1), ('binary-weight', 0),
                ('float', 0))},
    **{f'shallow-{binary}-{bn}': (
        _CIFAR, lambda binary=binary, bn=bn: (
            shallow_convnet.ShallowConvNet(
                binary=bool(binary), batch_norm=bool(bn))))
       for binary in (0, 1) for bn in (0, 1)},
    'nin': (_CIFAR, nin.NIN),
    'nin-k-shift': (_CIFAR, lambda: nin.NIN(
        input_scale=True, shift=True)),
    **{f'cnv-{w}-{a}': (_CIFAR, lambda w=w, a=a: cnv.CNV(
        w_bits=w, a_bits=a)) for w, a in ((1, 1), (1, 2), (2, 2), (32, 32))},
    'residual': (_MNIST, lambda: chainer.Sequential(
        L.Convolution2D(1, 3, 3), link_bireal_block.BiRealBlock(3, 5, 2),
        link_bireal_block.BiRealBlock(5, 5), lambda x: F.mean(x, axis=(2, 3)),
        L.Linear(5, 10))),
    'resnet20': (_CIFAR, lambda: resnet20.ResNet20(width=2)),
    'resnet20-float': (_CIFAR, lambda: resnet20.ResNet20(
        width=2, binary=False)),
    'nin-imagenet': ((3, 67, 67), lambda: nin.NINImageNet(n_out=10)),
    'alexnet': ((3, 227, 227), lambda: alexnet.AlexNet(
        n_out=10, n_units=32)),
}


@pytest.fixture(scope='session')
def make_net():
    """A function that makes a net with random statistics and gammas."""
    def make(name):
        shape, function = NETS[name]
        state = numpy.random.get_state()
        numpy.random.seed(0)
        try:
            predictor = function()
        finally:
            numpy.random.set_state(state)
        disturb(predictor, numpy.random.RandomState(1))
        return shape, predictor
    return make


def disturb(predictor, random):
    """Moves what is a constant at first; gammas get both signs."""
    for link in predictor.links():
        for param in link.params(include_uninit=False):
            if param.ndim == 1:
                param.array[...] += random.uniform(-.2, .2, param.shape)
        if isinstance(link, L.BatchNormalization):
            shape = link.avg_mean.shape
            link.avg_mean[...] = random.uniform(-.2, .2, shape)
            link.avg_var[...] = random.uniform(.5, 2, shape)
            if getattr(link, 'gamma', None) is not None:
                link.gamma.array[...] *= random.choice([-1, 1], shape)


@pytest.fixture(scope='session')
def chainer_scores():
    """A function that computes Chainer's scores of scaled images."""
    def compute(predictor, x):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return predictor(x.astype(numpy.float32)).array
    return compute


@pytest.fixture(scope='session')
def make_images():
    """A function that draws uint8 images."""
    def make(n, shape, seed=0):
        return numpy.random.RandomState(seed).randint(
            0, 256, (n, *shape)).astype(numpy.uint8)
    return make


@pytest.fixture(scope='session')
def make_rescale():
    """A function that makes a scaling of pixels."""
    def make(kind, n_channels):
        mean, std = ((.13,), (.31,)) if n_channels == 1 else (
            (.49, .48, .45), (.25, .24, .26))
        return operations.Rescale(
            kind=kind, mean=mean if kind == 'standard' else (),
            std=std if kind == 'standard' else ())
    return make


@pytest.fixture(scope='session')
def whiten():
    """A whitening of CIFAR-10's size, of numbers that mix the pixels."""
    random = numpy.random.RandomState(2)
    matrix = random.standard_normal((3072, 3072)).astype('f') / 200
    return operations.Whiten(
        name='whitening', mean=random.uniform(-.1, .1, 3072).astype('f'),
        matrix=matrix + 2 * numpy.eye(3072, dtype='f'))


@pytest.fixture(scope='session')
def described(make_net):
    """A function that lists what a net computes, after the images' shape.

    It takes the name of one of the nets, or a net for MNIST.
    """
    def make(which):
        shape, predictor = make_net(which) if isinstance(which, str) else (
            _MNIST, which)
        return shape, tracing.trace(
            predictor, numpy.zeros((1, *shape), numpy.float32))
    return make


@pytest.fixture(scope='session')
def pack(described, make_rescale, make_images):
    """A function that packs a net, see ``described``."""
    def make(which, kind='unit', int8_ends=False):
        shape, found = described(which)
        rescale = make_rescale(kind, shape[0])
        if int8_ends:
            found, rescale = int8.quantize_ends(
                found, rescale, make_images(5, shape))
        return packing.pack(found, shape, rescale, map(str, range(10)),
                            pad_pixels=int8_ends)
    return make


@pytest.fixture(scope='session')
def net_names():
    """The names of all nets that ``make_net`` and ``pack`` know."""
    return list(NETS)
