"""Convolutional layer with binary weights."""
from chainer import initializers
from chainer import link
from chainer import variable

from bnn.deploy import operations
from zoo import description
from zoo.binarynet import function_binary_convolution_2d


class BinaryConvolution2D(link.Link):

    """Convolution that computes with the signs of its weights.

    See :func:`~zoo.binarynet.function_binary_convolution_2d.binary_convolution_2d`.  ``W``
    holds the latent weights that the optimizer updates; nothing in the layer
    bounds them: add a :class:`~weight_clip.WeightClip`.

    Args:
        in_channels (int or None): Channels of the input.  With ``None`` they
            are taken from the first input.
        out_channels (int): Number of filters.
        ksize (int or pair of ints): Size of the filters, (kh, kw).
        stride, pad, dilate, groups, pad_value, scaled, stochastic: See
            :func:`~zoo.binarynet.function_binary_convolution_2d.binary_convolution_2d`.
        nobias (bool): If ``True``, there is no bias.
        initialW (initializer): Initial latent weights,
            :class:`~chainer.initializers.LeCunNormal` by default.
        initial_bias (initializer): Initial bias, 0 by default.

    Attributes:
        W (~chainer.Parameter): Latent weights, (out_channels,
            in_channels / groups, kh, kw).
        b (~chainer.Parameter or None): Bias, (out_channels,), not binarized.
        w_bits (int): Bits of a weight as the layer computes with it.

    Raises:
        ValueError: If ``groups`` does not divide both numbers of channels, a
            number is not positive, or options clash.
    """

    w_bits = 1

    def __init__(self, in_channels, out_channels, ksize, stride=1, pad=0,
                 nobias=False, initialW=None, initial_bias=None, dilate=1,
                 groups=1, pad_value=0, scaled=False, stochastic=False):
        super().__init__()
        function_binary_convolution_2d.check_options(
            pad_value, scaled, stochastic)
        if min(out_channels, groups,
               1 if in_channels is None else in_channels) < 1:
            raise ValueError(
                'channels and groups must be positive: in_channels=%s, '
                'out_channels=%s, groups=%s'
                % (in_channels, out_channels, groups))
        self.out_channels = out_channels
        self.ksize = tuple(ksize) if hasattr(ksize, '__getitem__') else (
            ksize, ksize)
        self.scaled = scaled
        self.options = {
            'stride': stride, 'pad': pad, 'dilate': dilate, 'groups': groups,
            'pad_value': pad_value, 'scaled': scaled,
            'stochastic': stochastic}
        with self.init_scope():
            self.W = variable.Parameter(
                initializers._get_initializer(initialW))
            if nobias:
                self.b = None
            else:
                self.b = variable.Parameter(
                    0 if initial_bias is None else initial_bias,
                    out_channels)
        if in_channels is not None:
            self._initialize(in_channels)

    def _initialize(self, in_channels):
        groups = self.options['groups']
        if in_channels % groups or self.out_channels % groups:
            raise ValueError(
                'groups=%d does not divide the channels, %d and %d'
                % (groups, in_channels, self.out_channels))
        self.W.initialize(
            (self.out_channels, in_channels // groups, *self.ksize))

    @property
    def printable_specs(self):
        yield 'out_channels', self.out_channels
        yield 'ksize', self.ksize
        yield from self.options.items()
        yield 'nobias', self.b is None

    def forward(self, x):
        """Applies the layer.

        Args:
            x (~chainer.Variable or array): (batch, channels, h, w).

        Returns:
            ~chainer.Variable: (batch, out_channels, h_out, w_out).
        """
        if self.W.array is None:
            self._initialize(x.shape[1])
        return function_binary_convolution_2d.binary_convolution_2d(
            x, self.W, self.b, **self.options)

    def describe(self):
        """Describes the layer, see :func:`zoo.description.of`."""
        options = self.options
        return [operations.Convolution2D(
            W=description.weights(self.W, 1, self.scaled),
            b=description.array(self.b),
            **{name: description.pair(options[name])
               for name in ('stride', 'pad', 'dilate')},
            pad_value=options['pad_value'], groups=options['groups'])]
