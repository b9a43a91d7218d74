"""Batch normalization in few passes."""
from __future__ import annotations

import typing

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
                **kwargs: typing.Any) -> chainer.Variable:
        """Applies the layer.

        Args:
            x: (batch, channels, ...).
            kwargs: ``finetune``, see
                :meth:`chainer.links.BatchNormalization.forward`.

        Returns:
            Of the shape and dtype of ``x``.
        """
        train, operation = chainer.config.train, None
        if train and chainer.config.enable_backprop:
            operation = self.train_operation
        if operation is None:
            if not self._is_fast(x) or not train and (
                    chainer.config.enable_backprop):
                return super().forward(x, **kwargs)
            operation = function_batch_normalization.batch_normalization
        gamma, beta = self.gamma, self.beta
        if gamma is None:
            gamma = self.xp.ones_like(self.avg_mean)
        if beta is None:
            beta = self.xp.zeros_like(self.avg_mean)
        if not train:
            return function_batch_normalization.fixed_batch_normalization(
                x, chainer.as_array(gamma), chainer.as_array(beta),
                self.avg_mean, self.avg_var, self.eps)
        averages = {}
        if not chainer.config.in_recomputing:
            decay = self.decay
            if kwargs.get('finetune'):
                self.N += 1
                decay = 1 - 1 / self.N
            averages = {'running_mean': self.avg_mean,
                        'running_var': self.avg_var, 'decay': decay}
        return operation(x, gamma, beta, self.eps, **averages)

    def _is_fast(self, x):
        x, mean = chainer.as_array(x), self.avg_mean
        return (type(x) is type(mean) is numpy.ndarray and x.ndim >= 2
                and x.dtype in (numpy.float32, numpy.float64)
                and self.axis in (None, (0, *range(2, x.ndim)))
                and mean.ndim == 1 and mean.dtype == x.dtype
                # With one value a channel Chainer warns.
                and x.size > mean.size == x.shape[1])
