"""Optimizer hook that keeps latent weights in their range."""
import chainer

from bnn.kernels import elementwise


class WeightClip:
    """Clips parameters to [``low``, ``high``] after each update.

    A latent weight outside [-1, 1] would have to travel back before its sign
    can change again, so BinaryNet clips it
    (`1602.02830 <https://arxiv.org/abs/1602.02830>`_, Algorithm 1).  The hook
    works on the optimizer, for all parameters, or on single parameters:

    >>> model = chainer.links.Linear(784, 10)
    >>> optimizer = chainer.optimizers.Adam().setup(model)
    >>> optimizer.add_hook(WeightClip())  # all parameters
    >>> model.W.update_rule.add_hook(WeightClip())  # this one

    Parameters that are not initialized yet are left alone, NaN stays NaN.
    With ``use_fp32_update`` add it to single parameters: only a parameter's
    own hooks get the float32 copy that the optimizer goes on from.

    Args:
        low: Least value.
        high: Largest value.

    Raises:
        ValueError: If ``low`` is not less than ``high``.
    """

    name = 'WeightClip'
    call_for_each_param = True
    # Chainer calls a hook without timing before the update, which then
    # leaves weights outside the range.
    timing = 'post'

    def __init__(self, low: float = -1., high: float = 1.) -> None:
        if not low < high:
            raise ValueError(f'low must be less than high: {low}, {high}')
        self.low = low
        self.high = high

    def __call__(self, rule: chainer.UpdateRule,
                 param: chainer.Parameter) -> None:
        if param.array is not None:
            with chainer.using_device(param.device):
                elementwise.clip(param.array, self.low, self.high)
