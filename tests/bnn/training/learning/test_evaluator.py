"""The evaluator against a direct computation."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.learning import means
from bnn.training.ranks import alone


class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 6)
            self.bn = L.BatchNormalization(6)
            self.l2 = L.Linear(6, 3)
        self.dropped = []

    def forward(self, x):
        h = F.relu(self.bn(self.l1(x)))
        self.dropped.append(chainer.config.train)
        return self.l2(F.dropout(h, .5))


@pytest.fixture
def data():
    random = numpy.random.RandomState(0)
    return (random.randn(23, 4).astype(numpy.float32),
            random.randint(0, 3, 23).astype(numpy.int32))


@pytest.fixture
def model(data):
    model = L.Classifier(Net(), accfun=means.accuracy)
    for _ in range(3):  # running statistics other than the initial ones
        model(*data)
    model.predictor.dropped.clear()
    return model


def make(model, data, statistics, batchsize=10):
    x, t = data
    feed = batches.Feed(
        batches.Indices(x, batchsize, repeat=False, shuffle=False),
        lambda batch, device: (x[batch], t[batch]))
    return evaluator.Evaluator(
        feed, model, chainer.get_device('@numpy'), statistics)


def by_hand(model, data, mean_and_var=None, batchsize=10):
    """Sums of losses and of right predictions, example by example."""
    net = model.predictor
    loss = right = 0
    for i in range(0, len(data[0]), batchsize):
        x, t = (a[i:i + batchsize] for a in data)
        h = x.astype('d') @ net.l1.W.array.T + net.l1.b.array
        mean, var = mean_and_var or (h.mean(axis=0), h.var(axis=0))
        h = ((h - mean) / numpy.sqrt(var + net.bn.eps)
             * net.bn.gamma.array + net.bn.beta.array)
        y = numpy.maximum(h, 0) @ net.l2.W.array.T + net.l2.b.array
        p = numpy.exp(y) / numpy.exp(y).sum(axis=1, keepdims=True)
        loss -= numpy.log(p[range(len(t)), t]).sum()
        right += (y.argmax(axis=1) == t).sum()
    return loss / len(data[0]), right / len(data[0])


def state(model):
    bn = model.predictor.bn
    return bn.avg_mean.copy(), bn.avg_var.copy(), bn.N


def test_running_statistics(model, data):
    bn = model.predictor.bn
    loss, accuracy = by_hand(model, data, (bn.avg_mean, bn.avg_var))
    before = state(model)
    result = make(model, data, 'running')()
    assert result['main/loss'] == pytest.approx(loss, rel=1e-5)
    assert result['main/accuracy'] == pytest.approx(accuracy, abs=1e-15)
    for a, b in zip(state(model), before, strict=True):
        numpy.testing.assert_array_equal(a, b)


def test_batch_statistics(model, data):
    loss, accuracy = by_hand(model, data)
    before = state(model)
    assert chainer.config.train
    result = make(model, data, 'batch')()
    assert result['main/loss'] == pytest.approx(loss, rel=1e-5)
    assert result['main/accuracy'] == pytest.approx(accuracy, abs=1e-15)
    for a, b in zip(state(model), before, strict=True):
        numpy.testing.assert_array_equal(a, b)
    assert chainer.config.train
    assert model.predictor.dropped == [False] * 3


def test_again_is_the_same(model, data):
    for statistics in 'running', 'batch':
        tester = make(model, data, statistics)
        assert tester() == tester()


def test_outside_a_run(model, data):
    """The names have no prefix, whatever a trainer calls the evaluator."""
    tester = make(model, data, 'running')
    expected = tester()
    tester.name = 'validation'
    assert set(tester()) == {'validation/main/loss',
                             'validation/main/accuracy'}
    assert tester.test() == expected


def test_broken_images(model, data):
    """Batches of which nothing is left count for nothing."""
    x, t = data
    feed = batches.Feed(
        batches.Indices(x, 10, repeat=False, shuffle=False),
        lambda batch, device: (x[batch][10:], t[batch][10:])
        if batch[0] == 10 else (x[batch], t[batch]))
    found = evaluator.Evaluator(feed, model, chainer.get_device('@numpy'))()
    rest = [*range(10), *range(20, 23)]
    expected = make(model, (x[rest], t[rest]), 'running')()
    assert found == pytest.approx(expected, rel=1e-6)
    empty = make(model, (x[:0], t[:0]), 'running')
    assert empty() == {}


class Averaging(alone.Alone):
    """Processes whose statistics are averaged before a test."""

    def __init__(self, calls):
        self._calls = calls

    def average_statistics(self, model):
        self._calls.append(model)

    def exchange_broken(self, iterator):
        self._calls.append(iterator)


def test_several_processes(model, data):
    calls = []
    x, t = data
    feed = batches.Feed(
        batches.Indices(x, 10, repeat=False, shuffle=False),
        lambda batch, device: (x[batch], t[batch]))
    evaluator.Evaluator(feed, model, chainer.get_device('@numpy'),
                        ranks=Averaging(calls))()
    assert calls == [model, feed.iterator]


def test_short_last_batch(data):
    # 23 examples: means of 10, 10 and 3, weighted
    class Model(chainer.Link):
        def forward(self, x, t):
            chainer.report({'n': len(x), 'first': numpy.array(x[0, 0])}, self)

    result = make(Model(), data, 'running')()
    x = data[0].astype('d')
    assert result['main/n'] == (10 * 10 + 10 * 10 + 3 * 3) / 23
    assert result['main/first'] == pytest.approx(
        (10 * x[0, 0] + 10 * x[10, 0] + 3 * x[20, 0]) / 23, rel=1e-15)


def test_batch_statistics_depend_on_the_batch(model, data):
    assert (make(model, data, 'batch', 10)()['main/loss']
            != make(model, data, 'batch', 23)()['main/loss'])


def test_statistics_come_back_after_an_error(model, data):
    before = state(model)
    tester = make(model, (data[0], data[1] + 100), 'batch')
    with pytest.raises((IndexError, ValueError)), \
            chainer.using_config('debug', True):
        tester()
    for a, b in zip(state(model), before, strict=True):
        numpy.testing.assert_array_equal(a, b)
    assert chainer.config.train


def test_no_graph(model, data):
    model.cleargrads()
    make(model, data, 'running')()
    assert model.loss.creator is None
