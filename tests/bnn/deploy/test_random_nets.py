"""Random small nets: packed, against the reference and Chainer."""
import math

import chainer
import chainer.functions as F
import chainer.links as L
import hypothesis
import numpy
import pytest
from hypothesis import strategies

import bnn.deploy
import bst
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy import run
from bnn.deploy import tracing
from tests.helpers import random_cases
from zoo.binarynet import link_binary_convolution_2d
from zoo.quantized_net import link_quantized_convolution_2d
from zoo.quantized_net import link_quantized_linear
from zoo.quantized_net import qst
from zoo.xnor_net import link_scaled_convolution_2d
from zoo.xnor_net import link_scaled_linear

# var + EPS is a power of 4, exactly.
EPS = 2. ** -16


class Branches(chainer.ChainList):
    """Joins what its links give."""

    def __init__(self, join, *branches):
        super().__init__(*branches)
        self.join = join

    def forward(self, x):
        return self.join([branch(x) for branch in self])


def add(values):
    return F.add(*values)


class Writer:
    """Draws a net layer by layer.

    Attributes:
        layers (list): So far.
        shape (tuple of int): Of a result.
        kind (str): ``'float'``, ``'signs'`` or ``'levels'``.
        exact (bool): Whether all arithmetic in float32 is to be exact.
    """

    def __init__(self, draw, shape, kind, exact):
        self.draw, self.shape, self.kind, self.exact = (
            draw, shape, kind, exact)
        self.layers = []

    def one_of(self, *values):
        return self.draw(strategies.sampled_from(values))

    def whole(self, low, high):
        return self.draw(strategies.integers(low, high))

    def is_image(self):
        return len(self.shape) == 3

    def add(self, layer, kind=None):
        self.layers.append(layer)
        if kind is not None:
            self.kind = kind

    # ---- layers

    def product(self, filters=None, keep_size=False, is_float=False):
        """Adds a linear layer or a convolution."""
        bits = 32 if is_float else self.one_of(
            1, 1, 2, 3, 32, *(() if self.exact else (8, 'scaled')))
        quantizer = 'linear' if self.exact else self.one_of(*qst.QUANTIZERS)
        options = {'nobias': self.exact and self.one_of(True, False)}
        filters = filters or self.whole(1, 6)
        if not self.is_image():
            self.add(
                link_scaled_linear.ScaledLinear(
                    self.shape[0], filters, **options) if bits == 'scaled'
                else link_quantized_linear.QuantizedLinear(
                    self.shape[0], filters, bits, quantizer, **options),
                'float')
            self.shape = filters,
            return
        channels, *size = self.shape
        if channels % 2 == 0 and self.one_of(True, False, False):
            options['groups'] = 2
            filters += filters % 2 if not keep_size else 0
            if filters % 2:
                options['groups'] = 1
        ksize = (3, 3) if keep_size else tuple(
            self.whole(1, min(3, n)) for n in size)
        pad = (1, 1) if keep_size else tuple(
            self.whole(0, k - 1) for k in ksize)
        stride = (1, 1) if keep_size else (self.whole(1, 2), self.whole(1, 2))
        options.update(pad=pad, stride=stride)
        if bits == 1 and self.one_of(True, False):
            link = link_binary_convolution_2d.BinaryConvolution2D(
                channels, filters, ksize, pad_value=self.whole(
                    0, self.kind != 'levels'), **options)
        elif bits == 'scaled':
            link = link_scaled_convolution_2d.ScaledConvolution2D(
                channels, filters, ksize, **options)
        elif bits == 32 and self.one_of(True, False):
            link = L.Convolution2D(channels, filters, ksize, **options)
        else:
            link = link_quantized_convolution_2d.QuantizedConvolution2D(
                channels, filters, ksize, bits, quantizer, **options)
        self.add(link, 'float')
        self.shape = filters, *(
            (n + 2 * p - k) // s + 1
            for n, k, p, s in zip(size, ksize, pad, stride, strict=True))

    def normalization(self):
        self.add(L.BatchNormalization(
            self.shape[0], eps=EPS, use_gamma=self.one_of(True, False)))

    def activation(self):
        kind = self.one_of('relu', 'clip', 'prelu', 'leaky', 'bias')
        self.add({
            'relu': F.relu, 'clip': lambda x: F.clip(x, -1., .5),
            'leaky': lambda x: F.leaky_relu(x, .25),
            'bias': L.Bias(1, self.shape[:1]),
            'prelu': L.PReLU(self.one_of((), self.shape[:1]))}[kind])

    def discrete(self):
        """Adds a sign or a quantizer."""
        bits = self.one_of(1, 1, 2, 4, *(() if self.exact else (8,)))
        if bits == 1:
            self.add(bst.bst, 'signs')
        else:
            quantizer = 'linear' if self.exact else self.one_of(
                *qst.QUANTIZERS)
            self.add(lambda x: qst.qst(x, bits, quantizer), 'levels')

    def pool(self):
        """Adds a pool, of floats an average one perhaps."""
        ksize = tuple(self.whole(1, min(2, n)) for n in self.shape[1:])
        stride = self.whole(1, 2), self.whole(1, 2)
        if self.kind == 'float' and self.one_of(True, False):
            self.add(lambda x: F.average_pooling_2d(x, ksize, stride))
            cover_all = False
        else:
            cover_all = self.one_of(True, False)
            # No window may begin outside the image.
            cover_all &= all(s <= k for s, k in zip(
                stride, ksize, strict=True))
            self.add(lambda x: F.max_pooling_2d(
                x, ksize, stride, cover_all=cover_all))
        self.shape = self.shape[0], *(
            (n - k + (s - 1 if cover_all else 0)) // s + 1
            for n, k, s in zip(self.shape[1:], ksize, stride, strict=True))

    def branches(self):
        """Adds a sum or a concatenation of two branches."""
        is_sum = self.one_of(True, False)
        n = self.shape[0] if self.one_of(True, False) else self.whole(1, 4)
        written = []
        for i in range(2):
            branch = Writer(self.draw, self.shape, 'float', self.exact)
            if self.one_of(True, False):
                branch.discrete()
            if branch.layers or n != self.shape[0] or i == 1:
                branch.product(n if is_sum else None, keep_size=True)
            if branch.layers and self.one_of(True, False):
                branch.normalization()
            written.append(branch)
        self.add(Branches(add if is_sum else F.concat, *(
            chainer.Sequential(*branch.layers or [F.identity])
            for branch in written)))
        self.shape = (n if is_sum else sum(
            branch.shape[0] for branch in written), *self.shape[1:])

    def step(self):
        """Adds what fits what was before."""
        if self.kind != 'float':
            if self.is_image() and self.one_of(True, False, False):
                self.pool()
            else:
                self.layer()
            return
        one = self.one_of('layer', 'normalization', 'activation',
                          'discrete', 'branches', 'pool')
        if one == 'pool' and not self.is_image():
            one = 'discrete'
        getattr(self, one)()

    def layer(self):
        """Adds a product, and perhaps what is folded into it."""
        self.product()
        if self.one_of(True, True, False):
            for one in 'normalization', 'pool', 'activation':
                if self.one_of(True, False) and (
                        one != 'pool' or self.is_image()):
                    getattr(self, one)()
            self.discrete()

    def end(self):
        """Adds the scores."""
        if self.is_image() and self.kind == 'float':
            size = math.prod(self.shape[1:])
            if size & (size - 1) == 0 or not self.exact:
                self.add(self.one_of(
                    lambda x: F.average(x, axis=(2, 3)),
                    lambda x: F.average_pooling_2d(x, x.shape[2:])))
                self.shape = self.shape[:1]
        if self.is_image() or self.one_of(True, False):
            self.add(lambda x: F.reshape(x, (len(x), -1)))
            self.shape = math.prod(self.shape),
        self.product(3)
        if self.one_of(True, False):
            self.normalization()


@strategies.composite
def nets(draw, exact):
    """Draws nets with their pixels.

    Returns:
        tuple: The net, uint8 images, and how their pixels are scaled.
    """
    shape = (draw(strategies.integers(1, 3)),
             *draw(random_cases.pairs(3, 8)))
    scaling = draw(strategies.sampled_from((
        'unit', 'signed', 'standard', 'binary')))
    rescale = operations.Rescale(
        kind=scaling, mean=(.5,) if scaling == 'standard' else (),
        std=(.5,) if scaling == 'standard' else ())
    is_binary = scaling == 'binary'
    writer = Writer(draw, shape, 'signs' if is_binary else 'float', exact)
    if exact and not is_binary:
        # Whole pixels times 1/255 are not exact; floats of 0 and 255 are.
        draw(strategies.sampled_from((
            lambda: writer.product(is_float=True), writer.normalization,
            writer.discrete, writer.pool)))()
        if writer.kind == 'float' and exact:
            writer.activation()
    for _ in range(draw(strategies.integers(0, 5))):
        writer.step()
    writer.end()
    net = chainer.Sequential(*writer.layers)
    random = numpy.random.RandomState(
        draw(strategies.integers(0, 2 ** 32 - 1)))
    fill(net, random, exact)
    images = random.randint(0, 256, (4, *shape)).astype(numpy.uint8)
    if exact and not is_binary:
        images = numpy.where(images < 128, 0, 255).astype(numpy.uint8)
    return net, images, rescale


def fill(net, random, exact):
    """Draws parameters and statistics; with ``exact`` halves and quarters."""
    for link in net.links():
        for name, param in sorted(link.namedparams(include_uninit=False)):
            if '/' in name.strip('/'):
                continue
            values = random.uniform(-1, 1, param.shape)
            if exact:
                values = numpy.rint(values * 2) / 2
                if name == '/gamma':  # powers of 2 add no digits
                    values = random.choice([-1, -.5, .5, 1, 2], param.shape)
            param.array[...] = values
        if isinstance(link, L.BatchNormalization):
            shape = link.avg_mean.shape
            mean, var = random.uniform(-1, 1, shape), random.uniform(
                .2, 2, shape)
            if exact:
                mean = numpy.rint(mean * 2) / 2
                var = random.choice([.25, 1, 4], shape) - EPS
            link.avg_mean[...], link.avg_var[...] = mean, var


class Ties:
    """Watches how near values come to where float32 may turn them.

    Attributes:
        nearest (float): The least distance to a threshold.
    """

    nearest = numpy.inf

    def __call__(self, operation, x):
        if isinstance(operation, operations.Sign):
            if operation.shift is not None:
                x = x - reference.channels(operation.shift, x)
            self.nearest = min(self.nearest, abs(x).min())
        elif isinstance(operation, operations.Quantize):
            x = numpy.clip(x, operation.low, operation.high) * operation.n
            self.nearest = min(self.nearest, abs(
                x - numpy.floor(x) - .5).min() / operation.n)


def compute(net, images, rescale, watch=None):
    """Computes a net packed, by the reference, and in Chainer.

    Returns:
        tuple: The scores of the packed net, written and read; Chainer's; the
        reference's in float64 and in float32.
    """
    packed = bnn.deploy.pack(net, numpy.zeros(images.shape, 'f'), rescale)
    again = run.Net(file_format.parse(file_format.dump(packed.packed)))
    x = reference.apply(rescale, images, numpy.float32)
    found = [rescale, *tracing.trace(net, x)]
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        theirs = net(x).array
    return (again.scores(images), theirs,
            reference.run(found, images, numpy.float64, watch),
            reference.run(found, images, numpy.float32))


def check_exact(case):
    ours, theirs, exact, rounded = compute(*case)
    # A few nets need more digits than float32 has.
    hypothesis.assume((exact == rounded).all())
    numpy.testing.assert_array_equal(ours, exact)
    numpy.testing.assert_array_equal(theirs, exact)


def check_near(case):
    ties = Ties()
    ours, theirs, exact, rounded = compute(*case, ties)
    hypothesis.assume(ties.nearest > 2e-6)
    for scores in ours, theirs, rounded:
        numpy.testing.assert_allclose(
            scores, exact, rtol=0, atol=1e-4 * max(abs(exact).max(), 1))


@random_cases.settings
@hypothesis.given(nets(exact=True))
def test_exact(case):
    check_exact(case)


@random_cases.settings
@hypothesis.given(nets(exact=False))
def test_near(case):
    check_near(case)


@pytest.mark.slow
@hypothesis.settings(random_cases.settings, max_examples=500)
@hypothesis.given(nets(exact=True))
def test_500_exact(case):
    check_exact(case)


@pytest.mark.slow
@hypothesis.settings(random_cases.settings, max_examples=500)
@hypothesis.given(nets(exact=False))
def test_500_near(case):
    check_near(case)
