"""LeNet-5 of XNOR-Net, binary and float."""
import chainer
import chainer.functions as F
import chainer.links as L

import bst
import link_binary_convolution_2d
import link_binary_linear


class LeNet5(chainer.Chain):

    """LeNet-5 with binary middle layers, as XNOR-Net-PyTorch has it.

    Convolution (20 5x5), batch normalization, ReLU, max-pool; then two
    blocks of batch normalization, sign, a layer on scaled binary weights and
    ReLU: convolution (50 5x5) with a max-pool after it, and linear (500);
    then a linear layer to the classes.  The first and last layer are float
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, the middle layers are float as well, and
            nothing is binarized: the baseline.
    """

    def __init__(self, n_out=10, binary=True):
        super().__init__()
        self.binary = binary
        with self.init_scope():
            self.conv1 = L.Convolution2D(1, 20, 5)
            self.bn1 = L.BatchNormalization(
                20, eps=1e-4, use_gamma=False, use_beta=False)
            self.bn2 = L.BatchNormalization(20, eps=1e-4)
            self.bn3 = L.BatchNormalization(50, eps=1e-4)
            if binary:
                self.conv2 = link_binary_convolution_2d.BinaryConvolution2D(
                    20, 50, 5, scaled=True)
                self.l3 = link_binary_linear.BinaryLinear(
                    800, 500, scaled=True)
            else:
                self.conv2 = L.Convolution2D(20, 50, 5)
                self.l3 = L.Linear(800, 500)
            self.l4 = L.Linear(500, n_out)

    def activate(self, x):
        """Applies the activation before a middle layer."""
        return bst.bst(x) if self.binary else x

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 1, 28, 28).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = F.max_pooling_2d(F.relu(self.bn1(self.conv1(x))), 2)
        h = F.relu(self.conv2(self.activate(self.bn2(h))))
        h = F.max_pooling_2d(h, 2)
        h = F.relu(self.l3(self.activate(self.bn3(h))))
        return self.l4(h)
