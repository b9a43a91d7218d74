"""The web page: its file, what it computes (in node), what it refuses."""
import base64
import json
import re
import shutil
import subprocess

import numpy
import pytest
from PIL import Image

import net
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import pictures
from bnn.deploy import run
from bnn.deploy.web import page
from zoo.binary_neural_networks import float_mlp

DIGITS = tuple('0123456789')
# What the page computes without a browser
SCRIPTS = 'file.js', 'sums.js', 'layer.js', 'stages.js', 'net.js'
# Sums of floats in another order, relative to the largest score
ROUNDING = 1e-5


def test_file(pack):
    text = page.make(pack(net.BinaryMLP(1000)))
    assert len(text) <= 600e3
    assert text.count('<script') == text.count('</script>') == 2
    assert not re.search(r'\b(src|href)="(?!data:)|@import|url\(', text)
    assert not re.search(r'\{\{[a-z]+\.', text)


def run_node(source, given):
    """Runs a script in node that makes a result of what is given, JSON."""
    if shutil.which('node') is None:
        pytest.skip('no node: on Debian and Ubuntu apt install nodejs')
    done = subprocess.run(
        ['node', '-e', f"""
const given = JSON.parse(require('fs').readFileSync(0));
{source}
console.log(JSON.stringify(result));"""], check=True, text=True,
        capture_output=True, input=json.dumps(given))
    return json.loads(done.stdout)


def compute(nets, images):
    """Computes the scores of packed nets in node."""
    source = '\n'.join((page._PARTS / name).read_text() for name in SCRIPTS)
    return [numpy.float32(one) for one in run_node(source + """
const result = given.nets.map(one => {
  const net = new Net(fromBase64(one));
  return given.images.map(x => Array.from(net.scores(Uint8Array.from(x))));
});""", {'nets': [base64.b64encode(file_format.dump(one)).decode()
                  for one in nets],
         'images': images.reshape(len(images), -1).tolist()})]


def check(nets, images):
    """Compares scores with Python's; of whole numbers they are the same."""
    images[0] = 0
    for one, scores in zip(nets, compute(nets, images), strict=True):
        expected = run.Net(one).scores(images)
        is_whole = one.stages[-1] is one.products[-1] and all(
            layer.is_integer and layer.operand != 'float'
            for layer in one.products)
        numpy.testing.assert_allclose(
            scores, expected, rtol=0, atol=0 if is_whole
            else ROUNDING * abs(expected).max(),
            err_msg=str([layer.name for layer in one.products]))


def test_scores(pack, make_images):
    check([pack('binary-3'), pack('binary-1', 'binary'),
           pack('dorefa-3-3', 'signed'), pack('linear-8-8'),
           pack('BinaryWeightMLP-1'), pack('dorefa-32-2'),
           pack('lenet5-k', 'standard'), pack('lenet5-shift')],
          make_images(3, (1, 28, 28)))


def test_scores_of_colour(pack, make_images):
    check([*(pack(f'cnv-{bits}', 'signed') for bits in ('1-1', '1-2', '2-2')),
           pack('convnet-binary-0', 'binary'), pack('convnet-binary-1'),
           pack('shallow-1-1', 'standard', int8_ends=True),
           pack('nin-k-shift', 'standard'), pack('resnet20')],
          make_images(2, (3, 32, 32)))


def test_scores_of_groups_and_padding(make_images, make_rescale):
    """Groups of channels, by any kind of operand, padding and stride."""
    random = numpy.random.RandomState(0)

    def convolution(filters, channels, bits, **options):
        shape = filters, channels, 3, 3
        return operations.Convolution2D(
            name='conv', W=operations.Weights(bits, numpy.float32(
                random.standard_normal(shape)) if bits == 32 else numpy.int8(
                    random.choice([-1, 1], shape))), **options)

    nets = []
    for kind, first, second, pad_value in (
            ('signed', 1, 1, 0), ('signed', 1, 1, 1), ('unit', 32, 32, 0)):
        signs = (operations.Sign(),) if second == 1 else ()
        nets.append(packing.pack([
            convolution(6, 1, first, pad=(1, 2), groups=3), *signs,
            convolution(8, 3, second, pad=(2, 0), stride=(1, 2), dilate=(
                2, 1), groups=2, pad_value=pad_value),
            operations.AveragePooling2D(ksize=(3, 2), stride=(2, 1), pad=(
                1, 0)), operations.Mean()],
            (3, 9, 7), make_rescale(kind, 3), tuple('abcdefgh')))
    check(nets, make_images(3, (3, 9, 7)))


@pytest.mark.slow
@pytest.mark.parametrize('shape', ((1, 28, 28), (3, 32, 32), (3, 67, 67)))
def test_scores_of_every_net(shape, pack, net_names, described, make_images):
    nets = [pack(name, kind, int8_ends) for name in net_names
            if name != 'alexnet' and described(name)[0] == shape
            for kind, int8_ends in (
                ('unit', False), ('signed', True), ('standard', False),
                ('standard', True), ('binary', False))]
    for one in nets:
        if len(file_format.dump(one)) < page._MAX_BYTES:
            page.make(one)  # It is not refused.
    check(nets, make_images(2, shape))


@pytest.mark.parametrize('size', ((32, 32), (50, 41), (300, 200), (9, 14)))
@pytest.mark.parametrize('shape, dataset', (
    ((3, 32, 32), 'cifar10'), ((3, 32, 40), 'pictures'),
    ((1, 28, 28), 'fashion-mnist'), ((1, 20, 28), 'pictures'),
    ((1, 28, 28), None),
    ((3, 227, 227), 'imagenet')))
def test_image_of_a_picture(size, shape, dataset, tmp_path):
    """The page makes the image that predict.py makes of a picture."""
    random = numpy.random.RandomState(0)
    pixels = random.randint(100, 256, (*size, 3)).astype(numpy.uint8)
    pixels[2:-2, 2:-2] //= random.randint(1, 4)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    expected, _ = pictures.load(tmp_path / 'a.png', shape, dataset)
    data = numpy.concatenate(
        [pixels, numpy.full((*size, 1), 255, numpy.uint8)], axis=2)
    found = run_node((page._PARTS / 'pixels.js').read_text().replace(
        '{{imagenet.size}}', '256') + """
const result = Array.from(imageOf(given, given.shape, given.dataset));""", {
            'data': data.ravel().tolist(), 'height': size[0],
            'width': size[1], 'shape': shape, 'dataset': dataset})
    # Pillow scales the rows first or the columns, as its release has it, and
    # rounds the grey of pictures in another way.
    numpy.testing.assert_allclose(
        numpy.reshape(found, shape), expected, rtol=0, atol=1)
    assert (numpy.reshape(found, shape) == expected).mean() > .6


def refuse(packed, match):
    with pytest.raises(errors.UserError, match=match) as caught:
        page.make(packed)
    assert '\n' not in str(caught.value)


def test_kinds_of_input(pack, described, make_rescale):
    """Digits are drawn; anything else is a picture."""
    shape, found = described('binary-1')
    shirts = packing.pack(found, shape, make_rescale('unit', 1),
                          ('shirt', *DIGITS[1:]))
    for packed, title in ((pack('binary-1'), 'Draw a digit'),
                          (pack('convnet-binary-0'), 'Show a picture'),
                          (shirts, 'Show a picture')):
        text = page.make(packed)
        assert f'<h1>{title}</h1>' in text
        assert ('id="undo"' in text) == ('id="choose"' not in text) == (
            title == 'Draw a digit')


def test_refuses_images_of_two_channels(make_rescale):
    one = packing.pack([
        operations.Convolution2D(name='conv', W=operations.Weights(
            32, numpy.ones((10, 2, 3, 3), numpy.float32))),
        operations.Mean()], (2, 5, 5), make_rescale('unit', 2), DIGITS)
    refuse(one, 'grey or coloured pictures, and the images of this one have '
           '2 channels$')


def test_refuses_whitening(whiten, make_rescale):
    one = packing.pack([
        whiten, operations.Mean()], (3, 32, 32), make_rescale('unit', 3),
        'abc')
    refuse(one, 'whitening is a matrix of all pixels by all pixels$')


def test_refuses_large_nets(pack):
    refuse(pack(float_mlp.FloatMLP(800)),
           'below 4 MB, and this one has 5.1 MB$')
