"""What the tests of distributed runs start, alone or under mpiexec.

    [mpiexec -n N] python ranks_worker.py FUNCTION [ARGUMENT ...]
"""
import json
import os
import signal
import sys
import time
import traceback

import chainer
import chainer.links as L
import numpy
from chainer.serializers import npz

import net
import weight_clip
from bnn import errors
from bnn.data import image_folder
from bnn.training.learning import means
from bnn.training import collective
from bnn.training.learning import batches as data_module
from bnn.training import distributed
from bnn.training.learning import evaluator
from bnn.training.learning import inputs
from bnn.training import multi_node_bn
from bnn.training.ranks import launcher
from bnn.training.reports import log
from bnn.training.files import snapshots
from zoo import optimization

CPU = chainer.get_device('@numpy')
BATCH = 100


def data():
    random = numpy.random.RandomState(1)
    return random.randn(250, 16), random.randint(0, 10, 250).astype('i')


@chainer.dataset.converter()
def gather(indices, device):
    images, labels = data()
    return images[indices], labels[indices]


def classifier():
    chainer.config.dtype = numpy.dtype('d')
    return L.Classifier(net.BinaryMLP(20, n_in=16), accfun=means.accuracy)


def train(comm, iterations, resume=None):
    """Trains and saves a snapshot and the log; batches of 100 of all ranks."""
    numpy.random.seed(0)
    model = classifier()
    iterator = data_module.Indices(range(250), BATCH)
    # Not Adam, which makes steps of the rounding errors that are the
    # gradients of biases before batch normalization
    optimizer = chainer.optimizers.MomentumSGD(0.5).setup(model)
    optimizer.add_hook(weight_clip.WeightClip(-0.1, 0.1))
    optimization.decay_weights(model, 0.01)
    if comm is not None:
        multi_node_bn.synchronize(model, comm)
        iterator.share = slice(comm.rank, None, comm.size)
        optimizer = distributed.optimizer(optimizer, comm)
    trainer = chainer.training.Trainer(
        chainer.training.StandardUpdater(iterator, optimizer, gather, CPU),
        lambda trainer: trainer.updater.iteration >= int(iterations), 'out')
    report = log.LogReport(comm)
    trainer.extend(report, name='LogReport')
    trainer.extend(snapshots.RandomState())
    if resume is not None:
        snapshots.restore(resume, snapshots.read(resume)[0], trainer)
    trainer.run()
    with open('out/log-%s' % (comm.rank if comm else 'alone'), 'w') as f:
        json.dump(report.log, f)
    state = npz.serialize(trainer)
    if comm is None or comm.rank == 0:
        snapshots.Writer({})('state', 'out', state)


def means(comm):
    """Saves and loads means of n iterations: their weights are whole."""
    for n in range(1, 50):
        ours = distributed.Means(comm)
        for _ in range(n):
            ours.add({'x': comm.rank})
        restored = distributed.Means(comm)
        npz.NpzDeserializer(npz.serialize(ours)).load(restored)
        assert restored._weights == {'x': n}, n
        assert restored.compute_mean() == {'x': (comm.size - 1) / 2}


def evaluate(comm, n):
    """Prints the means over n examples."""
    n = int(n)
    numpy.random.seed(0)
    model = classifier()
    rank, size = (comm.rank, comm.size) if comm else (0, 1)
    # Statistics whose mean over two ranks is what one process has
    model.predictor.b1.avg_mean += 0.5 * (rank - (size - 1) / 2)
    model.predictor.b1.N = 7
    feed = data_module.Feed(data_module.Indices(
        range(n), 10, slice(rank, None, size), repeat=False, shuffle=False),
        gather)
    arguments = feed, model, CPU
    tester = (evaluator.Evaluator(*arguments) if comm is None else
              distributed.Evaluator(comm, *arguments))
    means = tester.test()
    assert model.predictor.b1.N == 7
    if comm is not None:
        collective.check_alike(comm, means=means)
    print(repr(means['main/loss']), repr(means['main/accuracy']))


def broken(comm, folder, part):
    """Trains or tests for an epoch on pictures, some of them broken."""
    numpy.random.seed(0)
    found = image_folder.load(folder, workers=1)
    share = slice(comm.rank, None, comm.size)
    model = L.Classifier(L.Linear(3 * 256 * 256, 2))
    if part == 'train':
        iterator = data_module.Indices(found.train_images, 20)
        iterator.share = share
    else:
        iterator = data_module.Indices(
            found.test_images, 8, share, repeat=False, shuffle=False)
    feed = data_module.Feed(iterator, inputs.converter(
        getattr(found, part + '_images'), getattr(found, part + '_labels'),
        'unit'))
    if part == 'test':
        distributed.Evaluator(comm, feed, model, CPU).test()
    else:
        optimizer = chainer.optimizers.SGD().setup(model)
        trainer = chainer.training.Trainer(
            chainer.training.StandardUpdater(
                iterator, optimizer, feed.converter, CPU), (1, 'epoch'))
        trainer.extend(distributed.BrokenImages(comm))
        trainer.run(show_loop_exception_msg=False)
    print(len(iterator.broken))


def same(comm):
    """Makes what differs the same, and finds what differs."""
    model = classifier()
    model.predictor.b1.N = comm.rank
    model.predictor.l1.W.array[...] = comm.rank
    distributed.broadcast(model, comm)
    assert model.predictor.b1.N == 0
    assert not model.predictor.l1.W.array.any()
    assert collective.share(comm, lambda: comm.rank) == 0
    assert collective.share(comm, lambda: None) is None
    collective.check_alike(comm, seed=0, data='abc')
    collective.check_alike(comm, seed=0, data=comm.rank)


def average(comm):
    """Averages gradients that are not stored row by row."""
    link = L.Linear(3, 2, nobias=True)
    chainer.optimizers.SGD().setup(link)
    link.W.grad = numpy.asfortranarray(
        numpy.arange(6, dtype='f').reshape(2, 3) * comm.rank)
    comm.multi_node_mean_grad(link)
    numpy.testing.assert_array_equal(
        link.W.grad, numpy.arange(6, dtype='f').reshape(2, 3) / 2)


def stop(comm):
    """Goes on until a signal comes, to rank 1 alone."""
    with distributed.StopTrigger(1, comm) as trigger:
        trainer = chainer.training.Trainer(Updater(comm), trigger, 'out')
        trainer.run()
    iterations = comm.allreduce_obj([trainer.updater.iteration])
    print(trigger.signal, iterations)
    return 128 + trigger.signal


class Updater(object):

    epoch = iteration = 0

    def __init__(self, comm):
        self._comm = comm

    def connect_trainer(self, trainer):
        pass

    def finalize(self):
        pass

    def get_all_optimizers(self):
        return {}

    def update(self):
        self.iteration += 1
        time.sleep(0.01 * self._comm.rank)
        if self.iteration == 20 and self._comm.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def fail(comm, how, where):
    """Fails on one rank, which is waited for, or on all."""
    if where == 'all' or comm.rank == int(where):
        if how == 'error':
            raise errors.UserError('no space left')
        if how == 'bug':
            raise ZeroDivisionError('a bug')
        os.kill(os.getpid(), signal.SIGKILL)
    comm.mpi_comm.Barrier()


def main(function, *arguments):
    alone = 'ALONE' in os.environ
    comm = None if alone else launcher.communicator()
    return globals()[function](comm, *arguments)


if __name__ == '__main__':
    launcher.mute_others()
    try:
        status = main(*sys.argv[1:])
    except errors.UserError as e:
        status = 'worker: error: %s' % e
    except Exception:
        status = traceback.format_exc()
    launcher.leave(status)
