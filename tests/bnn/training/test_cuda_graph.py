"""Captures on a real GPU; what is around them is in test_device_updater."""
import chainer
import numpy
import pytest
from chainer.backends import cuda


@pytest.fixture
def capturer():
    from bnn.training import cuda_graph
    device = chainer.get_device('@cupy:0')
    device.use()
    return cuda_graph.Capturer(device)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', 'fd')
def test_products(dtype, capturer):
    cupy = cuda.cupy
    a, b, c = (cupy.asarray(numpy.random.randn(*shape).astype(dtype))
               for shape in [(30, 40), (50, 40), (30, 50)])
    results = []

    def compute():
        results[:] = [a.dot(b.T), c.T.dot(a), c @ b, cupy.matmul(a, b.T),
                      cupy.tensordot(a, b, ((1,), (1,)))]

    with capturer.prepared():
        compute()
    launch = capturer.capture(compute)
    for _ in range(2):
        a += 1
        launch()
        for y, expected in zip(results, [
                a.dot(b.T), c.T.dot(a), c.dot(b), a.dot(b.T), a.dot(b.T)],
                strict=True):
            numpy.testing.assert_allclose(
                y.get(), expected.get(), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_memory_is_its_own(capturer):
    cupy = cuda.cupy
    x = cupy.ones(1000)
    y = []

    def compute():
        y[:] = [(x + 1) * 2 - 3]

    with capturer.prepared():
        compute()
    launch = capturer.capture(compute)
    others = [cupy.full(1000, 7.) for _ in range(20)]
    x[:] = 5
    launch()
    assert (y[0] == 9).all()
    assert all((other == 7).all() for other in others)


@pytest.mark.gpu
@pytest.mark.parametrize('what', ['copy', 'read', 'draw'])
def test_refused(what, capturer):
    cupy = cuda.cupy
    x = cupy.ones(100)
    functions = {
        'copy': lambda: cupy.asarray(numpy.ones(100)),
        'read': lambda: float((x * 2).sum()),
        'draw': lambda: cupy.random.rand(100)}
    with capturer.prepared():
        functions[what]()
    with pytest.raises((RuntimeError, NotImplementedError)):
        capturer.capture(functions[what])
    # All is well again.
    assert cupy.asarray(numpy.ones(100)).sum() == 100
    assert float((x * 2).sum()) == 200
    launch = capturer.capture(lambda: cupy.add(x, 1, out=x))
    launch()
    assert (x == 2).all()
