"""Every net of train_*.py as ONNX, in onnxruntime."""
import importlib.util
import json
import pathlib
import sys

import numpy
import pytest

import export
from bnn import data as datasets
from bnn import errors
from bnn.deploy import onnx_export
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.training.files import model_file

onnx = pytest.importorskip(
    'onnx', reason='onnx is not installed: pip install onnx')
onnxruntime = pytest.importorskip(
    'onnxruntime', reason='onnxruntime is not installed: pip install '
    'onnxruntime')

_spec = importlib.util.spec_from_file_location(
    'deploy_conftest', pathlib.Path(__file__).with_name('conftest.py'))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)
NETS = list(_conftest.NETS)


def run(found, x, shape=None, **options):
    """Computes operations of uint8 pixels in onnxruntime."""
    model = onnx_export.build(found, shape or x.shape[1:], **options)
    return onnx_export.Net(model.SerializeToString(), threads=1).scores(x)


@pytest.mark.parametrize('kind', ('unit', 'signed', 'standard', 'binary'))
@pytest.mark.parametrize('name', NETS)
def test_net(name, kind, make_net, make_rescale, make_images, chainer_scores):
    if name in ('alexnet', 'nin-imagenet') and kind != 'standard':
        pytest.skip('large, and the same layers as the others')
    shape, predictor = make_net(name)
    rescale = make_rescale(kind, shape[0])
    x = make_images(3, shape)
    found = [rescale, *predictor.describe()]
    scores = run(found, x)
    # A sign of float sums may be turned by their rounding: one of the three
    # rounds as onnxruntime does, or not at all.
    scaled = reference.apply(rescale, x, numpy.float32)
    candidates = [reference.run(found, x),
                  reference.run(found, x, numpy.float32),
                  chainer_scores(predictor, scaled)]
    assert scores.dtype == numpy.float32
    assert scores.shape == candidates[0].shape
    assert min(abs(scores - one).max() for one in candidates) < (
        1e-4 * abs(candidates[0]).max())


@pytest.mark.parametrize('name', ('binary-3', 'convnet-binary-1', 'lenet5-k'))
def test_operators(name, make_net, make_rescale):
    shape, predictor = make_net(name)
    model = onnx_export.build(
        [make_rescale('unit', shape[0]), *predictor.describe()], shape)
    assert {one.domain for one in model.graph.node} == {''}
    assert not {'Sign', 'BatchNormalization'} & {
        one.op_type for one in model.graph.node}
    assert [(one.domain, one.version) for one in model.opset_import] == [
        ('', onnx_export.OPSET)]
    assert model.ir_version == onnx_export.IR_VERSION
    # Weights of one bit are +-1, alpha is beside them.
    binary = {one.name: one for one in predictor.describe() if isinstance(
        one, (operations.Linear, operations.Convolution2D))
        and one.W.bits == 1}
    arrays = {one.name: onnx.numpy_helper.to_array(one)
              for one in model.graph.initializer}
    assert binary
    for name, operation in binary.items():
        assert set(numpy.unique(arrays[name + '/W'])) == {-1, 1}
        assert arrays[name + '/W'].shape == operation.W.values.shape


def test_dynamic_batch(make_net, make_rescale, make_images):
    shape, predictor = make_net('convnet-binary-0')
    net = onnx_export.Net(onnx_export.build(
        [make_rescale('signed', 3), *predictor.describe()],
        shape).SerializeToString(), threads=1)
    x = make_images(5, shape)
    expected = net.scores(x)
    for n in 1, 2, 5:
        numpy.testing.assert_allclose(
            net.scores(x[:n]), expected[:n], rtol=1e-5)
    assert net.scores(x[:0]).shape == (0, 10)
    assert net.predict(x).tolist() == expected.argmax(axis=1).tolist()


def _linear(W, b=None, scale=None):
    W = numpy.int8(W)
    return operations.Linear(W=operations.Weights(1, W, scale), b=b)


def _normalization(n, mean=0, gamma=1, beta=0):
    return operations.BatchNormalization(**{
        name: numpy.full(n, value, numpy.float32) for name, value in (
            ('mean', mean), ('gamma', gamma), ('beta', beta), ('var', 1))},
        eps=0.)


_SIGNED = operations.Rescale(kind='signed')
_BINARY = operations.Rescale(kind='binary')


@pytest.mark.parametrize('gamma', (1, -1, 0))
def test_sign_of_zero(gamma):
    # The sum of +1 and -1 is 0, whatever comes of it: +1.
    x = numpy.uint8([[[[0, 255]]], [[[255, 0]]]])
    found = [_BINARY, operations.Flatten(), _linear([[1, 1]]),
             _normalization(1, gamma=gamma), operations.Sign(),
             _linear([[1], [-1]])]
    assert run(found, x).tolist() == [[1, -1], [1, -1]]
    assert run(found, x).tolist() == reference.run(found, x).tolist()


def test_value_on_its_threshold():
    # A scale that is no power of two, and a mean of that size
    scale = numpy.float32([.1])
    x = numpy.full((1, 1, 1, 3), 255, numpy.uint8)
    mean = numpy.float32(3) * scale
    for at, expected in ((mean, 1), (numpy.nextafter(
            mean, numpy.float32(1)), -1)):
        found = [_BINARY, operations.Flatten(), _linear(
            [[1, 1, 1]], scale=scale), _normalization(1, mean=at),
            operations.Sign()]
        assert run(found, x).tolist() == [[expected]]
        shifted = [*found[:-2], operations.Sign(shift=at)]
        assert run(shifted, x).tolist() == [[expected]]


def test_pixel_on_its_threshold():
    x = numpy.uint8([[[[127, 128]]]])
    assert run([_BINARY, operations.Flatten()], x).tolist() == [[-1, 1]]


@pytest.mark.parametrize('n, low, high', ((3, 0., 1.), (4, -1., 1.)))
def test_ties_of_levels(n, low, high):
    x = numpy.arange(256, dtype=numpy.uint8).reshape(1, 1, 16, 16)
    # 127.5 (p / 127.5 - 1) / 32: multiples of 1/64, among them all halves
    found = [_SIGNED, operations.Convolution2D(W=operations.Weights(
        32, numpy.full((1, 1, 1, 1), 127.5 / 64, numpy.float32)),
        b=numpy.float32([-.5 / 64])), operations.Quantize(
            n=n, low=low, high=high), operations.Flatten()]
    numpy.testing.assert_allclose(
        run(found, x), reference.run(found, x, numpy.float32), rtol=1e-6)
    exact = (numpy.arange(-4, 5, dtype=numpy.float32) / 2).reshape(1, -1)
    model = onnx_export.build([
        operations.Rescale(kind='unit'), operations.Flatten(),
        operations.Linear(W=operations.Weights(
            32, exact.T), b=None), operations.Quantize(
                n=1, low=-2., high=2.)], (1, 1, 1))
    assert onnx_export.Net(model.SerializeToString(), threads=1).scores(
        numpy.full((1, 1, 1, 1), 255, numpy.uint8)).tolist() == [
            [-2, -2, -1, 0, 0, 0, 1, 2, 2]]


@pytest.mark.parametrize('pad_value', (0, 1))
@pytest.mark.parametrize('groups', (1, 2))
def test_convolution(pad_value, groups, make_images):
    random = numpy.random.RandomState(0)
    x = make_images(2, (4, 7, 9))
    found = [_SIGNED, operations.Convolution2D(
        W=operations.Weights(1, random.choice(
            numpy.int8([-1, 1]), (6, 4 // groups, 3, 2)),
            random.uniform(.5, 1, 6).astype('f')),
        b=random.uniform(-1, 1, 6).astype('f'), stride=(2, 1), pad=(1, 2),
        dilate=(2, 1), pad_value=pad_value, groups=groups),
        operations.Flatten()]
    numpy.testing.assert_allclose(
        run(found, x), reference.run(found, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', range(5, 10))
@pytest.mark.parametrize('ksize, stride, pad, cover_all', (
    (3, 2, 0, True), (3, 2, 0, False), (2, 2, 0, True), (3, 2, 1, True),
    (3, 3, 1, False), (2, 3, 0, False)))
def test_pooling(size, ksize, stride, pad, cover_all, make_images):
    x = make_images(2, (2, size, size + 1))
    options = {name: (value,) * 2 for name, value in (
        ('ksize', ksize), ('stride', stride), ('pad', pad))}
    for pool in (operations.MaxPooling2D(cover_all=cover_all, **options),
                 operations.AveragePooling2D(**options)):
        found = [_SIGNED, pool, operations.Flatten()]
        numpy.testing.assert_allclose(
            run(found, x), reference.run(found, x), rtol=1e-5, atol=1e-6)


def test_window_outside_the_image(make_images):
    pool = operations.MaxPooling2D(
        ksize=(3, 3), stride=(3, 3), pad=(1, 1), cover_all=True)
    with pytest.raises(errors.UserError, match='windows outside the image'):
        onnx_export.build([_SIGNED, pool], (1, 5, 5))


@pytest.mark.parametrize('ksize', (None, (3, 3)))
def test_input_scale(ksize, make_images):
    x = make_images(2, (3, 6, 6))
    options = {} if ksize is None else {
        'ksize': ksize, 'pad': (1, 1), 'stride': (2, 2)}
    layer = operations.Flatten() if ksize is None else (
        operations.Convolution2D(W=operations.Weights(
            1, numpy.ones((4, 3, *ksize), numpy.int8)), pad=(1, 1),
            stride=(2, 2)))
    found = [_SIGNED, operations.KeepScale(**options), operations.Sign(),
             layer, operations.MultiplyScale(), operations.Flatten()]
    numpy.testing.assert_allclose(
        run(found, x), reference.run(found, x), rtol=1e-5, atol=1e-6)


def test_metadata(make_images):
    x = make_images(1, (1, 2, 2))
    model = onnx_export.build(
        [_SIGNED, operations.Flatten()], (1, 2, 2),
        {'dataset': 'mnist', 'classes': ('a', 'b'), 'packed_bytes': 7})
    net = onnx_export.Net(model.SerializeToString(), threads=1)
    assert net.metadata == {'dataset': 'mnist', 'classes': '["a", "b"]',
                            'packed_bytes': '7'}
    (given,), (wanted,) = net.session.get_outputs(), net.session.get_inputs()
    assert (wanted.name, wanted.type, wanted.shape) == (
        'pixels', 'tensor(uint8)', ['batch', 1, 2, 2])
    assert (given.name, given.type, given.shape) == (
        'scores', 'tensor(float)', ['batch', 4])
    assert net.scores(x).shape == (1, 4)


@pytest.fixture
def model_file(tmp_path):
    """A model file of a net on the embedded digits."""
    import chainer.links as L

    import net
    predictor = net.BinaryMLP(16)
    _conftest.disturb(predictor, numpy.random.RandomState(0))
    path = tmp_path / 'mlp.model'
    model_file.save(path, L.Classifier(predictor), {
        'net': 'binary', 'net_class': 'BinaryMLP', 'dataset': 'digits',
        'input': 'unit', 'net_args': {'n_units': 16}, 'class_names': list(
            '0123456789')})
    return path


def test_export(model_file, tmp_path, capsys):
    out = tmp_path / 'net.onnx'
    assert export.main([
        str(model_file), '--to', 'onnx', '-o', str(out)]) == 0
    printed = capsys.readouterr().out
    assert 'in onnxruntime; predictions that differ: 0' in printed
    net = onnx_export.Net(str(out), threads=1)
    packed_bytes = int(net.metadata['packed_bytes'])
    assert 'packed it takes %s bytes' % format(packed_bytes, ',') in printed
    assert json.loads(net.metadata['classes']) == list('0123456789')
    assert net.metadata['dataset'] == 'digits'
    assert export.main([
        str(model_file), '-o', str(tmp_path / 'net.bnn'),
        '--no-check']) is None
    assert packed_bytes == (tmp_path / 'net.bnn').stat().st_size
    images = datasets.load('digits').test_images[:7]
    import bnn.deploy
    numpy.testing.assert_allclose(
        net.scores(images),
        bnn.deploy.load(tmp_path / 'net.bnn').scores(images), rtol=1e-4)


@pytest.mark.parametrize('package', ('onnx', 'onnxruntime'))
def test_missing(package, model_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / 'net.onnx'
    options = [str(model_file), '--to', 'onnx', '-o', str(out)]
    with pytest.raises(errors.UserError, match=(
            '^--to onnx needs %s: pip install onnx onnxruntime' % package)):
        export.main(options)
    assert not out.exists()
    if package == 'onnxruntime':
        export.main([*options, '--no-check'])
        assert out.exists()
