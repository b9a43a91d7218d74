"""Chainer's own functions, links and optimizers, faster on the CPU.

They have Chainer's names and arguments, and compute NumPy arrays by
:mod:`bnn.kernels` in fewer passes over memory.  On a GPU they are Chainer's.
"""
