"""The steps in which a packed net runs on a GPU.

Layers of weights of a byte or less run on the tensor cores, one kernel each,
with the thresholds in it: :mod:`bnn.kernels.gpu_int8`.  Between them signs
are bytes, of images with the channels last; around other stages they are +1
and -1 in float32.  Those are what :mod:`bnn.deploy.dense` and
:mod:`bnn.deploy.reference` do, whose NumPy functions CuPy takes over.  A GPU
before Ampere has :func:`bnn.kernels.xnor_product` for linear layers.
"""
import copy
import dataclasses

import numpy

from bnn import kernels
from bnn.deploy import dense
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import reference
from bnn.deploy import steps
from bnn.kernels import gpu_convolution
from bnn.kernels import gpu_int8
from bnn.kernels import gpu_perceptron


def make(stages, xp):
    """Yields the steps: callables of a value and the kept scales.

    Args:
        stages (iterable): The stages of a packed net.
        xp (module): CuPy.
    """
    stages = list(stages)
    image = None  # (channels, h, w) of signs in bytes, flattened or not
    while stages:
        stage, run = stages[0], _perceptron_of(stages)
        del stages[:len(run) or 1]
        operation = getattr(stage, 'operation', None)
        if run:
            yield _linear(run, image)
            image = None
        elif image is not None and isinstance(operation, operations.Flatten):
            yield _flatten
        elif _is_fast(stage) and stage.is_convolution:
            if image is None:
                yield _to_bytes(stage)
            yield _convolution(stage)
            image = stage.output_shape if stage.result == 'bits' else None
        elif image is not None and isinstance(stage, packed.BitMaxPooling):
            yield _pooling(stage)
            image = stage.output_shape
        else:
            if image is not None:
                yield _to_floats(image, stage.input_shape)
            yield _other(stage, xp)
            image = None
    if image is not None:
        yield _to_floats(image, image)


def _is_fast(stage):
    return (isinstance(stage, packed.Product) and gpu_int8.is_supported()
            and stage.operand in ('bits', 'pixels')
            and stage.result != 'levels' and stage.groups == 1
            and stage.pixel_map == (1, 0) and stage.pad_pixels is None
            and _are_bytes(stage.weights))


def _are_bytes(weights):
    if weights.bits == 32:
        return False
    ends = weights.low, weights.low + weights.step * ((1 << weights.bits) - 1)
    return min(ends) >= -128 and max(ends) <= 127


def _perceptron_of(stages):
    """Returns the stages in front that are one perceptron."""
    run = []
    for stage in stages:
        if not _is_fast(stage) or stage.is_convolution or (
                run and run[-1].result == 'float'):
            break
        run.append(stage)
    return run


def _linear(layers, image):
    weights = [layer.weights.rows().astype(numpy.int8) for layer in layers]
    if image is not None:
        weights[0] = gpu_convolution.linear_weights(weights[0], image)
    perceptron = gpu_perceptron.Perceptron(
        weights, [layer.thresholds for layer in layers], layers[-1].scale,
        layers[-1].offset, layers[0].operand == 'pixels')
    return lambda x, kept: perceptron(_flatten(x, kept))


def _flatten(x, kept):
    return x.reshape(len(x), -1)


def _to_bytes(stage):
    dtype = numpy.uint8 if stage.operand == 'pixels' else numpy.int8
    return lambda x, kept: gpu_convolution.to_bytes(x, dtype)


def _to_floats(image, shape):
    def step(x, kept):
        x = x.reshape(len(x), *image[1:], -1)
        return gpu_convolution.to_floats(x, image[0]).reshape(len(x), *shape)

    return step


def _convolution(stage):
    convolution = gpu_convolution.BitConvolution(
        stage.weights.values(), stage.stride, stage.pad, stage.dilate,
        stage.pad_value, stage.input_shape[1:], stage.output_shape[1:],
        stage.thresholds, stage.scale, stage.offset,
        stage.operand == 'pixels')
    return lambda x, kept: convolution(x)


def _pooling(stage):
    pooling = gpu_convolution.SignPooling(
        stage.ksize, stage.stride, stage.pad, stage.output_shape[1:],
        stage.is_minimum)
    return lambda x, kept: pooling(x)


def _other(stage, xp):
    if isinstance(stage, packed.Product):
        return _product(stage, xp)
    if isinstance(stage, packed.BitMaxPooling):
        turn = xp.asarray(numpy.where(
            stage.is_minimum, -1, 1).astype(numpy.float32)[:, None, None])
        pool = operations.MaxPooling2D(
            ksize=stage.ksize, stride=stage.stride, pad=stage.pad,
            cover_all=stage.cover_all)
        return lambda x, kept: turn * reference.apply(
            pool, turn * x, numpy.float32)
    if isinstance(stage, packed.PixelSigns):
        return lambda x, kept: xp.where(
            x >= 128, numpy.float32(1), numpy.float32(-1))
    operation = _moved(stage.operation, xp)
    if isinstance(operation, operations.Rescale) and (
            operation.kind == 'standard'):
        return _rescale(operation, xp)
    if isinstance(operation, operations.Sign):
        return lambda x, kept: reference.apply(operation, x, numpy.float32)
    return steps.of_operation(operation)


def _rescale(operation, xp):
    # Its numbers are tuples, which NumPy would make arrays of.
    mean, std = (xp.asarray(numpy.float32(v)[:, None, None])
                 for v in (operation.mean, operation.std))
    unit = dataclasses.replace(operation, kind='unit')
    return lambda x, kept: (reference.apply(
        unit, x, numpy.float32) - mean) / std


def _product(stage, xp):
    if (stage.is_convolution or stage.operand != 'bits'
            or stage.weights.bits != 1):
        layer = dense.Dense(stage)
        layer.product = _moved(stage, xp)
        layer.W = xp.asarray(layer.W)
        return lambda x, kept: layer(x)
    signs = stage.weights.rows()
    bits = kernels.pack(xp.asarray(signs, numpy.float32))
    layer = copy.copy(_moved(stage, xp))

    def step(x, kept):
        s = kernels.xnor_product(kernels.pack(x), bits, signs.shape[1])
        return dense.finish(layer, s)

    return step


def _moved(thing, xp):
    """Returns a stage or an operation with its arrays on the GPU."""
    return dataclasses.replace(thing, **{
        name: xp.asarray(value) for name, value in vars(thing).items()
        if isinstance(value, numpy.ndarray)})
