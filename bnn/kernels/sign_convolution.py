"""Convolution of signs; stands for the file of the kernels branch."""
from bnn.kernels.cpu import sign_convolution  # noqa: F401
