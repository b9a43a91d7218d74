"""What the nets with real-valued shortcuts have to do."""
import chainer
import numpy
import pytest

from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import tracing
from bnn.training.learning import inputs
from tests.golden import contents


@pytest.fixture
def check_packed():
    """A function that packs a net and compares it with Chainer's.

    Signs are as Chainer has them; the float ends differ by their rounding.
    """
    def check(model, operands):
        contents.fill(model, 2)
        # Of black and white the first layer is exact in float32, so no sign
        # is turned by its rounding.
        images = contents.images(16, (3, 32, 32), 2, two_tone=True)
        x = inputs.rescaler('signed')(images)
        packed = packing.pack(
            tracing.trace(model, x[:1]), (3, 32, 32),
            operations.Rescale(kind='signed'), map(str, range(10)))
        assert [f'{one.operand}>{one.result}' for one in packed.products] == [
            f'{operand}>float' for operand in ('float', *operands, 'float')]
        scores = contents.scores(model, x)
        # One sign that turned would move a score by more.
        numpy.testing.assert_allclose(
            run.Net(packed).scores(images), scores, rtol=0,
            atol=1e-6 * abs(scores).max())
    return check


@pytest.fixture
def apply_block(reference):
    """A function that computes a BiRealBlock in NumPy from its parameters."""
    def shaped(param):
        return param.array.reshape(-1, 1, 1)

    def apply(block, x, binary, stride=1, pool=False):
        W = block.conv.W.array
        h, short = x, x[:, :, ::stride, ::stride]
        if binary:
            h = reference.sign(h - shaped(block.sign.alpha))
            W = reference.sign(W)
        h = reference.convolution(
            h, W, chainer.Variable(numpy.zeros(1)), stride, 1)
        if pool:
            h, short = (reference.pool(v, numpy.max, 2) for v in (h, short))
        n = len(W) - W.shape[1]
        short = numpy.pad(
            short, ((0, 0), (n // 2, -(-n // 2)), (0, 0), (0, 0)))
        h = reference.normalize(block.bn, h, 2e-5) + short
        if not binary:
            return numpy.maximum(h, 0)
        h = h - shaped(block.rprelu.gamma)
        h = numpy.where(h > 0, h, h * shaped(block.rprelu.beta))
        return h + shaped(block.rprelu.zeta)
    return apply
