"""What supports the scripts of the root: data, training, kernels, packed nets.

Installed, this is the package ``binary_net``, with the layers of the root and
:mod:`zoo` in it (setup.py).
"""
__version__ = '1.0.0.dev0'
