"""From uint8 images to what a net sees."""
import chainer
import numpy


def _unit(x):
    return x.astype(numpy.float32) / 255


def _signed(x):
    return x.astype(numpy.float32) / 127.5 - 1


def _binary(x):
    return (x >= 128).astype(numpy.float32) * 2 - 1


def _standard(x):
    # Mean and deviation of MNIST's training pixels, as XNOR-Net-PyTorch
    return (x.astype(numpy.float32) / 255 - 0.1307) / 0.3081


SCALES = {'unit': _unit, 'signed': _signed, 'standard': _standard,
          'binary': _binary}


def converter(scale):
    """Returns Chainer's converter for batches of images and labels.

    Args:
        scale (str): ``'unit'``: pixels in [0, 1]; ``'signed'``: in [-1, 1];
            ``'standard'``: less MNIST's mean, by its deviation; ``'binary'``:
            +1 from 128 up, else -1.

    Returns:
        callable: Takes a batch of uint8 images and int32 labels and a device;
        returns the float32 images and the labels on that device.
    """
    @chainer.dataset.converter()
    def convert(batch, device):
        images, labels = chainer.dataset.concat_examples(batch, device)
        return SCALES[scale](images), labels

    return convert
