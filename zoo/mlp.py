"""What the multi-layer perceptrons have in common."""
import chainer
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_dropout
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization


class MLP(chainer.Chain):
    """Multi-layer perceptron of any depth.

    Layers ``l1``, ``l2``, ... each followed by batch normalization ``b1``,
    ``b2``, ...  After all but the last come the activation and dropout.  A
    subclass overrides :meth:`linear` and :meth:`activate`; here the weights
    are float and the activation is ReLU.

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

    def __init__(self, n_units: int, n_out: int = 10, n_in: int = 784,
                 n_layers: int = 2, batch_norm: bool = True,
                 dropout_input: float = 0., dropout_hidden: float = 0.):
        super().__init__()
        self.n_layers = n_layers
        self.batch_norm = batch_norm
        self.dropout_input = dropout_input
        self.dropout_hidden = dropout_hidden
        with self.init_scope():
            for i in range(1, n_layers + 2):
                size = n_units if i <= n_layers else n_out
                setattr(self, f'l{i}', self.linear(n_in, size))
                if batch_norm:
                    setattr(self, f'b{i}', (
                        link_batch_normalization.BatchNormalization(size)))
                n_in = size

    def linear(self, n_in: int, n_out: int) -> chainer.Link:
        """Makes a linear layer."""
        return L.Linear(n_in, n_out, initialW=initializers.HeNormal())

    def activate(self, x: chainer.Variable) -> chainer.Variable:
        """Applies the activation."""
        return function_relu.relu(x)

    def forward(self, x) -> chainer.Variable:
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
            h = self[f'l{i}'](h)
            if self.batch_norm:
                h = self[f'b{i}'](h)
            if i <= self.n_layers:
                h = self.activate(h)
                if self.dropout_hidden:
                    h = function_dropout.dropout(h, self.dropout_hidden)
        return h
