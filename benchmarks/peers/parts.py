"""Where the time of an iteration of Chainer goes, without editing anything."""
import collections
import re
import time

import chainer

import bnn.kernels.cpu

DATA = 'data: batch and conversion'
BINARIZE = 'binarize weights'
PRODUCTS = 'matrix products, bias'
ACTIVATE = 'batch normalization, activation'
LOSS = 'loss, accuracy'
OPTIMIZE = 'optimizer, clip'
CHAINER = 'Chainer: graph, types, gradients'
TRAINER = 'trainer: reports, log, triggers'
PARTS = (DATA, BINARIZE, PRODUCTS, ACTIVATE, LOSS, OPTIMIZE,
         CHAINER, TRAINER)

# Classes of functions; of the others the time is that of their caller.
_OF_FUNCTIONS = (
    ('BatchNorm|BST|QST|Surrogate|Sign|ReLU', ACTIVATE),
    ('CrossEntropy|Hinge|Accuracy', LOSS),
    ('Linear|MatMul|Convolution', PRODUCTS),
    ('Binarize', BINARIZE))
_BINARIZERS = 'binarize|pack'


class Parts(chainer.FunctionHook):

    """Adds up the time of each part, without that of the parts inside it.

    Attributes:
        totals (dict): Names of parts to seconds.
    """

    name = 'Parts'

    def __init__(self):
        self.totals = collections.Counter()
        self._stack = [TRAINER]
        self._pending = {}

    def install(self, trainer):
        """Wraps what a trainer calls.

        Args:
            trainer (~chainer.training.Trainer): With the optimizer ``main``.
        """
        updater = trainer.updater
        optimizer = updater.get_optimizer('main')
        updater.update_core = self._timed(DATA, updater.update_core)
        optimizer.update = self._timed(OPTIMIZE, optimizer.update)
        optimizer.target.forward = self._timed(
            CHAINER, optimizer.target.forward)
        chainer.Variable.backward = self._timed(
            CHAINER, chainer.Variable.backward)
        kernels = bnn.kernels.cpu
        for name, function in list(vars(kernels).items()):
            if callable(function) and re.match(
                    r'(?!_).*(%s)' % _BINARIZERS, name):
                setattr(kernels, name, self._timed(BINARIZE, function))
        self.__enter__()

    def start(self):
        """Begins an iteration."""
        self._pending = collections.Counter()
        self._last = time.perf_counter()

    def stop(self, now):
        """Counts the iteration that began last."""
        self._pending[TRAINER] += now - self._last
        self.totals.update(self._pending)

    def _enter(self, part):
        now = time.perf_counter()
        self._pending[self._stack[-1]] += now - self._last
        self._stack.append(part)
        self._last = now

    def _leave(self):
        now = time.perf_counter()
        self._pending[self._stack.pop()] += now - self._last
        self._last = now

    def _timed(self, part, function):
        def timed(*args, **kwargs):
            # Signs of activations are no weights.
            self._enter(self._stack[-1] if part is BINARIZE and self._stack[
                -1] == ACTIVATE else part)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()
        return timed

    def _part_of(self, function):
        name = type(function).__name__
        for pattern, part in _OF_FUNCTIONS:
            if re.search(pattern, name):
                return part
        return self._stack[-1]

    def forward_preprocess(self, function, in_data):
        self._enter(self._part_of(function))

    def forward_postprocess(self, function, in_data):
        self._leave()

    def backward_preprocess(self, function, in_data, out_grad):
        self._enter(self._part_of(function))

    def backward_postprocess(self, function, in_data, out_grad):
        self._leave()
