"""The project as it is now: all that changes when its files move.

Names of nets, runs and model files stay: the fixtures have them.
"""
import functools
import pathlib
import typing

import numpy

import net
from bnn import data
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import stages
from bnn.deploy import tracing
from bnn.training.learning import inputs
from zoo import trained
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import alexnet
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


class Case(typing.NamedTuple):

    """A net, its images, and how their pixels are scaled.

    ``two_tone`` images are of 0 and 255 alone: what a float layer in front
    of a sign sums up is then exact in float32, in any order, and no sign
    turns on another processor.
    """

    make: typing.Callable
    shape: tuple = (1, 28, 28)
    scale: str = 'unit'
    n: int = 16
    two_tone: bool = False

    @property
    def statistics(self):
        return data.STATISTICS[
            'digits' if self.shape[0] == 1 else 'cifar10']


def _case(kind, /, *shape, scale='unit', n=16, two_tone=False, **options):
    return Case(functools.partial(kind, **options), shape or (1, 28, 28),
                scale, n, two_tone)


def _mlp(kind, /, **options):
    return _case(kind, n_units=16, **options)


def _lenet5(**options):
    return _case(lenet5.LeNet5, **options)


def _cifar10(kind, /, **options):
    return _case(kind, 3, 32, 32, **options)


def _imagenet(kind, /, **options):
    return _case(kind, 3, 227, 227, n=2, two_tone=True, n_out=10, **options)


_SHIFTS = {'input_scale': True, 'shift': True}
NETS = {
    'binary-mlp': _mlp(net.BinaryMLP),
    'binary-mlp-32-units-3-layers': _case(
        deep_binary_mlp.DeepBinaryMLP, n_units=32, n_layers=3,
        scale='standard'),
    'binary-mlp-binary-pixels': _mlp(net.BinaryMLP, scale='binary'),
    **{f'quantized-mlp-{quantizer}-{bits}-{bits}': _mlp(
        quantized_mlp.QuantizedMLP, w_bits=bits, a_bits=bits,
        quantizer=quantizer)
       for quantizer in ('dorefa', 'linear') for bits in (1, 2, 32)},
    'float-mlp': _mlp(float_mlp.FloatMLP),
    'binary-weight-mlp': _mlp(binary_weight_mlp.BinaryWeightMLP),
    'binary-weight-mlp-no-norm': _mlp(
        binary_weight_mlp.BinaryWeightMLP, batch_norm=False),
    'lenet5': _lenet5(two_tone=True),
    'lenet5-float': _lenet5(binary=False),
    'lenet5-input-scale': _lenet5(input_scale=True, two_tone=True),
    'lenet5-shift': _lenet5(shift=True, two_tone=True),
    'lenet5-ste': _lenet5(scaled='ste', two_tone=True),
    'lenet5-not-scaled': _lenet5(scaled=False, two_tone=True),
    'nin': _cifar10(nin.NIN, two_tone=True),
    'nin-input-scale-shift': _cifar10(nin.NIN, two_tone=True, **_SHIFTS),
    'nin-float': _cifar10(nin.NIN, binary=False, scale='standard'),
    **{f'convnet-binary-pad-{pad}': _cifar10(
        convnet.ConvNet, width=8, pad_value=pad, scale='signed',
        two_tone=True) for pad in (0, 1)},
    **{f'convnet-{kind}': _cifar10(
        convnet.ConvNet, kind=kind, width=8, scale='signed')
       for kind in ('binary-weight', 'float')},
    **{f'shallow{binary}{norm}': _cifar10(
        shallow_convnet.ShallowConvNet, scale='standard',
        binary=not binary, batch_norm=not norm)
       for binary in ('', '-float') for norm in ('', '-no-norm')},
    'nin-imagenet': _imagenet(nin.NINImageNet),
    'alexnet': _imagenet(alexnet.AlexNet, n_units=32),
}


def scaled(case, images):
    """Makes of uint8 images what a case's net sees, float32."""
    return inputs.rescaler(case.scale, case.statistics)(images)


def pack(case, predictor):
    """Packs a case's net.

    Returns:
        bytes: The contents of its file.
    """
    mean, std = case.statistics if case.scale == 'standard' else ((), ())
    return _pack(predictor, case.shape, operations.Rescale(
        kind=case.scale, mean=mean, std=std), map(str, range(10)))


def _pack(predictor, shape, rescale, class_names, facts=None):
    found = tracing.trace(predictor, numpy.zeros((1, *shape), numpy.float32))
    return file_format.dump(packing.pack(
        found, shape, rescale, class_names, facts))


class Packed:

    """A packed net, from the contents of its file."""

    def __init__(self, contents):
        self._net = file_format.parse(contents)
        self.scores = run.Net(self._net).scores

    @property
    def is_whole(self):
        """bool: Whether it computes with whole numbers up to its scores."""
        return not any(
            isinstance(stage, stages.FloatStage)
            or isinstance(stage, stages.Product) and (
                stage.operand == 'float' or stage.weights.bits == 32)
            for stage in self._net.stages)


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
