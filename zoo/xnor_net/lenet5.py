"""LeNet-5 of XNOR-Net, binary and float."""
import chainer
import chainer.links as L

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.xnor_net import function_normalized_relu
from zoo.xnor_net import link_xnor_block


class LeNet5(chainer.Chain):
    """LeNet-5 with binary middle layers, as XNOR-Net-PyTorch has it.

    In this order: convolution (20 5x5), batch normalization, ReLU, 2x2
    max-pool; a block of convolution (50 5x5), 2x2 max-pool; a linear block
    (500), which is normalized over the 50 channels; a linear layer to the
    classes.  The blocks are :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.
    The first and the last layer are float (`XNOR-Net
    <https://arxiv.org/abs/1603.05279>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, nothing is binarized, which is the
            baseline.
        options: ``scaled``, ``input_scale``, ``surrogate``, ``shift`` of
            :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.
    """

    def __init__(self, n_out: int = 10, binary: bool = True, **options):
        super().__init__()
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(1, 20, 5)
            self.bn1 = link_batch_normalization.BatchNormalization(
                20, eps=1e-4, use_gamma=False, use_beta=False)
            self.block2 = link_xnor_block.XNORConvolution2D(
                20, 50, 5, binary=binary, **options)
            self.block3 = link_xnor_block.XNORLinear(
                800, 500, channels=50, binary=binary, **options)
            self.l4 = L.Linear(500, n_out)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 1, 28, 28).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = function_normalized_relu.normalized_relu(self.conv1(x), self.bn1)
        h = function_max_pooling_2d.max_pooling_2d(h, 2)
        h = function_max_pooling_2d.max_pooling_2d(self.block2(h), 2)
        return self.l4(self.block3(h))
