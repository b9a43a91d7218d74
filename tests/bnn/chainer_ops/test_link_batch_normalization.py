import copy

import chainer
import chainer.links as L
import numpy
import pytest

import bst
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops.link_batch_normalization import BatchNormalization


def normal(*shape, dtype='f'):
    return numpy.random.standard_normal(shape).astype(dtype)


def pair(**options):
    """Ours and Chainer's, in the same state."""
    ours = BatchNormalization(3, eps=1e-3, **options)
    theirs = L.BatchNormalization(3, eps=1e-3, **options)
    for param in ours.params():
        param.array[...] = normal(3)
    theirs.copyparams(ours)
    return ours, theirs


OPTIONS = {}, {'use_gamma': False, 'use_beta': False}, {'decay': .5}


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('shape', [(6, 3), (4, 3, 2, 5)])
def test_training(shape, options, kernels_of):
    links = pair(**options)
    x, gy = normal(*shape), normal(*shape)
    results = []
    for link in links:
        v = chainer.Variable(x)
        link.cleargrads()
        y = link(v)
        y.grad = gy
        y.backward()
        results.append([y.array, v.grad, link.avg_mean, link.avg_var,
                        *(p.grad for _, p in sorted(link.namedparams()))])
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('backprop', [True, False])
def test_testing(options, backprop, kernels_of):
    links = pair(**options)
    x = normal(4, 3, 2, 5)
    for link in links:
        link.avg_mean[...] = 1, 2, 3
        link.avg_var[...] = .5, 1, 2
    with chainer.using_config('train', False), chainer.using_config(
            'enable_backprop', backprop):
        ours, theirs = (link(x).array for link in links)
    numpy.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize('sign', [False, True])
@pytest.mark.parametrize('shape', [(6, 3), (4, 3, 2, 5)])
def test_gpu_as_cpu(shape, sign):
    on_cpu, _ = pair()
    on_gpu = copy.deepcopy(on_cpu)
    on_gpu.to_device('@cupy:0')
    x, gy = normal(*shape), normal(*shape)
    results = []
    for link in on_cpu, on_gpu:
        v = chainer.Variable(link.device.send(x))
        link.cleargrads()
        y = link(v, sign=sign)
        y.grad = link.device.send(gy)
        y.backward()
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            tested = link(v.array, sign=sign)
        results.append([chainer.get_device('@numpy').send(a) for a in (
            y.array, v.grad, link.avg_mean, link.avg_var, tested.array,
            link.gamma.grad, link.beta.grad)])
    for ours, theirs in zip(*results, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_finetuning(kernels_of):
    links = pair()
    batches = [normal(5, 3) for _ in range(3)]
    for link in links:
        link.start_finetuning()
        for x in batches:
            link(x, finetune=True)
    ours, theirs = links
    assert ours.N == theirs.N == 3
    numpy.testing.assert_allclose(ours.avg_mean, theirs.avg_mean, rtol=1e-5)
    numpy.testing.assert_allclose(ours.avg_var, theirs.avg_var, rtol=1e-5)


@pytest.mark.parametrize('shape', [(6, 3), (4, 3, 2, 5)])
@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('backprop', [True, False])
def test_sign_in_one_pass_or_two(shape, train, backprop, kernels_of):
    # As long as both normalize the same way: the same bits
    link, _ = pair()
    x, gy = normal(*shape), normal(*shape)
    results = []
    for function in (
            lambda norm, v: link_batch_normalization.binarize(norm, v),
            lambda norm, v: bst.bst(norm(v))):
        norm = copy.deepcopy(link)
        v = chainer.Variable(x)
        with chainer.using_config('train', train), chainer.using_config(
                'enable_backprop', backprop):
            y = function(norm, v)
        assert bst.is_binary(y)
        if backprop:
            y.grad = gy
            norm.cleargrads()
            y.backward()
        results.append([y.array, norm.avg_mean, norm.avg_var] + ([
            v.grad, norm.gamma.grad, norm.beta.grad] if backprop else []))
    for one, two in zip(*results, strict=True):
        numpy.testing.assert_array_equal(one, two)


@pytest.mark.parametrize('make', [
    lambda: (BatchNormalization(3, dtype='e'), normal(6, 3, dtype='e')),
    lambda: (BatchNormalization(axis=(0, 2)), normal(6, 3, 4)),
    lambda: (L.BatchNormalization(3), normal(6, 3)),
])
def test_sign_where_there_is_no_kernel(make):
    link, x = make()
    y = link_batch_normalization.binarize(link, x)
    assert set(numpy.unique(chainer.as_array(y))) == {-1, 1}
    numpy.testing.assert_array_equal(
        y.array, bst.bst(copy.deepcopy(link)(x)).array)


def test_other_surrogate():
    link, _ = pair()
    v = chainer.Variable(normal(6, 3))
    y = link_batch_normalization.binarize(link, v, 'approx-sign')
    y.grad = numpy.ones_like(y.array)
    y.backward()
    w = chainer.Variable(v.array)
    expected = bst.bst(link(w), 'approx-sign')
    expected.grad = numpy.ones_like(y.array)
    expected.backward()
    numpy.testing.assert_array_equal(v.grad, w.grad)


def test_statistics_stay_in_recomputing():
    link, _ = pair()
    with chainer.using_config('in_recomputing', True):
        link(normal(6, 3))
    assert (link.avg_mean == 0).all()
    assert (link.avg_var == 1).all()


def test_one_example_warns_as_chainers():
    with pytest.warns(UserWarning, match='no more than one sample'):
        BatchNormalization(3)(normal(1, 3))
