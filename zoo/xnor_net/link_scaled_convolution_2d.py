"""Convolutional layer with the scaled binary weights of XNOR-Net."""
import chainer

from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import function_scaled_binarize


class ScaledConvolution2D(link_binary_convolution_2d.BinaryConvolution2D):
    """Convolution that computes with scaled signs of its weights.

    See :func:`~zoo.xnor_net.function_scaled_binarize.scaled_binarize`.  ``W``
    holds the latent weights; :func:`zoo.xnor_net.hooks.add_to` adds the hooks
    that bound them.

    Args:
        in_channels, out_channels, ksize, stride, pad: See
            :mod:`zoo.binarynet.link_binary_convolution_2d`.
        scaled (bool or str): ``True``, or ``'ste'`` for the plain
            straight-through gradient.
        kwargs: ``nobias``, ``initialW``, ``initial_bias``, ``dilate``,
            ``groups``, ``pad_value``, see there.
    """

    def __init__(self, in_channels: int | None, out_channels: int, ksize,
                 stride=1, pad=0, scaled: bool | str = True, **kwargs):
        super().__init__(
            in_channels, out_channels, ksize, stride, pad, **kwargs)
        self.scaled = scaled

    @property
    def printable_specs(self):
        yield from super().printable_specs
        yield 'scaled', self.scaled

    def binarize(self, W) -> chainer.Variable:
        return function_scaled_binarize.scaled_binarize(
            W, self.scaled == 'ste')
