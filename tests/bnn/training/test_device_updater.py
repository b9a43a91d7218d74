"""Iterations that a GPU makes by itself, with one that is made of NumPy.

What is queued runs at once, or in a capture not at all and at each replay,
with the very arrays of the capture, as in a CUDA graph.
"""
import contextlib

import chainer
import numpy
import pytest
from chainer import function_node
from chainer import reporter

import weight_clip
from bnn.chainer_ops import adam
from bnn.chainer_ops import momentum_sgd
from bnn.chainer_ops import sgd
from bnn.kernels import gpu_launch
from bnn.kernels import gpu_random
from bnn.training.learning import means
from bnn.training.learning import batches as data_module
from bnn.training import device_data
from bnn.training import device_updater
from bnn.training import graph_reasons
from bnn.training.learning import inputs
from zoo.latent_weights import bop
from zoo.xnor_net import hooks

N, BATCH, CLASSES = 53, 10, 3


class Queue(object):

    """The stream of a device: what is queued runs, or is captured."""

    def __init__(self, launch):
        self._launch = launch
        self._captured = None
        self.n_captures = 0
        self.n_replays = 0

    def launch(self, *args):
        self.call(self._launch, *args)

    def call(self, function, *args):
        if self._captured is None:
            function(*args)
        else:
            self._captured.append((function, args))

    @contextlib.contextmanager
    def prepared(self):
        yield

    def capture(self, function):
        self._captured = captured = []
        try:
            function()
        finally:
            self._captured = None
        self.n_captures += 1

        def replay():
            self.n_replays += 1
            for one, args in captured:
                one(*args)

        return replay


@pytest.fixture
def queue(cuda_on_cpu, monkeypatch):
    queue = Queue(cuda_on_cpu)
    monkeypatch.setattr(gpu_launch, 'launch', queue.launch)
    for rule in adam.AdamRule, momentum_sgd.MomentumSGDRule, sgd.SGDRule:
        theirs = rule.__mro__[3]
        assert theirs.__module__.startswith('chainer.optimizers')
        monkeypatch.setattr(theirs, 'update_core_gpu', theirs.update_core_cpu)
        monkeypatch.setattr(rule, 'update_core_cpu', rule.update_core_gpu)
    return queue


class Loss(function_node.FunctionNode):

    """Squares of x W - t, with dropout; all of it goes through the queue."""

    def __init__(self, queue, mask):
        super().__init__()
        self._queue = queue
        self._mask = mask

    def forward(self, inputs):
        self.retain_inputs((0, 1, 2))
        y, self._errors = numpy.empty((), 'f'), numpy.empty(
            (len(inputs[0]), CLASSES), 'f')

        def compute(x, t, W):
            numpy.multiply(x, self._mask, out=x)
            self._errors[...] = x @ W
            self._errors[numpy.arange(len(t)), t] -= 1
            y[...] = (self._errors ** 2).mean()

        self._queue.call(compute, *inputs)
        return y,

    def backward(self, indexes, grad_outputs):
        x, t, W = (v.array for v in self.get_retained_inputs())
        gW = numpy.empty_like(W)

        def compute():
            gW[...] = 2 * x.T @ self._errors / self._errors.size

        self._queue.call(compute)
        return None, None, chainer.Variable(gW)


class Net(chainer.Link):

    def __init__(self, queue):
        super().__init__()
        self._queue = queue
        with self.init_scope():
            self.W = chainer.Parameter(numpy.random.RandomState(4).randn(
                12, CLASSES).astype('f'))
        self.n_seen = numpy.zeros(1, int)  # a statistic
        self.register_persistent('n_seen')

    def forward(self, x, t):
        self._queue.call(numpy.add, self.n_seen, 1, self.n_seen)
        x = x.reshape(len(x), -1)
        mask = gpu_random.current().mask(x.shape, x.dtype, .2)
        loss, = Loss(self._queue, mask).apply((x, t, self.W))
        reporter.report({'loss': loss}, self)
        return loss


class Trainer(object):

    """What Chainer's trainer does around an updater."""

    def __init__(self, queue, make_optimizer=lambda: adam.Adam(.05),
                 graph=True, hooks=(weight_clip.WeightClip,),
                 transform=None):
        random = numpy.random.RandomState(0)
        images = random.randint(0, 256, (N, 1, 3, 4), numpy.uint8)
        labels = random.randint(0, CLASSES, N).astype('i')

        def rescale(x):
            y = numpy.empty(x.shape, 'f')
            queue.call(lambda: numpy.divide(x, 255, out=y))
            return y

        numpy.random.seed(3)
        self.net = Net(queue)
        self.optimizer = make_optimizer().setup(self.net)
        for hook in hooks:
            self.optimizer.add_hook(hook())
        self.device = chainer.get_device('@numpy')
        self.iterator = data_module.Indices(images, BATCH)
        self.updater = device_updater.Updater(
            device_data.Batches(
                self.iterator,
                inputs.Pixels(images, labels, rescale, transform),
                self.device), self.optimizer, self.device,
            gpu_random.Source(numpy, 7), queue if graph else None)
        self.reporter = chainer.Reporter()
        self.reporter.add_observer('main', self.net)
        self.means = means.MeansWithSums(self.updater.sums)
        self.losses = []

    def run(self, n, change=None):
        for _ in range(n):
            if change is not None:
                change(self.optimizer, self.updater.iteration)
            observation = {}
            with self.reporter.scope(observation):
                self.updater.update()
            self.means.add(observation)
            self.losses.append(float(chainer.as_array(
                observation['main/loss'])))
        return self

    def results(self):
        return {**chainer.serializers.npz.serialize(self.net),
                **chainer.serializers.npz.serialize(self.optimizer),
                'losses': self.losses}


def shuffle(queue):
    """An augmentation that draws."""
    def transform(x, random):
        draws = random.randint(0, 100, len(x))
        others = random.uniform(0, 50, (len(x), 1, 1, 1))

        def change():
            x[...] = (x + draws[:, None, None, None] + others) % 256

        queue.call(change)
        return x
    return transform


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name in ours:
        numpy.testing.assert_array_equal(
            ours[name], theirs[name], err_msg=name)


def schedule(optimizer, i):
    setattr(optimizer, 'alpha' if hasattr(optimizer, 'alpha') else 'lr',
            .1 / (1 + i))


@pytest.mark.parametrize('change', [None, schedule])
@pytest.mark.parametrize('make_optimizer', [
    lambda: adam.Adam(.05), lambda: momentum_sgd.MomentumSGD(.05),
    lambda: sgd.SGD(.05)])
def test_replay_is_what_it_replaces(make_optimizer, change, queue, capsys):
    eager = Trainer(queue, make_optimizer, graph=False).run(25, change)
    assert not queue.n_captures
    replayed = Trainer(queue, make_optimizer).run(25, change)
    assert (queue.n_captures, queue.n_replays) == (1, 23)
    assert replayed.updater.is_replayed
    assert_same(replayed.results(), eager.results())
    assert replayed.optimizer.t == 25
    assert replayed.means.compute_mean() == eager.means.compute_mean()
    assert not capsys.readouterr().err


def test_augmentation(queue):
    """Draws the numbers of the CPU, for each replay."""
    results = []
    for graph in False, True:
        trainer = Trainer(
            queue, graph=graph, transform=shuffle(queue)).run(25)
        results.append({**trainer.results(), 'state': (
            numpy.random.get_state()[1].copy())})
    assert_same(*results)
    assert queue.n_replays == 23


def test_order_and_arithmetic(queue):
    """The batches and updates of Chainer's own updater."""
    trainer = Trainer(queue).run(25)
    assert queue.n_replays == 23

    random = numpy.random.RandomState(0)
    images = random.randint(0, 256, (N, 12), numpy.uint8)
    labels = random.randint(0, CLASSES, N).astype('i')
    numpy.random.seed(3)
    iterator = chainer.iterators.SerialIterator(range(N), BATCH)
    W = chainer.Parameter(Net(queue).W.array)
    net = chainer.Link()
    with net.init_scope():
        net.W = W
    optimizer = chainer.optimizers.Adam(.05).setup(net)
    optimizer.add_hook(weight_clip.WeightClip())
    source = gpu_random.Source(numpy, 7)
    for i in range(25):
        batch = iterator.next()
        source.set_iteration(i)
        with source.use():
            x = images[batch] / numpy.float32(255) * source.mask(
                (BATCH, 12), numpy.dtype('f'), .2)
        errors = x @ W.array - numpy.eye(CLASSES, dtype='f')[labels[batch]]
        numpy.testing.assert_allclose(
            trainer.losses[i], (errors ** 2).mean(), rtol=1e-5)
        W.grad = 2 * x.T @ errors / errors.size
        optimizer.update()
    numpy.testing.assert_allclose(W.array, trainer.net.W.array, rtol=1e-4)
    assert iterator.epoch == trainer.iterator.epoch == 4
    assert trainer.updater.epoch_detail == iterator.epoch_detail


def test_sums_are_read_once(queue, monkeypatch):
    trainer = Trainer(queue).run(11)
    reads = []
    send = chainer.get_device('@numpy').send
    monkeypatch.setattr(type(trainer.device), 'send',
                        lambda self, x: reads.append(x) or send(x))
    trainer.updater.sums.read()
    means = trainer.means.compute_mean()
    assert len(reads) == 1
    numpy.testing.assert_allclose(
        means['main/loss'], numpy.mean(trainer.losses), rtol=1e-12)
    trainer.means = means.MeansWithSums(trainer.updater.sums)
    trainer.run(4)
    numpy.testing.assert_allclose(
        trainer.means.compute_mean()['main/loss'],
        numpy.mean(trainer.losses[-4:]), rtol=1e-12)


def test_sums_in_a_snapshot(queue):
    trainer = Trainer(queue).run(7)
    state = chainer.serializers.npz.serialize(trainer.means)
    trainer.run(3)
    fresh = Trainer(queue)
    chainer.serializers.NpzDeserializer(state).load(fresh.means)
    assert fresh.means.compute_mean()['main/loss'] == pytest.approx(
        numpy.mean(trainer.losses[:7]), rel=1e-12)
    assert trainer.means.compute_mean()['main/loss'] == pytest.approx(
        numpy.mean(trainer.losses), rel=1e-12)


@pytest.mark.parametrize('at', [1, 7, 11, 20])
def test_resume(at, queue):
    whole = Trainer(queue).run(30)
    first = Trainer(queue).run(at)
    state = {name: value.copy() if isinstance(value, numpy.ndarray) else value
             for name, value in chainer.serializers.npz.serialize(
                 first.updater).items()}
    random = numpy.random.get_state()
    second = Trainer(queue)
    chainer.serializers.NpzDeserializer(state).load(second.updater)
    numpy.random.set_state(random)
    second.run(30 - at)
    second.losses = first.losses + second.losses
    assert_same(second.results(), whole.results())


def test_state_loaded_in_between(queue):
    """Counts and rates on the device follow, whoever sets them."""
    results = []
    for graph in False, True:
        trainer = Trainer(queue, graph=graph).run(8)
        state = {name: numpy.array(value) for name, value
                 in chainer.serializers.npz.serialize(
                     trainer.optimizer).items()}
        trainer.run(5)
        chainer.serializers.NpzDeserializer(state).load(trainer.optimizer)
        results.append(trainer.run(10).results())
    assert_same(*results)
    assert trainer.optimizer.t == 18


class Unknown(object):

    name = 'Unknown'
    call_for_each_param = True
    timing = 'post'

    def __call__(self, rule, param):
        pass


REASONS = {
    'the hook Unknown is not known': {'hooks': [Unknown]},
    'AdaGradRule of /W is not known': {
        'make_optimizer': chainer.optimizers.AdaGrad},
    'the update of W by AdamRule cannot be replayed': {
        'make_optimizer': lambda: adam.Adam(amsgrad=True)}}


@pytest.mark.parametrize('reason', REASONS)
def test_falls_back(reason, queue, capsys):
    options = REASONS[reason]
    trainer = Trainer(queue, **options).run(12)
    assert not queue.n_replays and not trainer.updater.is_replayed
    err = capsys.readouterr().err
    assert err.startswith('no CUDA graph: ') and reason in err
    assert err.count('\n') == 1
    if 'AdaGrad' not in reason:
        assert_same(trainer.results(), Trainer(
            queue, graph=False, **options).run(12).results())


@pytest.mark.parametrize('timing', ['pre', 'post'])
def test_falls_back_where_the_capture_fails(timing, queue, capsys):
    def fail(*args):
        if queue._captured is not None:
            raise NotImplementedError('calling cuRAND\nis unsupported')

    trainer = Trainer(queue)
    trainer.net.W.update_rule.add_hook(WithFunction(fail, timing), 'fail')
    trainer.run(9)
    assert capsys.readouterr().err == (
        'no CUDA graph: NotImplementedError: calling cuRAND is unsupported\n')
    assert_same(trainer.results(), Trainer(queue, graph=False).run(
        9).results())


@pytest.mark.parametrize('where', ['pre', 'post', 'sums', 'end'])
@pytest.mark.parametrize('at', [0, 1])
@pytest.mark.parametrize('make_optimizer', [
    lambda: adam.Adam(.05), lambda: momentum_sgd.MomentumSGD(.05),
    lambda: sgd.SGD(.05)])
def test_falls_back_where_the_preparation_fails(make_optimizer, at, where,
                                                queue, capsys, monkeypatch):
    """Each batch is applied once, however much of it was when it failed."""
    in_preparation, n = [], []

    def fail(here):
        if in_preparation and len(n) == at and here == where:
            raise RuntimeError('status\n13')

    @contextlib.contextmanager
    def preparing():
        in_preparation.append(1)
        try:
            yield
            fail('end')
        finally:
            in_preparation.clear()
            n.append(0)

    def add(self, values, theirs=device_data.Sums.add):
        theirs(self, values)
        fail('sums')

    monkeypatch.setattr(queue, 'prepared', preparing)
    monkeypatch.setattr(device_data.Sums, 'add', add)
    trainers = [Trainer(queue, make_optimizer, graph, transform=shuffle(
        queue)) for graph in (False, True)]
    for trainer in trainers:
        for timing in 'pre', 'post':
            trainer.net.W.update_rule.add_hook(WithFunction(
                lambda timing=timing: fail(timing), timing), timing)
        numpy.random.seed(5)
        trainer.run(9)
    eager, trainer = trainers
    assert capsys.readouterr().err == (
        'no CUDA graph: RuntimeError: status 13\n')
    assert not queue.n_captures
    assert_same(trainer.results(), eager.results())
    assert trainer.net.n_seen == 9
    assert trainer.means.compute_mean() == eager.means.compute_mean()


class WithFunction(object):

    is_replayable = True

    def __init__(self, function, timing='pre'):
        self._function = function
        self.timing = timing

    def __call__(self, rule, param):
        self._function()


def test_falls_back_from_draws_of_the_host(queue, capsys):
    trainer = Trainer(queue)
    trainer.net.W.update_rule.add_hook(
        WithFunction(numpy.random.rand), 'draw')
    trainer.run(4)
    assert "draws from NumPy's generator" in capsys.readouterr().err
    assert not queue.n_captures


def test_falls_back_from_numbers_of_the_host(queue, capsys):
    trainer = Trainer(queue)
    forward = trainer.net.forward

    def report(*args):
        loss = forward(*args)
        reporter.report({'more': 1.}, trainer.net)
        return loss

    trainer.net.forward = report
    trainer.run(4)
    assert 'main/more is reported from the host' in capsys.readouterr().err
    assert trainer.means.compute_mean()['main/more'] == 1


def test_new_hook_is_seen(queue):
    results = []
    for graph in False, True:
        trainer = Trainer(queue, graph=graph).run(11)
        trainer.optimizer.remove_hook('WeightClip')
        trainer.run(16)  # seen from the next epoch on
        results.append(trainer)
    assert queue.n_captures == 2
    assert abs(trainer.net.W.array).max() > 1 or not abs(
        results[0].net.W.array).max() > 1


def test_disabled_rule(queue):
    results = []
    for graph in False, True:
        trainer = Trainer(queue, graph=graph).run(8)
        trainer.net.W.update_rule.enabled = False
        trainer.run(2)
        trainer.net.W.update_rule.enabled = True
        results.append(trainer.run(10).results())
    assert_same(*results)


def test_batch_of_another_size(queue, monkeypatch):
    """Is computed beside the graph."""
    results = []
    for graph in False, True:
        trainer = Trainer(queue, graph=graph).run(5)
        trainer.iterator.batch_size = 4
        trainer.run(1)
        trainer.iterator.batch_size = BATCH
        results.append(trainer.run(6).results())
    assert_same(*results)
    assert queue.n_captures == 1


def test_reasons():
    model = chainer.links.Linear(3, 2)

    def reason(optimizer, *hooks):
        optimizer.setup(model)
        for hook in hooks:
            optimizer.add_hook(hook)
        return graph_reasons.of(optimizer)

    decay = chainer.optimizer_hooks.WeightDecay(.1)
    clip = weight_clip.WeightClip()
    for optimizer in adam.Adam(), momentum_sgd.MomentumSGD(), sgd.SGD():
        assert reason(optimizer, decay, clip) is None
    assert 'AdamRule of /W' in reason(chainer.optimizers.Adam())
    assert 'GradientClipping' in reason(
        adam.Adam(), chainer.optimizer_hooks.GradientClipping(1))
    optimizer = adam.Adam()
    optimizer.loss_scaling()
    assert reason(optimizer) == 'the loss is scaled'
    with chainer.using_config('debug', True):
        assert 'debug mode' in reason(adam.Adam())
    with chainer.function_hooks.TimerHook():
        assert reason(adam.Adam()) == 'there is a function hook'
    for rule_or_hook in (bop.BopRule, hooks.GradientScale,
                         hooks.WeightPreparation):
        assert rule_or_hook.is_replayable


def test_too_many_sums(cuda_on_cpu):
    sums = device_data.Sums(chainer.get_device('@numpy'))
    one = numpy.ones((), 'f')
    sums.add({str(i): one for i in range(1024)})
    with pytest.raises(ValueError, match='more than 1024'):
        sums.add({'another': one})
