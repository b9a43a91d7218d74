"""A trained net from its model file."""
import re

import chainer
import chainer.links as L
import numpy
import pytest

import net
from bnn import data as datasets
from bnn import errors
from bnn.data import augment
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.kernels import whitening
from bnn.training.files import model_file
from zoo import nets
from zoo import trained
from zoo.binarynet import convnet
from zoo.binarynet import deep_binary_mlp

DeepBinaryMLP = deep_binary_mlp.DeepBinaryMLP


@pytest.fixture
def load(tmp_path):
    """A function that writes a model and loads it."""
    def load(predictor, **attributes):
        path = str(tmp_path / 'mlp.model')
        attributes = {
            'net_class': 'BinaryMLP', 'net': 'x',
            'dataset': 'digits', 'input': 'unit', 'net_args': {'n_units': 3},
            'class_names': list('0123456789'), **attributes}
        model_file.save(path, L.Classifier(predictor), {
            name: value for name, value in attributes.items()
            if value is not None})
        return trained.load(path)
    return load


def test_load(load):
    predictor = DeepBinaryMLP(3)
    found = load(predictor, epoch=2, test_accuracy=.5, seed=1)
    assert type(found.predictor) is DeepBinaryMLP
    for name in 'l1', 'l3':
        numpy.testing.assert_array_equal(
            found.predictor[name].W.array, predictor[name].W.array)
    assert found.dataset == 'digits' and found.input_shape == (1, 28, 28)
    assert found.class_names == tuple('0123456789')
    assert found.facts == {
        'net': 'x', 'net_class': 'BinaryMLP', 'dataset': 'digits',
        'input': 'unit', 'epoch': 2, 'test_accuracy': .5}


def test_every_class_name_loads(load):
    """The name of a net is that of its class; older files have BinaryMLP."""
    for name, kind in nets.NETS.items():
        if name == 'BinaryMLP':
            assert kind is DeepBinaryMLP
        else:
            assert kind.__name__ == name
        if name.endswith('MLP'):
            found = load(kind(3), net_class=name)
            assert type(found.predictor) is kind


def test_the_hearts_model_loads(load):
    """To the same scores."""
    predictor = net.BinaryMLP(3)
    x = numpy.random.uniform(0, 1, (5, 1, 28, 28)).astype('f')
    predictor(x)  # statistics
    found = load(predictor)
    assert type(found.predictor) is DeepBinaryMLP
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(
            found.predictor(x).array, predictor(x).array)


def test_scaling(load):
    """What the net in Chainer sees is what is described to be packed."""
    pixels = numpy.arange(256, dtype='u1').reshape(1, 1, 16, 16)
    for kind in 'unit', 'signed', 'standard', 'binary':
        found = load(DeepBinaryMLP(3), input=kind)
        assert found.rescale.kind == kind
        assert (found.rescale.mean, found.rescale.std) == (
            datasets.STATISTICS['digits'] if kind == 'standard' else ((), ()))
        x = found.scale(pixels)
        assert x.dtype == numpy.float32
        if kind == 'binary':
            expected = numpy.where(pixels < 128, -1, 1)
        else:
            factor, offset = found.rescale.affine(1)
            expected = factor * pixels + offset
        numpy.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


def test_whitened(load, tmp_path):
    random = numpy.random.RandomState(0)
    predictor = convnet.ConvNet(width=1)
    path = str(tmp_path / 'whitened.model')
    attributes = {
        'net_class': 'ConvNet', 'dataset': 'cifar10', 'input': 'whitened',
        'net_args': {'width': 1}, 'class_names': list('0123456789')}
    mine = whitening.Whitening(
        random.randn(3072).astype('f'), numpy.eye(3072, dtype='f')
        + numpy.outer(random.randn(3072), random.randn(3072)).astype('f'))
    model_file.save(path, L.Classifier(predictor), attributes, mine)
    found = trained.load(path)
    pixels = random.randint(0, 256, (2, 3, 32, 32)).astype('u1')
    x = found.scale(pixels)
    assert x.dtype == numpy.float32
    first, *_ = found.operations()
    assert isinstance(first, operations.Whiten)
    for expected in (
            whitening.whiten(pixels / 255, *mine),
            reference.run([found.rescale, first], pixels)):
        numpy.testing.assert_allclose(
            x, expected, atol=1e-4 * abs(expected).max())
    with pytest.raises(errors.UserError, match='does not say with what'):
        load(predictor, **attributes)
    attributes['dataset'] = 'digits'
    model_file.save(path, L.Classifier(predictor), attributes, mine)
    with pytest.raises(errors.UserError, match=r'\(3072,\), not float32 '
                       r'\(784,\)'):
        trained.load(path)


def test_crop(load):
    images = numpy.random.randint(0, 256, (2, 3, 256, 256)).astype('u1')
    for kind, crops in (
            ('none', False), ('shift', False), ('affine', False),
            ('random-crop', True), ('center-crop', True), (None, False)):
        numpy.testing.assert_array_equal(
            load(DeepBinaryMLP(3), augment=kind).crop(images),
            augment.center_crop(images, 227) if crops else images)


def test_own_pictures(load):
    predictor = DeepBinaryMLP(3, n_in=25, n_out=2)
    attributes = {
        'net_args': {'n_units': 3, 'n_in': 25, 'n_out': 2},
        'dataset': 'pictures', 'input': 'standard', 'size': 5, 'grey': True,
        'class_names': ['cat', 'dog'], 'data_dir': '/d'}
    found = load(predictor, **attributes)
    assert found.input_shape == (1, 5, 5)
    assert found.class_names == ('cat', 'dog')
    assert found.data_dir == '/d'
    pixels = numpy.array([0, 255] * 25, 'u1').reshape(2, 1, 5, 5)
    numpy.testing.assert_allclose(
        found.scale(pixels), (pixels / 255 - .449) / .226, rtol=1e-5)
    for name, value, words in (
            ('size', 6, 'its net takes no images of 1x6x6'),
            ('grey', False, 'its net takes no images of 3x5x5'),
            ('size', 10 ** 9, '--size is 1000000000'),
            ('size', '5', "--size is '5'"), ('grey', 1, '--grey is 1'),
            ('data_dir', 5, 'its data_dir is 5')):
        with pytest.raises(errors.UserError, match=words):
            load(predictor, **{**attributes, name: value})


def test_first_models(load):
    # The class was under another name, and the scaling was not stored.
    found = load(
        DeepBinaryMLP(3), net='BinaryMLP', net_class=None, input=None)
    assert found.rescale.kind == 'unit'


@pytest.mark.parametrize('attributes, words', [
    ({'net_class': None, 'net': None}, 'does not say of which net it is'),
    ({'net_class': 'Other'}, "that this program does not know: 'Other'"),
    ({'net_class': 'two\nlines'}, 'a net that this program does not know'),
    ({'net_class': ['BinaryMLP']}, 'a net that this program does not know'),
    ({'dataset': 'other'}, 'is of data that this program does not know'),
    ({'dataset': {}}, 'is of data that this program does not know'),
    ({'input': 'other'}, 'is of an input that this program does not know'),
    ({'augment': 'x'}, 'is of an augmentation that this program does not'),
    ({'net_args': None}, 'its net_args is None'),
    ({'net_args': [3]}, r'its net_args is \[3\]'),
    ({'class_names': None}, 'its class_names is None'),
    ({'class_names': '0123456789'}, "its class_names is '0123456789'"),
    ({'net': 'two\nlines'}, r"its net is 'two\\nlines'"),
    ({'epoch': [1]}, r'its epoch is \[1\]'),
    ({'test_accuracy': float('nan')}, 'its test_accuracy is nan'),
    ({'net_args': {'n_units': 3, 'width': 3}}, 'does not say how its net'),
    ({'net_args': {'n_units': 3, 'scaled': True}}, 'not say how its net'),
    ({'net_args': {'n_units': 4}}, r'has the shape \(3,\), here'),
    ({'net_args': {'n_units': 3, 'n_layers': 1}}, 'is not of this net'),
    ({'net_args': {'n_units': 3, 'batch_norm': False}}, 'which has no'),
    ({'net_args': {'n_units': 10 ** 9}}, 'those of the net many more'),
    ({'net_args': {'n_units': 10 ** 99}}, 'does not say how its net was'),
    *(({'net_args': {'n_units': 3, name: value}},
       re.escape(f'its net_args has {name!r} = ')) for name, value in (
           ('x', 1), ('two\nlines', 1), ('n_units', 0), ('n_units', -3),
           ('n_units', 3.), ('n_units', True), ('n_units', '3'),
           ('n_units', None), ('n_in', []), ('n_layers', -1),
           ('n_layers', 10 ** 9),
           ('dropout_hidden', float('nan')), ('dropout_hidden', 1),
           ('dropout_input', -.1), ('dropout_input', '0'),
           ('batch_norm', 1), ('stochastic', 'stochastic'),
           ('surrogate', 'other'), ('surrogate', ['ste']),
           ('surrogate', None), ('quantizer', 'other'), ('w_bits', 9),
           ('w_bits', 2.), ('a_bits', True), ('scaled', 'other'),
           ('kind', 'other'), ('pad_value', 2)))])
def test_refused(load, attributes, words):
    with pytest.raises(errors.UserError, match=words) as e:
        load(DeepBinaryMLP(3), **attributes)
    assert '\n' not in str(e.value)
