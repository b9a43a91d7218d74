"""Every net of train_*.py: described, packed, written, read and run."""
import importlib.util
import pathlib

import numpy
import pytest

from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import runtime

_spec = importlib.util.spec_from_file_location(
    'deploy_conftest', pathlib.Path(__file__).with_name('conftest.py'))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)
NETS = list(_conftest.NETS)


@pytest.mark.parametrize('name', NETS)
def test_description(name, make_net, chainer_scores):
    shape, predictor = make_net(name)
    x = numpy.random.uniform(-1, 1, (2, *shape)).astype('f')
    expected = chainer_scores(predictor, x)
    found = predictor.describe()
    for operation in found:
        shape = operation.output_shape(shape)
    assert tuple(shape) == expected.shape[1:]
    links = {link_name.strip('/') for link_name, _ in
             predictor.namedlinks()}
    assert {one.name for one in found} - {''} <= links
    numpy.testing.assert_allclose(
        reference.run(found, x, numpy.float32), expected, rtol=1e-4,
        atol=1e-4 * abs(expected).max())


KINDS = 'unit', 'signed', 'standard', 'binary'
# All scalings where the first layer is another sort, else one in turn
_CASES = [(name, kind) for i, name in enumerate(NETS)
          for j, kind in enumerate(KINDS)
          if name in ('binary-1', 'dorefa-3-3', 'BinaryWeightMLP-1', 'lenet5',
                      'convnet-binary-0', 'shallow-1-1')
          or (j == 2 if name in ('alexnet', 'nin-imagenet') else i % 4 == j)]


@pytest.mark.parametrize('name, kind', _CASES)
def test_packed(name, kind, make_net, make_rescale, make_images):
    shape, predictor = make_net(name)
    rescale = make_rescale(kind, shape[0])
    x = make_images(3, shape)
    found = predictor.describe()
    net = packing.pack(found, shape, rescale, map(str, range(10)))
    contents = file_format.dump(net)
    again = file_format.parse(contents)
    assert file_format.dump(again) == contents
    scores = runtime.Net(again).scores(x)
    # A sign of float sums may be turned by their rounding; the first net of
    # that sort is looked at in float32, which has the same.
    exact = reference.run([rescale, *found], x)
    rounded = reference.run([rescale, *found], x, numpy.float32)
    scale = abs(exact).max()
    assert min(abs(scores - exact).max(),
               abs(scores - rounded).max()) < 1e-4 * scale


@pytest.mark.parametrize('name, stages', [
    ('binary-3', ['pixels>bits', 'bits>bits', 'bits>bits', 'bits>float']),
    ('dorefa-3-3', ['pixels>levels', 'levels>levels', 'levels>float']),
    ('dorefa-8-8', ['pixels>levels', 'levels>levels', 'levels>float']),
    ('lenet5', ['float>bits', 'bits>bits', 'bits>float', 'float>float']),
    ('convnet-binary-0', ['pixels>bits'] + ['bits>bits'] * 7
     + ['bits>float']),
    ('convnet-binary-1', ['pixels>bits'] + ['bits>bits'] * 7
     + ['bits>float']),
])
def test_kinds(name, stages, make_net, make_rescale):
    shape, predictor = make_net(name)
    net = packing.pack(predictor.describe(), shape, make_rescale(
        'signed', shape[0]), map(str, range(10)))
    assert ['%s>%s' % (one.operand, one.result)
            for one in net.products] == stages
    if name.startswith(('lenet5', 'convnet')):
        assert any(isinstance(one, packed.BitMaxPooling)
                   for one in net.stages)


def test_file_is_small():
    import net
    found = packing.pack(
        net.BinaryMLP().describe(), (1, 28, 28),
        operations.Rescale(kind='unit'), map(str, range(10)))
    weights = sum(param.size * 4 for name, param in
                  net.BinaryMLP().namedparams() if name.endswith('/W'))
    assert len(file_format.dump(found)) <= weights / 28
