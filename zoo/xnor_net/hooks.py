"""Optimizer hooks of XNOR-Net for its latent weights."""
import chainer
import chainer.links as L

import weight_clip
from bnn import kernels
from zoo.xnor_net import link_xnor_block


def prepare(W):
    """Centres and clamps latent weights, in place.

    ``W`` minus its mean over the input channels, clipped to [-1, 1]
    (XNOR-Net-PyTorch does so before each binarization).

    Args:
        W (array): Latent weights, (filters, channels, ...).
    """
    W -= W.mean(axis=1, keepdims=True)
    kernels.clip(W, -1., 1.)


class WeightPreparation(object):

    """Centres and clamps latent weights after each update.

    See :func:`prepare`.  XNOR-Net-PyTorch does it in the forward pass, on
    the stored weights and in evaluation too, which changes a model by testing
    it.  After the update it is done once, and a forward pass changes nothing;
    :func:`add_to` does it for the initial weights.
    """

    name = 'WeightPreparation'
    call_for_each_param = True
    timing = 'post'
    bounds_weights = True
    is_replayable = True

    def __call__(self, rule, param):
        if param.array is not None:
            with chainer.using_device(param.device):
                prepare(param.array)


class GradientScale(object):

    r"""Multiplies the gradient of latent weights by (1 - 1/c) n ``extra``.

    With ``c`` input channels and ``n`` weights in a filter, as
    XNOR-Net-PyTorch does.  Adam steps by the ratio of gradients, which takes
    the factor out again, but not out of what a hook behind this one adds: a
    weight decay gets that much smaller.  Add this one before it.

    Args:
        extra (float): Another factor, 1e9 for ImageNet in XNOR-Net-PyTorch,
            which silences the weight decay.
    """

    name = 'GradientScale'
    call_for_each_param = True
    timing = 'pre'
    is_replayable = True

    def __init__(self, extra=1.):
        self.extra = extra

    def __call__(self, rule, param):
        if param.grad is not None:
            with chainer.using_device(param.device):
                param.grad *= (
                    (1 - 1 / param.shape[1]) * param[0].size * self.extra)


def add_to(model, min_gamma=.01, extra=1., scale_gradient=True):
    """Adds XNOR-Net's hooks to a model of its blocks, or of scaled weights.

    Gammas of batch normalization are kept from ``min_gamma`` up as well, so
    that none changes the order of what the sign compares.  A model without
    such weights is left alone.

    Args:
        model (~chainer.Link): A model that an optimizer was set up with.
        min_gamma (float or None): With ``None`` the gammas are free, as in
            XNOR-Net-PyTorch's AlexNet; its LeNet-5 and NIN have 0.01.
        extra (float): See :class:`GradientScale`.
        scale_gradient (bool): Whether there is a :class:`GradientScale`,
            which is for Adam: other optimizers take steps as large as the
            gradient.

    Raises:
        ValueError: If such a layer is not initialized or has one input
            channel, which centring would make 0.
    """
    in_blocks = {id(child) for block in model.links() if isinstance(
        block, link_xnor_block.XNORBlock) for child in block.children()}
    links = [link for link in model.links()
             if getattr(link, 'w_bits', 32) == 1
             and (link.scaled or id(link) in in_blocks)]
    for link in links:
        if link.W.array is None or link.W.shape[1] == 1:
            raise ValueError(
                'XNOR-Net centres weights over the input channels: a layer '
                'must be initialized and have two of them or more')
        with chainer.using_device(link.device):
            prepare(link.W.array)
        if scale_gradient:
            link.W.update_rule.add_hook(GradientScale(extra))
        link.W.update_rule.add_hook(WeightPreparation())
    if links and min_gamma is not None:
        for link in model.links():
            if (isinstance(link, L.BatchNormalization)
                    and getattr(link, 'gamma', None) is not None):
                link.gamma.update_rule.add_hook(
                    weight_clip.WeightClip(min_gamma, float('inf')))
