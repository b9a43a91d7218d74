"""Writes one net in the forms that the contenders of inference.py read.

A binary perceptron, trained or with random signs as weights and random
statistics.  PyTorch and onnxruntime get it in their fastest form: batch
normalization and the scaling of the pixels folded into a threshold on the sum
of each unit, as in the packed net, so that a layer is one product and one
comparison.
"""
import logging
import os
import shutil
import sys

import chainer.links as L
import numpy

import net
import timing
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import pack
from bnn.deploy.onnx import model as onnx_model
from bnn.training.files import model_file
from zoo import trained as trained_module

N_CALIBRATION = 200


def write(folder, n_units, n_layers, n_images, model=None):
    """Fills a folder.

    Args:
        folder (str): The folder.
        n_units, n_layers (int): Of the hidden layers of a random net.
        n_images (int): Images, and rows of random signs for the product.
        model (str or None): A trained net instead.

    Returns:
        list of int: The widths of the net.
    """
    random = numpy.random.RandomState(0)
    images = timing.images(n_images)[0]
    numpy.save(os.path.join(folder, 'images.npy'), images)
    path = os.path.join(folder, 'mlp.model')
    if model is None:
        model_file.save(path, L.Classifier(
            _random_net(n_units, n_layers, random)), {
                'net': 'binary', 'net_class': 'BinaryMLP', 'dataset': 'mnist',
                'input': 'unit', 'class_names': list('0123456789'),
                'net_args': {'n_units': n_units, 'n_layers': n_layers}})
    trained = trained_module.load(model or path)
    if not isinstance(trained.predictor, net.BinaryMLP) or (
            trained.rescale.kind != 'unit'):
        sys.exit('%s is no binary perceptron on pixels in [0, 1]' % model)
    if model is not None:
        shutil.copyfile(model, path)
    found = trained.operations()
    packed = pack.pack(found, trained.input_shape, trained.rescale,
                          trained.class_names, trained.facts)
    with open(os.path.join(folder, 'net.bnn'), 'wb') as f:
        f.write(file_format.dump(packed))
    sizes = [784, *(one.weights.shape[0] for one in packed.products)]
    for name, rows in ('a', n_images), ('W', sizes[1]):
        numpy.save(os.path.join(folder, name + '.npy'), random.choice(
            numpy.float32([-1, 1]), (rows, sizes[1])))
    layers = [(one.weights.rows(), one.thresholds)
              for one in packed.products]
    last = packed.products[-1]
    numpy.savez(
        os.path.join(folder, 'folded.npz'), scale=last.scale,
        offset=last.offset, **{
            '%s%d' % (name, i): array.astype(numpy.float32)
            for i, layer in enumerate(layers)
            for name, array in zip('WT', layer) if array is not None})
    try:
        onnx = onnx_model.require()
    except errors.UserError:
        return sizes

    def save(name, model):
        onnx.save(model, os.path.join(folder, name + '.onnx'))

    save('net', onnx_model.build(
        [trained.rescale, *found], trained.input_shape))
    save('folded', _folded(onnx, layers, last))
    save('integers', _integers(onnx, layers, last))
    W = numpy.load(os.path.join(folder, 'W.npy')).T
    save('product', _graph(onnx, [('MatMul', 'a', W)], 'a', 'FLOAT'))
    # 0 and 2 less the zero point 1: onnxruntime multiplies uint8 by int8 ten
    # times faster than int8 by int8.
    product = 'MatMulInteger', None, W.astype(numpy.int8), numpy.uint8(1)
    save('product-int8', _graph(onnx, [product], 'a', 'UINT8', 'INT32'))
    save('product-int8-of-floats', _graph(
        onnx, [('Add', None, numpy.float32(1)),
               ('Cast', None, onnx.TensorProto.UINT8), product], 'a', 'FLOAT',
        'INT32'))
    try:
        onnx_model.require('onnxruntime')
    except errors.UserError:
        return sizes
    _quantize(folder, images[:N_CALIBRATION])
    return sizes


def _random_net(n_units, n_layers, random):
    found = net.BinaryMLP(n_units, n_layers=n_layers)
    for link in found.links():
        if isinstance(link, L.BatchNormalization):
            shape = link.avg_mean.shape
            link.avg_mean[...] = random.normal(0, 3, shape)
            link.avg_var[...] = random.uniform(200, 1000, shape)
            link.gamma.array[...] = random.choice([-1, 1], shape)
            link.beta.array[...] = random.uniform(-.2, .2, shape)
        elif hasattr(link, 'W'):
            link.W.array[...] = random.uniform(-1, 1, link.W.shape)
    return found


def _graph(onnx, nodes, name='pixels', kind='UINT8', result='FLOAT',
           shape=None):
    """Makes a model of nodes, each of the last one's result.

    Args:
        onnx (module): ONNX.
        nodes (list of tuple): Operator, the name of its first input or
            ``None`` for the last result, and arrays; of a Cast a type.
        name, kind, shape: Of the input.
        result (str): Type of the result.

    Returns:
        onnx.ModelProto: The model.
    """
    made, arrays, x = [], [], name
    for i, (operator, first, *rest) in enumerate(nodes):
        inputs, attributes = [first or x], {}
        for j, one in enumerate(rest):
            if operator == 'Cast':
                attributes['to'] = one
            else:
                inputs.append('c%d_%d' % (i, j))
                arrays.append(onnx.numpy_helper.from_array(
                    numpy.ascontiguousarray(one), inputs[-1]))
        x = 'y%d' % i
        made.append(onnx.helper.make_node(operator, inputs, [x], **attributes))
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    matrices = [one for one in arrays if len(one.dims) == 2]
    width, n_out = matrices[0].dims[0], matrices[-1].dims[1]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            made, 'net',
            [value(name, getattr(types, kind), ['n', *(shape or [width])])],
            [value(x, getattr(types, result), ['n', n_out])],
            arrays),
        opset_imports=[onnx.helper.make_opsetid('', onnx_model.OPSET)],
        ir_version=onnx_model.IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _folded(onnx, layers, last):
    """The net in float32: product, comparison, +1 or -1."""
    nodes = [('Flatten', None), ('Cast', None, onnx.TensorProto.FLOAT)]
    for W, thresholds in layers:
        nodes.append(('MatMul', None, W.T.astype(numpy.float32)))
        if thresholds is not None:
            nodes += [
                ('GreaterOrEqual', None, thresholds.astype(numpy.float32)),
                ('Where', None, numpy.float32(1), numpy.float32(-1))]
    return _graph(onnx, [*nodes, ('Mul', None, last.scale),
                         ('Add', None, last.offset)], shape=(1, 28, 28))


def _integers(onnx, layers, last):
    """The net on integers: uint8 by int8, which VNNI multiplies.

    Bits are 0 and 1, not -1 and +1, so that the operands are unsigned:
    ``s = 2 s01 - sum(w)``.
    """
    nodes = [('Flatten', None)]
    scale, offset = last.scale, last.offset
    for i, (W, thresholds) in enumerate(layers):
        nodes.append(('MatMulInteger', None, W.T.astype(numpy.int8)))
        total = W.sum(axis=1, dtype=numpy.int64)
        if thresholds is None:
            offset = offset - scale * total
            nodes.append(('Cast', None, onnx.TensorProto.FLOAT))
            continue
        limits = thresholds.astype(numpy.int64)
        if i:
            limits = -((-limits - total) // 2)
        nodes += [('GreaterOrEqual', None, limits.clip(
            -2 ** 31, 2 ** 31 - 1).astype(numpy.int32)),
            ('Cast', None, onnx.TensorProto.UINT8)]
    return _graph(onnx, [*nodes, ('Mul', None, numpy.float32(2) * scale),
                         ('Add', None, offset.astype(numpy.float32))],
                  shape=(1, 28, 28))


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
        for name in ('folded', 'dynamic', 'static'))
    quantization.quantize_dynamic(
        source, dynamic, weight_type=quantization.QuantType.QInt8)
    quantization.quantize_static(
        source, static, Reader(), op_types_to_quantize=['MatMul'],
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
        extra_options={'OpTypesToExcludeOutputQuantization': ['MatMul']})
    logging.disable(logging.NOTSET)
