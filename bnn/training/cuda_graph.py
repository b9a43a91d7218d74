"""Capturing what is queued on a GPU, to be replayed as a CUDA graph."""
import contextlib

import cupy
import numpy

from bnn.kernels import gpu_blas

# With a pool goes its memory, whoever has an array of it: the moments of an
# optimizer, made in the first iteration, outlive what captured it.
_POOLS = []


class Capturer(object):

    """Captures iterations.

    What a graph computes in is of a memory pool of its own, so that nothing
    else is put there between two replays.

    Args:
        device (chainer.backend.GpuDevice): The GPU.

    Raises:
        RuntimeError: If cuBLAS cannot be had, or multiplies wrongly.
    """

    def __init__(self, device):
        self._device = device.device
        # The default stream cannot be captured.
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._pool = cupy.cuda.MemoryPool()
        _POOLS.append(self._pool)
        self._blas = gpu_blas.Blas(self._stream)
        self._check_products()

    def _check_products(self):
        # Called by its bare functions: better no graph than other numbers
        a = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
        there = cupy.asarray(a)
        with self.prepared():
            products = [there.dot(there.T), there.T.dot(there)]
        for y, expected in zip(products, (a.dot(a.T), a.T.dot(a)),
                               strict=True):
            if not numpy.array_equal(cupy.asnumpy(y), expected):
                raise RuntimeError('cuBLAS on a handle of its own gives '
                                   'other products')

    @contextlib.contextmanager
    def prepared(self):
        """Computes as in a capture, but at once.

        Before the first one kernels have to be compiled and loaded, and the
        states of an optimizer made.
        """
        self._device.synchronize()
        try:
            with (cupy.cuda.using_allocator(self._pool.malloc), self._stream,
                  gpu_blas.captured_products(self._blas.gemm, cupy)):
                yield
        finally:  # Other streams do not wait for this one.
            self._device.synchronize()

    def capture(self, function):
        """Captures what a function queues; nothing is computed.

        Args:
            function (callable): Takes nothing.

        Returns:
            callable: Queues it all, on the current stream.
        """
        with self.prepared(), _no_copies():
            self._stream.begin_capture()
            try:
                function()
            except BaseException:
                # What failed is to be told, not that this fails as well.
                with contextlib.suppress(Exception):
                    self._stream.end_capture()
                raise
            graph = self._stream.end_capture()
        return graph.launch


@contextlib.contextmanager
def _no_copies():
    """Refuses copies from the host.

    A graph would copy from the same place again, where something else is
    by then.  CuPy's go through pinned memory, or the method ``set``.
    """
    def refuse(*args, **kwargs):
        raise RuntimeError('an array of the host is copied in an iteration')

    cupy.cuda.set_pinned_memory_allocator(refuse)
    cupy.ndarray.set = refuse
    try:
        yield
    finally:
        del cupy.ndarray.set
        cupy.cuda.set_pinned_memory_allocator(
            cupy.get_default_pinned_memory_pool().malloc)
