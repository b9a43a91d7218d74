"""Nets and single operations as ONNX, in onnxruntime."""
import itertools
import json
import sys

import chainer.links as L
import numpy
import pytest

import bnn.deploy
import export
import net
from bnn import data as datasets
from bnn import errors
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy.onnx import model as onnx_model
from bnn.training.files import model_file

onnx = pytest.importorskip(
    'onnx', reason='onnx is not installed: pip install onnx')
pytest.importorskip(
    'onnxruntime', reason='onnxruntime is not installed: pip install '
    'onnxruntime')

SIGNED = operations.Rescale(kind='signed')
BINARY = operations.Rescale(kind='binary')


def load(found, shape, metadata=None):
    return onnx_model.Net(onnx_model.build(
        found, shape, metadata).SerializeToString())


def run(found, x):
    """Computes operations of uint8 pixels in onnxruntime."""
    return load(found, x.shape[1:]).scores(x)


def check(found, x):
    numpy.testing.assert_allclose(
        run(found, x), reference.run(found, x), rtol=1e-4, atol=1e-5)


def check_net(name, kind, described, make_rescale, make_images):
    shape, found = described(name)
    found = [make_rescale(kind, shape[0]), *found]
    x = make_images(3, shape)
    scores = run(found, x)
    # A sign of float sums may be turned by their rounding: float32 rounds as
    # onnxruntime does, or float64 not at all.
    exact, rounded = (reference.run(found, x, dtype)
                      for dtype in (numpy.float64, numpy.float32))
    assert scores.dtype == numpy.float32 and scores.shape == exact.shape
    assert min(abs(scores - exact).max(), abs(scores - rounded).max()) < (
        1e-4 * abs(exact).max()), (name, kind)


def test_net(described, make_rescale, make_images):
    for name, kind in (('lenet5-k', 'standard'), ('dorefa-3-3', 'unit'),
                       ('resnet20', 'signed')):
        check_net(name, kind, described, make_rescale, make_images)


def test_whitened(described, whiten, make_rescale, make_images):
    shape, found = described('convnet-float-0')
    x = make_images(3, shape)
    x[1] = 7  # without contrast
    check([make_rescale('unit', 3), whiten, *found], x)


@pytest.mark.slow
def test_every_net(net_names, described, make_rescale, make_images):
    for name, kind in itertools.product(
            net_names, ('unit', 'signed', 'standard', 'binary')):
        # In the first layer of this one a sum lies on its threshold.
        if (name, kind) == ('cnv-1-1', 'standard'):
            continue
        if kind == 'standard' or name not in ('alexnet', 'nin-imagenet'):
            check_net(name, kind, described, make_rescale, make_images)


def test_operators(described, make_rescale):
    for name in ('binary-3', 'convnet-binary-1', 'lenet5-k'):
        shape, found = described(name)
        model = onnx_model.build(
            [make_rescale('unit', shape[0]), *found], shape)
        assert {one.domain for one in model.graph.node} == {''}
        assert not {'Sign', 'BatchNormalization'} & {
            one.op_type for one in model.graph.node}
        assert [(one.domain, one.version) for one in model.opset_import] == [
            ('', onnx_model.OPSET)]
        assert model.ir_version == onnx_model.IR_VERSION
        # Weights of one bit are +-1, alpha is beside them.
        binary = [one for one in found if getattr(
            getattr(one, 'W', None), 'bits', 32) == 1]
        arrays = {one.name: onnx.numpy_helper.to_array(one)
                  for one in model.graph.initializer}
        assert binary
        for one in binary:
            W = arrays[one.name + '/W']
            assert set(numpy.unique(W)) == {-1, 1}
            assert W.shape == one.W.values.shape


def test_dynamic_batch(described, make_images):
    shape, found = described('convnet-binary-0')
    ours = load([SIGNED, *found], shape)
    x = make_images(5, shape)
    expected = ours.scores(x)
    for n in 1, 2:
        numpy.testing.assert_allclose(
            ours.scores(x[:n]), expected[:n], rtol=1e-5)
    assert ours.scores(x[:0]).shape == (0, 10)
    assert ours.predict(x).tolist() == expected.argmax(axis=1).tolist()


def linear(W, scale=None):
    return operations.Linear(W=operations.Weights(1, numpy.int8(W), scale))


def normalization(mean=0, gamma=1):
    return operations.BatchNormalization(**{
        name: numpy.full(1, value, numpy.float32) for name, value in (
            ('mean', mean), ('gamma', gamma), ('beta', 0), ('var', 1))},
        eps=0.)


def test_sign_of_zero():
    # The sum of +1 and -1 is 0, whatever comes of it: +1.
    x = numpy.uint8([[[[0, 255]]], [[[255, 0]]]])
    for gamma in 1, -1, 0:
        found = [BINARY, operations.Flatten(), linear([[1, 1]]),
                 normalization(gamma=gamma), operations.Sign(),
                 linear([[1], [-1]])]
        assert run(found, x).tolist() == [[1, -1], [1, -1]]


def test_value_on_its_threshold():
    # A scale that is no power of two, and a mean of that size
    scale = numpy.float32([.1])
    x = numpy.full((1, 1, 1, 3), 255, numpy.uint8)
    mean = numpy.float32(3) * scale
    for at, expected in ((mean, 1), (numpy.nextafter(
            mean, numpy.float32(1)), -1)):
        before = [BINARY, operations.Flatten(), linear([[1, 1, 1]], scale)]
        for signs in ([normalization(mean=at), operations.Sign()],
                      [operations.Sign(shift=at)]):
            assert run([*before, *signs], x).tolist() == [[expected]]
    x = numpy.uint8([[[[127, 128]]]])
    assert run([BINARY, operations.Flatten()], x).tolist() == [[-1, 1]]


def test_ties_of_levels():
    x = numpy.arange(256, dtype=numpy.uint8).reshape(1, 1, 16, 16)
    for n, low, high in (3, 0., 1.), (4, -1., 1.):
        # 127.5 (p / 127.5 - 1) / 32: multiples of 1/64, all halves among them
        found = [SIGNED, operations.Convolution2D(W=operations.Weights(
            32, numpy.full((1, 1, 1, 1), 127.5 / 64, numpy.float32)),
            b=numpy.float32([-.5 / 64])), operations.Quantize(
                n=n, low=low, high=high), operations.Flatten()]
        numpy.testing.assert_allclose(
            run(found, x), reference.run(found, x, numpy.float32), rtol=1e-6)
    halves = (numpy.arange(-4, 5, dtype=numpy.float32) / 2).reshape(-1, 1)
    assert run([
        operations.Rescale(kind='unit'), operations.Flatten(),
        operations.Linear(W=operations.Weights(32, halves)),
        operations.Quantize(n=1, low=-2., high=2.)],
        numpy.full((1, 1, 1, 1), 255, numpy.uint8)).tolist() == [
            [-2, -2, -1, 0, 0, 0, 1, 2, 2]]


def test_convolution(make_images):
    random = numpy.random.RandomState(0)
    for pad_value, groups in itertools.product((0, 1), (1, 2)):
        check([SIGNED, operations.Convolution2D(
            W=operations.Weights(1, random.choice(
                numpy.int8([-1, 1]), (6, 4 // groups, 3, 2)),
                random.uniform(.5, 1, 6).astype('f')),
            b=random.uniform(-1, 1, 6).astype('f'), stride=(2, 1), pad=(1, 2),
            dilate=(2, 1), pad_value=pad_value, groups=groups),
            operations.Flatten()], make_images(2, (4, 7, 9)))


def test_pooling(make_images):
    for size, (ksize, stride, pad, cover_all) in itertools.product((5, 6, 7), (
            (3, 2, 0, True), (3, 2, 0, False), (2, 2, 0, True),
            (3, 2, 1, True), (3, 3, 1, False), (2, 3, 0, False))):
        options = {name: (value,) * 2 for name, value in (
            ('ksize', ksize), ('stride', stride), ('pad', pad))}
        for pool in (operations.MaxPooling2D(cover_all=cover_all, **options),
                     operations.AveragePooling2D(**options)):
            check([SIGNED, pool, operations.Flatten()],
                  make_images(2, (2, size, size + 1)))
    pool = operations.MaxPooling2D(
        ksize=(3, 3), stride=(3, 3), pad=(1, 1), cover_all=True)
    with pytest.raises(errors.UserError, match='windows outside the image'):
        onnx_model.build([SIGNED, pool], (1, 5, 5))


def test_input_scale(make_images):
    windows = {'pad': (1, 1), 'stride': (2, 2)}
    for keep, layer in (
            (operations.KeepScale(), operations.Flatten()),
            (operations.KeepScale(ksize=(3, 3), **windows),
             operations.Convolution2D(W=operations.Weights(
                 1, numpy.ones((4, 3, 3, 3), numpy.int8)), **windows))):
        check([SIGNED, keep, operations.Sign(), layer,
               operations.MultiplyScale(), operations.Flatten()],
              make_images(2, (3, 6, 6)))


def test_metadata():
    ours = load([SIGNED, operations.Flatten()], (1, 2, 2), {
        'dataset': 'mnist', 'classes': ('a', 'b'), 'packed_bytes': 7})
    assert ours.session.get_modelmeta().custom_metadata_map == {
        'dataset': 'mnist', 'classes': '["a", "b"]', 'packed_bytes': '7'}
    assert [(one.name, one.type, one.shape) for one in (
        *ours.session.get_inputs(), *ours.session.get_outputs())] == [
            ('pixels', 'tensor(uint8)', ['batch', 1, 2, 2]),
            ('scores', 'tensor(float)', ['batch', 4])]


@pytest.fixture
def model(tmp_path):
    """A model file of a net on the embedded digits."""
    path = tmp_path / 'mlp.model'
    model_file.save(path, L.Classifier(net.BinaryMLP(16)), {
        'net': 'binary', 'net_class': 'BinaryMLP', 'dataset': 'digits',
        'input': 'unit', 'net_args': {'n_units': 16}, 'class_names': list(
            '0123456789')})
    return path


def test_export(model, tmp_path, capsys):
    out = tmp_path / 'net.onnx'
    assert export.main([
        str(model), '--to', 'onnx', '-o', str(out)]) == 0
    printed = capsys.readouterr().out
    assert 'in onnxruntime; predictions that differ: 0' in printed
    ours = onnx_model.Net(str(out))
    metadata = ours.session.get_modelmeta().custom_metadata_map
    packed_bytes = int(metadata['packed_bytes'])
    assert f'packed it takes {packed_bytes:,} bytes' in printed
    assert json.loads(metadata['classes']) == list('0123456789')
    assert metadata['dataset'] == 'digits'
    packed = tmp_path / 'net.bnn'
    export.main([str(model), '-o', str(packed), '--no-check'])
    assert packed_bytes == packed.stat().st_size
    images = datasets.load('digits').test_images[:7]
    numpy.testing.assert_allclose(
        ours.scores(images), bnn.deploy.load(packed).scores(images),
        rtol=1e-4)


def test_missing(model, tmp_path, monkeypatch):
    out = tmp_path / 'net.onnx'
    options = [str(model), '--to', 'onnx', '-o', str(out)]
    for package in 'onnx', 'onnxruntime':
        with monkeypatch.context() as patch, pytest.raises(
                errors.UserError, match='^--to onnx needs '
                f'{package}: pip install onnx onnxruntime'):
            patch.setitem(sys.modules, package, None)
            export.main(options)
        assert not out.exists()
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    export.main([*options, '--no-check'])
    assert out.exists()
