"""XNOR-Net's hooks: what they compute, on what, and when."""
import chainer
import chainer.links as L
import numpy
import pytest
from chainer import optimizer_hooks

import link_binary_linear
from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import hooks
from zoo.xnor_net import link_scaled_convolution_2d
from zoo.xnor_net import link_scaled_linear
from zoo.xnor_net import link_xnor_block

BinaryConvolution2D = link_binary_convolution_2d.BinaryConvolution2D
BinaryLinear = link_binary_linear.BinaryLinear
ScaledConvolution2D = link_scaled_convolution_2d.ScaledConvolution2D
ScaledLinear = link_scaled_linear.ScaledLinear
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def random(*shape, dtype=numpy.float32, size=1):
    return numpy.random.uniform(-size, size, shape).astype(dtype)


def prepared(W):
    """What becomes of W, one position of a filter at a time, in float64."""
    result = W.astype('d').reshape(W.shape[0], W.shape[1], -1)
    for f in range(result.shape[0]):
        for k in range(result.shape[2]):
            centred = result[f, :, k] - sum(result[f, :, k]) / W.shape[1]
            result[f, :, k] = [min(max(w, -1), 1) for w in centred]
    return result.reshape(W.shape)


def prepare(W, dtype):
    array = numpy.array(W, dtype)
    assert hooks.prepare(array) is None
    return array


def test_prepare_by_hand():
    for dtype in DTYPES:
        # Linear: over the inputs.  3, 0, 0 less 1, and then the clamp.
        numpy.testing.assert_array_equal(
            prepare([[3, 0, 0], [.5, .25, 0]], dtype),
            [[1, -1, -1], [.25, 0, -.25]])
        # Convolution: over the channels, for each place in the filter.
        numpy.testing.assert_array_equal(
            prepare([[[[.5, 8]], [[0, 0]]]], dtype),
            [[[[.25, 1]], [[-.25, -1]]]])
        # A mean of its own for each filter.
        numpy.testing.assert_array_equal(
            prepare([[[[.5]], [[0]]], [[[8]], [[8]]]], dtype),
            [[[[.25]], [[-.25]]], [[[0]], [[0]]]])


def test_prepare_against_loop():
    for dtype in DTYPES:
        atol = 8 * float(numpy.finfo(dtype).eps)
        for shape in (5, 7), (4, 3, 3, 5), (2, 4, 1, 1), (1, 2, 3):
            W = random(*shape, dtype=dtype, size=5)
            numpy.testing.assert_allclose(
                prepare(W, dtype), prepared(W), atol=2 * atol)
        W = prepare(random(4, 5, 3, 3, dtype=dtype, size=.45), dtype)
        assert abs(W).max() < 1  # nothing was clipped: the mean is 0
        assert abs(W.astype('d').mean(axis=1)).max() <= atol
        numpy.testing.assert_allclose(prepare(W, dtype), W, atol=atol)


def test_hooks():
    """Scale before the update, preparation after it."""
    for shape, scale in (
            ((3, 6), (1 - 1 / 6) * 6), ((3, 4, 2, 5), (1 - 1 / 4) * 40),
            ((50, 20, 5, 5), 475.), ((3, 1, 2, 2), 0.)):
        for on_optimizer in True, False:
            W, g = random(*shape, size=2), random(*shape, size=.1)
            link = chainer.Link()
            with link.init_scope():
                link.W = chainer.Parameter(W.copy())
            link.W.grad = g.copy()
            optimizer = chainer.optimizers.SGD(lr=.5).setup(link)
            # Added in the wrong order, so that only the timing can tell.
            hookable = optimizer if on_optimizer else link.W.update_rule
            hookable.add_hook(hooks.WeightPreparation())
            hookable.add_hook(hooks.GradientScale())
            optimizer.update()
            numpy.testing.assert_allclose(link.W.grad, g * scale, rtol=1e-5)
            numpy.testing.assert_allclose(
                link.W.array, prepared(W.astype('d') - .5 * scale * g),
                rtol=1e-4, atol=1e-4)


def test_order_with_weight_decay():
    link = ScaledLinear(4, 2, nobias=True)
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


def test_fp32_copy():
    with chainer.using_config('dtype', numpy.float16):
        link = ScaledLinear(4, 2, nobias=True)
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
        ScaledConvolution2D(2, 4, 3),
        BinaryConvolution2D(4, 4, 3),
        L.Convolution2D(4, 4, 1),
        L.BatchNormalization(4),
        ScaledLinear(4, 5),
        BinaryLinear(5, 5),
        L.Linear(5, 3))


def test_add_to():
    for nested in True, False:
        check_add_to(make_model(), nested)


def check_add_to(model, nested):
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
    # Small: what the clamp cuts no longer has the mean 0.
    W.array[...] = .1 * random(*W.shape)
    hooks.add_to(model)
    numpy.testing.assert_allclose(W.array.mean(axis=1), 0, atol=1e-6)
    before, others = W.array.copy(), model[1].W.array.copy()
    for param in model.params():
        param.grad = numpy.ones_like(param.array)
    W.grad = random(*W.shape)
    grad = W.grad.copy()
    optimizer.update()
    numpy.testing.assert_allclose(
        W.array, prepared(before - .1 * 3 * grad), rtol=1e-4, atol=1e-6)
    numpy.testing.assert_allclose(
        model[1].W.array, others - .1, rtol=1e-5, atol=1e-6)


def test_layers_that_cannot_be_centred():
    for link in ScaledLinear(None, 2), ScaledConvolution2D(1, 2, 3):
        chainer.optimizers.SGD().setup(link)
        with pytest.raises(ValueError, match='two of them or more'):
            hooks.add_to(link)


def test_gradient_scale_is_an_option():
    model = make_model()
    optimizer = chainer.optimizers.SGD(lr=0).setup(model)
    hooks.add_to(model, scale_gradient=False)
    model[0].W.array[...] = 3
    for param in model.params():
        param.grad = numpy.ones_like(param.array)
    optimizer.update()
    assert (model[0].W.grad == 1).all()
    assert (model[0].W.array == 0).all()  # it was prepared


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


def test_min_gamma():
    for min_gamma, expected in (.25, .25), (0, -4):
        model = make_model()
        optimizer = chainer.optimizers.SGD(lr=1).setup(model)
        hooks.add_to(model, min_gamma=min_gamma)
        for param in model.params():
            param.grad = numpy.zeros_like(param.array)
        model[3].gamma.grad[...] = 5
        optimizer.update()
        assert (model[3].gamma.array == expected).all()


def test_extra_silences_weight_decay():
    # Adam's first step goes by the sign of gradient and decay together.
    for extra, sign in (1, -1), (1e9, 1):
        link = ScaledLinear(4, 2, nobias=True)
        optimizer = chainer.optimizers.Adam(alpha=.01).setup(link)
        link.W.array[...] = numpy.array([-.5, .5, -.5, .5])
        hooks.add_to(link, extra=extra)
        link.W.update_rule.add_hook(optimizer_hooks.WeightDecay(.1))
        W = link.W.array.copy()
        link.W.grad = (1e-5 * W).astype('f') * -1
        optimizer.update()
        numpy.testing.assert_array_equal(
            numpy.sign(link.W.array - W), sign * numpy.sign(W))
