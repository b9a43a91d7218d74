"""The kernels on a GPU, beside the same ones on the CPU."""
import shutil
import subprocess

import numpy
import pytest
from chainer.backends import cuda

from bnn.kernels import gpu_launch
from bnn.kernels import gpu_losses
from bnn.kernels import gpu_optimizers
from bnn.kernels import gpu_random
from bnn.kernels import gpu_steps

ROW = .1, .9, .99, 1e-8, .5, .9, -1., 1.


def both(compute, cuda_on_cpu, monkeypatch):
    """Returns the results on the CPU and on the GPU, lists of arrays."""
    numpy.random.seed(0)
    ours = compute(numpy)
    monkeypatch.undo()
    numpy.random.seed(0)
    theirs = compute(cuda.cupy)
    return ours, [cuda.to_cpu(array) for array in theirs]


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', 'fd')
@pytest.mark.parametrize('kind', gpu_optimizers.STATES)
def test_optimizers(kind, dtype, cuda_on_cpu, monkeypatch):
    def compute(xp):
        n = 2 + len(gpu_optimizers.STATES[kind])
        tensors = [tuple(xp.asarray(abs(numpy.random.normal(
            size=shape)).astype(dtype)) for _ in range(n))
            for shape in [(13, 17), (5000,), (1,)]]
        update = gpu_optimizers.MultiTensor(kind, tensors)
        update.bind()
        update.set_steps([0, 3, 1000])
        for i in range(1, 4):
            update.set_rates([(.1 / i, *ROW[1:])] * 3)
            update.launch()
        return [array for tensor in tensors for array in tensor]

    ours, theirs = both(compute, cuda_on_cpu, monkeypatch)
    for a, b in zip(ours, theirs, strict=True):
        # pow of the GPU may differ by an ulp of float64.
        numpy.testing.assert_allclose(
            b, a, rtol=1e-12 if dtype == 'd' else 2e-7, atol=1e-12)


@pytest.mark.gpu
def test_draws(cuda_on_cpu, monkeypatch):
    def compute(xp):
        source = gpu_random.Source(xp, 2 ** 40 + 1)
        source.set_iteration(2 ** 33)
        x = xp.asarray(numpy.random.uniform(-1, 1, 1001).astype('f'))
        return [source.uniform((1001,)), source.signs(x),
                source.mask((77, 3), numpy.dtype('f'), .3)]

    for a, b in zip(*both(compute, cuda_on_cpu, monkeypatch), strict=True):
        numpy.testing.assert_array_equal(a, b)


@pytest.mark.gpu
def test_steps(cuda_on_cpu, monkeypatch):
    def compute(xp):
        images, labels, order = (xp.asarray(array) for array in (
            numpy.random.randint(0, 256, (50, 1, 28, 28), numpy.uint8),
            numpy.random.randint(0, 10, 50).astype('i'),
            numpy.random.permutation(50).astype('i')))
        position, state = xp.zeros(1, 'q'), xp.zeros(2, 'Q')
        sums = xp.zeros(3)
        gpu_steps.advance(position, state, 20)
        x, t = gpu_steps.gather(images, labels, order, position, 20)
        gpu_steps.add(xp.asarray(.1, 'f'), sums, 1)
        return [x, t, position, state, sums]

    for a, b in zip(*both(compute, cuda_on_cpu, monkeypatch), strict=True):
        numpy.testing.assert_array_equal(a, b)


@pytest.mark.skipif(shutil.which('nvcc') is None, reason='no nvcc')
@pytest.mark.parametrize('module', [
    gpu_losses, gpu_optimizers, gpu_random, gpu_steps])
def test_nvcc(module, tmp_path):
    path = tmp_path / 'kernels.cu'
    path.write_text(module.SOURCE)
    done = subprocess.run(
        ['nvcc', '-std=c++11', '-arch=sm_90', '-fmad=false', '-cubin', '-o',
         tmp_path / 'kernels.cubin', path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'warning' not in done.stderr, done.stderr


def test_fill():
    x = numpy.zeros((2, 3))
    gpu_launch.fill(x[1:], numpy.ones((1, 3)))
    assert x.sum() == 3
