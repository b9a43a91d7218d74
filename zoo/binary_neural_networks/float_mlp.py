"""Multi-layer perceptron with float weights."""
from zoo import mlp


class FloatMLP(mlp.MLP):
    """Float weights and ReLU: the baseline of Binary-Neural-Networks.

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`~zoo.mlp.MLP`.
    """

    def __init__(self, n_units: int = 2048, *args, **kwargs):
        super().__init__(n_units, *args, **kwargs)
