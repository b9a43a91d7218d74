"""A packed net on CuPy arrays.

This has not been run on a GPU yet; the tests run it on an emulated one.
"""
from bnn import errors
from bnn.deploy import runtime


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
    batch = 10000

    def __init__(self, net):
        self._xp = _cupy()
        from bnn.kernels import gpu_perceptron
        self._perceptron = gpu_perceptron
        super().__init__(net)

    def make_steps(self):
        from bnn.deploy import gpu_steps
        return list(gpu_steps.make(self.packed.stages, self._xp))

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
