"""What the tests of nets share; tests on a GPU only where there is one."""
import chainer
import numpy
import pytest

from tests.helpers import devices

collect_ignore = [] if devices.has_gpu() else ['test_gpu.py']


@pytest.fixture(scope='session')
def layer_table():
    """A function that lists a net's layers: shape, stride, pad, weights."""
    def table(model):
        rows = {}
        for name, link in model.namedlinks():
            if hasattr(link, 'W'):
                options = getattr(link, 'options', vars(link))
                weights = 'float' if getattr(link, 'w_bits', 32) == 32 else (
                    'scaled' if getattr(link, 'scaled', False) else 'sign')
                rows[name[1:]] = (
                    link.W.shape, numpy.max(options.get('stride', 1)),
                    numpy.max(options.get('pad', 0)), weights)
        return rows
    return table


@pytest.fixture(scope='session')
def layer_shapes():
    """A function that lists the shape of what each layer of weights gives.

    In the order of the forward pass.
    """
    def shapes(model, x):
        names = {id(link): name[1:] for name, link in model.namedlinks()}
        found = {}

        class Recorder(chainer.LinkHook):
            def forward_postprocess(self, args):
                if hasattr(args.link, 'W'):
                    found[names[id(args.link)]] = args.out.shape[1:]

        with Recorder(), chainer.using_config('train', False), (
                chainer.no_backprop_mode()):
            model(x)
        return found
    return shapes


class Reference:
    """Layers in evaluation, computed in NumPy from their parameters."""

    @staticmethod
    def disturb(model):
        """Moves biases, gammas, betas and statistics from their defaults."""
        for link in model.links():
            for param in link.params(include_uninit=False):
                if param.ndim == 1:
                    param.array[...] += numpy.random.uniform(
                        -.2, .2, param.shape)
            if hasattr(link, 'avg_mean'):
                shape = link.avg_mean.shape
                link.avg_mean[...] = numpy.random.uniform(-.2, .2, shape)
                link.avg_var[...] = numpy.random.uniform(.5, 2, shape)

    @staticmethod
    def sign(x):
        return numpy.where(x >= 0, 1., -1.)

    @staticmethod
    def normalize(bn, x, eps=1e-4):
        def shaped(array):
            return array.reshape((1, -1) + (1,) * (x.ndim - 2))
        y = (x - shaped(bn.avg_mean)) / numpy.sqrt(shaped(bn.avg_var) + eps)
        if getattr(bn, 'gamma', None) is None:
            return y
        return y * shaped(bn.gamma.array) + shaped(bn.beta.array)

    @staticmethod
    def linear(x, W, b):
        return x.reshape(len(x), -1) @ W.T + b.array

    @staticmethod
    def convolution(x, W, b, stride=1, pad=0, pad_value=0):
        x = numpy.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)),
                      constant_values=pad_value)
        windows = numpy.lib.stride_tricks.sliding_window_view(
            x, W.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        y = numpy.tensordot(windows, W, ((1, 4, 5), (1, 2, 3)))
        return y.transpose(0, 3, 1, 2) + b.array.reshape(-1, 1, 1)

    @staticmethod
    def pool(x, reduce, size=3, stride=2, pad=0, pad_value=0):
        x = numpy.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)),
                      constant_values=pad_value)
        return reduce(numpy.lib.stride_tricks.sliding_window_view(
            x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride],
            axis=(4, 5))

    @classmethod
    def block(cls, block, x, pad=0):
        """XNOR-Net's, with scaled weights."""
        binarize = cls.sign if block.binary else numpy.asarray
        h = binarize(cls.normalize(block.bn, x))
        layer = getattr(block, 'conv', None) or block.linear
        W = layer.W.array
        if block.binary:
            W = cls.sign(W) * abs(W).mean(
                axis=tuple(range(1, W.ndim)), keepdims=True)
        y = (cls.linear(h, W, layer.b) if W.ndim == 2
             else cls.convolution(h, W, layer.b, pad=pad))
        return numpy.maximum(y, 0)


@pytest.fixture(scope='session')
def reference():
    """The class :class:`Reference`."""
    return Reference
