"""What supports the scripts of the root: data, training, kernels."""
