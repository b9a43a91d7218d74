"""The project as it is now: all that changes when its files move.

Names of nets, runs and model files stay: the fixtures have them.
"""
import functools
import pathlib

import numpy

from bnn import data
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import tracing
from bnn.training.learning import inputs
from tests.golden import contents
from zoo import trained
from zoo.binarynet import convnet
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_DIGITS = ('--dataset', 'digits', '--seed', 0, '--no-plot',
           '--precision', 'float32')
# Names to a script and its options; data of CIFAR-10 are in the folder
# ``cifar10``, results go to ``out``.
RUNS = {
    'binary_net': ('train_mnist.py', *_DIGITS, '--epoch', 2),
    'quantized_net': ('train.py', 'quantized_net', *_DIGITS, '--epoch', 2),
    'lenet5': ('train.py', 'lenet5', *_DIGITS, '--epoch', 2),
    'shallow': ('train.py', 'shallow_convnet', '--data-dir', 'cifar10',
                '--allow-modified', '--batchsize', 20, '--seed', 0,
                '--no-plot', '--precision', 'float32', '--epoch', 2),
}
MODELS = {
    'binary_mlp': ('train_mnist.py', '--unit', 16, *_DIGITS, '--epoch', 1),
    'quantized_mlp': ('train.py', 'quantized_net', '--unit', 16, *_DIGITS,
                      '--epoch', 1),
}
# Names to what makes a net, the shape of its images and how their pixels are
# scaled.  The packed files of these nets have what no file of models/ has.
NETS = {
    # KeepScale, MultiplyScale, Bias; the options reach both blocks
    'lenet5-options': (
        functools.partial(lenet5.LeNet5, input_scale=True, shift=True,
                          scaled=False), (1, 28, 28), 'unit'),
    # AveragePooling2D
    'nin': (nin.NIN, (3, 32, 32), 'unit'),
    # Pixels from -255 to 255; padding with 1
    'convnet-binary-pad-1': (
        functools.partial(convnet.ConvNet, width=8, pad_value=1),
        (3, 32, 32), 'signed'),
    # Clip
    'quantized-mlp-linear-32-32': (
        functools.partial(quantized_mlp.QuantizedMLP, n_units=16, w_bits=32,
                          a_bits=32, quantizer='linear'),
        (1, 28, 28), 'unit'),
}


def make_net(name):
    """Makes a net of ``NETS``, filled from a seed, and packs it.

    Returns:
        tuple: The net, the shape of its images, what scales them, and the
        contents of its packed file.
    """
    make, shape, scale = NETS[name]
    predictor = make()
    contents.fill(predictor, 2)
    return predictor, shape, inputs.rescaler(scale), _pack(
        predictor, shape, operations.Rescale(kind=scale), map(str, range(10)))


def _pack(predictor, shape, rescale, class_names, facts=None):
    found = tracing.trace(predictor, numpy.zeros((1, *shape), numpy.float32))
    return file_format.dump(packing.pack(
        found, shape, rescale, class_names, facts))


class Packed:

    """A packed net, from the contents of its file."""

    def __init__(self, file):
        self.scores = run.Net(file_format.parse(file)).scores


def load_model(path):
    """Reads a model file of a training script.

    Returns:
        tuple: The net, what scales its images, and the contents of its
        packed file as export.py writes it.
    """
    model = trained.load(str(path))
    return model.predictor, model.scale, _pack(
        model.predictor, model.input_shape, model.rescale, model.class_names,
        model.facts)


def digits_to_test():
    """Returns images, uint8, and labels of the test part of the digits."""
    digits = data.load('digits')
    return digits.test_images, digits.test_labels
