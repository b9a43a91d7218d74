"""The project as it is now: all that changes when its files move.

Names of nets, runs and model files stay: the fixtures have them.
"""
import functools
import pathlib
import typing

import net
import net_alexnet
import net_convnet
import net_lenet5
import net_nin
import net_shallow_convnet
import trained
from bnn import datasets
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import packing
from bnn.deploy import runtime
from bnn.training import inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_DIGITS = '--dataset', 'digits', '--seed', 0, '--no-plot'
_QUANTIZED = ('--net', 'quantized', '--w-bits', 3, '--a-bits', 3, '--clip',
              'all', '--report', 'table')
# Names to a script and its options; data of CIFAR-10 are in the folder
# ``cifar10``, results go to ``out``.
RUNS = {
    'binary_net': ('train_mnist.py', *_DIGITS, '--epoch', 2),
    'quantized_net': ('train_mnist.py', *_QUANTIZED, *_DIGITS, '--epoch', 2),
    'lenet5': ('train_mnist.py', '--net', 'lenet5', *_DIGITS, '--epoch', 2),
    'shallow': ('train_cifar10.py', '--net', 'shallow', '--data-dir',
                'cifar10', '--allow-modified', '--batchsize', 20, '--seed', 0,
                '--no-plot', '--epoch', 2),
}
MODELS = {
    'binary_mlp': ('train_mnist.py', '--unit', 16, *_DIGITS, '--epoch', 1),
    'quantized_mlp': ('train_mnist.py', '--unit', 16, *_QUANTIZED, *_DIGITS,
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
        return datasets.STATISTICS[
            'digits' if self.shape[0] == 1 else 'cifar10']


def _case(kind, /, *shape, scale='unit', n=16, two_tone=False, **options):
    return Case(functools.partial(kind, **options), shape or (1, 28, 28),
                scale, n, two_tone)


def _mlp(kind, /, **options):
    return _case(kind, n_units=16, **options)


def _lenet5(**options):
    return _case(net_lenet5.LeNet5, **options)


def _cifar10(kind, /, **options):
    return _case(kind, 3, 32, 32, **options)


def _imagenet(kind, /, **options):
    return _case(kind, 3, 227, 227, n=2, two_tone=True, n_out=10, **options)


_SHIFTS = {'input_scale': True, 'shift': True}
NETS = {
    'binary-mlp': _mlp(net.BinaryMLP),
    'binary-mlp-32-units-3-layers': _case(
        net.BinaryMLP, n_units=32, n_layers=3, scale='standard'),
    'binary-mlp-binary-pixels': _mlp(net.BinaryMLP, scale='binary'),
    **{f'quantized-mlp-{quantizer}-{bits}-{bits}': _mlp(
        net.QuantizedMLP, w_bits=bits, a_bits=bits, quantizer=quantizer)
       for quantizer in ('dorefa', 'linear') for bits in (1, 2, 32)},
    'float-mlp': _mlp(net.FloatMLP),
    'binary-weight-mlp': _mlp(net.BinaryWeightMLP),
    'binary-weight-mlp-no-norm': _mlp(net.BinaryWeightMLP, batch_norm=False),
    'lenet5': _lenet5(two_tone=True),
    'lenet5-float': _lenet5(binary=False),
    'lenet5-input-scale': _lenet5(input_scale=True, two_tone=True),
    'lenet5-shift': _lenet5(shift=True, two_tone=True),
    'lenet5-ste': _lenet5(scaled='ste', two_tone=True),
    'lenet5-not-scaled': _lenet5(scaled=False, two_tone=True),
    'nin': _cifar10(net_nin.NIN, two_tone=True),
    'nin-input-scale-shift': _cifar10(net_nin.NIN, two_tone=True, **_SHIFTS),
    'nin-float': _cifar10(net_nin.NIN, binary=False, scale='standard'),
    **{f'convnet-binary-pad-{pad}': _cifar10(
        net_convnet.ConvNet, width=8, pad_value=pad, scale='signed',
        two_tone=True) for pad in (0, 1)},
    **{f'convnet-{kind}': _cifar10(
        net_convnet.ConvNet, kind=kind, width=8, scale='signed')
       for kind in ('binary-weight', 'float')},
    **{f'shallow{binary}{norm}': _cifar10(
        net_shallow_convnet.ShallowConvNet, scale='standard',
        binary=not binary, batch_norm=not norm)
       for binary in ('', '-float') for norm in ('', '-no-norm')},
    'nin-imagenet': _imagenet(net_nin.NINImageNet),
    'alexnet': _imagenet(net_alexnet.AlexNet, n_units=32),
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
    return file_format.dump(packing.pack(
        predictor.describe(), case.shape, operations.Rescale(
            kind=case.scale, mean=mean, std=std), map(str, range(10))))


class Packed(object):

    """A packed net, from the contents of its file."""

    def __init__(self, contents):
        self._net = file_format.parse(contents)
        self.scores = runtime.Net(self._net).scores

    @property
    def is_whole(self):
        """bool: Whether it computes with whole numbers up to its scores."""
        return not any(
            isinstance(stage, packed.FloatStage)
            or isinstance(stage, packed.Product) and (
                stage.operand == 'float' or stage.weights.bits == 32)
            for stage in self._net.stages)


def load_model(path):
    """Reads a model file of a training script.

    Returns:
        tuple: The net, what scales its images, and the contents of its
        packed file as export.py writes it.
    """
    model = trained.load(str(path))
    return model.predictor, model.scale, file_format.dump(packing.pack(
        model.predictor.describe(), model.input_shape, model.rescale,
        model.class_names, model.facts))


def digits_to_test():
    """Returns images, uint8, and labels of the test part of the digits."""
    data = datasets.load('digits')
    return data.test_images, data.test_labels
