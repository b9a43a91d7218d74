"""Global contrast normalization and ZCA whitening, as Pylearn2 has them.

The recipe is that of ``make_cifar10_gcn_whitened.py`` of Pylearn2, whose
images BinaryConnect and XNOR-Net-PyTorch train with:

- contrast: an image, less the mean of its own values, times 55 over its
  Euclidean norm (``global_contrast_normalize(scale=55.)``);
- ZCA: less the mean image, times :math:`P = (C + 0.1 I)^{-1/2}`, C the
  covariance of the normalized images (``ZCA(filter_bias=0.1)``).

Mean and covariance are those of all training images, of CIFAR-10 50,000.
Those that a run splits off for validation are among them, as they were in
BinaryConnect; the test images are not, and no label is.
"""
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy

from bnn import errors

SCALE = 55.
BIAS = .1
# The norm of the faintest image that is not of one value alone, in pixels of
# [0, 1], is 4e-3; that of one value is not quite 0 in float32.
NO_CONTRAST = 1e-3
_CHUNK = 1000


class Whitening(NamedTuple):
    """What whitens images.

    Attributes:
        mean: float32 (n,): the mean of the normalized images of n values.
        matrix: float32 (n, n): P, symmetric.
    """

    mean: numpy.ndarray
    matrix: numpy.ndarray


def normalize_contrast(x: numpy.ndarray) -> numpy.ndarray:
    """Normalizes the contrast of images, of NumPy or CuPy.

    Args:
        x: float (batch, n), pixels in [0, 1].

    Returns:
        The same type: of mean 0 and norm 55.  What is of one value alone has
        no contrast and becomes 0.
    """
    xp = sys.modules[type(x).__module__.partition('.')[0]]
    x = x - x.mean(axis=1, keepdims=True)
    norm = xp.sqrt((x * x).sum(axis=1, keepdims=True))
    return x * (SCALE / xp.where(norm < NO_CONTRAST, SCALE, norm).astype(
        x.dtype))


def whiten(x: numpy.ndarray, mean: numpy.ndarray, matrix: numpy.ndarray
           ) -> numpy.ndarray:
    """Normalizes the contrast of images and whitens them.

    Args:
        x: float (batch, ...) of n values each, pixels in [0, 1], of NumPy or
            CuPy.
        mean, matrix: See :class:`Whitening`, of the type of ``x``.

    Returns:
        The same shape and type.
    """
    return ((normalize_contrast(x.reshape(len(x), -1)) - mean)
            @ matrix).reshape(x.shape)


def check(arrays: Mapping[str, numpy.ndarray], n: int) -> Whitening:
    """Makes a whitening of what a file holds.

    Args:
        arrays: The fields of :class:`Whitening` by their names.
        n: Values of an image.

    Raises:
        ValueError: If they are not what whitens such images.
    """
    for name, shape in ('mean', (n,)), ('matrix', (n, n)):
        array = arrays.get(name)
        if array is None:
            raise ValueError(f'it has no {name} of a whitening')
        if array.dtype != numpy.float32 or array.shape != shape:
            raise ValueError(
                f'its {name} is {array.dtype} {array.shape}, not float32 '
                f'{shape}')
    found = Whitening(arrays['mean'][...], arrays['matrix'][...])
    if not all(numpy.isfinite(array).all() for array in found):
        raise ValueError('its whitening is NaN or infinite')
    return found


def fit(images: numpy.ndarray) -> Whitening:
    """Computes the whitening of images, in float64.

    Args:
        images: uint8 (batch, ...) of n values each, n or more of them.

    Returns:
        The whitening.

    Raises:
        ~bnn.errors.UserError: If there are fewer images than values: their
            covariance has not the rank of the space.
    """
    x = images.reshape(len(images), -1)
    n = x.shape[1]
    if len(x) < n:
        raise errors.UserError(
            f'--input whitened takes the covariance of the {n} values of an '
            f'image from at least as many training images, and there are '
            f'{len(x)}: take another --input, or more images')

    def chunks():
        for i in range(0, len(x), _CHUNK):
            yield normalize_contrast(x[i:i + _CHUNK] / numpy.float64(255))

    mean = sum(chunk.sum(axis=0) for chunk in chunks()) / len(x)
    covariance = sum((chunk - mean).T @ (chunk - mean) for chunk in chunks())
    values, vectors = numpy.linalg.eigh(
        covariance / len(x) + BIAS * numpy.eye(n))
    matrix = (vectors / numpy.sqrt(values)) @ vectors.T
    return Whitening(mean.astype(numpy.float32), matrix.astype(numpy.float32))
