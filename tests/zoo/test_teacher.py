"""The teacher of a run: which file may be one."""
import dataclasses

import chainer
import chainer.links as L
import numpy
import pytest

from bnn import data
from bnn import errors
from bnn.kernels import whitening
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from zoo import teacher
from zoo.binary_neural_networks import float_mlp
from zoo.binarynet import convnet

CPU = chainer.get_device('@numpy')
DIGITS = list('0123456789')


@pytest.fixture
def load(tmp_path):
    """A function that writes a teacher and loads it for a configuration."""
    def load(predictor, ours, config=None, white=None, **attributes):
        path = str(tmp_path / 'teacher.model')
        model_file.save(path, L.Classifier(predictor), {
            'net_class': type(predictor).__name__, 'dataset': 'digits',
            'input': 'unit', 'net_args': {}, 'class_names': DIGITS,
            **attributes}, white)
        return teacher.load(dataclasses.replace(
            config or config_module.Config(), teacher=path), ours, CPU)
    return load


def dataset(name='digits', class_names=DIGITS, white=None):
    images = numpy.zeros((3, *data.SHAPES[name]), numpy.uint8)
    labels = numpy.zeros(3, 'i')
    return data.Dataset(name, name, images, labels, images, labels,
                        tuple(class_names), 'here', whitening=white)


def mlp(n_out=10, n_in=784):
    predictor = float_mlp.FloatMLP(3, n_out=n_out, n_in=n_in)
    return predictor, {
        'net_args': {'n_units': 3, 'n_out': n_out, 'n_in': n_in}}


def test_none():
    assert teacher.load(config_module.Config(), dataset(), CPU) is None


def test_load(load):
    predictor, attributes = mlp()
    found = load(predictor, dataset('mnist'), **attributes)
    numpy.testing.assert_array_equal(
        found.l1.W.array, predictor.l1.W.array)


def test_refused(load):
    for (predictor, attributes), ours, config, words in (
            (mlp(), dataset('fashion-mnist', [f'c{i}' for i in range(10)]),
             None, 'is of classes 10, 0, 1, .* but the net is of 10, c0, c1'),
            (mlp(2), dataset(class_names='01x'), None,
             'is of classes 10, .* the net is of 3, 0, 1, x$'),
            (mlp(n_in=3072), dataset('cifar10'), None,
             'is of images 1x28x28, but the net is of 3x32x32'),
            (mlp(), dataset(), config_module.Config(input='signed'),
             'is of --input unit, but the net is of signed')):
        with pytest.raises(errors.UserError, match=words) as e:
            load(predictor, ours, config, **attributes)
        assert '\n' not in str(e.value)


@pytest.mark.parametrize('kind', ['real', 'mean'])
def test_of_drawn_weights(load, kind):
    predictor, attributes = mlp()
    with pytest.raises(errors.UserError, match=f'{kind}.* signs.model'):
        load(predictor, dataset(), **attributes, test_weights=kind)


def test_whitened(load):
    white = whitening.Whitening(
        numpy.zeros(3072, 'f'), numpy.eye(3072, dtype='f'))
    config = config_module.Config(input='whitened', dataset='cifar10')
    predictor, attributes = convnet.ConvNet(width=1), {
        'net_args': {'width': 1}, 'input': 'whitened', 'dataset': 'cifar10'}
    for ours, fits in (white, True), (white._replace(
            matrix=2 * white.matrix), False):
        if fits:
            assert load(predictor, dataset('cifar10', white=ours), config,
                        white, **attributes)
            continue
        with pytest.raises(errors.UserError, match='other data than here'):
            load(predictor, dataset('cifar10', white=ours), config, white,
                 **attributes)
