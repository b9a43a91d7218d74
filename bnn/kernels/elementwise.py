"""Arithmetic element by element; stands for the file of the kernels branch."""
from bnn.kernels import approx_sign_gradient  # noqa: F401
from bnn.kernels import binarize  # noqa: F401
from bnn.kernels import clip  # noqa: F401
from bnn.kernels import quantize  # noqa: F401
from bnn.kernels import ste_gradient  # noqa: F401
from bnn.kernels import stochastic_binarize  # noqa: F401
from bnn.kernels import swish_sign_gradient  # noqa: F401
