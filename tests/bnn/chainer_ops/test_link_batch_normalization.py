"""The layer of batch normalization against Chainer's."""
import chainer
import chainer.links as L
import numpy
import pytest

from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops.link_batch_normalization import BatchNormalization

OPTIONS = {}, {'use_gamma': False, 'use_beta': False}, {'decay': .5}
SHAPES = (6, 3), (4, 3, 2, 5)


def normal(*shape, dtype='f'):
    return numpy.random.standard_normal(shape).astype(dtype)


def pair(**options):
    """Makes ours and Chainer's, in the same state."""
    ours = BatchNormalization(3, eps=1e-3, **options)
    theirs = L.BatchNormalization(3, eps=1e-3, **options)
    for param in ours.params():
        param.array[...] = normal(3)
    theirs.copyparams(ours)
    return ours, theirs


def test_training():
    for options in OPTIONS:
        for shape in SHAPES:
            x, gy = normal(*shape), normal(*shape)
            results = []
            for link in pair(**options):
                v = chainer.Variable(x)
                link.cleargrads()
                y = link(v)
                y.grad = gy
                y.backward()
                results.append([y.array, v.grad, link.avg_mean, link.avg_var,
                                *(p.grad for _, p in sorted(
                                    link.namedparams()))])
            for ours, theirs in zip(*results, strict=True):
                assert ours.dtype == theirs.dtype
                numpy.testing.assert_allclose(
                    ours, theirs, rtol=1e-4, atol=1e-5)


def test_testing():
    for options in OPTIONS:
        for backprop in True, False:
            x, results = normal(4, 3, 2, 5), []
            for link in pair(**options):
                link.avg_mean[...] = 1, 2, 3
                link.avg_var[...] = .5, 1, 2
                with chainer.using_config('train', False), (
                        chainer.using_config('enable_backprop', backprop)):
                    results.append(link(x).array)
            numpy.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


def test_where_there_is_a_kernel():
    for options, dtype, shape, is_fast in (
            ({'size': 3}, 'f', (6, 3), True),
            ({'size': 3}, 'd', (6, 3, 4), True),
            ({'size': 3}, 'e', (6, 3), False),
            ({'axis': (0, 2)}, 'f', (6, 3, 4), True),
            ({'axis': (0, 1)}, 'f', (6, 3, 3), False),
            ({'axis': 0}, 'f', (6, 3, 4), False)):
        x = normal(*shape, dtype=dtype)
        ours, theirs = (make(dtype=dtype, **options) for make in (
            BatchNormalization, L.BatchNormalization))
        for _ in range(2):  # At first there may be no parameters yet.
            y, expected = ours(x), theirs(x)
            assert y.dtype == dtype
            numpy.testing.assert_allclose(
                y.array, expected.array, atol=1e-2 if dtype == 'e' else 1e-5)
        assert isinstance(y.creator, (
            function_batch_normalization.BatchNormalization)) == is_fast


def test_finetuning():
    ours, theirs = pair()
    batches = [normal(5, 3) for _ in range(3)]
    for link in ours, theirs:
        link.start_finetuning()
        for x in batches:
            link(x, finetune=True)
    assert ours.N == theirs.N == 3
    numpy.testing.assert_allclose(ours.avg_mean, theirs.avg_mean, rtol=1e-5)
    numpy.testing.assert_allclose(ours.avg_var, theirs.avg_var, rtol=1e-5)


def test_statistics_stay_in_recomputing():
    link, _ = pair()
    with chainer.using_config('in_recomputing', True):
        link(normal(6, 3))
    assert (link.avg_mean == 0).all()
    assert (link.avg_var == 1).all()


def test_one_example_warns_as_chainers():
    with pytest.warns(UserWarning, match='no more than one sample'):
        BatchNormalization(3)(normal(1, 3))
