"""Weights in the files that Chainer writes, and in hostile ones."""
import zipfile

import chainer
import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

from bnn import errors
from bnn.training.files import model_file
from bnn.training.files import weights
from tests.helpers import damage


def make(n=4, use_beta=False):
    return chainer.Sequential(
        L.Linear(3, n), L.BatchNormalization(n, use_beta=use_beta))


def contents(net):
    return {name: numpy.array(value)
            for name, value in npz.serialize(net).items()}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'weights')


@pytest.mark.parametrize('save', [
    chainer.serializers.save_npz, chainer.serializers.save_hdf5,
    lambda path, net: chainer.serializers.save_npz(path, net, False),
    lambda path, net: chainer.serializers.save_npz(path, L.Classifier(net)),
    lambda path, net: model_file.save(path, L.Classifier(net), {'net': 'x'})])
def test_every_file(save, path):
    theirs, ours = make(), make()
    theirs[1].avg_mean[...] = 3
    save(path, theirs)
    weights.load(path, ours)
    for name, value in contents(theirs).items():
        numpy.testing.assert_array_equal(contents(ours)[name], value)


@pytest.mark.parametrize('save', [
    chainer.serializers.save_npz, chainer.serializers.save_hdf5])
@pytest.mark.parametrize('theirs, words', [
    (make(5), r'0/W has the shape \(5, 3\), here it is \(4, 3\)'),
    (chainer.Sequential(L.Linear(3, 4)), 'it has no 1/N'),
    (make(use_beta=True), 'which has no 1/beta')])
def test_another_net(save, theirs, words, path):
    save(path, theirs)
    ours = make()
    before = contents(ours)
    with pytest.raises(errors.UserError, match=words):
        weights.load(path, ours)
    for name, value in contents(ours).items():
        numpy.testing.assert_array_equal(value, before[name])


def test_damage(path, tmp_path):
    net = make()
    arrays = contents(net)
    hostile = numpy.empty((), object)
    hostile[()] = damage.hostile(tmp_path / 'executed')
    for changes, words in (
            ({'0/b': hostile}, 'is damaged or holds no weights: Object'),
            ({'0/b': numpy.array('abc')}, '0/b holds no numbers'),
            ({'updater/iteration': numpy.zeros(1)}, 'is a snapshot')):
        with open(path, 'wb') as f:
            numpy.savez(f, **{**arrays, **changes})
        with pytest.raises(errors.UserError, match=words):
            weights.load(path, net)
    assert not (tmp_path / 'executed').exists()
    chainer.serializers.save_npz(path, net)
    with open(path, 'rb') as f:
        whole = f.read()
    with zipfile.ZipFile(path) as archive:
        data = {name: archive.read(name) for name in archive.namelist()}
    for name in data:  # cut off within an array, with right checksums
        with zipfile.ZipFile(path, 'w') as archive:
            for other, value in data.items():
                archive.writestr(other, value[:-1] if other == name else value)
        with pytest.raises(errors.UserError, match='is damaged or holds no'):
            weights.load(path, net)
    for text in whole[:100], b'', b'no weights', b'PK and so on':
        with open(path, 'wb') as f:
            f.write(text)
        with pytest.raises(errors.UserError, match='is damaged or'):
            weights.load(path, net)
    with pytest.raises(errors.UserError, match='cannot read'):
        weights.load(path + 'x', net)
