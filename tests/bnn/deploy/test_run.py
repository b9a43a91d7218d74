"""Loading and predicting, as a library."""
import concurrent.futures
import subprocess
import sys

import numpy
import pytest

from bnn.deploy import file_format
from bnn.deploy import reference
from bnn.deploy import run
from bnn.deploy import steps
from bnn.deploy import table
from bnn.kernels import byte_products


def test_results(pack, make_images):
    net = run.Net(pack('binary-3'))
    scores = net.scores(make_images(7, (1, 28, 28)))
    classes = net.predict(make_images(7, (1, 28, 28)))
    shares = net.probabilities(make_images(7, (1, 28, 28)))
    assert scores.shape == (7, 10) and scores.dtype == numpy.float32
    assert classes.shape == (7,) and classes.dtype == numpy.int64
    assert (classes == scores.argmax(axis=1)).all()
    assert shares.dtype == numpy.float32
    numpy.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == classes).all()


def test_shapes(pack, make_images):
    x = make_images(5, (1, 28, 28))
    for name in 'binary-1', 'lenet5', 'dorefa-3-3':
        net = run.Net(pack(name))
        expected = net.scores(x)
        for same in (x.reshape(5, 28, 28), x.reshape(5, 784), x[::-1][::-1],
                     numpy.asfortranarray(x)):
            assert (net.scores(same) == expected).all()
        numpy.testing.assert_allclose(
            net.scores(x[2:3]), expected[2:3], rtol=1e-4, atol=1e-4)
        assert net.scores(x[:0]).shape == (0, 10)
        assert net.predict(x[:0]).shape == (0,)


def test_one_bit_inputs(pack, make_images, described):
    """Pixels become bits in the kernel that has all layers."""
    net = run.Net(pack('binary-3', 'binary'))
    assert len(list(steps.make(net.packed.stages))) == 1
    x = make_images(60, (1, 28, 28))
    x[::2] = numpy.random.choice([127, 128], x[::2].shape)
    expected = reference.run(
        [net.packed.rescale, *described('binary-3')[1]], x)
    for n in 1, 3, 6, 60:
        scores = net.scores(x[:n])
        numpy.testing.assert_allclose(
            scores, expected[:n], rtol=1e-4, atol=1e-4)
        assert (scores.argmax(axis=1) == expected[:n].argmax(axis=1)).all()


@pytest.mark.skipif(not byte_products.IS_AVAILABLE,
                    reason='the processor has no products of bytes')
@pytest.mark.parametrize('name', [
    'dorefa-3-3', 'dorefa-2-1', 'dorefa-8-8', 'linear-3-3', 'linear-8-8'])
def test_products_of_bytes(name, pack, make_images, monkeypatch):
    """They give the very sums of the BLAS."""
    packed, x = pack(name), make_images(60, (1, 28, 28))
    multiply, calls = byte_products.multiply, []
    monkeypatch.setattr(byte_products, 'multiply', lambda x, columns: (
        calls.append(x.dtype), multiply(x, columns))[1])
    found = run.Net(packed).scores(x)
    # Weights of 8 bits do not fit: odd numbers up to 255, or up to 128.
    assert bool(calls) == (not name.endswith('8-8'))
    monkeypatch.setattr(byte_products, 'IS_AVAILABLE', False)
    numpy.testing.assert_array_equal(found, run.Net(packed).scores(x))


def test_bad_images(pack):
    net = run.Net(pack('binary-1'))
    for images, error in (
            (numpy.zeros((2, 1, 28, 28)), TypeError),
            (numpy.zeros((2, 1, 28, 28), numpy.int8), TypeError),
            ([[0]], TypeError), (None, TypeError),
            (numpy.zeros((28, 28), numpy.uint8), ValueError),
            (numpy.zeros((2, 3, 28, 28), numpy.uint8), ValueError),
            (numpy.zeros((2, 785), numpy.uint8), ValueError)):
        with pytest.raises(error, match='images must be'):
            net.predict(images)


def test_chunks(pack, make_images, monkeypatch):
    x = make_images(9, (1, 28, 28))
    packed = pack('lenet5')
    expected = run.Net(packed).scores(x)
    monkeypatch.setattr(run.Net, 'memory', 1 << 17)
    small = run.Net(packed)
    assert small._chunk < 9
    numpy.testing.assert_allclose(
        small.scores(x), expected, rtol=1e-4, atol=1e-4)


def test_without_chainer(pack, tmp_path):
    path = tmp_path / 'net.bnn'
    path.write_bytes(file_format.dump(pack('lenet5')))
    code = '''
import sys
for name in 'chainer', 'cupy', 'h5py', 'matplotlib', 'PIL':
    sys.modules[name] = None
import numpy, bnn.deploy
print(bnn.deploy.load(sys.argv[1]).predict(
    numpy.zeros((1, 1, 28, 28), numpy.uint8)).shape)
'''
    result = subprocess.run(
        [sys.executable, '-c', code, str(path)], text=True,
        capture_output=True)
    assert result.stdout == '(1,)\n', result.stderr


def test_first_image(pack, make_images):
    """It is computed without the kernels, what follows with them."""
    packed, x = pack('lenet5'), make_images(3, (1, 28, 28))
    net = run.Net(packed)
    first = net.scores(x[:1])
    assert net._steps is None
    numpy.testing.assert_array_equal(net.scores(x[:1]), first)
    assert net._steps is not None
    net = run.Net(packed)
    net.scores(x)
    assert net._steps is not None


def test_threads_that_begin_together(pack, make_images):
    packed, x = pack('lenet5'), make_images(8, (1, 28, 28))
    net = run.Net(packed)
    net.scores(x)
    expected = [net.scores(x[i:i + 1]) for i in range(8)]
    net = run.Net(packed)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: net.scores(x[i:i + 1]), range(8)))
    numpy.testing.assert_array_equal(found, expected)


def test_table(pack):
    rows = table.rows(pack('lenet5'))
    assert [row['layer'] for row in rows] == [
        'conv1', 'block2/conv', 'block3/linear', 'l4', 'total']
    assert [row['bits'] for row in rows[:-1]] == [32, 1, 1, 32]
    for name in 'float bytes', 'packed bytes':
        assert rows[-1][name] == sum(row[name] for row in rows[:-1])
    # 50 filters of 500 bits, and a threshold for each
    assert rows[1]['packed bytes'] == 50 * 63 + 50 * 4
