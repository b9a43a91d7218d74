"""Flip ratios and clipped weights by hand, also over a resume."""
import types

import chainer
import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

import link_binary_linear
from bnn.training.reports import binary_weights
from zoo.quantized_net import link_quantized_linear


def make_model():
    model = chainer.Chain()
    with model.init_scope():
        model.l1 = link_binary_linear.BinaryLinear(
            5, 2, initialW=numpy.full((2, 5), .5, 'f'))
        model.l2 = link_quantized_linear.QuantizedLinear(
            2, 2, 1, initialW=numpy.full((2, 2), -.5, 'f'))
        model.l3 = link_quantized_linear.QuantizedLinear(2, 2, 2)
        model.l4 = L.Linear(2, 2)
        model.b1 = L.BatchNormalization(2)
    return L.Classifier(model)


def make_trainer():
    return types.SimpleNamespace(observation={}, updater=(
        types.SimpleNamespace(is_new_epoch=True)))


def observe(extension):
    trainer = make_trainer()
    extension(trainer)
    return trainer.observation


def test_names():
    model = make_model()
    assert list(binary_weights.binary_links(model)) == ['l1', 'l2']
    assert list(binary_weights.binary_links(model.predictor)) == ['l1', 'l2']
    assert binary_weights.binary_links(model)['l1'] is model.predictor.l1
    assert binary_weights.binary_links(L.Linear(3, 2)) == {}


def test_by_hand():
    model = make_model()
    W1, W2 = model.predictor.l1.W.array, model.predictor.l2.W.array
    extension = binary_weights.BinaryStatistics(model)
    extension.initialize(make_trainer())
    # Within the epoch there and back: no flip
    W1[0, 0] = -1
    W1[0, 0] = .25
    W1[0, 1] = -.25
    W1[1, 4] = -1
    W1[1, 3] = 1
    W1[1, 2] = 1.5
    W2[0, 0] = 0  # its sign is +1
    assert observe(extension) == pytest.approx({
        'l1/flip_ratio': .2, 'l1/at_clip': .3,
        'l2/flip_ratio': .25, 'l2/at_clip': 0})
    W2[0, 0] = -0.
    assert observe(extension) == pytest.approx({
        'l1/flip_ratio': 0, 'l1/at_clip': .3,
        'l2/flip_ratio': 0, 'l2/at_clip': 0})
    W2[...] *= -2
    W2[0, 0] = -1
    assert observe(extension)['l2/flip_ratio'] == 1
    assert all(isinstance(value, float)
               for value in observe(extension).values())


def test_trigger():
    trainer = make_trainer()
    extension = binary_weights.BinaryStatistics(make_model())
    assert extension.trigger(trainer)
    trainer.updater.is_new_epoch = False
    assert not extension.trigger(trainer)


def test_resume_in_mid_epoch():
    model = make_model()
    extension = binary_weights.BinaryStatistics(model)
    extension.initialize(make_trainer())
    model.predictor.l1.W.array[0, :3] = -1  # before the snapshot
    saved = npz.serialize(extension)
    expected = observe(extension)
    assert expected['l1/flip_ratio'] == pytest.approx(.3)

    resumed_model = make_model()
    resumed_model.copyparams(model)
    resumed = binary_weights.BinaryStatistics(resumed_model)
    npz.NpzDeserializer({
        name: numpy.asarray(value) for name, value in saved.items()
    }).load(resumed)
    resumed.initialize(make_trainer())
    assert observe(resumed) == expected
    assert observe(resumed)['l1/flip_ratio'] == 0


def test_saved_signs_take_a_bit_each():
    extension = binary_weights.BinaryStatistics(make_model())
    sizes = {name: value.nbytes
             for name, value in npz.serialize(extension).items()}
    assert sizes == {'l1': 2, 'l2': 1}


def test_float_net():
    extension = binary_weights.BinaryStatistics(L.Classifier(L.Linear(3, 2)))
    extension.initialize(make_trainer())
    assert observe(extension) == {}
    assert npz.serialize(extension) == {}
