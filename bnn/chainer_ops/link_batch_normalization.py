"""Batch normalization in few passes."""
from __future__ import annotations

import typing
from collections.abc import Callable

import chainer
import chainer.links as L
import numpy

from bnn.chainer_ops import function_batch_normalization


class BatchNormalization(L.BatchNormalization):
    """Chainer's batch normalization, faster on the CPU.

    Arguments, parameters and running averages are those of
    :class:`chainer.links.BatchNormalization`, and so are the results, up to
    the rounding of float32.  NumPy arrays of float32 and 64 are normalized in
    few passes
    (:mod:`~bnn.chainer_ops.function_batch_normalization`), others by Chainer.
    In test mode with backpropagation it is Chainer's too.

    Attributes:
        train_operation: Takes the place of these in a training step: the
            operation over all ranks, say.  Its arguments are those of
            :func:`~bnn.chainer_ops.function_batch_normalization.\
batch_normalization`.
    """

    train_operation = None

    def forward(self, x: chainer.Variable | numpy.ndarray,
                operation: Callable[..., chainer.Variable] = (
                    function_batch_normalization.batch_normalization),
                **kwargs: typing.Any) -> chainer.Variable:
        """Applies the layer.

        Args:
            x: (batch, channels, ...).
            operation: What computes it where :meth:`is_trained_by_kernels`:
                an operation of the same arguments.
            kwargs: ``finetune``, see
                :meth:`chainer.links.BatchNormalization.forward`.

        Returns:
            Of the shape and dtype of ``x``.
        """
        config = chainer.config
        if not self.is_trained_by_kernels(x):
            if not config.train and not config.enable_backprop and (
                    self._is_fast(x)):
                return function_batch_normalization.fixed_batch_normalization(
                    x, *map(chainer.as_array, self._scale_and_shift()),
                    self.avg_mean, self.avg_var, self.eps)
            if not self._is_trained_otherwise():
                return super().forward(x, **kwargs)
            operation = self.train_operation
        averages = {}
        if not config.in_recomputing:
            decay = self.decay
            if kwargs.get('finetune'):
                self.N += 1
                decay = 1 - 1 / self.N
            averages = {'running_mean': self.avg_mean,
                        'running_var': self.avg_var, 'decay': decay}
        return operation(x, *self._scale_and_shift(), self.eps, **averages)

    def is_trained_by_kernels(
            self, x: chainer.Variable | numpy.ndarray) -> bool:
        """Tells whether :meth:`forward` would normalize by the statistics of
        the batch in few passes.

        Args:
            x: As that of :meth:`forward`.
        """
        return (chainer.config.train and not self._is_trained_otherwise()
                and self._is_fast(x))

    def _is_trained_otherwise(self):
        config = chainer.config
        return (config.train and config.enable_backprop
                and self.train_operation is not None)

    def _scale_and_shift(self):
        xp, mean = self.xp, self.avg_mean
        return (xp.ones_like(mean) if self.gamma is None else self.gamma,
                xp.zeros_like(mean) if self.beta is None else self.beta)

    def _is_fast(self, x):
        x, mean = chainer.as_array(x), self.avg_mean
        return (type(x) is type(mean) is numpy.ndarray and x.ndim >= 2
                and x.dtype in (numpy.float32, numpy.float64)
                and self.axis in (None, (0, *range(2, x.ndim)))
                and mean.ndim == 1 and mean.dtype == x.dtype
                # With one value a channel Chainer warns.
                and x.size > mean.size == x.shape[1])
