"""Random variants of training images, a batch at a time.

On the device of the images, NumPy or CuPy; the draws are always on the CPU,
so that the same random state gives the same images everywhere.
"""
import sys

import numpy


def pad_crop_flip(images, pad=4, random=numpy.random, flip=True):
    """Shifts each image by up to ``pad`` pixels and mirrors one of two.

    Each image is padded with zeros on its four sides, a window of the old size
    is cut out at random, and it is flipped left to right with probability 1/2;
    each of the :math:`2 (2 \\mathrm{pad} + 1)^2` outcomes is equally likely.
    Source: K. He et al., "Deep Residual Learning for Image Recognition", 2015,
    section 4.2.

    Args:
        images (numpy.ndarray or cupy.ndarray): Shape ``(n, c, h, w)``, any
            dtype. They are left as they are.
        pad (int): The width of the border, 0 or more.
        random (numpy.random.RandomState): Where the draws come from; NumPy's
            global state, which a snapshot keeps, unless given.
        flip (bool): If ``False``, none is mirrored.

    Returns:
        numpy.ndarray or cupy.ndarray: A new C-contiguous array of the shape
        and dtype of ``images``.

    """
    xp = _array_module(images)
    n, c, h, w = images.shape
    tops, lefts = (
        xp.asarray(random.randint(0, 2 * pad + 1, n)) for _ in range(2))
    flips = xp.asarray(random.randint(0, 2, n) * flip).astype(bool)

    padded = xp.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    # A view of every window: (n, c, top, left, h, w)
    windows = xp.lib.stride_tricks.as_strided(
        padded, (n, c, 2 * pad + 1, 2 * pad + 1, h, w),
        padded.strides + padded.strides[2:])
    cropped = windows[xp.arange(n), :, tops, lefts]
    return xp.where(flips[:, None, None, None], cropped[..., ::-1], cropped)


def _array_module(array):
    # 'numpy' or 'cupy'
    return sys.modules[type(array).__module__.partition('.')[0]]
