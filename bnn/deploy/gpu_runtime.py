"""A packed net on CuPy arrays.

Linear layers of one bit run on the tensor cores, one kernel each, with the
thresholds in it: :mod:`bnn.kernels.gpu_perceptron`.  A GPU before Ampere has
:func:`bnn.kernels.xnor_product` for them.  Between other layers bits are +1
and -1 in float32, and everything else is what :mod:`bnn.deploy.dense` and
:mod:`bnn.deploy.reference` do, whose NumPy functions CuPy takes over.  This
has not been run on a GPU yet; the tests run it on an emulated one.
"""
import copy
import dataclasses
import itertools

import numpy

from bnn import errors
from bnn import kernels
from bnn.deploy import dense
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import reference
from bnn.deploy import runtime
from bnn.deploy import steps


class GPUNet(runtime.Net):
    """As :class:`~bnn.deploy.runtime.Net`, on a GPU.

    Images may be on the GPU already; the results are NumPy arrays.  Nothing
    waits for the GPU before they are copied.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Raises:
        ~bnn.errors.UserError: If there is no CuPy or no GPU.

    """

    memory = 1 << 30

    def __init__(self, net):
        self._xp = _cupy()
        from bnn.kernels import gpu_perceptron
        self._perceptron = gpu_perceptron
        super().__init__(net)

    def make_steps(self):
        stages, found = list(self.packed.stages), []
        while stages:
            run = self._linear_run(stages)
            if run:
                found.append(self._linear(run))
            else:
                found.append(self._step(stages[0]))
            del stages[:len(run) or 1]
        return found

    def scores(self, images):
        if not len(images):
            return super().scores(images)
        return self._on_gpu(images).get()

    def predict(self, images):
        if not len(images):
            return super().predict(images)
        return self._perceptron.argmax(self._on_gpu(images)).get()

    def _on_gpu(self, images):
        parts = self.parts(self.prepared(images))
        return parts[0] if len(parts) == 1 else self._xp.concatenate(parts)

    def _contiguous(self, images):
        return self._xp.ascontiguousarray(self._xp.asarray(images))

    def _linear_run(self, stages):
        """Returns the stages in front that are one perceptron, if any."""
        if not self._perceptron.is_supported():
            return []
        run = list(itertools.takewhile(steps.is_perceptron, stages))
        for n, layer in enumerate(run, 1):
            if layer.result == 'float':
                return run[:n]
        return run

    def _linear(self, layers):
        perceptron = self._perceptron.Perceptron(
            [layer.weights.rows().astype(numpy.int8) for layer in layers],
            [layer.thresholds for layer in layers], layers[-1].scale,
            layers[-1].offset, layers[0].operand == 'pixels')
        return lambda x, kept: perceptron(x.reshape(len(x), -1))

    def _step(self, stage):
        if isinstance(stage, packed.Product):
            return self._product(stage)
        if isinstance(stage, packed.BitMaxPooling):
            turn = self._xp.asarray(numpy.where(
                stage.is_minimum, -1, 1).astype(numpy.float32)[:, None, None])
            pool = operations.MaxPooling2D(
                ksize=stage.ksize, stride=stage.stride, pad=stage.pad,
                cover_all=stage.cover_all)
            return lambda x, kept: turn * reference.apply(
                pool, turn * x, numpy.float32)
        if isinstance(stage, packed.PixelSigns):
            return lambda x, kept: self._xp.where(
                x >= 128, numpy.float32(1), numpy.float32(-1))
        operation = self._moved(stage.operation)
        if isinstance(operation, operations.Rescale) and (
                operation.kind == 'standard'):
            return self._rescale(operation)
        if isinstance(operation, operations.Sign):
            return lambda x, kept: reference.apply(
                operation, x, numpy.float32)
        return steps.of_operation(operation)

    def _product(self, stage):
        if (stage.is_convolution or stage.operand != 'bits'
                or stage.weights.bits != 1):
            layer = dense.Dense(stage)
            layer.product = self._moved(stage)
            layer.W = self._xp.asarray(layer.W)
            return lambda x, kept: layer(x)
        signs = stage.weights.rows()
        bits = kernels.pack(self._xp.asarray(signs, numpy.float32))
        layer = copy.copy(self._moved(stage))

        def step(x, kept):
            s = kernels.xnor_product(kernels.pack(x), bits, signs.shape[1])
            return dense.finish(layer, s)

        return step

    def _rescale(self, operation):
        # Its numbers are tuples, which NumPy would make arrays of.
        mean, std = (self._xp.asarray(numpy.float32(v)[:, None, None])
                     for v in (operation.mean, operation.std))
        unit = dataclasses.replace(operation, kind='unit')
        return lambda x, kept: (reference.apply(
            unit, x, numpy.float32) - mean) / std

    def _moved(self, thing):
        """Returns a stage or an operation with its arrays on the GPU."""
        return dataclasses.replace(thing, **{
            name: self._xp.asarray(value) for name, value in
            vars(thing).items() if isinstance(value, numpy.ndarray)})


def _cupy():
    try:
        import cupy
        n = cupy.cuda.runtime.getDeviceCount()
    except ImportError as e:
        raise errors.UserError(
            '--gpu needs CuPy: pip install -r requirements-gpu.txt (%s)'
            % ' '.join(str(e).split())) from None
    except Exception as e:  # of CUDA
        raise errors.UserError('--gpu: CUDA cannot be used: %s'
                               % ' '.join(str(e).split())) from None
    if not n:
        raise errors.UserError('--gpu: there is no GPU')
    return cupy
