"""Learning rates over a run."""
import math
from collections.abc import Sequence

import chainer
from chainer import training
from chainer.training import extension

from bnn import errors

SCHEDULES = ('constant', 'step', 'exponential', 'cosine')


class Schedule:
    r"""The learning rate as a function of the epochs done.

    ``'constant'``; ``'step'``: times ``decay`` at each epoch of ``steps``;
    ``'exponential'``: :math:`\eta (\eta_{final}/\eta)^{e/E}`; ``'cosine'``:
    :math:`\eta_{final} + (\eta - \eta_{final})(1 + \cos(\pi e/E))/2`
    (`1608.03983 <https://arxiv.org/abs/1608.03983>`_).  During the warm-up it
    is the schedule's value times the share of the warm-up that is done after
    the update, so that the first of n updates has 1/n and none has 0.

    Args:
        name: One of :data:`SCHEDULES`.
        lr: The learning rate at the start, :math:`\eta`.
        n_epochs: Length of the run, :math:`E`.
        final: The rate at the end; by default a thousandth
            of ``lr`` for ``'exponential'``, 0 for ``'cosine'``.
        steps: Epochs after which the rate falls.
        decay: Factor by which it falls.
        warmup: Epochs of warm-up.

    Raises:
        ~bnn.errors.UserError: If it is longer than the run or contradicts
            itself.
    """

    def __init__(self, name: str, lr: float, n_epochs: int,
                 final: float | None = None, steps: Sequence[int] | None = (),
                 decay: float = .1, warmup: float = 0.) -> None:
        if final is None:
            final = lr / 1000 if name == 'exponential' else 0.
        self._name = name
        self._lr = lr
        self._final = final
        self._n_epochs = n_epochs
        self._steps = set(steps or ())
        self._decay = decay
        self._warmup = warmup
        if name == 'step' and not steps:
            raise errors.UserError(
                '--lr-schedule step needs the epochs: --lr-steps E [E ...]')
        if not 0 <= final < math.inf or (
                name == 'exponential' and final == 0):
            raise errors.UserError(
                f'--lr-final {final:g}: the schedule cannot reach it; give a '
                'rate above 0')
        if steps and max(steps) >= n_epochs:
            raise errors.UserError(
                f'--lr-steps {max(steps)} is not within the run of '
                f'{n_epochs} epochs')
        if warmup >= n_epochs:
            raise errors.UserError(
                f'--warmup {warmup:g} is not shorter than the run of '
                f'{n_epochs} epochs')

    @property
    def depends_on_length(self) -> bool:
        """Whether a longer run has other rates from the start."""
        return self._name in ('exponential', 'cosine')

    def __call__(self, epoch: float, step: float = 0.) -> float:
        """Returns the rate of an update.

        Args:
            epoch: The epochs done before it.
            step: Its own length in epochs.

        Returns:
            The rate.
        """
        share = min(epoch / self._n_epochs, 1)
        lr = self._lr
        if self._name == 'step':
            lr *= self._decay ** sum(epoch >= step for step in self._steps)
        elif self._name == 'exponential':
            lr *= (self._final / lr) ** share
        elif self._name == 'cosine':
            lr = self._final + (lr - self._final) * (
                1 + math.cos(math.pi * share)) / 2
        if epoch + step < self._warmup:
            lr *= (epoch + step) / self._warmup
        return lr


class LearningRate(extension.Extension):
    """Sets an optimizer's learning rate for the next iteration.

    It follows from the epochs done alone, so that a resumed run goes on
    where it was.  The log gets that of each epoch's last iteration, ``lr``.

    Args:
        schedule: The rates.
        scales: Names of parameters to factors on their rates.
    """

    trigger = 1, 'iteration'
    priority = extension.PRIORITY_WRITER

    def __init__(self, schedule: Schedule,
                 scales: dict[str, float] | None = None) -> None:
        self._schedule = schedule
        self._scales = scales or {}

    def initialize(self, trainer: training.Trainer) -> None:
        self._set(trainer)

    def __call__(self, trainer: training.Trainer) -> None:
        if trainer.updater.is_new_epoch:
            optimizer = trainer.updater.get_optimizer('main')
            trainer.observation['lr'] = getattr(
                optimizer, _attribute(optimizer))
        self._set(trainer)

    def _set(self, trainer):
        optimizer = trainer.updater.get_optimizer('main')
        iterator = trainer.updater.get_iterator('main')
        lr = self._schedule(trainer.updater.epoch_detail,
                            iterator.batch_size / len(iterator.dataset))
        name = _attribute(optimizer)
        setattr(optimizer, name, lr)
        if not self._scales:
            return
        for path, param in optimizer.target.namedparams():
            if path in self._scales:
                setattr(param.update_rule.hyperparam, name,
                        lr * self._scales[path])


def glorot_scales(model: chainer.Link) -> dict[str, float]:
    """Returns BinaryConnect's factors on the rates of quantized weights.

    ``1 / sqrt(1.5 / (n_in + n_out))``, the reciprocal of Glorot's initial
    range: BinaryNet's code steps so much faster (`1511.00363
    <https://arxiv.org/abs/1511.00363>`_, section 2.5).  A convolution has
    kh kw inputs for each channel, and as many units for each filter.

    Args:
        model: The model, its weights initialized.

    Returns:
        Names of parameters to factors.
    """
    weights = {id(link.W): link.W for link in model.links()
               if getattr(link, 'w_bits', 32) < 32}
    return {path: math.sqrt(
        (param[:, 0].size + param[0].size) / 1.5)
        for path, param in model.namedparams() if id(param) in weights}


def _attribute(optimizer):
    # Adam's learning rate is alpha; its lr is a property computed from it.
    return 'alpha' if hasattr(optimizer, 'alpha') else 'lr'
