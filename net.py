"""Multi-layer perceptrons for MNIST."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

import link_binary_linear
from bnn.chainer_ops import function_dropout
from bnn.chainer_ops import link_batch_normalization
from bnn.deploy import operations
from zoo import description
from zoo.quantized_net import link_quantized_linear
from zoo.quantized_net import qst


class MLP(chainer.Chain):

    """What the perceptrons have in common.

    Layers ``l1``, ``l2``, ... each followed by batch normalization ``b1``,
    ``b2``, ...; an activation and dropout after all but the last.

    Args:
        n_units (int): Units of each hidden layer.
        n_out (int): Number of classes.
        n_in (int): Number of inputs; an image's channels x height x width.
        n_layers (int): Number of hidden layers.
        batch_norm (bool): Whether there is batch normalization.
        dropout_input (float): Ratio of inputs that training drops.
        dropout_hidden (float): Ratio of hidden units that training drops.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(self, n_units, n_out=10, n_in=784, n_layers=2,
                 batch_norm=True, dropout_input=0., dropout_hidden=0.):
        super().__init__()
        self.n_layers = n_layers
        self.batch_norm = batch_norm
        self.dropout_input = dropout_input
        self.dropout_hidden = dropout_hidden
        with self.init_scope():
            for i in range(1, n_layers + 2):
                size = n_units if i <= n_layers else n_out
                setattr(self, 'l%d' % i, self.linear(n_in, size))
                if batch_norm:
                    setattr(self, 'b%d' % i, (
                        link_batch_normalization.BatchNormalization(size)))
                n_in = size

    def linear(self, n_in, n_out):
        """Makes a linear layer."""
        return L.Linear(n_in, n_out, initialW=initializers.HeNormal())

    def activate(self, x, normalize):
        """Applies batch normalization, or what stands for it, and the
        activation.
        """
        return F.relu(normalize(x))

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, ...);
                flattened from axis 1.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        if self.dropout_input:
            h = function_dropout.dropout(h, self.dropout_input)
        for i in range(1, self.n_layers + 2):
            h = self['l%d' % i](h)
            normalize = self['b%d' % i] if self.batch_norm else F.identity
            if i > self.n_layers:
                return normalize(h)
            h = self.activate(h, normalize)
            if self.dropout_hidden:
                h = function_dropout.dropout(h, self.dropout_hidden)

    def describe(self):
        """Describes the net, see :func:`zoo.description.of`."""
        found = [operations.Flatten()]
        for i in range(1, self.n_layers + 2):
            found += description.of(self['l%d' % i])
            if self.batch_norm:
                found += description.of(self['b%d' % i])
            if i <= self.n_layers:
                found += self.describe_activation()
        return found

    def describe_activation(self):
        """Describes what follows batch normalization."""
        return [operations.ReLU()]


class BinaryMLP(MLP):

    """Binary weights and activations: the net of binary_net.

    Binary linear layer, batch normalization, sign; batch normalization on
    the scores too (`BinaryNet <https://arxiv.org/abs/1602.02830>`_; the seed
    is 784-1000-1000-10).

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, dropout_input, dropout_hidden: See
            :class:`MLP`.
        surrogate (str): Gradient of the sign, see :func:`bst.bst`.
        stochastic (bool): Whether training draws the weights.
    """

    def __init__(self, n_units=1000, *args, surrogate='ste',
                 stochastic=False, **kwargs):
        self.surrogate = surrogate
        self.stochastic = stochastic
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in, n_out):
        return link_binary_linear.BinaryLinear(
            n_in, n_out, stochastic=self.stochastic)

    def activate(self, x, normalize):
        return link_batch_normalization.binarize(
            normalize, x, self.surrogate)

    def describe_activation(self):
        return [operations.Sign()]


class QuantizedMLP(MLP):

    """k-bit weights and activations: the net of quantized_net.

    At 1 and 1 bit it is :class:`BinaryMLP`
    (`QNN <https://arxiv.org/abs/1609.07061>`_).

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, dropout_input, dropout_hidden: See
            :class:`MLP`.
        w_bits (int): Bits of a weight, 1 to 8 or 32.
        a_bits (int): Bits of an activation, 1 to 8 or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``, see :func:`zoo.quantized_net.qst.qst`.
    """

    def __init__(self, n_units=1000, *args, w_bits=2, a_bits=2,
                 quantizer='dorefa', **kwargs):
        qst.check(a_bits, quantizer)
        self._w_bits = w_bits
        self.a_bits = a_bits
        self.quantizer = quantizer
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in, n_out):
        return link_quantized_linear.QuantizedLinear(
            n_in, n_out, self._w_bits, self.quantizer)

    def activate(self, x, normalize):
        return qst.qst(normalize(x), self.a_bits, self.quantizer)

    def describe_activation(self):
        return [description.quantizer(self.a_bits, self.quantizer)]


class FloatMLP(MLP):

    """Float weights and ReLU: the baseline of Binary-Neural-Networks.

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`MLP`.
    """

    def __init__(self, n_units=2048, *args, **kwargs):
        super().__init__(n_units, *args, **kwargs)


class BinaryWeightMLP(MLP):

    """Binary weights and ReLU: the binarized net of Binary-Neural-Networks.

    (`BinaryConnect <https://arxiv.org/abs/1511.00363>`_.)

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`MLP`.
        stochastic (bool): Whether training draws the weights.
    """

    def __init__(self, n_units=2048, *args, stochastic=False, **kwargs):
        self.stochastic = stochastic
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in, n_out):
        return link_binary_linear.BinaryLinear(
            n_in, n_out, initialW=initializers.HeNormal(),
            stochastic=self.stochastic)


NETS = {'binary': BinaryMLP, 'quantized': QuantizedMLP, 'float': FloatMLP,
        'binary-weight': BinaryWeightMLP}
