"""Batch normalization of two shares against that of the whole batch."""
import threading
import types

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import gradient_check

from bnn import errors
from bnn.chainer_ops import link_batch_normalization
from bnn.training.ranks import alone
from bnn.training.ranks import synchronized_bn

SHAPES = (8, 3), (6, 2, 5), (4, 3, 2, 3)


class Threads:
    """Two ranks, each a thread of this process."""

    size = 2

    def __init__(self):
        self._barrier = threading.Barrier(2)
        self._arrays = {}

    def run(self, work):
        """Lets each rank work, and returns both results."""
        results, failures = {}, []

        def target(rank):
            try:
                results[rank] = work(rank)
            except BaseException as e:
                failures.append(e)
                self._barrier.abort()

        threads = [threading.Thread(target=target, args=(rank,), name=str(
            rank)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return results[0], results[1]

    def average(self, array):
        assert array.dtype == numpy.float64
        self._arrays[threading.current_thread().name] = array
        self._barrier.wait()
        result = (self._arrays['0'] + self._arrays['1']) / 2
        self._barrier.wait()
        return result


def link_of(n, dtype, operation=None, **options):
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        link = link_batch_normalization.BatchNormalization(n, **options)
    random = numpy.random.RandomState(2)
    for param in link.params():
        param.array[...] = random.randn(n)
    return link


def step(link, x, gy):
    """Returns what one training step of a link gives and changes."""
    x = chainer.Variable(x)
    y = link(x)
    F.sum(y * gy).backward()
    return [y.array, x.grad, link.avg_mean, link.avg_var,
            *(param.grad for _, param in sorted(link.namedparams()))]


@pytest.mark.parametrize('dtype,tolerance', [('d', 1e-12), ('f', 1e-5)])
def test_two_ranks_are_one_process(dtype, tolerance):
    random = numpy.random.RandomState(3)
    for shape in SHAPES:
        for options in {}, {'use_gamma': False}, {'use_beta': False}:
            # A mean that float32 squares would drown the variance in
            x = (random.randn(*shape) + 300).astype(dtype)
            gy = random.randn(*shape).astype(dtype)
            expected = step(link_of(shape[1], dtype, **options), x, gy / 2)
            ranks = Threads()

            def work(rank, x=x, gy=gy, ranks=ranks, options=options):
                link = link_of(x.shape[1], dtype, **options)
                synchronized_bn.synchronize(link, ranks)
                return step(link, x[rank::2].copy(), gy[rank::2])

            shares = ranks.run(work)
            for i, (a, b, whole) in enumerate(
                    zip(*shares, expected, strict=True)):
                if i < 2:  # y and the gradient of x, an example each
                    whole = whole * [1, 2][i]
                    a, b = (numpy.stack([a, b], 1).reshape(shape),) * 2
                for ours in a, b:
                    assert ours.dtype == whole.dtype
                    numpy.testing.assert_allclose(
                        ours, whole, rtol=tolerance * 10,
                        atol=tolerance * 100 * abs(whole).max())


def test_gradients():
    random = numpy.random.RandomState(4)
    for shape in SHAPES:
        arguments = (random.randn(*shape), random.randn(shape[1]),
                     random.randn(shape[1]))
        gradient_check.check_backward(
            lambda *v: synchronized_bn.batch_normalization(alone.ALONE, *v),
            arguments, random.randn(*shape), dtype='d', atol=1e-5, rtol=1e-4)


def test_refuses_a_double_backward():
    x, gamma, beta = (chainer.Variable(numpy.random.randn(*shape))
                      for shape in ((4, 3), (3,), (3,)))
    y = synchronized_bn.batch_normalization(alone.ALONE, x, gamma, beta)
    with pytest.raises(NotImplementedError, match='double backward'):
        chainer.grad([F.sum(y * y)], [x], enable_double_backprop=True)


def test_refuses_other_shapes():
    x, gamma = numpy.zeros((4, 3), 'f'), numpy.zeros(2, 'f')
    for arguments in (x, gamma, gamma), (x[0], gamma, gamma), (
            x, numpy.zeros(3), numpy.zeros(3)):
        with pytest.raises(chainer.utils.type_check.InvalidType):
            synchronized_bn.batch_normalization(alone.ALONE, *arguments)


def test_only_a_training_step_asks_the_ranks():
    link = link_of(3, 'f')
    synchronized_bn.synchronize(
        chainer.Sequential(link), types.SimpleNamespace(size=2))
    x = numpy.random.randn(5, 3).astype('f')
    with chainer.using_config('train', False):
        link(x)
        with chainer.no_backprop_mode():
            link(x)
    with chainer.no_backprop_mode():  # statistics that are computed anew
        link(x, finetune=True)
    with pytest.raises(AttributeError, match='average'):
        link(x)


def test_keeps_the_link():
    model = chainer.Sequential(link_of(3, 'f', use_gamma=False, eps=1e-4))
    before = dict(vars(model[0]))
    synchronized_bn.synchronize(model, None)
    after = dict(vars(model[0]))
    del after['train_operation']
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


def test_refuses_chainers_link():
    model = chainer.Sequential(L.Linear(3, 3), L.BatchNormalization(3))
    with pytest.raises(errors.UserError, match='--multi-node-bn: /1 is Chain'):
        synchronized_bn.synchronize(model, None)
