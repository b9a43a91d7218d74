"""What turns scores and labels into a loss to train with."""
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy

from bnn.training.learning import losses


class Classifier(L.Classifier):
    r"""Chainer's Classifier, which may train with a teacher, and against
    adversarial images.

    With a ``teacher`` the loss of a training is

    .. math::

        J = (1 - a) L(y, t) + a T^2 \, \mathrm{KL}(
        \mathrm{softmax}(z / T) \,\|\, \mathrm{softmax}(y / T)),

    L the loss function, y the scores of the net and z those of the teacher
    for the same images, the moved ones too (distillation,
    `1503.02531 <https://arxiv.org/abs/1503.02531>`_).  The teacher is
    computed as in a test and without gradient, and is no link of this one:
    no optimizer, snapshot or model file has it.

    With ``adversarial`` :math:`\epsilon` the loss of a training is

    .. math::

        \frac{1}{2} J(x, t) + \frac{1}{2} J(x + \epsilon \,
        \mathrm{sign}(\nabla_x J(x, t)), t),

    J as above or else the loss function: half of it is that of images whose
    pixels were moved by :math:`\epsilon` in the direction that raises it (the
    fast gradient sign method, `1412.6572 <https://arxiv.org/abs/1412.6572>`_,
    section 6).  A pixel that dropout took away has no gradient and stays; the
    second half has draws of its own.  The moved images are data: no gradient
    goes through the sign.  What is reported as accuracy is that of the images
    as they are.  Where ``chainer.config.train`` is false all is as in Chainer.

    Args:
        predictor: The net.
        lossfun: Takes scores and labels, returns a scalar.
        accfun: Likewise.
        adversarial: :math:`\epsilon`, in units of what the net sees;
            0: the images are taken as they are.
        teacher: Another net for the same images and classes, on the same
            device.
        teacher_weight: a, its share of the loss, in (0, 1].
        temperature: T, see :func:`~bnn.training.learning.losses.distillation`.

    Attributes:
        n_passes (int): Where ``chainer.config.train`` is false the scores are
            the mean of so many passes of a net that draws; 1 at first.  Each
            batch and each test sees the same draws, and NumPy's random state
            stays as it is.
        is_mirrored (bool): Whether there they are the mean of those of an
            image and of its mirror image; ``False`` at first.
    """

    def __init__(self, predictor: chainer.Link, lossfun: Callable,
                 accfun: Callable = F.accuracy,
                 adversarial: float = 0.,
                 teacher: chainer.Link | None = None,
                 teacher_weight: float = .9, temperature: float = 4.) -> None:
        super().__init__(predictor, lossfun, accfun)
        self.adversarial = adversarial
        self.n_passes = 1
        self.is_mirrored = False
        self.teacher = teacher
        self.teacher_weight = teacher_weight
        self.temperature = temperature

    def forward(self, x: Any, t: Any) -> chainer.Variable:
        """Computes and reports loss and accuracy.

        Args:
            x (~chainer.Variable or array): Images, as the net takes them.
            t (~chainer.Variable or array): Labels, int32 (batch,).

        Returns:
            The loss, a scalar.
        """
        if not chainer.config.train and (
                self.n_passes > 1 or self.is_mirrored):
            return self._test_mean(x, t)
        if not chainer.config.train or not (
                self.adversarial or self.teacher is not None):
            return super().forward(x, t)
        x = chainer.as_array(x)
        if self.adversarial:
            x = chainer.Variable(x)  # whose gradient is wanted
        self.loss = self._taught(super().forward(x, t), x, self.y)
        if self.adversarial:
            gradient, = chainer.grad([self.loss], [x])
            xp = chainer.backend.get_array_module(gradient)
            moved = x.array + self.adversarial * xp.sign(gradient.array)
            y = self.predictor(moved)
            self.loss = (self.loss + self._taught(
                self.lossfun(y, t), moved, y)) / 2
        chainer.report({'loss': self.loss}, self)
        return self.loss

    def _test_mean(self, x, t):
        variants = [x] * self.n_passes
        if self.is_mirrored:
            xp = chainer.backend.get_array_module(x)
            variants += [xp.ascontiguousarray(
                chainer.as_array(x)[..., ::-1])] * self.n_passes
        state = numpy.random.get_state()
        numpy.random.seed(0)
        try:
            self.y = sum(map(self.predictor, variants)) / len(variants)
        finally:
            numpy.random.set_state(state)
        self.loss = self.lossfun(self.y, t)
        self.accuracy = self.accfun(self.y, t)
        chainer.report({'loss': self.loss, 'accuracy': self.accuracy}, self)
        return self.loss

    def _taught(self, loss, x, y):
        """Adds what the teacher says of the images to a loss."""
        if self.teacher is None:
            return loss
        with (chainer.using_config('train', False),
              chainer.no_backprop_mode()):
            z = self.teacher(chainer.as_array(x)).array
        a = self.teacher_weight
        return (1 - a) * loss + a * losses.distillation(
            y, z, self.temperature)


class Top5Classifier(Classifier):
    """A classifier that reports ``accuracy_top5`` too.

    The share of examples whose class has one of the five highest scores; a
    tie with the fifth counts as in.
    """

    def forward(self, x: Any, t: Any) -> chainer.Variable:
        loss = super().forward(x, t)
        y = self.y.array
        xp = chainer.backend.get_array_module(y)
        # Higher scores than that of the true class; NaN is none.
        n_higher = (y > y[xp.arange(len(t)), t][:, None]).sum(axis=1)
        chainer.report({'accuracy_top5': (
            (n_higher < 5) & xp.isfinite(y).all(axis=1)).mean()}, self)
        return loss
