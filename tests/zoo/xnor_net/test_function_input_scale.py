"""K and beta: against loops in float64, and numerical gradients."""
import chainer
import numpy
import pytest
from chainer import testing

from zoo.xnor_net import function_input_scale

input_scale = function_input_scale.input_scale
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def expected_scale(x, ksize, stride=1, pad=0, dilate=1):
    """K, one place at a time."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(
        pair, (ksize, stride, pad, dilate))
    A = numpy.pad(abs(x.astype('d')).mean(axis=1),
                  ((0, 0), (ph, ph), (pw, pw)))
    h = (A.shape[1] - dh * (kh - 1) - 1) // sh + 1
    w = (A.shape[2] - dw * (kw - 1) - 1) // sw + 1
    K = numpy.empty((len(x), 1, h, w))
    for i in range(h):
        for j in range(w):
            rows = sh * i + dh * numpy.arange(kh)
            columns = sw * j + dw * numpy.arange(kw)
            K[:, 0, i, j] = A[:, rows][:, :, columns].mean(axis=(1, 2))
    return K


class InputScaleTest(object):

    def setUp(self):
        if self.dtype == numpy.float16:
            self.check_forward_options = {'rtol': 5e-3, 'atol': 5e-3}
            self.check_backward_options = {'rtol': 5e-2, 'atol': 5e-2}
        # The gradient is piecewise constant: its own is 0.
        self.skip_double_backward_test = True

    def generate_inputs(self):
        # No zero nearby, where the size has no derivative
        sign = numpy.random.choice([-1, 1], self.shape)
        size = numpy.random.uniform(.2, 2, self.shape)
        return (sign * size).astype(self.dtype),


@testing.parameterize(*testing.product({
    'dtype': DTYPES,
    'shape': [(2, 3, 7, 6)],
    'options': [
        {'ksize': 3},
        {'ksize': 1},
        {'ksize': 3, 'stride': 2, 'pad': 1},
        {'ksize': (3, 2), 'stride': (1, 2), 'pad': (2, 0)},
        {'ksize': (2, 3), 'dilate': (3, 2), 'pad': 1},
    ],
}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestInputScale(InputScaleTest, testing.FunctionTestCase):

    def forward(self, inputs, device):
        return input_scale(*inputs, **self.options),

    def forward_expected(self, inputs):
        return expected_scale(inputs[0], **self.options).astype(self.dtype),


@testing.parameterize(*testing.product({
    'dtype': DTYPES, 'shape': [(3, 5), (2, 3, 2, 4)]}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestLinearInputScale(InputScaleTest, testing.FunctionTestCase):

    def forward(self, inputs, device):
        return function_input_scale.linear_input_scale(*inputs),

    def forward_expected(self, inputs):
        x, = inputs
        return abs(x.astype('d').reshape(len(x), -1)).mean(
            axis=1, keepdims=True).astype(self.dtype),


def test_by_hand():
    x = numpy.array([[[[1, -2]], [[-3, 4]]]], 'f')  # sizes 2 and 3
    numpy.testing.assert_array_equal(
        input_scale(x, (1, 2)).array, [[[[2.5]]]])
    # The padding counts as 0.
    numpy.testing.assert_array_equal(
        input_scale(x, (1, 2), pad=(0, 1)).array, [[[[1, 2.5, 1.5]]]])
    numpy.testing.assert_array_equal(
        function_input_scale.linear_input_scale(x).array, [[2.5]])


@pytest.mark.parametrize('options', [
    {}, {'stride': 2, 'pad': 1}, {'pad': 2, 'dilate': 2, 'groups': 2}])
def test_shape_is_that_of_the_convolution(options):
    x = numpy.random.normal(0, 1, (2, 4, 9, 8)).astype('f')
    y = chainer.functions.convolution_2d(
        x, numpy.ones((6, 4 // options.get('groups', 1), 3, 3), 'f'),
        **options)
    options.pop('groups', None)
    assert input_scale(x, 3, **options).shape == (2, 1, *y.shape[2:])


def test_float16_does_not_overflow():
    x = numpy.full((1, 4096, 2, 2), 100, numpy.float16)
    assert (input_scale(x, 2).array == 100).all()
    assert (function_input_scale.linear_input_scale(x).array == 100).all()


testing.run_module(__name__, __file__)
