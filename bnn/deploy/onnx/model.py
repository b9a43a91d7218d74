"""A net as an ONNX model: float arithmetic, as it was trained.

The graph has standard operators only, so that any runtime takes it.  The
weights are the numbers that a layer computes with, +-1 of one bit, as
float32.  Alpha and the step of k-bit weights come behind the sum.  Batch
normalization is written out as subtraction, two products and a sum, in the
order of :mod:`bnn.deploy.reference`.  A sum of +1 and -1 is exact in float32,
hence the same in every runtime, and a value on its threshold stays there.  An
operator ``BatchNormalization`` would be multiplied into the weights and round
otherwise.  ``Sign(0)`` is 0, so the sign is a comparison.

docs/onnx.md describes the graph for those who use it.
"""
import importlib
import json

from bnn import errors
from bnn.deploy.onnx import operators

# Understood since ONNX 1.13 and onnxruntime 1.14, of 2023
OPSET, IR_VERSION = 18, 8
INPUT, OUTPUT = operators.INPUT, 'scores'


def require(name: str = 'onnx'):
    """Imports an optional package.

    Args:
        name: ``'onnx'`` or ``'onnxruntime'``.

    Returns:
        module: The package.

    Raises:
        ~bnn.errors.UserError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise errors.UserError(
            f'--to onnx needs {name}: pip install onnx onnxruntime '
            f'({errors.one_line(e)})') from e


def build(net_operations: list, input_shape: tuple, metadata: dict = None,
          kind: type = operators.Graph):
    """Writes a net as a model.

    Args:
        net_operations: Of :mod:`~bnn.deploy.operations`, with the Rescale in
            front.
        input_shape: (channels, h, w) of an image.
        metadata: Facts to keep beside the graph: text as it is, anything
            else as JSON.
        kind: How signs, quantizers and weights are written:
            :class:`operators.Graph` or :class:`bnn.deploy.onnx.qonnx.Graph`.

    Returns:
        onnx.ModelProto: The model, checked: uint8 (batch, channels, h, w)
        ``'pixels'``, with QONNX float32, to float32 (batch, classes)
        ``'scores'``.

    Raises:
        ~bnn.errors.UserError: If ONNX is not installed.
    """
    onnx = require()
    graph = kind(onnx, input_shape)
    for operation in net_operations:
        graph.add(operation)
    graph.nodes[-1].output[0] = OUTPUT
    value = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, 'bnn',
            [value(INPUT, getattr(onnx.TensorProto, kind.pixels), [
                kind.batch, *input_shape])],
            [value(OUTPUT, onnx.TensorProto.FLOAT, [
                kind.batch, *graph.shape])],
            graph.initializers),
        opset_imports=[onnx.helper.make_opsetid(*one) for one in (
            ('', OPSET), *kind.domains)],
        ir_version=IR_VERSION, producer_name='bnn')
    onnx.helper.set_model_props(model, {
        name: fact if isinstance(fact, str) else json.dumps(fact)
        for name, fact in (metadata or {}).items()})
    onnx.checker.check_model(model, full_check=True)
    return model


class Net:
    """An ONNX net in onnxruntime, on the CPU.

    Args:
        model (str or bytes): Its file, or the contents of one.

    Raises:
        ~bnn.errors.UserError: If onnxruntime is not installed.
    """

    def __init__(self, model):
        self.session = require('onnxruntime').InferenceSession(
            model, providers=['CPUExecutionProvider'])

    def scores(self, images):
        """Computes the class scores, float32 (n, n_classes), of uint8."""
        return self.session.run([OUTPUT], {INPUT: images})[0]

    def predict(self, images):
        """Computes the classes, int64 (n,)."""
        return self.scores(images).argmax(axis=1)
