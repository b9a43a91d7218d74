"""BinaryNet's training of a perceptron as the paper has it, in float64.

Algorithm 1 of https://arxiv.org/abs/1602.02830, with Adam
(https://arxiv.org/abs/1412.6980, Algorithm 1), written out in NumPy, and with
nothing of the product.  The names are the paper's, or those of the model's
parameters: ``l1/W``, ``b1/gamma``.
"""
import numpy


def sign(x):
    """Eq. (1)."""
    return numpy.where(x >= 0, 1., -1.)


def forward(params, a, eps=2e-5):
    """Computes the scores of a batch.

    Returns:
        tuple: The scores, and for each layer what its gradient needs: the
        input, the normalized sums, their deviation, and the output.
    """
    kept = []
    for k in 1, 2, 3:
        s = a @ sign(params[f'l{k}/W']).T + params[f'l{k}/b']
        mean, var = s.mean(axis=0), s.var(axis=0)
        deviation = numpy.sqrt(var + eps)
        normalized = (s - mean) / deviation
        y = params[f'b{k}/gamma'] * normalized + params[f'b{k}/beta']
        kept.append((a, normalized, deviation, y, mean, var))
        a = sign(y)
    return y, kept


def loss_and_gradient(y, t):
    """Softmax cross entropy, mean over the batch."""
    rows = numpy.arange(len(t))
    p = numpy.exp(y - y.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -numpy.log(p[rows, t]).mean()
    p[rows, t] -= 1
    return loss, p / len(t)


def backward(params, kept, g):
    """Computes the gradients of the parameters."""
    grads = {}
    for k in 3, 2, 1:
        a, normalized, deviation, y, _, _ = kept[k - 1]
        if k < 3:
            g = g * (abs(y) <= 1)  # Eq. (4)
        grads[f'b{k}/beta'] = g.sum(axis=0)
        grads[f'b{k}/gamma'] = (g * normalized).sum(axis=0)
        g = g * params[f'b{k}/gamma']
        g = (g - g.mean(axis=0) - normalized * (g * normalized).mean(axis=0)
             ) / deviation
        grads[f'l{k}/b'] = g.sum(axis=0)
        grads[f'l{k}/W'] = g.T @ a
        g = g @ sign(params[f'l{k}/W'])
    return grads


def adam(param, grad, m, v, t, alpha, beta1=.9, beta2=.999, eps=1e-8):
    """Returns the parameter and its moments after update number ``t``."""
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad ** 2
    # Chainer adds eps to the root before the correction of the bias.
    rate = alpha * numpy.sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
    return param - rate * m / (numpy.sqrt(v) + eps), m, v


def clip(param):
    """Algorithm 1, the last line of the update."""
    return numpy.clip(param, -1, 1)
