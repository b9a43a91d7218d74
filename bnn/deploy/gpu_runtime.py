"""A packed net on CuPy arrays.

Simple: bits are +1 and -1 in float32 between the layers, and packed for the
products of linear layers, :func:`bnn.kernels.xnor_product`; everything else
is what :mod:`bnn.deploy.dense` and :mod:`bnn.deploy.reference` do, whose
NumPy functions CuPy takes over.  This has not been run on a GPU yet; the
tests run it on NumPy arrays.
"""
import copy
import dataclasses

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

    Images may be on the GPU already; the results are NumPy arrays.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.
        xp (module): CuPy; the tests have NumPy.

    Raises:
        ~bnn.errors.UserError: If there is no CuPy or no GPU.

    """

    def __init__(self, net, xp=None):
        self._xp = _cupy() if xp is None else xp
        super().__init__(net)

    def make_steps(self):
        return [self._step(stage) for stage in self.packed.stages]

    def _images(self, images):
        return self._xp.asarray(super()._images(images))

    def _run(self, x):
        y = super()._run(x)
        return y if isinstance(y, numpy.ndarray) else y.get()

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
