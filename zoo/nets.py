"""The table of all nets."""
import chainer
import numpy
from chainer.utils import type_check

from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.binarynet import deep_binary_mlp
from zoo.bireal_net import fast_convnet
from zoo.bireal_net import resnet20
from zoo.bnn_pynq import cnv
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import alexnet
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

#: Names, as model files have them, to classes.
NETS = {
    # net.BinaryMLP is this class with its defaults.  Older model files have
    # the name for the class with all its options.
    'BinaryMLP': deep_binary_mlp.DeepBinaryMLP,
    'DeepBinaryMLP': deep_binary_mlp.DeepBinaryMLP,
    'QuantizedMLP': quantized_mlp.QuantizedMLP,
    'FloatMLP': float_mlp.FloatMLP,
    'BinaryWeightMLP': binary_weight_mlp.BinaryWeightMLP,
    'ShallowConvNet': shallow_convnet.ShallowConvNet,
    'ConvNet': convnet.ConvNet,
    'LeNet5': lenet5.LeNet5,
    'NIN': nin.NIN,
    'NINImageNet': nin.NINImageNet,
    'AlexNet': alexnet.AlexNet,
    'CNV': cnv.CNV,
    'ResNet20': resnet20.ResNet20,
    'FastConvNet': fast_convnet.FastConvNet,
}


def takes(net: chainer.Chain, shape: tuple[int, int, int]) -> bool:
    """Tells whether a net computes images of a shape.

    Args:
        net: The net, on the CPU.
        shape: (channels, h, w) of an image.
    """
    x = numpy.zeros((1, *shape), numpy.float32)
    try:
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            net(x)
    except (type_check.InvalidType, AssertionError, ValueError):
        return False
    return True
