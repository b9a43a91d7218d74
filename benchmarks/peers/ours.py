"""Peer: whole iterations of ./train_mnist.py, or of ./train.py CONFIG.

The script makes iterator, net, optimizer, updater, trainer and extensions.
Only the images are made here, and the stop trigger, which the trainer calls
between iterations, is the clock.  The last iteration of an epoch, which tests
and logs, does not count; there are no snapshots.

Its argument is the task of train_step.py, as JSON.
"""
import collections
import dataclasses
import json
import os
import re
import statistics
import sys
import tempfile
import time

import timing

channel = timing.Channel()
task = json.loads(sys.argv[1])
if task['config'] == 'binary_net':
    import train_mnist as script
else:
    import train as script

import chainer
import numpy

from bnn import data
from bnn.kernels import batch_norm
from bnn.kernels import whitening
from bnn.training.files import snapshots
from bnn.training.learning import batches
from bnn.training.learning import stop

NORMALIZATION = 'batch normalization, sign'
# Words in the names of classes of functions, to parts.  A function without
# any counts to the part that calls it.
PARTS = {
    'convolution': 'convolutions', 'linear|matmul': 'linear layers',
    'binarize': 'binary weights',
    'batchnorm|normalized|bst|qst|sign|surrogate|straightthrough|clip':
        NORMALIZATION,
    'relu': 'ReLU', 'dropout': 'dropout', 'pooling': 'pools',
    'crossentropy|hinge|accuracy': 'loss, accuracy'}
# Those whose gradients are told apart
PRODUCTS = 'convolutions', 'linear layers'
DATA, CHAINER = 'data', 'Chainer: graph, types, gradients'
OPTIMIZER, TRAINER = 'optimizer, hooks', 'trainer: reports, log'


class Parts(chainer.FunctionHook):
    """Adds up the time of each part, without that of the parts inside it.

    Attributes:
        seconds (dict): Names of parts to seconds.
    """

    name = 'Parts'

    def __init__(self, trainer):
        self._stack = [TRAINER]
        self._n_backward = 0  # functions whose backward has begun
        self.start()
        updater = trainer.updater
        optimizer = updater.get_optimizer('main')
        for thing, method, part in (
                (updater, 'update_core', DATA),
                (optimizer, 'update', OPTIMIZER),
                (optimizer.target, 'forward', CHAINER),
                (chainer.Variable, 'backward', CHAINER),
                # Also part of a convolution
                (batch_norm, 'packed_signs', NORMALIZATION),
                (batch_norm, 'normalized_signs_gradient', NORMALIZATION)):
            setattr(thing, method, self._timed(part, getattr(thing, method)))

    def start(self):
        self.seconds = collections.Counter()
        self._last = time.perf_counter()

    def enter(self, part=None):
        """Begins a part, or without one ends the part that began last."""
        now = time.perf_counter()
        self.seconds[self._stack[-1]] += now - self._last
        self._last = now
        if part is None:
            self._stack.pop()
        else:
            self._stack.append(part)

    def _timed(self, part, method):
        def timed(*args, **kwargs):
            self.enter(part)
            try:
                return method(*args, **kwargs)
            finally:
                self.enter()
        return timed

    def forward_preprocess(self, function, in_data):
        name = type(function).__name__.lower()
        part = next((part for words, part in PARTS.items()
                     if re.search(words, name)), None)
        if part in PRODUCTS:
            part += ', gradients' if self._n_backward else ', forward'
        self.enter(part or self._stack[-1])

    def forward_postprocess(self, function, in_data):
        self.enter()

    def backward_preprocess(self, function, in_data, out_grad):
        self._n_backward += 1
        self.forward_preprocess(function, in_data)

    def backward_postprocess(self, function, in_data, out_grad):
        self.enter()
        self._n_backward -= 1


class Clock(stop.StopTrigger):
    """A stop trigger that times iterations as they are asked for."""

    _seconds = None

    def __call__(self, trainer):
        now = time.perf_counter()
        if self._seconds is None:
            self._parts = Parts(trainer) if task['parts'] else None
            if self._parts:
                self._parts.__enter__()
            channel.reply()
            self._take()
        elif self._warmup:
            self._warmup -= 1
        elif not trainer.updater.is_new_epoch:
            if self._parts:
                self._parts.enter(TRAINER)
                self._parts.enter()
                self._totals.update(self._parts.seconds)
            self._seconds.append(now - self._last)
            if len(self._seconds) == self._n:
                channel.reply(
                    seconds=statistics.median(self._seconds),
                    parts={name: total / self._n for name, total
                           in self._totals.items()})
                self._take()
        if self._parts:
            self._parts.start()
        self._last = time.perf_counter()
        return super().__call__(trainer)

    def _take(self):
        request = channel.request()
        self._warmup, self._n = request['warmup'], request['iterations']
        self._seconds, self._totals = [], collections.Counter()


def main():
    images, labels = timing.images(
        task['images'], tuple(task['shape']), task['classes'])
    few = images[:100], labels[:100]
    dataset = data.Dataset(
        task['dataset'], 'made-up images', images, labels, *few,
        tuple(map(str, range(task['classes']))), 'made up', *few)
    if task['input'] == 'whitened':
        n = images[0].size
        dataset = dataclasses.replace(dataset, whitening=whitening.Whitening(
            numpy.zeros(n, 'f'), numpy.eye(n, dtype='f')))
    batches.load = lambda *args: dataset
    stop.StopTrigger = Clock
    snapshots.Trigger.__call__ = lambda trigger, trainer: False
    with tempfile.TemporaryDirectory() as out:
        sys.argv = [
            script.__file__,
            *([] if script.__name__ == 'train_mnist' else [task['config']]),
            *task['options'], '--epoch=1000000', '--report=quiet',
            '--no-plot', '--no-progress', '--out', os.path.join(out, 'run')]
        script.main()


if __name__ == '__main__':
    main()
