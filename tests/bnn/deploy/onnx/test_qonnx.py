"""Graphs with QONNX's quantizers, computed by the package qonnx."""
import chainer.links as L
import numpy
import pytest

import export
import net
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy.onnx import model as onnx_model
from bnn.deploy.onnx import qonnx
from bnn.training.files import model_file

onnx = pytest.importorskip(
    'onnx', reason='onnx is not installed: pip install onnx')

NETS = ('binary-3', 'dorefa-1-2', 'dorefa-3-3', 'linear-3-3', 'linear-2-1',
        'lenet5-shift', 'convnet-binary-0', 'cnv-1-2', 'residual')


def build(name, kind, described, make_rescale):
    shape, found = described(name)
    found = [make_rescale(kind, shape[0]), *found]
    return found, shape, onnx_model.build(found, shape, kind=qonnx.Graph)


def arrays(model):
    return {one.name: onnx.numpy_helper.to_array(one)
            for one in model.graph.initializer}


def test_nodes(described, make_rescale):
    for name in NETS:
        found, shape, model = build(name, 'signed', described, make_rescale)
        nodes = [one.op_type for one in model.graph.node]
        weights = [one.W.bits for one in found if hasattr(one, 'W')]
        signs, levels = (
            sum(isinstance(one, kind) for one in found)
            for kind in (operations.Sign, operations.Quantize))
        assert nodes.count('BipolarQuant') == weights.count(1) + signs, name
        assert nodes.count('Quant') == levels + sum(
            1 < bits < 32 for bits in weights), name
        assert not {'Cast', 'Where', 'Round', 'Gemm', 'ReduceMean'} & set(
            nodes)
        assert nodes.count('BatchNormalization') == sum(
            isinstance(one, operations.BatchNormalization) for one in found)
        assert {one.op_type for one in model.graph.node if one.domain} <= {
            'BipolarQuant', 'Quant'}
        pixels = model.graph.input[0].type.tensor_type
        assert pixels.shape.dim[0].dim_value == 1
        assert pixels.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize('n, low, high, n_bits, signed, narrow, clips', [
    (3, 0., 1., 2, 0, 0, False), (255, 0., 1., 8, 0, 0, False),
    (127, -1., 1., 8, 1, 1, False), (4, -1., 1., 4, 1, 0, True),
    (4, -1., .75, 3, 1, 0, False), (2, 0., 1., 2, 0, 0, True)])
def test_levels(n, low, high, n_bits, signed, narrow, clips):
    found = [operations.Rescale(kind='unit'),
             operations.Quantize(n=n, low=low, high=high)]
    model = onnx_model.build(found, (1, 2, 2), kind=qonnx.Graph)
    *before, quant = model.graph.node
    scale, zero, bits = (arrays(model)[name] for name in quant.input[1:])
    assert (scale, zero, bits) == (numpy.float32(1 / n), 0, n_bits)
    assert {one.name: onnx.helper.get_attribute_value(one)
            for one in quant.attribute} == {
        'signed': signed, 'narrow': narrow, 'rounding_mode': b'ROUND'}
    assert ('Clip' in [one.op_type for one in before]) == clips


def test_export(tmp_path, capsys):
    model_file.save(str(tmp_path / 'mlp.model'), L.Classifier(
        net.BinaryMLP(16)), {
            'net': 'binary', 'net_class': 'BinaryMLP', 'dataset': 'digits',
            'input': 'unit', 'net_args': {'n_units': 16}, 'class_names': list(
                '0123456789')})
    assert export.main([str(tmp_path / 'mlp.model'), '--to', 'qonnx']) == 0
    assert 'packed; predictions that differ: 0' in capsys.readouterr().out
    model = onnx.load(str(tmp_path / 'mlp.qonnx.onnx'))
    assert {one.domain for one in model.opset_import} == {'', qonnx.DOMAIN}


@pytest.mark.slow
@pytest.mark.parametrize('name', NETS)
def test_execution(name, described, make_rescale, make_images, make_net,
                   chainer_scores):
    modelwrapper = pytest.importorskip(
        'qonnx.core.modelwrapper',
        reason='qonnx is not installed: pip install qonnx')
    from qonnx.core import onnx_exec
    from qonnx.transformation import infer_shapes

    for kind in 'unit', 'binary':
        found, shape, model = build(name, kind, described, make_rescale)
        x = make_images(4, shape)
        wrapped = modelwrapper.ModelWrapper(model).transform(
            infer_shapes.InferShapes())
        scores = numpy.concatenate([onnx_exec.execute_onnx(
            wrapped, {onnx_model.INPUT: x[i:i + 1].astype(numpy.float32)})[
                onnx_model.OUTPUT] for i in range(len(x))])
        exact = reference.run(found, x)
        theirs = chainer_scores(make_net(name)[1], reference.apply(
            found[0], x, numpy.float32))
        assert scores.argmax(axis=1).tolist() == theirs.argmax(
            axis=1).tolist(), kind
        assert abs(scores - exact).max() <= 1e-4 * abs(exact).max(), kind


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of hls4ml and what it imports
@pytest.mark.parametrize('name', ['dorefa-3-3', 'dorefa-1-2'])
def test_hls4ml(name, described, make_rescale, make_images, tmp_path):
    """hls4ml converts the graph; its compiled program gives our classes."""
    hls4ml = pytest.importorskip(
        'hls4ml', reason='hls4ml is not installed: pip install hls4ml')
    from qonnx.core import modelwrapper
    from qonnx.util import cleanup

    found, shape, model = build(name, 'unit', described, make_rescale)
    model = cleanup.cleanup_model(modelwrapper.ModelWrapper(model))
    options = {'backend': 'Vitis'}
    converted = hls4ml.converters.convert_from_onnx_model(
        model, output_dir=str(tmp_path), io_type='io_parallel',
        hls_config=hls4ml.utils.config.config_from_onnx_model(
            model, 'name', default_precision='fixed<40,20>', **options),
        **options)
    converted.compile()
    x = make_images(8, shape)
    exact = reference.run(found, x)
    scores = converted.predict(x.astype(numpy.float32))
    assert abs(scores - exact).max() <= 1e-3 * abs(exact).max()
    assert scores.argmax(axis=1).tolist() == exact.argmax(axis=1).tolist()
