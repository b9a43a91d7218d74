"""A packed net layer by layer: shapes, bits, bytes."""
import numpy

from bnn.deploy import packed


def rows(net):
    """Lists what holds parameters.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Returns:
        list of dict: The layers in order, and a last row with the totals:
        bytes of parameters and statistics as float32, and packed.  What is
        folded into a layer counts there.

    """
    found = []
    for stage in net.stages:
        if isinstance(stage, packed.Product):
            found.append({
                'layer': stage.name,
                'weights': 'x'.join(map(str, stage.weights.shape)),
                'operand to result': '%s to %s' % (
                    stage.operand, stage.result),
                'bits': stage.weights.bits,
                'float bytes': stage.float_bytes,
                'packed bytes': stage.nbytes})
        elif isinstance(stage, packed.FloatStage):
            size = sum(
                value.nbytes for value in vars(stage.operation).values()
                if isinstance(value, numpy.ndarray))
            if size:
                found.append({
                    'layer': stage.name, 'weights': '', 'operand to result':
                    'float', 'bits': 32, 'float bytes': size,
                    'packed bytes': size})
    total = {'layer': 'total', 'weights': '', 'operand to result': '',
             'bits': ''}
    return found + [{**total, **{
        name: sum(row[name] for row in found)
        for name in ('float bytes', 'packed bytes')}}]
