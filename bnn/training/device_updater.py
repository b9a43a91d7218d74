"""Training iterations on a GPU, without waiting for it."""
import sys

import chainer
import numpy
from chainer import reporter

from bnn.kernels import gpu_graph
from bnn.kernels import gpu_steps
from bnn.training import copies
from bnn.training import device_data
from bnn.training import graph_reasons

# In the first iteration kernels are compiled and the optimizer's states
# made; in the second all is as it will be.
_PREPARATIONS = 2


class Updater(chainer.training.StandardUpdater):

    """Chainer's updater for data that are on the GPU.

    Batches are gathered there and what is reported is added up there
    (:attr:`sums`), so that no iteration waits for another.  The whole
    iteration is captured as a graph if it can be, and replayed.

    Args:
        batches (~bnn.training.device_data.Batches): The data.
        optimizer (~chainer.GradientMethod): Set up with the model.
        device (chainer.backend.Device): Where the net computes.
        source (~bnn.kernels.gpu_random.Source): Its draws.
        capturer (~bnn.training.cuda_graph.Capturer or None): What captures,
            if anything.

    Attributes:
        sums (~bnn.training.device_data.Sums): Of what was reported.
    """

    def __init__(self, batches, optimizer, device, source, capturer=None):
        super().__init__(batches.iterator, optimizer, device=device)
        self.sums = device_data.Sums(device)
        self._batches = batches
        self._source = source
        self._capturer = capturer
        self._iteration_there = None
        self._n_prepared = 0
        self._graph = None

    @property
    def is_replayed(self):
        """bool: Whether the last iteration was a graph's."""
        return self._graph is not None

    def update_core(self):
        optimizer = self.get_optimizer('main')
        self._batches.advance()
        if self._iteration_there != self.iteration:  # a snapshot was loaded
            self._source.set_iteration(self.iteration)
        if self._batches.is_loaded and self._capturer is not None:
            self._check(optimizer)
        self._update(optimizer)
        self._iteration_there = self.iteration + 1
        if self.auto_new_epoch and self._batches.iterator.is_new_epoch:
            optimizer.new_epoch(auto=True)

    def _check(self, optimizer):
        """Drops the graph if something is no longer as it was."""
        reason = graph_reasons.of(optimizer)
        if reason is not None:
            self._give_up(reason)
        elif self._graph is not None and not self._graph.is_of(optimizer):
            self._graph = None

    def _give_up(self, reason):
        print('no CUDA graph: %s' % reason, file=sys.stderr)
        self._capturer = self._graph = None

    def _update(self, optimizer):
        if self._graph is not None and self._graph.fits(self._batches.n):
            self._graph.replay(self.sums)
        elif self._capturer is None or self._graph is not None:
            self._report(self._compute(optimizer))
        elif self._n_prepared < _PREPARATIONS:
            self._prepare(optimizer)
        else:
            self._capture(optimizer)

    def _compute(self, optimizer):
        """Queues an iteration.

        Returns:
            dict: What was reported.
        """
        observation = {}
        batches = self._batches
        with (self._source.use(),
              reporter.get_current_reporter().scope(observation)):
            loss_func = self.loss_func or optimizer.target
            arrays = batches.take()
            # What the augmentation draws is copied before each replay.
            state = (numpy.random.get_state() if self._n_prepared == 0
                     and self._capturer is not None else None)
            optimizer.update(loss_func, *arrays)
            self._draws_on_host = state is not None and any(
                numpy.any(a != b) for a, b in zip(
                    state, numpy.random.get_state(), strict=True))
        self.sums.add(self._arrays(observation))
        gpu_steps.advance(batches.position, self._source.state, batches.n)
        return observation

    def _arrays(self, observation):
        """Returns the reported numbers that are on the device, as arrays.

        Raises:
            ValueError: If there are others, in a capture.
        """
        arrays = {name: chainer.as_array(value)
                  for name, value in observation.items()}
        arrays = {name: array for name, array in arrays.items()
                  if isinstance(array, self.device.xp.ndarray)
                  and array.size == 1}
        if gpu_graph.recording() is not None:
            for name in observation:
                if name not in arrays:
                    raise ValueError('%s is reported from the host' % name)
        return arrays

    def _report(self, observation):
        self.sums.count(self._arrays(observation))
        reporter.get_current_reporter().observation.update(observation)

    def _prepare(self, optimizer):
        try:
            # It is computed, so that half of it may have been when it fails,
            # or all.
            with (copies.undone(optimizer, [
                    self.sums.array, self._batches.position,
                    self._source.state]), self._capturer.prepared(),
                  chainer.using_config('use_cudnn', 'never')):
                observation = self._compute(optimizer)
        except Exception as e:
            # If it was the net's own, it comes again.
            self._give_up(_words(e))
            observation = self._compute(optimizer)
        self._report(observation)
        self._n_prepared += 1
        if self._draws_on_host:
            self._give_up("an iteration draws from NumPy's generator")

    def _capture(self, optimizer):
        graph = Graph(optimizer, self._batches.n)
        try:
            # Nothing is computed before the launch.
            with chainer.using_config('use_cudnn', 'never'):
                graph.capture(self._capturer, lambda: self._arrays(
                    self._compute(optimizer)))
        except Exception as e:
            self._give_up(_words(e))
            self._report(self._compute(optimizer))
        else:
            self._graph = graph
            graph.launch(self.sums)


class Graph(object):

    """A captured iteration.

    What the host counts goes on at each replay.

    Args:
        optimizer (~chainer.GradientMethod): The optimizer.
        n (int): Examples in a batch.
    """

    def __init__(self, optimizer, n):
        self._optimizer = optimizer
        self._n = n
        self._rules = copies.rules_of(optimizer)

    def capture(self, capturer, compute):
        """Captures it; counts are in the end those after the iteration.

        Args:
            capturer (~bnn.training.cuda_graph.Capturer): What captures.
            compute (callable): Queues an iteration, returns the arrays that
                it reports.

        Raises:
            Exception: Whatever stands against it; counts are as they were.
        """
        optimizer = self._optimizer
        before = [rule.t for rule in self._rules]
        reported = []
        with copies.counts_kept(optimizer):
            with gpu_graph.record() as self._recording:
                self._launch = capturer.capture(
                    lambda: reported.append(compute()))
            for function in self._recording.after:
                function()
        self._observation, = reported
        self._counted = [rule for rule, t in zip(
            self._rules, before, strict=True) if rule.t != t]
        self._signature = _signature(optimizer)
        self._enabled = [rule.enabled for rule in self._rules]

    def fits(self, n):
        """Tells whether an iteration of ``n`` examples is a replay."""
        return n == self._n and self._enabled == [
            rule.enabled for rule in self._rules]

    def is_of(self, optimizer):
        """Tells whether hooks and arrays are those that were captured."""
        return self._signature == _signature(optimizer)

    def replay(self, sums):
        """Queues another iteration."""
        self._optimizer.t += 1
        for rule in self._counted:
            rule.t += 1
        self.launch(sums)

    def launch(self, sums):
        """Queues the iteration that the host has counted already."""
        for function in self._recording.before_replay:
            function()
        self._launch()
        for function in self._recording.after_replay:
            function()
        sums.count(self._observation)
        # The arrays that each replay writes to
        reporter.get_current_reporter().observation.update(self._observation)


def _words(error):
    return '%s: %s' % (type(error).__name__, ' '.join(str(error).split()))


def _signature(optimizer):
    params = sorted(optimizer.target.namedparams())
    return [graph_reasons.hooks(optimizer), *(
        (name, id(param.array), id(param.update_rule),
         graph_reasons.hooks(param.update_rule),
         [id(value) for value in (param.update_rule.state or {}).values()])
        for name, param in params)]
