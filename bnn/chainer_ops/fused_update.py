"""Updates of all parameters at once, on a GPU."""
import math

import chainer
import numpy

from bnn.kernels import gpu_graph
from bnn.kernels import gpu_optimizers


class FusedUpdates(object):

    """Collects the updates of an optimizer and makes them in one launch.

    Of :class:`~weight_clip.ClippingOptimizer`.  The numbers of updates and
    the rates of :class:`~chainer.UpdateRule` stay what counts: they are
    compared with those on the device, which follow.
    """

    def __init__(self):
        self._is_open = False
        self._pairs = []
        self._updates = {}

    def __reduce__(self):
        # A copied model has its rules, and they have this; what was made for
        # the arrays of the other model is made anew.
        return FusedUpdates, ()

    def open(self):
        """Begins to collect."""
        self._is_open = True

    def close(self):
        """Ends it; what was not flushed is dropped."""
        self._is_open = False
        self._pairs = []

    def take(self, rule, param):
        """Takes an update over.

        Args:
            rule (~weight_clip.ClippingRule): The rule.
            param (~chainer.Parameter): With its gradient.

        Returns:
            bool: Whether it does.
        """
        recording = gpu_graph.recording()
        if not self._is_open or not rule.has_launch(param):
            if recording is not None:
                raise RuntimeError(
                    'the update of %s by %s cannot be replayed'
                    % (param.name, type(rule).__name__))
            return False
        if rule.hooks_may_wait():
            self._pairs.append((rule, param))
            return True
        if recording is None:
            return False
        # A hook has to see it, but Chainer's kernel would have the rate of
        # this iteration in each replay.
        _Update([(rule, param)]).record(recording)
        return True

    def flush(self):
        """Makes the updates that were taken."""
        if not self._pairs:
            return
        pairs, self._pairs = self._pairs, []
        groups = {}
        for rule, param in pairs:
            key = rule.kernel, param.dtype.str, str(param.device)
            groups.setdefault(key, []).append((rule, param))
        recording = gpu_graph.recording()
        for key, group in groups.items():
            with chainer.using_device(group[0][1].device):
                if recording is not None:
                    _Update(group).record(recording)
                    continue
                update = self._updates.get(key)
                if update is None or not update.take(group):
                    update = self._updates[key] = _Update(group)
                update.run()


class _Update(object):

    """The update of parameters of one dtype, by rules of one kind."""

    def __init__(self, pairs):
        self._rules = [rule for rule, _ in pairs]
        self._kernel = gpu_optimizers.MultiTensor(
            self._rules[0].kernel, _tensors(pairs))
        # Where the rates come from: a rule's own and its optimizer's
        self._sources = list({id(source): source for rule in self._rules
                              for source in _chain(rule.hyperparam)}.values())
        self._seen = None
        self._steps = None

    def take(self, pairs):
        """Tells whether it fits, and if so takes the arrays."""
        tensors = _tensors(pairs)
        if (len(pairs) != len(self._rules) or any(
                rule is not ours for (rule, _), ours in zip(
                    pairs, self._rules)) or not self._kernel.fits(tensors)):
            return False
        self._kernel.bind(tensors)
        return True

    def run(self):
        self._kernel.bind()
        self.refresh()
        self._kernel.launch()
        self.count()

    def record(self, recording):
        """Queues it in a capture.

        Called at a time when the rules have counted the update already, as
        they have before each replay.
        """
        self._kernel.launch()
        recording.after.append(self._kernel.bind)
        recording.before_replay.append(self.refresh)
        recording.after_replay.append(self.count)

    def refresh(self):
        """Brings what changed on the host to the device."""
        seen = [list(vars(source).values()) for source in self._sources]
        seen.append([rule.clip for rule in self._rules])
        if seen != self._seen:
            self._seen = seen
            self._kernel.set_rates(self._rates())
        steps = [rule.t - 1 for rule in self._rules]
        if steps != self._steps:  # a snapshot was loaded
            self._kernel.set_steps(steps)
            self._steps = steps

    def _rates(self):
        # A schedule changes them in each iteration: most rules have those
        # of their optimizer, which are looked up once.
        shared, rows = {}, []
        for rule in self._rules:
            if len(vars(rule.hyperparam)) > 1:  # more than its parent
                rows.append(rule.rates())
                continue
            key = id(rule.hyperparam.parent), rule.clip
            if key not in shared:
                shared[key] = rule.rates()
            rows.append(shared[key])
        return rows

    def count(self):
        """Counts, as the kernel does on the device."""
        self._steps = [step + 1 for step in self._steps]


def _tensor(rule, param):
    return (param.array, param.grad, *(
        rule.state[name] for name in gpu_optimizers.STATES[rule.kernel]))


def _tensors(pairs):
    return [_tensor(rule, param) for rule, param in pairs]


def _chain(hyperparam):
    """Returns a set of hyperparameters and those it falls back on."""
    while hyperparam is not None:
        yield hyperparam
        hyperparam = hyperparam.parent


class FusedRule(object):

    """Update rule whose update may wait for those of the others.

    Mixed into a :class:`~weight_clip.ClippingRule`.

    Attributes:
        kernel (str): What :class:`~bnn.kernels.gpu_optimizers.MultiTensor`
            calls it.
        fused (FusedUpdates or None): Who collects.
    """

    kernel = None
    fused = None
    is_replayable = True

    def has_launch(self, param):
        """Tells whether it is an update that the launch can make."""
        return (param.grad is not None and not self._use_fp32_update
                and param.dtype in (numpy.float32, numpy.float64)
                and all(array.flags.c_contiguous
                        and array.dtype == param.dtype
                        for array in _tensor(self, param)))

    def rates(self):
        """Returns the row of
        :data:`~bnn.kernels.gpu_optimizers.COLUMNS`.
        """
        raise NotImplementedError

    def range_or_all(self):
        """Returns the range to clip to, infinite for none."""
        return self.clip or (-math.inf, math.inf)

    def update_core_gpu(self, param):
        if self.fused is not None and self.fused.take(self, param):
            self.take_range()
        else:
            super().update_core_gpu(param)
