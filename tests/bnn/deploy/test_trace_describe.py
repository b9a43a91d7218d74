"""The traced operations are those that the nets describe."""
import dataclasses
import importlib.util
import pathlib

import numpy
import pytest

from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import trace

_spec = importlib.util.spec_from_file_location(
    'deploy_conftest', pathlib.Path(__file__).with_name('conftest.py'))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)


def flat(found, shape):
    kept = []
    for one in found:
        if not (isinstance(one, operations.Flatten) and len(shape) == 1):
            kept.append(one)
        shape = one.output_shape(shape)
    return kept


def same(a, b):
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b), (a, b)
        for f in dataclasses.fields(a):
            if f.name != 'levels':
                assert same(getattr(a, f.name), getattr(b, f.name)), (
                    f.name, a, b)
        return True
    if isinstance(a, (numpy.ndarray, numpy.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and (
            a.tobytes() == b.tobytes())
    return type(a) is type(b) and a == b


@pytest.mark.parametrize('name', list(_conftest.NETS))
def test(name, make_net, make_rescale):
    shape, predictor = make_net(name)
    x = numpy.random.uniform(-1, 1, (1, *shape)).astype('f')
    found = trace.trace(predictor, x)
    expected = predictor.describe()
    a, b = flat(found, shape), flat(expected, shape)
    assert [(type(o).__name__, o.name) for o in a] == [
        (type(o).__name__, o.name) for o in b]
    assert all(map(same, a, b))
    r = make_rescale('signed', shape[0])
    pack = lambda found: file_format.dump(packing.pack(
        found, shape, r, map(str, range(10))))
    assert pack(found) == pack(expected)
