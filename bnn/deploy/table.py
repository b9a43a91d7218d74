"""A packed net layer by layer: shapes, bits, bytes."""
import numpy

from bnn.deploy import stages


def rows(net: stages.PackedNet) -> list:
    """Lists the stages that hold parameters.

    What is folded into a layer counts there.

    Returns:
        A dict for each layer, in order, and one with the totals: bytes of
        parameters and statistics as float32, and packed.
    """
    found = []
    for stage in net.stages:
        if isinstance(stage, stages.Product):
            found.append({
                'layer': stage.name,
                'weights': 'x'.join(map(str, stage.weights.shape)),
                'operand to result': f'{stage.operand} to {stage.result}',
                'bits': stage.weights.bits,
                'float bytes': stage.float_bytes,
                'packed bytes': stage.nbytes})
        elif isinstance(stage, stages.FloatStage):
            size = sum(value.nbytes for value in vars(
                stage.operation).values() if isinstance(value, numpy.ndarray))
            if size:
                found.append({
                    'layer': stage.name, 'weights': '',
                    'operand to result': 'float', 'bits': 32,
                    'float bytes': size, 'packed bytes': size})
    return [*found, {
        'layer': 'total', 'weights': '', 'operand to result': '', 'bits': '',
        **{name: sum(row[name] for row in found)
           for name in ('float bytes', 'packed bytes')}}]
