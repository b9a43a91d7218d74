"""Writes a binary perceptron in the forms that the peers of inference.py take.

It has random signs as weights and random statistics.  PyTorch and onnxruntime
get it in their fastest form: batch normalization and the scaling of the
pixels folded into a threshold on the sum of each unit, as in the packed net,
so that a layer is one product and one comparison.
"""
import logging
import os

import numpy

import timing
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy.c import folder as c_folder
from bnn.deploy.onnx import model as onnx_model
from bnn.training.files import atomic

EPS = 2e-5
# Images that onnxruntime's static quantization is calibrated on
_CALIBRATION = 200


def write(folder: str, n_units: int, n_images: int) -> None:
    """Fills a folder.

    Args:
        folder: The folder.
        n_units: Units of the two hidden layers.
        n_images: Images.
    """
    random = numpy.random.RandomState(0)
    images = timing.images(n_images)[0]
    numpy.save(os.path.join(folder, 'images.npy'), images)
    found, arrays = [operations.Flatten(name='l1')], {}
    sizes = [784, n_units, n_units, 10]
    for i, (n_in, n) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        W = random.choice(numpy.int8([-1, 1]), (n, n_in))
        norm = {name: values.astype(numpy.float32) for name, values in (
            ('gamma', random.choice([-1, 1], n)),
            ('beta', random.uniform(-.2, .2, n)),
            ('mean', random.normal(0, 3, n)),
            ('var', random.uniform(200, 1000, n)))}
        found += [operations.Linear(name=f'l{i}', W=operations.Weights(1, W)),
                  operations.BatchNormalization(
                      name=f'b{i}', eps=EPS, **norm),
                  operations.Sign(name=f's{i}')]
        arrays |= {f'W{i}': W} | {
            f'{name}{i}': values for name, values in norm.items()}
    numpy.savez(os.path.join(folder, 'net.npz'), **arrays)
    rescale = operations.Rescale(kind='unit')
    net = packing.pack(found[:-1], (1, 28, 28), rescale, '0123456789')
    with open(os.path.join(folder, 'net.bnn'), 'wb') as f:
        f.write(file_format.dump(net))
    c_folder.write(c_folder.export(net)[0], os.path.join(folder, 'c'),
                   atomic.write)
    layers = [(one.weights.rows(), one.thresholds) for one in net.products]
    last = net.products[-1]
    numpy.savez(
        os.path.join(folder, 'folded.npz'), scale=last.scale,
        offset=last.offset, **{
            f'{name}{i}': array.astype(numpy.float32)
            for i, layer in enumerate(layers)
            for name, array in zip('WT', layer, strict=True)
            if array is not None})
    try:
        onnx = onnx_model.require()
        onnx_model.require('onnxruntime')
    except errors.UserError:
        return

    def save(name, model):
        onnx.save(model, os.path.join(folder, name + '.onnx'))

    save('float32', _in_floats(onnx, layers, last))
    save('by_hand', _in_integers(onnx, layers, last))
    _quantize(folder, images[:_CALIBRATION])


def _graph(onnx, nodes):
    """Makes a model of nodes, each of the result of the one before.

    Args:
        onnx (module): ONNX.
        nodes (list of tuple): Operator and arrays; of a Cast a type.

    Returns:
        onnx.ModelProto: The model, of pixels.
    """
    made, arrays, x = [], [], 'pixels'
    for i, (operator, *rest) in enumerate(nodes):
        inputs, attributes = [x], {}
        for j, one in enumerate(rest):
            if operator == 'Cast':
                attributes['to'] = one
            else:
                inputs.append(f'c{i}_{j}')
                arrays.append(onnx.numpy_helper.from_array(
                    numpy.ascontiguousarray(one), inputs[-1]))
        x = f'y{i}'
        made.append(onnx.helper.make_node(operator, inputs, [x], **attributes))
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            made, 'net', [value('pixels', types.UINT8, ['n', 1, 28, 28])],
            [value(x, types.FLOAT, ['n', 10])], arrays),
        opset_imports=[onnx.helper.make_opsetid('', onnx_model.OPSET)],
        ir_version=onnx_model.IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _in_floats(onnx, layers, last):
    """The net in float32: product, comparison, +1 or -1."""
    nodes = [('Flatten',), ('Cast', onnx.TensorProto.FLOAT)]
    for W, thresholds in layers:
        nodes.append(('MatMul', W.T.astype(numpy.float32)))
        if thresholds is not None:
            nodes += [
                ('GreaterOrEqual', thresholds.astype(numpy.float32)),
                ('Where', numpy.float32(1), numpy.float32(-1))]
    return _graph(onnx, [*nodes, ('Mul', last.scale), ('Add', last.offset)])


def _in_integers(onnx, layers, last):
    """The net on integers: uint8 by int8, which VNNI multiplies.

    Bits are 0 and 1, not -1 and +1, so that the operands are unsigned:
    ``s = 2 s01 - sum(w)``.
    """
    nodes, offset = [('Flatten',)], last.offset
    for i, (W, thresholds) in enumerate(layers):
        nodes.append(('MatMulInteger', W.T.astype(numpy.int8)))
        total = W.sum(axis=1, dtype=numpy.int64)
        if thresholds is None:
            offset = offset - last.scale * total
            nodes.append(('Cast', onnx.TensorProto.FLOAT))
            continue
        limits = thresholds.astype(numpy.int64)
        if i:
            limits = -((-limits - total) // 2)
        nodes += [('GreaterOrEqual', limits.clip(
            -2 ** 31, 2 ** 31 - 1).astype(numpy.int32)),
            ('Cast', onnx.TensorProto.UINT8)]
    return _graph(onnx, [*nodes, ('Mul', numpy.float32(2) * last.scale),
                         ('Add', offset.astype(numpy.float32))])


def _quantize(folder, images):
    """Quantizes the float net by onnxruntime's own tools, in both ways."""
    from onnxruntime import quantization
    logging.disable(logging.WARNING)  # on how to prepare larger nets

    class Reader(quantization.CalibrationDataReader):
        """The images once."""

        def __init__(self):
            self._left = [{'pixels': images}]

        def get_next(self):
            return self._left.pop() if self._left else None

    source, dynamic, static = (
        os.path.join(folder, name + '.onnx')
        for name in ('float32', 'dynamic', 'static'))
    quantization.quantize_dynamic(
        source, dynamic, weight_type=quantization.QuantType.QInt8)
    quantization.quantize_static(
        source, static, Reader(), op_types_to_quantize=['MatMul'],
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
        extra_options={'OpTypesToExcludeOutputQuantization': ['MatMul']})
    logging.disable(logging.NOTSET)
