"""Optimizer hook that keeps latent weights in their range."""
import chainer

from bnn.kernels import elementwise


class WeightClip:
    """Clips parameters to [``low``, ``high``] after each update.

    Args:
        low (float): Least value.
        high (float): Largest value.
    """

    name = 'WeightClip'
    call_for_each_param = True
    timing = 'post'

    def __init__(self, low=-1., high=1.):
        if not low < high:
            raise ValueError(f'low must be less than high: {low}, {high}')
        self.low = low
        self.high = high

    def __call__(self, rule, param):
        # With use_fp32_update the optimizer goes on from its own float32
        # copy.
        for p in (param, getattr(rule, '_fp32_param', None)):
            if p is not None and p.array is not None:
                with chainer.using_device(p.device):
                    elementwise.clip(p.array, self.low, self.high)
