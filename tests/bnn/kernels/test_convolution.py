"""Convolutions and their gradients against the reference in float64."""
import llvmlite.binding
import numpy
import pytest
from llvmlite import ir

from bnn.kernels import convolution
from bnn.kernels import float_tiles
from bnn.kernels import reference
from bnn.kernels import tiles

GEOMETRIES = [  # x, filters and ksize, stride, pad, dilate
    ((2, 3, 7, 9), (5, 3, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 17, 13, 11), (13, 3, 2), (2, 1), (1, 2), (1, 2)),
    ((2, 3, 23, 23), (8, 5, 5), (4, 4), (0, 0), (1, 1)),
    ((2, 3, 9, 9), (8, 1, 1), (1, 1), (2, 2), (1, 1)),
    ((5, 20, 12, 12), (50, 5, 5), (1, 1), (0, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 40, 16, 16), (7, 5, 5), (1, 1), (2, 2), (1, 1)),
    ((2, 2, 8, 7), (6, 3, 3), (3, 2), (1, 0), (2, 1)),
    ((9, 64, 8, 8), (12, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 3, 1, 1), (4, 1, 1), (3, 3), (1, 1), (1, 1)),  # the padding alone
]
EPS = 2. ** -23


def draw(*shape):
    return numpy.random.standard_normal(shape).astype('f')


def random_geometry(random):
    """Draws a small geometry whose filter fits."""
    while True:
        size, ksize, stride, pad, dilate = (
            tuple(random.randint(*limits, 2).tolist()) for limits in (
                (1, 20), (1, 6), (1, 4), (0, 4), (1, 3)))
        if min(convolution.out_size(size, ksize, stride, pad, dilate)) > 0:
            n, channels, filters = random.randint(1, 24, 3).tolist()
            return ((n, channels, *size), (filters, *ksize), stride, pad,
                    dilate)


def assert_close(found, function, *args, rounding=0.):
    """A sum of k terms is off by k eps of the sum of their sizes at most."""
    wide = [arg.astype('d') if isinstance(arg, numpy.ndarray) else arg
            for arg in args]
    sizes = [abs(arg) if isinstance(arg, numpy.ndarray) else arg
             for arg in wide]
    expected, bound = function(*wide), function(*sizes)
    if not isinstance(found, tuple):
        found, expected, bound = (found,), (expected,), (bound,)
    n_terms = max(arg.size for arg in args if isinstance(arg, numpy.ndarray))
    for one, other, size in zip(found, expected, bound, strict=True):
        assert one.dtype == numpy.float32 and one.shape == other.shape
        assert (abs(one - other) <= (n_terms * EPS + rounding) * size
                + 1e-30).all()


def check(x, filters, stride, pad, dilate, precision='float32'):
    geometry = stride, pad, dilate
    x = draw(*x)
    n_filters, *ksize = filters
    W, b = draw(n_filters, x.shape[1], *ksize), draw(n_filters)
    y = convolution.convolve(x, W, *geometry, b)
    assert_close(y, reference.convolve, x, W, *geometry, b)
    gy, size, ksize = draw(*y.shape), x.shape[2:], tuple(ksize)
    # Both operands are rounded to 8 bits.
    rounding = 0. if precision == 'float32' else 2 * 2. ** -8
    assert_close(
        convolution.input_gradient(
            gy, W, *geometry, size, precision=precision),
        reference.input_gradient, gy, W, *geometry, size, rounding=rounding)
    assert_close(
        convolution.filter_gradient(
            x, gy, *geometry, ksize, precision=precision),
        reference.filter_gradient, x, gy, *geometry, ksize,
        rounding=rounding)


@pytest.mark.parametrize('precision', convolution.PRECISIONS)
@pytest.mark.parametrize('has_pairs', [False, True])
def test_geometries(has_pairs, precision, monkeypatch):
    monkeypatch.setattr(convolution, '_has_pairs', has_pairs)
    random = numpy.random.RandomState(0)
    for geometry in GEOMETRIES + [random_geometry(random) for _ in range(30)]:
        check(*geometry, precision=precision)


def test_pairs_are_of_rounded_operands(monkeypatch):
    """With and without the unit the same operands are multiplied."""
    geometry = (1, 1), (1, 1), (1, 1)
    x, W, gy = draw(3, 5, 9, 7), draw(4, 5, 3, 3), draw(3, 4, 9, 7)
    found = []
    for has_pairs in True, False:
        monkeypatch.setattr(convolution, '_has_pairs', has_pairs)
        found.append([
            convolution.input_gradient(
                gy, W, *geometry, (9, 7), precision='bfloat16'),
            *convolution.filter_gradient(
                x, gy, *geometry, (3, 3), precision='bfloat16')])
    for one, other in zip(*found, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=0, atol=2e-5)


def test_scale_is_rounded_with_the_gradient():
    signs = reference.binarize(draw(4, 5, 3, 3))
    scale, gy = abs(draw(4)), draw(3, 4, 9, 7)
    geometry = (1, 1), (1, 1), (1, 1)
    rounded = convolution.round_to_bfloat16(gy * scale[:, None, None])
    assert_close(
        convolution.input_gradient(
            gy, signs * scale[:, None, None, None], *geometry, (9, 7), scale,
            'bfloat16'),
        reference.input_gradient, rounded, signs, *geometry, (9, 7))


def test_rounding():
    x = numpy.array([1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20,
                     -1 - 2 ** -9, 0, -0., numpy.inf, -numpy.inf, 3.4e38,
                     numpy.nan, 2 ** -140], 'f')
    y = convolution.round_to_bfloat16(x)
    numpy.testing.assert_array_equal(y, numpy.array(
        [1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -1, 0, 0, numpy.inf, -numpy.inf,
         numpy.inf, numpy.nan, 0], 'f'))
    assert not (y.view(numpy.uint32) & 0xFFFF).any()


def test_odd_arrays():
    geometry = (1, 1), (1, 1), (1, 1)
    W = draw(6, 4, 3, 3)
    empty = numpy.zeros((0, 4, 5, 5), 'f')
    y = convolution.convolve(empty, W, *geometry)
    assert y.shape == (0, 6, 5, 5)
    assert convolution.input_gradient(
        y, W, *geometry, (5, 5)).shape == empty.shape
    gW, gb = convolution.filter_gradient(empty, y, *geometry, (3, 3))
    assert gW.shape == W.shape and not gW.any() and not gb.any()
    x = draw(5, 6, 8, 8).transpose(1, 0, 3, 2)[:, :4]
    assert_close(convolution.convolve(x, W, *geometry),
                 reference.convolve, x, W, *geometry)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = numpy.nan, numpy.inf
    y = convolution.convolve(x, W, *geometry)
    expected = reference.convolve(x.astype('d'), W.astype('d'), *geometry)
    numpy.testing.assert_array_equal(numpy.isnan(y), numpy.isnan(expected))
    numpy.testing.assert_array_equal(numpy.isinf(y), numpy.isinf(expected))


def test_same_result_twice():
    x, gy = draw(16, 8, 16, 16), draw(16, 12, 16, 16)
    results = [convolution.filter_gradient(
        x, gy, (1, 1), (1, 1), (1, 1), (3, 3))[0] for _ in range(3)]
    for other in results[1:]:
        numpy.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize('processor, multiply, instruction', [
    ('znver4', float_tiles.multiply_pairs_by_unit, 'vdpbf16ps'),
    ('sapphirerapids', float_tiles.multiply_pairs_by_unit, 'vdpbf16ps'),
    ('skylake-avx512', float_tiles.multiply_floats, 'vfmadd'),
    ('haswell', float_tiles.multiply_floats, 'vfmadd')])
def test_code_for_other_processors(processor, multiply, instruction,
                                   monkeypatch):
    """Each tile compiles to the instruction that it is written for."""
    is_wide = processor != 'haswell'
    lanes = 16 if is_wide else 8
    for name, value in {
            'LANES': lanes, 'VECTORS': 4 if is_wide else 2,
            '_WORDS': ir.VectorType(ir.IntType(32), lanes),
            '_FLOATS': ir.VectorType(ir.FloatType(), lanes)}.items():
        monkeypatch.setattr(float_tiles, name, value)
    module = ir.Module()
    word = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(
        ir.VoidType(), [word] * 6), 'tile')
    builder = ir.IRBuilder(function.append_basic_block())
    float_tiles.emit(builder, multiply, *function.args)
    builder.ret_void()
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    machine = llvmlite.binding.Target.from_triple(
        'x86_64-unknown-linux-gnu').create_target_machine(
            cpu=processor, opt=3)
    compiled = llvmlite.binding.parse_assembly(str(module))
    compiled.verify()
    text = machine.emit_assembly(compiled)
    groups = tiles.COLUMNS // (lanes * float_tiles.VECTORS)
    assert text.count(instruction) >= (
        groups * float_tiles.ROWS * float_tiles.VECTORS)
