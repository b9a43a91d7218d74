#!/usr/bin/env python3
"""Contender: whole iterations of ./train_mnist.py itself.

The script makes its data iterator, net, optimizer, updater, trainer and
extensions; only the images are made here, and the stop trigger, which the
trainer calls between iterations, is the clock.  The last iteration of an
epoch, which tests and logs, is not counted; there are no snapshots.
"""
import argparse
import os
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = os.path.dirname(FOLDER), os.path.dirname(
    os.path.dirname(FOLDER))

import timing

channel = timing.Channel()

import chainer

import parts
import train_mnist
from bnn import data as datasets
from bnn.training import session
from bnn.training.files import snapshots
from bnn.training.learning import stop


class Clock(stop.StopTrigger):

    """A stop trigger that times iterations as they are asked for.

    Args:
        n_epochs (int): Length of the training.
        device (chainer.backend.Device): Where the net computes.
        profile (bool): Whether to tell the time of the parts too.
    """

    def __init__(self, n_epochs, device, profile):
        super().__init__(n_epochs)
        self._on_gpu = device.xp is not chainer.backend.get_array_module()
        self._device = device
        self._parts = parts.Parts() if profile else None
        self._seconds = None

    def __call__(self, trainer):
        now = time.perf_counter()
        if self._seconds is None:
            if self._parts is not None:
                self._parts.install(trainer)
            channel.ready()
            self._take()
        else:
            self._count(trainer, now)
        if self._parts is not None:
            self._parts.start()
        self._last = time.perf_counter()
        return super().__call__(trainer)

    def _take(self):
        request = channel.request()
        self._warmup, self._n = request['warmup'], request['iterations']
        self._seconds = []
        if self._parts is not None:
            self._parts.totals.clear()
        self._begin()

    def _begin(self):
        if self._on_gpu and not self._warmup:
            self._device.device.synchronize()
            self._start, self._left = time.perf_counter(), self._n

    def _count(self, trainer, now):
        is_last = trainer.updater.is_new_epoch
        if self._warmup:
            self._warmup -= 1
            self._begin()
        elif self._on_gpu:
            self._count_gpu(is_last)
        elif not is_last:
            self._seconds.append(now - self._last)
            if self._parts is not None:
                self._parts.stop(now)
        if len(self._seconds) == (1 if self._on_gpu else self._n):
            loss = chainer.as_array(trainer.observation['main/loss'])
            channel.reply(
                seconds=self._seconds, loss=float(loss),
                **({} if self._parts is None else {'parts': {
                    name: total / self._n for name, total
                    in self._parts.totals.items()}}))
            self._take()

    def _count_gpu(self, is_last):
        # Together, without waiting for each; anew if an epoch ended.
        if is_last:
            return self._begin()
        self._left -= 1
        if not self._left:
            self._device.device.synchronize()
            self._seconds.append(
                (time.perf_counter() - self._start) / self._n)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    parser.add_argument('--profile', action='store_true',
                        help='tell the time of the parts')
    parser.add_argument('--no-cuda-graph', action='store_true',
                        help='launch each kernel')
    args = parser.parse_args()
    images, labels = timing.images(args.images)
    data = datasets.Dataset(
        'mnist', 'MNIST', images, labels, images[:100], labels[:100],
        tuple('0123456789'), 'synthetic')
    train_mnist.data_module.load = lambda run: data
    session.Session.stop_trigger = lambda run: Clock(
        run.n_epochs, run.device, args.profile)
    snapshots.Trigger.__call__ = lambda trigger, trainer: False
    with tempfile.TemporaryDirectory() as out:
        train_mnist.main([
            '--unit=%d' % args.unit, '--layers=%d' % args.layers,
            '--batchsize=%d' % args.batchsize, '--gpu=%d' % args.gpu,
            *['--no-cuda-graph'] * args.no_cuda_graph,
            '--epoch=1000000', '--report=quiet', '--no-plot',
            '--no-progress', '--out', os.path.join(out, 'run')])


if __name__ == '__main__':
    main()
