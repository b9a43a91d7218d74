"""Layers of a packed net whose operands are not bits alone, by the BLAS.

Sums of whole numbers are exact here too: in float32 as far as it counts, else
in float64.
"""
import numpy

from bnn.deploy import reference


class Dense(object):
    """A linear layer or convolution of floats or whole numbers.

    Args:
        product (~bnn.deploy.packed.Product): The layer.

    """

    def __init__(self, product):
        self.product = product
        W = product.weights.values()
        self.dtype = numpy.float32
        if product.is_integer:
            if product.largest_sum >= 1 << 24:
                self.dtype = numpy.float64
        self.W = numpy.ascontiguousarray(W, self.dtype)

    def sums(self, x):
        """Computes the sums.

        Args:
            x (numpy.ndarray): (n, channels, h, w) or (n, inputs): uint8
                pixels, or floats.

        Returns:
            numpy.ndarray: Of ``dtype``; (n, filters, ...).

        """
        product = self.product
        x = x.astype(self.dtype, copy=False)
        if product.operand == 'pixels' and product.pixel_map != (1, 0):
            x = x * self.dtype(product.pixel_map[0]) + self.dtype(
                product.pixel_map[1])
        if not product.is_convolution:
            return x.reshape(len(x), -1) @ self.W.T
        if product.pad_pixels is not None:
            x = _pad_channels(x, product.pad, product.pad_pixels)
        else:
            x = reference.padded(x, product.pad, product.pad_value)
        return reference.convolve(
            x, self.W, product.stride, product.dilate, product.groups)

    def __call__(self, x):
        """Computes the result, see :func:`finish`."""
        return finish(self.product, self.sums(x))


def finish(product, s):
    """Makes the result of a layer of its sums.

    Args:
        product (~bnn.deploy.packed.Product): The layer.
        s (numpy.ndarray): Sums, (n, filters, ...), changed.

    Returns:
        numpy.ndarray: float32: floats, levels, or +1 and -1.

    """
    if product.result == 'float':
        s = s.astype(numpy.float32, copy=False)
        s *= reference.channels(product.scale, s)
        s += reference.channels(product.offset, s)
        return s
    if product.result == 'bits':
        limits = reference.channels(product.thresholds, s)
        return numpy.where(
            s >= limits, numpy.float32(1), numpy.float32(-1))
    if product.thresholds is None:
        levels = (s.astype(numpy.int64) * reference.channels(
            product.multiplier, s) + reference.channels(
                product.addend, s)) >> product.shift
        return numpy.clip(levels, product.low, product.high).astype(
            numpy.float32)
    levels = numpy.zeros_like(s, numpy.float32)
    levels += product.low
    for limits in product.thresholds.T:
        levels += s >= reference.channels(limits, s)
    return levels


def _pad_channels(x, pad, values):
    # empty_like, not empty: x may be on a GPU.
    padded = numpy.empty_like(x, shape=(*x.shape[:2], *(
        n + 2 * p for n, p in zip(x.shape[2:], pad, strict=True))))
    padded[...] = reference.channels(values, x)
    padded[:, :, pad[0]:pad[0] + x.shape[2], pad[1]:pad[1] + x.shape[3]] = x
    return padded
