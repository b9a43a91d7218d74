"""The updater that a run's device, data and options ask for."""
import sys

import chainer
from chainer.backends import cuda

from bnn.kernels import gpu_random
from bnn.training import device_data
from bnn.training import device_updater


def make(run, feed, optimizer):
    """Makes the updater of a run.

    On the CPU, with several ranks, or with images that are read from files,
    it is Chainer's.  Else the data are on the GPU, and an iteration is
    replayed as a CUDA graph if it can be; why not, a line on standard error
    tells.

    Args:
        run (~bnn.training.session.Session): Its options, device and ranks.
        feed (~bnn.training.data.Feed): The training images.
        optimizer (~chainer.GradientMethod): Set up with the model.

    Returns:
        ~chainer.training.Updater: The updater.
    """
    device = run.device
    if not is_gpu(device):
        return chainer.training.StandardUpdater(
            feed.iterator, optimizer, feed.converter, device)
    reason = None
    if run.comm is not None:
        reason = 'the ranks exchange gradients in each iteration'
    elif not is_in_memory(feed):
        reason = 'the images are read from files'
    if reason is not None:
        _say(run, reason)
        return chainer.training.StandardUpdater(
            feed.iterator, optimizer, feed.converter, device)
    return device_updater.Updater(
        device_data.Batches(feed.iterator, feed.converter.pixels, device),
        optimizer, device, gpu_random.Source(device.xp, run.args.seed),
        _capturer(run, optimizer.target))


def is_gpu(device):
    """Tells whether a device is a GPU."""
    return isinstance(device, chainer.backend.GpuDevice)


def is_in_memory(feed):
    """Tells whether a feed's images are an array."""
    return not hasattr(feed.converter.pixels.images, 'read')


def _capturer(run, model):
    """Returns what captures the iterations, if they can be captured."""
    if not run.args.cuda_graph:
        return None
    reason = None
    if cuda.cudnn_enabled and any(
            param.ndim > 2 for param in model.params(False)):
        reason = 'CuPy captures no convolutions of cuDNN'
    if reason is None:
        try:
            from bnn.training import cuda_graph  # imports CuPy
            return cuda_graph.Capturer(run.device)
        except (ImportError, RuntimeError) as e:
            reason = ' '.join(str(e).split())
    _say(run, reason)
    return None


def _say(run, reason):
    if run.args.cuda_graph and run.is_first:
        print('no CUDA graph: %s' % reason, file=sys.stderr)
