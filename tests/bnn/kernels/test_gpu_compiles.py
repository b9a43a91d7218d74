"""NVIDIA's compiler takes every kernel, of every type."""
import shutil
import subprocess

import numpy
import pytest

from bnn import kernels

DTYPES = numpy.float16, numpy.float32, numpy.float64


def start_all(gpu):
    """Starts every kernel, of every type and layout."""
    from bnn.kernels import gpu_convolution
    from bnn.kernels import gpu_perceptron

    def array(*shape, dtype=numpy.float32):
        return gpu.cupy.zeros(shape, dtype)

    for dtype in DTYPES:
        x, y, z, w = (array(2, 40, dtype=dtype) for _ in range(4))
        kernels.binarize(x)
        kernels.ste_gradient(x, y)
        kernels.approx_sign_gradient(x, y)
        kernels.swish_sign_gradient(x, y)
        kernels.stochastic_binarize(x)
        kernels.quantize(x, 3, 0., 1.)
        kernels.clip(x, -1., 1.)
        kernels.momentum_sgd(x, y, z, .1, .9)
        kernels.adam(x, y, z, w, .1, .9, .999)
        bits = kernels.pack(x)
    kernels.xnor_product(bits, bits, 40)
    for dtype in DTYPES[1:]:
        for shape in (2, 3), (2, 3, 5), (9000, 2):
            x, c = array(*shape, dtype=dtype), array(shape[1], dtype=dtype)
            kernels.batch_norm(x, c, c, 1e-4)
            kernels.normalize(x, c, c, c, c)
            kernels.batch_norm_gradient(x, x, c, c, c, c)
            kernels.moving_averages(c, c, c, c, 2, .9)
    for n_out in 10, 100:
        W, limits = numpy.ones((n_out, 16), 'i1'), numpy.ones(n_out, 'i4')
        scale = numpy.ones(n_out, 'f')
        for dtype in numpy.uint8, numpy.int8:
            for t in limits, None:
                gpu_perceptron.Perceptron(
                    [W], [t], scale, scale, dtype == numpy.uint8)(
                        array(2, 16, dtype=dtype))
        W = W.reshape(n_out, 16, 1, 1)
        for t in limits, None:
            gpu_convolution.BitConvolution(
                W, (1, 1), (0, 0), (1, 1), 0, (2, 2), (2, 2), t, scale,
                scale)(array(1, 2, 2, 16, dtype=numpy.int8))
    gpu_convolution.SignPooling(
        (2, 2), (2, 2), (0, 0), (1, 1), numpy.ones(16, bool))(
            array(1, 2, 2, 16, dtype=numpy.int8))
    gpu_perceptron.argmax(array(2, 3))


@pytest.mark.skipif(shutil.which('nvcc') is None, reason='no nvcc')
def test_nvcc(emulated_gpu, tmp_path, monkeypatch):
    sources = []
    monkeypatch.setattr(emulated_gpu.cupy, 'recorded', sources)
    start_all(emulated_gpu)
    sources = sorted(set(sources))
    assert len(sources) > 40
    # All in one file, each in a namespace of its own
    parts = ['#include "elementwise.h"\n']
    for i, source in enumerate(sources):
        parts.append('namespace of_%d {\n%s}\n' % (i, source.replace(
            '#include "elementwise.h"\n', '').replace('extern "C"', '')))
    path = tmp_path / 'kernels.cu'
    path.write_text(''.join(parts))
    headers = pytest.importorskip('cuda_emulation').__path__[0]
    done = subprocess.run(
        ['nvcc', '-std=c++17', '-arch=sm_80', '-fmad=false', '-cubin',
         '-Xptxas=-v', '-I', headers, '-o', tmp_path / 'kernels.cubin', path],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'warning' not in done.stderr, done.stderr
    spilled = [line for line in done.stderr.splitlines()
               if 'spill' in line and ' 0 bytes spill stores' not in line]
    assert not spilled
