"""The web page: its file, what it computes (in node), what it refuses."""
import base64
import json
import re
import shutil
import subprocess

import numpy
import pytest

import net
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import stages
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


def compute(nets, images):
    """Computes the scores of packed nets in node."""
    if shutil.which('node') is None:
        pytest.skip('no node: on Debian and Ubuntu apt install nodejs')
    source = '\n'.join((page._PARTS / name).read_text() for name in SCRIPTS)
    source += '''
const {nets, images} = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(nets.map(one => {
  const net = new Net(fromBase64(one));
  return images.map(x => Array.from(net.scores(Uint8Array.from(x))));
})));'''
    done = subprocess.run(
        ['node', '-e', source], check=True, text=True, capture_output=True,
        input=json.dumps({
            'nets': [base64.b64encode(file_format.dump(one)).decode()
                     for one in nets],
            'images': images.reshape(len(images), -1).tolist()}))
    return numpy.float32(json.loads(done.stdout))


def check(nets, images):
    """Compares scores with Python's; of whole numbers they are the same."""
    images[0] = 0
    for one, scores in zip(nets, compute(nets, images), strict=True):
        expected = run.Net(one).scores(images)
        is_whole = all(layer.is_integer and layer.operand != 'float'
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


def test_scores_of_every_net(pack, net_names, make_images):
    nets = [pack(name, kind, int8_ends) for name in net_names
            if not name.startswith((
                'convnet', 'shallow', 'nin', 'alexnet', 'cnv', 'resnet20',
                'residual'))
            for kind, int8_ends in (
                ('unit', False), ('signed', True), ('standard', False),
                ('standard', True), ('binary', False))]
    for one in nets:
        page.make(one)  # It is not refused.
    check(nets, make_images(3, (1, 28, 28)))


def refuse(packed, match):
    with pytest.raises(errors.UserError, match=match) as caught:
        page.make(packed)
    assert '\n' not in str(caught.value)


def test_refuses_other_images_and_classes(pack, described, make_rescale):
    refuse(pack('convnet-binary-0'), 'images of 3x32x32')
    shape, found = described('binary-1')
    refuse(packing.pack(found, shape, make_rescale('unit', 1),
                        ('shirt', *DIGITS[1:])), '10 classes, shirt to 9')


def test_refuses_other_layers(make_rescale):
    for pad, groups, reason in (
            ((1, 1), 1, 'conv pads its images'), ((0, 0), 1, 'is of Mean')):
        one = packing.pack([
            operations.Convolution2D(
                name='conv', pad=pad, groups=groups, W=operations.Weights(
                    32, numpy.ones((10, 1, 3, 3), numpy.float32))),
            operations.Mean()], (1, 28, 28), make_rescale('unit', 1), DIGITS)
        assert isinstance(one.stages[-1], stages.FloatStage)
        refuse(one, reason)


def test_refuses_sums_of_branches(pack):
    refuse(pack('residual'), r'\d is of Keep$')


def test_refuses_large_nets(pack):
    refuse(pack(float_mlp.FloatMLP(800)),
           'below 4 MB, and this one has 5.1 MB$')
