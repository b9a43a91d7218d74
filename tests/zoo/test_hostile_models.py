"""Models whose attributes are wrong: one line, at once, or the same net."""
import json
import os
import time
import types

import chainer
import chainer.links as L
import h5py
import numpy
import pytest
from chainer.serializers import npz

import train_cifar10
import train_imagenet
import train_mnist
from bnn import data as datasets
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import packing
from bnn.training import models
from bnn.training import nets
from bnn.training import resuming
from bnn.training import session
from zoo import optimization
from zoo import trained

SCRIPTS = {'digits': train_mnist, 'cifar10': train_cifar10,
           'imagenet': train_imagenet}
KINDS = [(dataset, name) for dataset, script in SCRIPTS.items()
         for name in script.NETS]
VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 8, 9, 10 ** 9, 10 ** 30, 1.5, -.5,
    float('nan'), float('inf'), '', 'x', 'two\nlines', 'x' * 10 ** 4, 'ste',
    'binary', 'float', 'linear', 'stochastic', 'corrected', [], [1],
    ['binary'], {}, {'n_units': 10 ** 9}]
# Mutations of a net, fewer of those that take long to make
N, N_LARGE, LARGE = 25, 6, 5 * 10 ** 5


class Model(object):

    """A small model of a script, and the two ways to load it."""

    def __init__(self, dataset, name, path):
        self.path, self._script = str(path), SCRIPTS[dataset]
        shape = datasets.SHAPES[dataset]
        self._data = types.SimpleNamespace(
            train_images=[numpy.zeros(shape, 'u1')],
            class_names=list('0123456789'))
        run, net_args, model = self._make([
            '--net', name, *(words for flag in ('unit', 'width')
                             if flag in self._script.NETS[name].options
                             for words in ('--' + flag, '8'))])
        self.attributes = {
            **resuming.settings(run.parser, run.args), 'dataset': dataset,
            'net_class': type(model.predictor).__name__,
            'net_args': net_args, 'class_names': self._data.class_names,
            'epoch': 1, 'test_accuracy': .5}
        models.save(self.path, model, self.attributes)
        self.arrays = npz.serialize(model)
        self.n = model.count_params()

    def _make(self, argv):
        run = session.start(
            self._script.make_parser(), argv, self._script.NETS,
            getattr(self._script, 'RECIPES', {}),
            optimization.LEARNING_RATES)
        net_args, predictor = nets.make(
            self._script.NETS[run.args.net], run.args, self._data)
        return run, net_args, nets.make_model(run, predictor)

    def train(self):
        """As the script does with --initmodel."""
        return self._make(['--initmodel', self.path])[2]

    def export(self):
        """As export.py does."""
        found = trained.load(self.path)
        if self.n < LARGE:
            file_format.parse(file_format.dump(packing.pack(
                found.predictor.describe(), found.input_shape, found.rescale,
                found.class_names, found.facts)))
        return L.Classifier(found.predictor)

    def set(self, name, value):
        with h5py.File(self.path, 'r+') as f:
            f.attrs[name] = json.dumps(value)

    def check(self, load, what):
        """It loads to the same arrays, or is refused in one line."""
        start = time.perf_counter()
        try:
            model = load()
        except errors.UserError as e:
            assert self.path in str(e) or 'packed' in str(e)
            assert str(e).isprintable() and len(str(e)) < 400
        else:
            found = npz.serialize(model)
            assert found.keys() == self.arrays.keys(), what
            for name, array in self.arrays.items():
                numpy.testing.assert_array_equal(found[name], array, name)
        assert time.perf_counter() - start < 10, what


def mutations(attributes, random):
    """Yields attributes of which one, or one argument, is another."""
    arguments = [*attributes['net_args'], *trained._SIZES, *trained._RATIOS,
                 *trained._CHOICES]
    while True:
        value = VALUES[random.randint(len(VALUES))]
        if random.randint(2):
            name = arguments[random.randint(len(arguments))]
            yield 'net_args', {**attributes['net_args'], name: value}
        else:
            yield sorted(attributes)[random.randint(len(attributes))], value


@pytest.mark.parametrize('dataset, name', KINDS)
def test_mutations(dataset, name, tmp_path):
    model = Model(dataset, name, tmp_path / 'mlp.model')
    for load in model.train, model.export:
        found = npz.serialize(load())
        for key, array in model.arrays.items():
            numpy.testing.assert_array_equal(found[key], array, key)
    random = numpy.random.RandomState(KINDS.index((dataset, name)))
    one = mutations(model.attributes, random)
    for _ in range(N if model.n < LARGE else N_LARGE):
        key, value = next(one)
        model.set(key, value)
        for load in model.train, model.export:
            model.check(load, (key, value))
        model.set(key, model.attributes[key])


@pytest.mark.parametrize('dataset, name, key, values', [
    ('digits', 'binary', 'layers', [5000, 10 ** 9]),
    ('digits', 'binary', 'unit', [10 ** 5, 10 ** 9, 10 ** 30]),
    ('cifar10', 'convnet', 'width', [10 ** 4, 10 ** 9, 10 ** 30]),
    ('imagenet', 'alexnet', 'unit', [10 ** 5, 10 ** 9, 10 ** 30])])
def test_far_too_large(dataset, name, key, values, tmp_path):
    model = Model(dataset, name, tmp_path / 'mlp.model')
    argument = {'unit': 'n_units', 'layers': 'n_layers'}.get(key, key)
    for value in values:
        model.set(key, value)
        model.set('net_args', {
            **model.attributes['net_args'], argument: value})
        for load in model.train, model.export:
            with pytest.raises(errors.UserError, match='the net many more'):
                load()


def test_arrays_that_are_not_stored(tmp_path):
    """A file of a few bytes says that it has 3 TB."""
    model = Model('digits', 'binary', tmp_path / 'mlp.model')
    n = 10 ** 9
    with h5py.File(model.path, 'r+') as f:
        for name, shape in (('l1/W', (n, 784)), ('l1/b', (n,)),
                            ('l2/W', (8, n))):
            del f['predictor/' + name]
            f.create_dataset('predictor/' + name, shape, 'f')
    assert os.path.getsize(model.path) < 10 ** 6
    model.set('unit', n)
    model.set('net_args', {**model.attributes['net_args'], 'n_units': n})
    for load in model.train, model.export:
        with pytest.raises(errors.UserError, match='the net many more'):
            load()


def test_links_are_as_before(tmp_path):
    """What bounds them ends, however it ends."""
    model = Model('digits', 'binary', tmp_path / 'mlp.model')
    theirs = chainer.initializers.generate_array
    with models.bounded(model.path):
        assert chainer.initializers.generate_array is not theirs
    with pytest.raises(errors.UserError), models.bounded(model.path):
        L.Linear(10 ** 9, 10 ** 9)
    assert chainer.initializers.generate_array is theirs
