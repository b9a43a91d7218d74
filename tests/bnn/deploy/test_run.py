"""Loading and predicting, as a library."""
import subprocess
import sys

import numpy
import pytest

from bnn import deploy
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import reference
from bnn.deploy import runtime
from bnn.deploy import table


def test_results(pack, make_images):
    net = runtime.Net(pack('binary-3'))
    x = make_images(7, (1, 28, 28))
    scores = net.scores(x)
    assert scores.shape == (7, 10) and scores.dtype == numpy.float32
    classes = net.predict(x)
    assert classes.shape == (7,) and classes.dtype == numpy.int64
    assert (classes == scores.argmax(axis=1)).all()
    shares = net.probabilities(x)
    assert shares.dtype == numpy.float32
    numpy.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == classes).all()


@pytest.mark.parametrize('name', ('binary-1', 'lenet5', 'dorefa-3-3'))
def test_shapes(name, pack, make_images):
    net = runtime.Net(pack(name))
    x = make_images(5, (1, 28, 28))
    expected = net.scores(x)
    for same in (x.reshape(5, 28, 28), x.reshape(5, 784), x[::-1][::-1],
                 numpy.asfortranarray(x)):
        assert (net.scores(same) == expected).all()
    numpy.testing.assert_allclose(
        net.scores(x[2:3]), expected[2:3], rtol=1e-4, atol=1e-4)
    assert net.scores(x[:0]).shape == (0, 10)
    assert net.predict(x[:0]).shape == (0,)


@pytest.mark.parametrize('name', ('binary-1', 'binary-3'))
def test_one_bit_inputs(name, pack, make_images, make_net):
    """Pixels become bits in the kernel that has all layers."""
    net = runtime.Net(pack(name, 'binary'))
    assert len(net._steps) == 1
    x = make_images(60, (1, 28, 28))
    x[::2] = numpy.random.choice([127, 128], x[::2].shape)
    expected = reference.run(
        [net.packed.rescale, *make_net(name)[1].describe()], x)
    for n in 1, 3, 6, 60:
        scores = net.scores(x[:n])
        numpy.testing.assert_allclose(
            scores, expected[:n], rtol=1e-4, atol=1e-4)
        assert (scores.argmax(axis=1) == expected[:n].argmax(axis=1)).all()
    assert net.scores(x[:0]).shape == (0, 10)


@pytest.mark.parametrize('images, error', [
    (numpy.zeros((2, 1, 28, 28)), TypeError),
    (numpy.zeros((2, 1, 28, 28), numpy.int8), TypeError),
    ([[0]], TypeError), (None, TypeError),
    (numpy.zeros((28, 28), numpy.uint8), ValueError),
    (numpy.zeros((2, 3, 28, 28), numpy.uint8), ValueError),
    (numpy.zeros((2, 785), numpy.uint8), ValueError)])
def test_bad_images(images, error, pack):
    with pytest.raises(error, match='images must be'):
        runtime.Net(pack('binary-1')).predict(images)


def test_chunks(pack, make_images, monkeypatch):
    x = make_images(9, (1, 28, 28))
    net = pack('lenet5')
    expected = runtime.Net(net).scores(x)
    monkeypatch.setattr(runtime.Net, 'memory', 1 << 17)
    small = runtime.Net(net)
    assert small._chunk < 9
    numpy.testing.assert_allclose(
        small.scores(x), expected, rtol=1e-4, atol=1e-4)


def test_gpu_is_missing(pack, tmp_path):
    path = tmp_path / 'net.bnn'
    path.write_bytes(file_format.dump(pack('binary-1')))
    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(errors.UserError, match='--gpu needs CuPy'):
            deploy.load(str(path), gpu=True)
    else:
        pytest.skip('CuPy is there')


def test_without_chainer(pack, tmp_path, make_images):
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


def test_table(pack):
    rows = table.rows(pack('lenet5'))
    assert [row['layer'] for row in rows] == [
        'conv1', 'block2/conv', 'block3/linear', 'l4', 'total']
    assert [row['bits'] for row in rows[:-1]] == [32, 1, 1, 32]
    for name in 'float bytes', 'packed bytes':
        assert rows[-1][name] == sum(row[name] for row in rows[:-1])
    # 50 filters of 500 bits, and a threshold for each
    assert rows[1]['packed bytes'] == 50 * 63 + 50 * 4
