"""Models whose attributes are wrong: one line, at once, or the same net."""
import json
import os
import time

import chainer.links as L
import h5py
import numpy
import pytest
from chainer.serializers import npz

from bnn import errors
from bnn.training.files import model_file
from zoo import configured
from zoo import nets
from zoo import trained

ARGUMENTS = {
    'QuantizedMLP': {'w_bits': 3, 'quantizer': 'linear'},
    'ConvNet': {'width': 8}, 'AlexNet': {'n_units': 8},
    'LeNet5': {'scaled': 'ste', 'shift': True}, 'ResNet20': {'width': 2},
    'FastConvNet': {'width': 2}}
DATASETS = {'ShallowConvNet': 'cifar10', 'ConvNet': 'cifar10',
            'NIN': 'cifar10', 'NINImageNet': 'imagenet',
            'AlexNet': 'imagenet', 'CNV': 'cifar10', 'ResNet20': 'cifar10',
            'FastConvNet': 'cifar10'}
VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 8, 9, 10 ** 9, 10 ** 30, 1.5, -.5,
    float('nan'), float('inf'), '', 'x', 'two\nlines', 'x' * 10 ** 4, 'ste',
    'binary', 'float', 'linear', 'stochastic', 'corrected', [], [1],
    ['binary'], {}, {'n_units': 10 ** 9}]
# Mutations of a net, fewer of those that take long to make
N, N_LARGE, LARGE = 40, 6, 5 * 10 ** 5


class Model:
    """A small model file, and what it holds."""

    def __init__(self, name, path):
        self.path = str(path)
        net_args = {'n_out': 10, **ARGUMENTS.get(
            name, {'n_units': 8} if name.endswith('MLP') else {})}
        model = L.Classifier(nets.NETS[name](**net_args))
        self.attributes = {
            'net': name.lower(), 'net_class': name, 'net_args': net_args,
            'dataset': DATASETS.get(name, 'digits'), 'input': 'unit',
            'augment': 'none', 'loss': 'cross-entropy',
            'class_names': list('0123456789'), 'epoch': 1,
            'test_accuracy': .5}
        model_file.save(self.path, model, self.attributes)
        self.arrays = npz.serialize(model)
        self.n = model.count_params()

    def load(self):
        return L.Classifier(trained.load(self.path).predictor)

    def set(self, name, value):
        with h5py.File(self.path, 'r+') as f:
            f.attrs[name] = json.dumps(value)

    def check(self, what):
        """It loads to the same arrays, or is refused in one line."""
        start = time.perf_counter()
        try:
            model = self.load()
        except errors.UserError as e:
            assert self.path in str(e)
            assert str(e).isprintable() and len(str(e)) < 400
        else:
            found = npz.serialize(model)
            assert found.keys() == self.arrays.keys(), what
            for name, array in self.arrays.items():
                numpy.testing.assert_array_equal(found[name], array, name)
        assert time.perf_counter() - start < 10, what


def mutations(attributes, random):
    """Yields attributes of which one, or one argument, is another."""
    arguments = [*attributes['net_args'], *configured.FIELD_OF]
    while True:
        value = VALUES[random.randint(len(VALUES))]
        if random.randint(2):
            name = arguments[random.randint(len(arguments))]
            yield 'net_args', {**attributes['net_args'], name: value}
        else:
            yield sorted(attributes)[random.randint(len(attributes))], value


@pytest.mark.parametrize('name', nets.NETS)
def test_mutations(name, tmp_path):
    model = Model(name, tmp_path / 'mlp.model')
    model.check('unchanged')
    model.load()
    random = numpy.random.RandomState(list(nets.NETS).index(name))
    one = mutations(model.attributes, random)
    for _ in range(N if model.n < LARGE else N_LARGE):
        key, value = next(one)
        model.set(key, value)
        model.check((key, value))
        model.set(key, model.attributes[key])


def test_far_too_large(tmp_path):
    model = Model('BinaryMLP', tmp_path / 'deep')
    for n_layers in 1000, 5000, 10 ** 9:
        model.set('net_args', {'n_units': 8, 'n_layers': n_layers})
        model.check(n_layers)
        with pytest.raises(errors.UserError):
            model.load()
    for name, argument, values in (
            ('BinaryMLP', 'n_units', [10 ** 5, 10 ** 9, 10 ** 30]),
            ('ConvNet', 'width', [10 ** 4, 10 ** 9, 10 ** 30]),
            ('AlexNet', 'n_units', [10 ** 5, 10 ** 9, 10 ** 30])):
        model = Model(name, tmp_path / name)
        for value in values:
            model.set('net_args', {
                **model.attributes['net_args'], argument: value})
            # NumPy itself refuses the largest.
            with pytest.raises(
                    errors.UserError, match='the net many more|Maximum'):
                model.load()


def test_arrays_that_are_not_stored(tmp_path):
    """A file of a few bytes says that it has 3 TB."""
    model = Model('BinaryMLP', tmp_path / 'mlp.model')
    n = 10 ** 9
    with h5py.File(model.path, 'r+') as f:
        for name, shape in (('l1/W', (n, 784)), ('l1/b', (n,)),
                            ('l2/W', (8, n))):
            del f['predictor/' + name]
            f.create_dataset('predictor/' + name, shape, 'f')
    assert os.path.getsize(model.path) < 10 ** 6
    model.set('net_args', {**model.attributes['net_args'], 'n_units': n})
    with pytest.raises(errors.UserError, match='the net many more'):
        model.load()
