"""Convolutional layer with binary weights."""
import chainer
from chainer import initializers
from chainer import link
from chainer import variable

from bnn.chainer_ops import link_batch_normalization
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d
from zoo.binarynet import function_normalized_sign_convolution


class BinaryConvolution2D(link.Link):
    """Convolution that computes with the signs of its weights.

    See :mod:`zoo.binarynet.function_binary_convolution_2d`.  ``W`` holds the
    latent weights that the optimizer updates.  Nothing in the layer bounds
    them: add a :class:`~weight_clip.WeightClip`.

    Args:
        in_channels (int or None): Channels of the input.  With ``None`` they
            are taken from the first input.
        out_channels (int): Number of filters.
        ksize (int or pair of ints): Size of the filters, (kh, kw).
        stride, pad, dilate, groups, pad_value: See
            :mod:`zoo.binarynet.function_binary_convolution_2d`.
        nobias (bool): If ``True``, there is no bias.
        initialW (initializer): Initial latent weights,
            :class:`~chainer.initializers.LeCunNormal` by default.
        initial_bias (initializer): Initial bias, 0 by default.
        stochastic (bool): Whether training draws the signs, see
            :func:`~zoo.binarynet.function_binarize.binarize`.

    Attributes:
        W (~chainer.Parameter): Latent weights, (out_channels,
            in_channels / groups, kh, kw).
        b (~chainer.Parameter or None): Bias, (out_channels,), not binarized.
        w_bits (int): Bits of a weight as the layer computes with it.
        test_weights (str): With ``stochastic``, what stands for the draws
            where ``chainer.config.train`` is off, one of
            :data:`zoo.binarynet.drawn_weights.KINDS`; ``'signs'`` at first.

    Raises:
        ValueError: If ``groups`` does not divide both numbers of channels, a
            number is not positive, or ``pad_value`` is neither 0 nor 1.
    """

    w_bits = 1
    test_weights = 'signs'

    def __init__(self, in_channels: int | None, out_channels: int, ksize,
                 stride=1, pad=0, nobias: bool = False, initialW=None,
                 initial_bias=None, dilate=1, groups: int = 1,
                 pad_value: int = 0, stochastic: bool = False):
        super().__init__()
        function_binary_convolution_2d.check_pad_value(pad_value)
        if min(out_channels, groups,
               1 if in_channels is None else in_channels) < 1:
            raise ValueError(
                'channels and groups must be positive: '
                f'in_channels={in_channels}, out_channels={out_channels}, '
                f'groups={groups}')
        self.out_channels = out_channels
        self.ksize = tuple(ksize) if hasattr(ksize, '__getitem__') else (
            ksize, ksize)
        self.stochastic = stochastic
        self.options = {'stride': stride, 'pad': pad, 'dilate': dilate,
                        'groups': groups, 'pad_value': pad_value}
        if initialW is None:
            initialW = initializers.LeCunNormal()
        elif not callable(initialW):  # a number or an array
            initialW = initializers.Constant(initialW)
        with self.init_scope():
            self.W = variable.Parameter(initialW)
            self.b = None if nobias else variable.Parameter(
                0 if initial_bias is None else initial_bias, out_channels)
        if in_channels is not None:
            self._initialize(in_channels)

    def _initialize(self, in_channels):
        groups = self.options['groups']
        if in_channels % groups or self.out_channels % groups:
            raise ValueError(
                f'groups={groups} does not divide the channels, '
                f'{in_channels} and {self.out_channels}')
        self.W.initialize(
            (self.out_channels, in_channels // groups, *self.ksize))

    @property
    def printable_specs(self):
        yield 'out_channels', self.out_channels
        yield 'ksize', self.ksize
        yield from self.options.items()
        yield 'stochastic', self.stochastic
        yield 'nobias', self.b is None

    def binarize(self, W) -> chainer.Variable:
        """Makes the binary weights that the layer computes with.

        Args:
            W (~chainer.Variable): Latent weights.

        Returns:
            ~chainer.Variable: Of the shape and dtype of ``W``.
        """
        return function_binarize.binarize(W, self.stochastic and (
            chainer.config.train or self.test_weights == 'mean'))

    def forward(
            self, x,
            bn: link_batch_normalization.BatchNormalization | None = None,
            rectify: bool = False) -> chainer.Variable:
        """Applies the layer.

        Args:
            x (~chainer.Variable or array): (batch, channels, h, w).
            bn: Batch normalization.  With it the signs of ``bn(x)`` are
                convolved, see
                :mod:`zoo.binarynet.function_normalized_sign_convolution`.
            rectify: Whether ReLU comes before ``bn``.

        Returns:
            ~chainer.Variable: (batch, out_channels, h_out, w_out).

        Raises:
            ValueError: If ``rectify`` is given without ``bn``.
        """
        if rectify and bn is None:
            raise ValueError('rectify needs bn: ReLU comes before it')
        if self.W.array is None:
            self._initialize(x.shape[1])
        is_real = (self.stochastic and self.test_weights == 'real'
                   and not chainer.config.train)
        options = self.options | {
            'binarize': None if is_real else self.binarize}
        if bn is not None:
            fused = function_normalized_sign_convolution
            return fused.normalized_sign_convolution(
                x, bn, self.W, self.b, **options, rectify=rectify)
        return function_binary_convolution_2d.binary_convolution_2d(
            x, self.W, self.b, **options)
