"""What the tests of ranks start, alone or under mpiexec.

    [mpiexec -n N] python worker.py FUNCTION [ARGUMENT ...]
"""
import json
import math
import os
import signal
import sys
import time
import traceback
import types

import chainer
import chainer.links as L
import numpy
from chainer.serializers import npz

import net
import weight_clip
from bnn import errors
from bnn.data import image_folder
from bnn.training.files import resume
from bnn.training.files import snapshots
from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.learning import inputs
from bnn.training.learning import means
from bnn.training.learning import stop
from bnn.training.ranks import join
from bnn.training.ranks import launcher
from bnn.training.reports import log

CPU = chainer.get_device('@numpy')
BATCH = 100


@chainer.dataset.converter()
def gather(indices, device):
    random = numpy.random.RandomState(1)
    images, labels = random.randn(250, 16), random.randint(0, 10, 250)
    return images[indices], labels[indices].astype('i')


def classifier():
    chainer.config.dtype = numpy.dtype('d')
    return L.Classifier(net.BinaryMLP(20, n_in=16), accfun=means.accuracy)


def train(ranks, iterations, path=None):
    """Trains and saves a snapshot and the log; batches of 100 of all ranks."""
    # The parameters of rank 0 count.
    numpy.random.seed(0 if ranks.is_first else 1)
    model = classifier()
    numpy.random.seed(0)
    iterator = batches.Indices(range(250), BATCH)
    iterator.share = ranks.share
    # Adam would make steps of the rounding errors that are the gradients of
    # biases before batch normalization.
    optimizer = chainer.optimizers.MomentumSGD(0.5).setup(model)
    optimizer.add_hook(weight_clip.WeightClip(-0.1, 0.1))
    ranks.prepare(model, multi_node_bn=True)
    optimizer = ranks.optimizer(optimizer)
    trainer = chainer.training.Trainer(
        chainer.training.StandardUpdater(iterator, optimizer, gather, CPU),
        lambda trainer: trainer.updater.iteration >= int(iterations), 'out')
    report = log.LogReport(ranks)
    trainer.extend(report, name='LogReport')
    trainer.extend(snapshots.RandomState(0, CPU))
    if path is not None:
        snapshots.restore(resume.Snapshot(path, *snapshots.read(path)),
                          trainer)
    trainer.run()
    with open(f'out/log-{ranks.share.start}', 'w') as f:
        json.dump(report.log, f)
    ranks.average_statistics(model)
    state = npz.serialize(trainer)
    snapshots.Writer({}, ranks.is_first)('state', 'out', state)


def sum_up(ranks):
    """Saves and loads means of n iterations: their weights are whole."""
    mine = ranks.share.start
    for n in range(1, 50):
        ours = means.Means(ranks)
        for _ in range(n):
            ours.add({'x': mine})
        restored = means.Means(ranks)
        npz.NpzDeserializer(npz.serialize(ours)).load(restored)
        assert restored.compute_mean() == {'x': (ranks.size - 1) / 2}
        restored.add({'x': mine + n})
        assert math.isclose(restored.compute_mean()['x'],
                            (ranks.size - 1) / 2 + n / (n + 1))


def evaluate(ranks, n):
    """Prints the means over n examples."""
    n = int(n)
    numpy.random.seed(0)
    model = classifier()
    # Statistics whose mean over two ranks is what one process has
    model.predictor.b1.avg_mean += 0.5 * (
        (ranks.share.start or 0) - (ranks.size - 1) / 2)
    model.predictor.b1.N = 7
    feed = batches.Feed(batches.Indices(
        range(n), 10, ranks.share, repeat=False, shuffle=False), gather)
    found = evaluator.Evaluator(feed, model, CPU, ranks=ranks).test()
    assert model.predictor.b1.N == 7
    ranks.check_alike(means=found)
    print(repr(found['main/loss']), repr(found['main/accuracy']))


def broken(ranks, folder, part):
    """Trains or tests for an epoch on pictures, some of them broken."""
    numpy.random.seed(0)
    found = image_folder.load(folder, workers=1)
    model = L.Classifier(L.Linear(3 * 256 * 256, 2))
    if part == 'train':
        iterator = batches.Indices(found.train_images, 20)
        iterator.share = ranks.share
    else:
        iterator = batches.Indices(
            found.test_images, 8, ranks.share, repeat=False, shuffle=False)
    feed = batches.Feed(iterator, inputs.converter(
        getattr(found, part + '_images'), getattr(found, part + '_labels'),
        inputs.rescaler('unit')))
    if part == 'test':
        evaluator.Evaluator(feed, model, CPU, ranks=ranks).test()
    else:
        optimizer = chainer.optimizers.SGD().setup(model)
        trainer = chainer.training.Trainer(
            chainer.training.StandardUpdater(
                iterator, optimizer, feed.converter, CPU), (1, 'epoch'))
        trainer.extend(lambda trainer: ranks.exchange_broken(iterator),
                       name='exchange', trigger=(1, 'iteration'))
        trainer.run(show_loop_exception_msg=False)
    print(len(iterator.broken))


def same(ranks):
    """Makes what differs the same, and finds what differs."""
    mine = ranks.share.start
    model = classifier()
    model.predictor.b1.N = mine
    model.predictor.l1.W.array[...] = mine
    ranks.prepare(model)
    assert model.predictor.b1.N == 0
    assert not model.predictor.l1.W.array.any()
    assert ranks.first(lambda: mine) == 0
    assert ranks.first(lambda: None) is None
    assert ranks.largest(mine) == ranks.size - 1
    with ranks.one_goes_first():
        begin = time.monotonic()
        time.sleep(.1 * ranks.is_first)
        end = time.monotonic()
    if ranks.size > 1:  # the clock is that of the machine
        assert ranks.add_up({'first': (end * ranks.is_first, 1)})[
            'first'][0] <= ranks.add_up({
                'other': (begin * (not ranks.is_first), 1)})['other'][0]
    ranks.check_alike(seed=0, data='abc')
    ranks.check_alike(seed=0, data=mine)


def average(ranks):
    """Averages gradients that are not stored row by row."""
    link = L.Linear(3, 2, nobias=True)
    optimizer = ranks.optimizer(chainer.optimizers.SGD(1).setup(link))
    ranks.prepare(link)
    before = link.W.array.copy()
    link.W.grad = numpy.asfortranarray(
        numpy.arange(6, dtype='f').reshape(2, 3) * ranks.share.start)
    optimizer.update()
    numpy.testing.assert_array_equal(
        link.W.array, before - numpy.arange(6, dtype='f').reshape(2, 3) / 2)


def stop_at_signal(ranks):
    """Goes on until a signal comes, to rank 1 alone."""
    trainer = types.SimpleNamespace(
        updater=types.SimpleNamespace(epoch=0, iteration=0))
    with stop.StopTrigger(1, ranks) as trigger:
        while not trigger(trainer):
            trainer.updater.iteration += 1
            time.sleep(0 if ranks.is_first else .01)
            if trainer.updater.iteration == 20 and not ranks.is_first:
                os.kill(os.getpid(), signal.SIGTERM)
    ranks.check_alike(iteration=trainer.updater.iteration)
    print(trigger.signal, trainer.updater.iteration)
    return 128 + trigger.signal


def fail(ranks, how, where):
    """Fails on one rank, which is waited for, or on all."""
    if where == 'all' or ranks.share.start == int(where):
        if how == 'error':
            raise errors.UserError('no space left')
        if how == 'bug':
            raise ZeroDivisionError('a bug')
        os.kill(os.getpid(), signal.SIGKILL)
    ranks.wait()


def main(function, *arguments):
    config = types.SimpleNamespace(
        distributed='ALONE' not in os.environ, communicator=None, gpu=-1)
    return globals()[function](join.join(config), *arguments)


if __name__ == '__main__':
    launcher.mute_others()
    try:
        status = main(*sys.argv[1:])
    except errors.UserError as e:
        status = f'worker: error: {e}'
    except Exception:
        status = traceback.format_exc()
    launcher.leave(status)
