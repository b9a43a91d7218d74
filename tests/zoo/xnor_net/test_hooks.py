"""XNOR-Net's hooks: what they compute, on what, and when."""
import unittest

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import optimizer_hooks
from chainer import testing

import link_binary_linear
import weight_clip
from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import hooks
from zoo.xnor_net import link_xnor_block

BinaryConvolution2D = link_binary_convolution_2d.BinaryConvolution2D
BinaryLinear = link_binary_linear.BinaryLinear
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def random(*shape, dtype=numpy.float32, size=1):
    return numpy.random.uniform(-size, size, shape).astype(dtype)


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


def prepared(W):
    """What becomes of W, one position of a filter at a time, in float64."""
    result = W.astype('d').reshape(W.shape[0], W.shape[1], -1)
    for f in range(result.shape[0]):
        for k in range(result.shape[2]):
            centred = result[f, :, k] - sum(result[f, :, k]) / W.shape[1]
            result[f, :, k] = [min(max(w, -1), 1) for w in centred]
    return result.reshape(W.shape)


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_by_hand', 'test_shapes', 'test_idempotent'],
    [{}, {'use_cuda': True}])
class TestPrepare(unittest.TestCase):

    def setUp(self):
        self.tolerance = 4 * float(numpy.finfo(self.dtype).eps)

    def prepare(self, backend_config, W):
        array = backend_config.get_array(numpy.array(W, self.dtype))
        assert hooks.prepare(array) is None
        assert array.dtype == self.dtype
        return to_cpu(array)

    def test_by_hand(self, backend_config):
        # Linear: over the inputs.  3, 0, 0 less 1, and then the clamp.
        numpy.testing.assert_array_equal(
            self.prepare(backend_config, [[3, 0, 0], [.5, .25, 0]]),
            [[1, -1, -1], [.25, 0, -.25]])
        # Convolution: over the channels, for each place in the filter.
        numpy.testing.assert_array_equal(
            self.prepare(backend_config, [[[[.5, 8]], [[0, 0]]]]),
            [[[[.25, 1]], [[-.25, -1]]]])
        # A mean of its own for each filter.
        numpy.testing.assert_array_equal(
            self.prepare(backend_config, [[[[.5]], [[0]]], [[[8]], [[8]]]]),
            [[[[.25]], [[-.25]]], [[[0]], [[0]]]])

    def test_shapes(self, backend_config):
        for shape in (5, 7), (4, 3, 3, 5), (2, 4, 1, 1), (1, 2, 3):
            W = random(*shape, dtype=self.dtype, size=2)
            actual = self.prepare(backend_config, W)
            numpy.testing.assert_allclose(
                actual, prepared(W), atol=2 * self.tolerance)
            assert abs(actual).max() <= 1

    def test_idempotent(self, backend_config):
        W = self.prepare(
            backend_config, random(4, 5, 3, 3, dtype=self.dtype, size=.45))
        assert abs(W).max() < 1  # nothing was clipped
        assert abs(W.astype('d').mean(axis=1)).max() <= self.tolerance
        numpy.testing.assert_allclose(
            self.prepare(backend_config, W), W, atol=self.tolerance)


def test_centres_before_it_clamps(monkeypatch):
    seen = []
    clip = hooks.kernels.clip

    def spy(W, low, high):
        seen.append((W.copy(), low, high))
        clip(W, low, high)

    monkeypatch.setattr(hooks.kernels, 'clip', spy)
    W = random(4, 5, 3, 3, dtype=numpy.float64, size=5)
    hooks.prepare(W)
    (centred, low, high), = seen
    assert (low, high) == (-1, 1)
    assert abs(centred).max() > 1
    numpy.testing.assert_allclose(centred.mean(axis=1), 0, atol=1e-14)
    assert abs(W.mean(axis=1)).max() > .01  # the clamp came after it


def test_attributes():
    for hook, timing in ((hooks.GradientScale(), 'pre'),
                         (hooks.WeightPreparation(), 'post')):
        assert hook.timing == timing
        assert hook.call_for_each_param
        assert hook.name == type(hook).__name__


@testing.parameterize(
    {'shape': (3, 6), 'scale': (1 - 1 / 6) * 6},
    {'shape': (3, 4, 2, 5), 'scale': (1 - 1 / 4) * 40},
    {'shape': (50, 20, 5, 5), 'scale': 475.},
    {'shape': (3, 1, 2, 2), 'scale': 0.},
)
@testing.inject_backend_tests(
    ['test_scale', 'test_moments'], [{}, {'use_cuda': True}])
class TestHooks(unittest.TestCase):

    def setup(self, backend_config):
        W = random(*self.shape, size=2)
        g = random(*self.shape, size=.1)
        link = chainer.Link()
        with link.init_scope():
            link.W = chainer.Parameter(W.copy())
        link.to_device(backend_config.device)
        link.W.grad = backend_config.get_array(g.copy())
        return link, chainer.optimizers.SGD(lr=.5).setup(link), W, g

    def test_scale(self, backend_config):
        link, optimizer, W, g = self.setup(backend_config)
        link.W.update_rule.add_hook(hooks.GradientScale())
        optimizer.update()
        numpy.testing.assert_allclose(
            to_cpu(link.W.grad), g * self.scale, rtol=1e-5)
        # Before the update, which used it.
        numpy.testing.assert_allclose(
            to_cpu(link.W.array), W - .5 * self.scale * g,
            rtol=1e-5, atol=1e-5)

    def test_moments(self, backend_config):
        # Added in the wrong order, so that only the timing can tell.
        for on_optimizer in True, False:
            link, optimizer, W, g = self.setup(backend_config)
            hookable = optimizer if on_optimizer else link.W.update_rule
            hookable.add_hook(hooks.WeightPreparation())
            hookable.add_hook(hooks.GradientScale())
            optimizer.update()
            numpy.testing.assert_allclose(
                to_cpu(link.W.array),
                prepared(W.astype('d') - .5 * self.scale * g),
                rtol=1e-4, atol=1e-4)


def test_order_with_weight_decay():
    link = BinaryLinear(4, 2, scaled=True, nobias=True)
    optimizer = chainer.optimizers.SGD(lr=.1).setup(link)
    hooks.add_to(link)
    link.W.update_rule.add_hook(optimizer_hooks.WeightDecay(.25))
    W, g = link.W.array.copy(), random(2, 4)
    link.W.grad = g.copy()
    optimizer.update()
    # The decay is not multiplied.
    numpy.testing.assert_allclose(
        link.W.array, prepared(W - .1 * (3 * g + .25 * W)),
        rtol=1e-5, atol=1e-6)


def test_gradients_that_are_not_there():
    initialized, lazy = L.Linear(3, 2).W, L.Linear(None, 2).W
    for param in initialized, lazy:
        param.cleargrad()
        hooks.GradientScale()(None, param)
        assert param.grad is None
        hooks.WeightPreparation()(None, param)
    assert lazy.array is None


def test_fp32_copy():
    with chainer.using_config('dtype', numpy.float16):
        link = BinaryLinear(4, 2, scaled=True, nobias=True)
    optimizer = chainer.optimizers.SGD(lr=1).setup(link)
    optimizer.use_fp32_update()
    hooks.add_to(link)
    for size in 5, .1, .1:
        before = (link.W if link.W.update_rule._fp32_param is None
                  else link.W.update_rule._fp32_param).array.astype('d')
        g = random(2, 4, dtype=numpy.float16, size=size)
        link.W.grad = g.copy()
        optimizer.update()
        copy = link.W.update_rule._fp32_param.array
        assert copy.dtype == numpy.float32
        numpy.testing.assert_allclose(
            copy, prepared(before - 3 * g.astype('d')), atol=1e-5)
        numpy.testing.assert_array_equal(
            link.W.array, copy.astype(numpy.float16))


def make_model():
    return chainer.Sequential(
        BinaryConvolution2D(2, 4, 3, scaled=True),
        BinaryConvolution2D(4, 4, 3),
        L.Convolution2D(4, 4, 1),
        L.BatchNormalization(4),
        BinaryLinear(4, 5, scaled=True),
        BinaryLinear(5, 5),
        L.Linear(5, 3))


@pytest.mark.parametrize('nested', [True, False])
def test_add_to(nested):
    model = make_model()
    for param in model.params():
        param.array = random(*param.shape, size=2)
        param.grad = random(*param.shape, size=.1)
    before = {n: p.array.astype('d') for n, p in model.namedparams()}
    grads = {n: p.grad.copy() for n, p in model.namedparams()}
    target = chainer.Sequential(model) if nested else model
    optimizer = chainer.optimizers.SGD(lr=.1).setup(target)
    hooks.add_to(target)
    # Chainer's Sequential does not name its layers in their order.
    names = {id(param): name for name, param in model.namedparams()}
    scales = {names[id(model[0].W)]: (1 - 1 / 2) * 18,
              names[id(model[4].W)]: (1 - 1 / 4) * 4}
    for name, param in model.namedparams():
        # The initial weights are prepared, others left as they are.
        if name in scales:
            before[name] = prepared(before[name])
        numpy.testing.assert_allclose(param.array, before[name], atol=1e-6)
    optimizer.update()
    for name, param in model.namedparams():
        expected = before[name] - .1 * scales.get(name, 1) * grads[name]
        if name in scales:
            expected = prepared(expected)
        elif name.endswith('/gamma'):
            expected = numpy.maximum(expected, .01)
        numpy.testing.assert_allclose(
            param.array, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_add_to_a_model_without_scaled_layers():
    model = chainer.Sequential(
        L.Linear(3, 2), BinaryLinear(2, 2), BinaryConvolution2D(2, 2, 3),
        L.BatchNormalization(2, initial_gamma=-1))
    before = [p.array.copy() for p in model.params()]
    optimizer = chainer.optimizers.SGD().setup(model)
    hooks.add_to(model)
    for param in model.params():
        param.grad = numpy.zeros_like(param.array)
    optimizer.update()
    for param, b in zip(model.params(), before, strict=True):
        numpy.testing.assert_array_equal(param.array, b)


def test_blocks_without_scales_are_prepared_too():
    block = link_xnor_block.XNORConvolution2D(4, 3, 1, scaled=False)
    model = chainer.Sequential(block, BinaryLinear(3, 2))
    optimizer = chainer.optimizers.SGD(lr=.1).setup(model)
    W = block.conv.W
    # Small: what the clamp cuts has no longer the mean 0
    W.array[...] = .1 * random(*W.shape)
    hooks.add_to(model)
    assert weight_clip.unbounded_weights(optimizer) == [
        name for name, param in model.namedparams() if param is model[1].W]
    numpy.testing.assert_allclose(W.array.mean(axis=1), 0, atol=1e-6)
    before = W.array.copy()
    for param in model.params():
        param.grad = numpy.ones_like(param.array)
    W.grad = random(*W.shape)
    grad = W.grad.copy()
    optimizer.update()
    numpy.testing.assert_allclose(
        W.array, prepared(before - .1 * 3 * grad), rtol=1e-4, atol=1e-6)


def test_gradient_scale_is_an_option():
    model = make_model()
    chainer.optimizers.SGD().setup(model)
    hooks.add_to(model, scale_gradient=False)
    hookable = model[0].W.update_rule._hookable
    assert not hookable._pre_update_hooks
    assert hookable._post_update_hooks


def test_gammas_stay_positive():
    model = make_model()
    optimizer = chainer.optimizers.SGD(lr=1).setup(model)
    hooks.add_to(model)
    gamma, beta = model[3].gamma, model[3].beta
    for grad, expected in ((5, .01), (-.5, .51), (-7, 7.51)):
        for param in model.params():
            param.grad = numpy.zeros_like(param.array)
        gamma.grad[...] = beta.grad[...] = grad
        optimizer.update()
        numpy.testing.assert_allclose(gamma.array, expected, rtol=1e-6)
    # Not clipped itself, and without an upper bound for either.
    numpy.testing.assert_allclose(beta.array, 2.5, rtol=1e-6)


@pytest.mark.parametrize('min_gamma,expected', [(.25, .25), (None, -4)])
def test_min_gamma(min_gamma, expected):
    model = make_model()
    optimizer = chainer.optimizers.SGD(lr=1).setup(model)
    hooks.add_to(model, min_gamma=min_gamma)
    for param in model.params():
        param.grad = numpy.zeros_like(param.array)
    model[3].gamma.grad[...] = 5
    optimizer.update()
    assert (model[3].gamma.array == expected).all()


def test_extra():
    model = make_model()
    optimizer = chainer.optimizers.SGD(lr=0).setup(model)
    hooks.add_to(model, extra=1e9)
    grads = {}
    for name, param in model.namedparams():
        param.grad = random(*param.shape)
        grads[name] = param.grad.astype('d')
    optimizer.update()
    scales = {id(model[0].W): 9e9, id(model[4].W): 3e9}
    for name, param in model.namedparams():
        numpy.testing.assert_allclose(
            param.grad, scales.get(id(param), 1) * grads[name], rtol=1e-6)


def test_extra_silences_weight_decay():
    # Adam's first step goes by the sign of gradient and decay together.
    for extra, sign in (1, -1), (1e9, 1):
        link = BinaryLinear(4, 2, scaled=True, nobias=True)
        optimizer = chainer.optimizers.Adam(alpha=.01).setup(link)
        link.W.array[...] = numpy.array([-.5, .5, -.5, .5])
        hooks.add_to(link, extra=extra)
        link.W.update_rule.add_hook(optimizer_hooks.WeightDecay(.1))
        W = link.W.array.copy()
        link.W.grad = (1e-5 * W).astype('f') * -1
        optimizer.update()
        numpy.testing.assert_array_equal(
            numpy.sign(link.W.array - W), sign * numpy.sign(W))


def test_bounds_its_weights():
    # No warning that a weight clip is missing, but for the layer that has
    # neither.
    model = chainer.Chain()
    with model.init_scope():
        model.l1 = BinaryLinear(2, 2, scaled=True)
        model.l2 = BinaryLinear(2, 2)
    optimizer = chainer.optimizers.SGD().setup(model)
    assert sorted(weight_clip.unbounded_weights(optimizer)) == [
        '/l1/W', '/l2/W']
    hooks.add_to(model)
    assert weight_clip.unbounded_weights(optimizer) == ['/l2/W']


def test_forward_passes_change_no_weight():
    model = make_model()
    optimizer = chainer.optimizers.Adam().setup(model)
    hooks.add_to(model)
    x = random(4, 2, 5, 5)
    t = numpy.arange(4, dtype=numpy.int32) % 3
    optimizer.update(lambda: F.softmax_cross_entropy(model(x), t))
    before = {n: p.array.tobytes() for n, p in model.namedparams()}
    with chainer.using_config('train', False):
        outputs = [model(x).array for _ in range(3)]
    numpy.testing.assert_array_equal(outputs[0], outputs[1])
    numpy.testing.assert_array_equal(outputs[0], outputs[2])
    with chainer.using_config('train', True):
        # Not even the backward pass: only the update does.
        F.softmax_cross_entropy(model(x), t).backward()
    assert {n: p.array.tobytes() for n, p in model.namedparams()} == before


def test_prepared_after_each_update():
    model = make_model()
    optimizer = chainer.optimizers.Adam(alpha=.3).setup(model)
    hooks.add_to(model)
    x, t = random(4, 2, 5, 5), numpy.arange(4, dtype=numpy.int32) % 3
    for _ in range(4):
        optimizer.update(lambda: F.softmax_cross_entropy(model(x), t))
        for link in model[0], model[4]:
            assert abs(link.W.array).max() <= 1
    # What nothing bounds moved freely.
    assert abs(model[1].W.array).max() > 1


testing.run_module(__name__, __file__)
