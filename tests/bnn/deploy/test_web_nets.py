"""The web page computes every net of train_mnist.py as bnn.deploy does."""
import base64

import numpy
import pytest

from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import int8
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import packing
from bnn.deploy import reference
from bnn.deploy import runtime
from bnn.deploy import web_export

DIGITS = tuple('0123456789')
PHONE, DESKTOP = (360, 740, True), (1280, 900, False)
KINDS = 'unit', 'signed', 'standard', 'binary'
# Of whole numbers, whatever the pixels were scaled to: exactly the same
WHOLE = ['binary-1', 'binary-3', *(
    '%s-%d-%d' % (quantizer, w, a) for quantizer in ('dorefa', 'linear')
    for w, a in ((1, 1), (1, 2), (2, 1), (3, 3), (8, 8)))]
ROUNDED = ['FloatMLP-0', 'FloatMLP-1', 'BinaryWeightMLP-0',
           'BinaryWeightMLP-1', 'lenet5', 'lenet5-k', 'lenet5-shift',
           'lenet5-plain', 'lenet5-float', *(
               '%s-%d-%d' % (quantizer, w, a)
               for quantizer in ('dorefa', 'linear')
               for w, a in ((32, 2), (2, 32), (32, 1)))]
# What sums of float32 in another order are rounded by, of the largest score
ROUNDING = 1e-5


@pytest.fixture
def images(data):
    """Test images, an empty one first."""
    return numpy.concatenate([
        numpy.zeros((1, 1, 28, 28), numpy.uint8), data.test_images[:4]])


@pytest.fixture(scope='module')
def page(make_net, make_rescale, tmp_path_factory):
    """Some page, which other nets are put into."""
    shape, predictor = make_net('binary-1')
    path = tmp_path_factory.mktemp('page') / 'page.html'
    path.write_text(web_export.page(packing.pack(
        predictor.describe(), shape, make_rescale('unit', 1), DIGITS)),
        'utf-8')
    return path


@pytest.fixture
def opened(browser, page):
    browser.emulate(*DESKTOP)
    browser.open(page)
    yield browser
    assert browser.problems() == []


def scores(browser, net, images, is_compiled=True):
    """Computes in the page."""
    return numpy.array(browser.run(
        'const net = new Net(fromBase64(arguments[0]),'
        ' arguments[2] ? code : {});'
        'const isCompiled = net.layers.filter(one => one.by.isCompiled);'
        'if (isCompiled.length !== (arguments[2] ? net.layers.filter('
        'one => !(one.by instanceof SubsetSums)).length : 0))'
        ' throw Error("WebAssembly");'
        'return arguments[1].map(image => Array.from(net.scores('
        'Uint8Array.from(image))))',
        base64.b64encode(file_format.dump(net)).decode(),
        images.reshape(len(images), -1).tolist(), is_compiled),
        numpy.float32)


@pytest.mark.parametrize('kind', KINDS)
def test_whole_numbers(kind, opened, make_net, make_rescale, images):
    for name in WHOLE:
        shape, predictor = make_net(name)
        net = packing.pack(predictor.describe(), shape, make_rescale(
            kind, 1), DIGITS)
        expected = runtime.Net(net).scores(images)
        for is_compiled in True, False:
            numpy.testing.assert_array_equal(scores(
                opened, net, images, is_compiled), expected, name)


@pytest.mark.parametrize('name', ROUNDED)
def test_floats(name, opened, make_net, make_rescale, images,
                chainer_scores):
    shape, predictor = make_net(name)
    kinds = KINDS if name in ('lenet5', 'BinaryWeightMLP-1') else KINDS[
        ROUNDED.index(name) % 4:][:1]
    for kind in kinds:
        rescale, found = make_rescale(kind, 1), predictor.describe()
        net = packing.pack(found, shape, rescale, DIGITS)
        packed_scores = runtime.Net(net).scores(images)
        exact = reference.run([rescale, *found], images)
        largest = abs(exact).max()
        for is_compiled in False, True:
            ours = scores(opened, net, images, is_compiled)
            # A sign of float sums may be turned by their rounding.
            assert min(abs(ours - exact).max(), abs(
                ours - packed_scores).max()) < ROUNDING * largest, kind
        theirs = chainer_scores(predictor, reference.apply(
            rescale, images, numpy.float32))
        assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()


def test_int8_ends(opened, make_net, make_rescale, images):
    shape, predictor = make_net('lenet5')
    found, rescale = int8.quantize_ends(
        predictor.describe(), make_rescale('standard', 1), images)
    net = packing.pack(found, shape, rescale, DIGITS, pad_pixels=True)
    assert all(one.is_integer for one in net.products)
    expected = runtime.Net(net).scores(images)
    assert abs(scores(opened, net, images) - expected).max() < (
        ROUNDING * abs(expected).max())


@pytest.mark.parametrize('name, titles', [
    ('lenet5', ['20 × 12×12 bits', '50 × 4×4 bits', '500 units']),
    ('lenet5-float', ['20 × 12×12 units', '50 × 4×4 units', '500 units']),
    ('FloatMLP-1', ['33 units'] * 2),
    ('dorefa-32-2', ['33 units of 4 levels'] * 2)])
def test_page(name, titles, browser, make_net, make_rescale, tmp_path,
              assert_agrees):
    shape, predictor = make_net(name)
    rescale, found = make_rescale('standard', 1), predictor.describe()
    net = packing.pack(found, shape, rescale, DIGITS)
    path = tmp_path / 'page.html'
    path.write_text(web_export.page(net), 'utf-8')
    browser.emulate(*DESKTOP, prefers_reduced_motion='reduce')
    browser.open(path)
    browser.draw([[(.3, .2), (.7, .2), (.45, .8)]])
    image = assert_agrees(browser, runtime.Net(net), ROUNDING)
    assert browser.run(
        'return [...document.querySelectorAll(".layer h2")]'
        '.map(one => one.textContent)') == [
            'Hidden layer %d: %s' % pair for pair in enumerate(titles, 1)]
    values = [numpy.array(one) for one in browser.run('return bnn.hidden')]
    signs = []
    reference.run([rescale, *found], image[None, None], watch=lambda one, x: (
        signs.append(x) if isinstance(one, operations.Sign) else None))
    for bits, x in zip(values, signs, strict=False):
        assert (bits == (x.ravel() >= 0)).all()
    for i, units in enumerate(values):
        # Red as far as a unit is of the range, the others blue
        pixels = numpy.array(browser.run(
            'const one = units[arguments[0]];'
            'one.draw({on: "#f00", ink: "#f00", off: "#00f"}, 1);'
            'const {width, height} = one.canvas;'
            'const {data} = one.canvas.getContext("2d").getImageData('
            '0, 0, width, height);'
            'return Array.from(one.x, (x, i) => Array.from('
            'data.subarray(4 * (one.y[i] * width + x)).slice(0, 4)))', i))
        least, top = 0, {'dorefa-32-2': 3}.get(name, 1)
        if net.products[i + 1].operand == 'float':
            least, top = min(0, units.min()), max(0, units.max())
        numpy.testing.assert_allclose(
            pixels[:, 0], 255 * (units - least) / (top - least), atol=2)
        assert (pixels[:, 3] == 255).all()
    for size in PHONE, DESKTOP:
        browser.emulate(*size)
        assert browser.run(
            'return document.documentElement.scrollWidth') == size[0]
    assert browser.problems() == []


def test_refuses_other_images(make_net, make_rescale):
    shape, predictor = make_net('convnet-binary-0')
    net = packing.pack(predictor.describe(), shape, make_rescale(
        'unit', 3), DIGITS)
    with pytest.raises(errors.UserError, match='images of 3x32x32'):
        web_export.page(net)


def test_refuses_other_classes(make_net, make_rescale):
    shape, predictor = make_net('binary-1')
    net = packing.pack(predictor.describe(), shape, make_rescale(
        'unit', 1), ('shirt', *DIGITS[1:]))
    with pytest.raises(errors.UserError, match='10 classes, shirt to 9'):
        web_export.page(net)


@pytest.mark.parametrize('pad, groups, reason', [
    ((1, 1), 1, 'conv pads its images'), ((0, 0), 1, 'is of Mean')])
def test_refuses_other_layers(pad, groups, reason, make_rescale):
    net = packing.pack([
        operations.Convolution2D(
            name='conv', pad=pad, groups=groups, W=operations.Weights(
                32, numpy.ones((10, 1, 3, 3), numpy.float32))),
        operations.Mean()], (1, 28, 28), make_rescale('unit', 1), DIGITS)
    assert isinstance(net.stages[-1], packed.FloatStage)
    with pytest.raises(errors.UserError, match=reason) as caught:
        web_export.page(net)
    assert '\n' not in str(caught.value)
