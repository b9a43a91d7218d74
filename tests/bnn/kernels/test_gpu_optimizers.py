"""The update of many parameters: its kernel against the reference."""
import math

import numpy
import pytest

from bnn.kernels import gpu_optimizers
from bnn.kernels import reference

SHAPES = (13, 17), (), (0, 3), (1,), (5000,), (2048,), (2, 3, 3, 3)
ADAM = .1, .9, .99, 1e-8, .5, .9, -1., 1.
ALL = -math.inf, math.inf


def make(kind, dtype, shapes=SHAPES):
    n = 2 + len(gpu_optimizers.STATES[kind])
    tensors = [tuple(numpy.asarray(numpy.random.normal(size=shape), dtype)
                     for _ in range(n)) for shape in shapes]
    if kind == 'adam':
        for tensor in tensors:
            numpy.abs(tensor[3], out=tensor[3])
    return tensors


def expected(kind, tensors, rows, steps):
    for (x, grad, *states), row, t in zip(tensors, rows, steps, strict=True):
        rate, beta1, beta2, eps, eta, keep, low, high = row
        if kind == 'adam':
            rate = rate * math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
            reference.adam(x, grad, *states, rate, beta1, beta2, eps, keep,
                           eta, low, high)
        elif kind == 'momentum_sgd':
            reference.momentum_sgd(x, grad, *states, rate, beta1, low, high)
        else:
            x -= rate * grad
            reference.clip(x, low, high)


@pytest.mark.parametrize('dtype', 'fd')
@pytest.mark.parametrize('kind', gpu_optimizers.STATES)
def test_reference(kind, dtype, cuda_on_cpu):
    tensors = make(kind, dtype)
    copies = [[array.copy() for array in tensor] for tensor in tensors]
    steps = [0, 5, 9, 1000, 1, 0, 70]
    rows = [(*ADAM[:-2], *ALL) if i % 2 else ADAM for i in range(7)]
    update = gpu_optimizers.MultiTensor(kind, tensors)
    update.bind()
    update.set_steps(steps)
    for i in range(1, 4):
        update.set_rates(rows)
        update.launch()
        expected(kind, copies, rows, [step + i for step in steps])
        for ours, theirs in zip(tensors, copies, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert a.tobytes() == b.tobytes()
        rows = [(row[0] / 2, *row[1:]) for row in rows]


def test_not_finite(cuda_on_cpu):
    (x, grad), = tensors = make('sgd', 'f', [(5,)])
    x[:] = numpy.nan, numpy.inf, -numpy.inf, 5, -5
    grad[:] = 0
    update = gpu_optimizers.MultiTensor('sgd', tensors)
    update.bind()
    update.set_steps([0])
    update.set_rates([ADAM])
    update.launch()
    numpy.testing.assert_array_equal(x, [numpy.nan, 1, -1, 1, -1])


def test_rates_are_sent_when_they_change(cuda_on_cpu):
    tensors = make('sgd', 'f', [(1,)] * 70)
    update = gpu_optimizers.MultiTensor('sgd', tensors)
    update.bind()
    update.set_steps([0] * 70)
    update.set_rates([ADAM] * 70)
    assert cuda_on_cpu.launches == ['set_rates'] * 2  # 64 in one
    update.set_rates([ADAM] * 70)
    assert len(cuda_on_cpu.launches) == 2
    other = (.2, *ADAM[1:])
    rows = [other if i in (0, 3, 69) else ADAM for i in range(70)]
    update.set_rates(rows)
    assert len(cuda_on_cpu.launches) == 4
    copies = [[array.copy() for array in tensor] for tensor in tensors]
    update.launch()
    expected('sgd', copies, rows, [1] * 70)
    assert [x.tobytes() for x, _ in tensors] == [
        x.tobytes() for x, _ in copies]


def test_bind(cuda_on_cpu):
    tensors, others = (make('momentum_sgd', 'f') for _ in range(2))
    update = gpu_optimizers.MultiTensor('momentum_sgd', tensors)
    assert update.fits(others)
    assert not update.fits(others[1:])
    update.bind()
    update.bind(others)
    update.set_steps([0] * len(SHAPES))
    update.set_rates([ADAM] * len(SHAPES))
    before, copies = ([[array.copy() for array in tensor] for tensor in group]
                      for group in (tensors, others))
    update.launch()
    expected('momentum_sgd', copies, [ADAM] * 7, [1] * 7)
    for ours, theirs in zip([*tensors, *others], [*before, *copies],
                            strict=True):
        assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]
