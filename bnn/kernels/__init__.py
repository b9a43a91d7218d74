"""The arithmetic of binary nets, on arrays.

Nothing here knows Chainer.  Each function says which arrays it takes.

For training:

- :mod:`~bnn.kernels.elementwise`: signs, quantizers, their gradients, the
  clip; NumPy and CuPy arrays.  :mod:`~bnn.kernels.gpu` has the CuPy kernels.
- :mod:`~bnn.kernels.signs`: products of a matrix with signs; NumPy and CuPy.
  :mod:`~bnn.kernels.sign_products`: of float32 by packed signs,
  :mod:`~bnn.kernels.products`: rounded to bfloat16; NumPy.
- :mod:`~bnn.kernels.whitening`: contrast and ZCA of images.
- :mod:`~bnn.kernels.scaled_signs`: signs of filters times their mean size.
- :mod:`~bnn.kernels.dorefa`: weights of k bits.
- :mod:`~bnn.kernels.convolution`, :mod:`~bnn.kernels.scattered_products`,
  :mod:`~bnn.kernels.sign_convolution`, :mod:`~bnn.kernels.sign_gradients`,
  :mod:`~bnn.kernels.sign_images`, :mod:`~bnn.kernels.batch_norm`,
  :mod:`~bnn.kernels.pool`, :mod:`~bnn.kernels.shifted_activations`,
  :mod:`~bnn.kernels.optimizers`: NumPy.

For packed nets, NumPy:

- :mod:`~bnn.kernels.bits`: packed signs and their product.
- :mod:`~bnn.kernels.packed_perceptron`: linear layers from bits to bits.
- :mod:`~bnn.kernels.byte_products`: products of 8-bit numbers.
- :mod:`~bnn.kernels.bit_images`: convolutions from bits to bits.

Behind them:

- :mod:`~bnn.kernels.convolution_operands`: what convolutions share.
- :mod:`~bnn.kernels.nontemporal`: large results, written past the cache.
- :mod:`~bnn.kernels.threads`: how Numba compiles a kernel, and its threads.
- :mod:`~bnn.kernels.tiles`, :mod:`~bnn.kernels.threshold_tiles`: vector
  instructions for products of packed signs;
  :mod:`~bnn.kernels.sign_tables`: of floats by signs;
  :mod:`~bnn.kernels.float_tiles`: of floats and of pairs of bfloat16;
  :mod:`~bnn.kernels.byte_tiles`: of bytes; :mod:`~bnn.kernels.amx`: the last
  two on Intel's matrix unit.

:mod:`~bnn.kernels.reference` defines what each kernel computes, in plain
NumPy.  The tests compare the kernels with it.
"""
