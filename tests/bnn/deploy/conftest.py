"""Small nets of every kind, as descriptions and packed; a browser."""
import importlib.util
import os
import pathlib

import chainer
import chainer.links as L
import numpy
import pytest

import net
from bnn import data as datasets
from bnn.deploy import operations
from bnn.deploy import pack as packing
from bnn.deploy import run
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.xnor_net import alexnet
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

HERE = pathlib.Path(__file__).parent
_MNIST, _CIFAR = (1, 28, 28), (3, 32, 32)
_BLOCKS = {'': {}, '-k': {'input_scale': True}, '-shift': {'shift': True},
           '-plain': {'scaled': False}, '-float': {'binary': False}}

# Names to shape of the images and a function that makes the net
NETS = {
    **{'binary-%d' % n: (_MNIST, lambda n=n: net.BinaryMLP(33, n_layers=n))
       for n in (1, 3)},
    **{'%s-%d-%d' % (q, w, a): (_MNIST, lambda w=w, a=a, q=q: (
        net.QuantizedMLP(33, w_bits=w, a_bits=a, quantizer=q)))
       for q in ('dorefa', 'linear') for w, a in (
           (1, 1), (1, 2), (2, 1), (3, 3), (8, 8), (32, 2), (2, 32),
           (32, 1))},
    **{'%s-%d' % (kind.__name__, bn): (_MNIST, lambda kind=kind, bn=bn: kind(
        33, batch_norm=bool(bn))) for kind in (
            net.FloatMLP, net.BinaryWeightMLP) for bn in (0, 1)},
    **{'lenet5' + name: (_MNIST, lambda options=options: lenet5.LeNet5(
        **options)) for name, options in _BLOCKS.items()},
    **{'convnet-%s-%d' % (kind, pad): (
        _CIFAR, lambda kind=kind, pad=pad: convnet.ConvNet(
            kind=kind, width=4, pad_value=pad)) for kind, pad in (
                ('binary', 0), ('binary', 1), ('binary-weight', 0),
                ('float', 0))},
    **{'shallow-%d-%d' % (binary, bn): (
        _CIFAR, lambda binary=binary, bn=bn: (
            shallow_convnet.ShallowConvNet(
                binary=bool(binary), batch_norm=bool(bn))))
       for binary in (0, 1) for bn in (0, 1)},
    'nin': (_CIFAR, nin.NIN),
    'nin-k-shift': (_CIFAR, lambda: nin.NIN(
        input_scale=True, shift=True)),
    'nin-imagenet': ((3, 67, 67), lambda: nin.NINImageNet(n_out=10)),
    'alexnet': ((3, 227, 227), lambda: alexnet.AlexNet(
        n_out=10, n_units=32)),
}


@pytest.fixture(scope='session')
def make_net():
    """A function that makes a net with random statistics and gammas."""
    def make(name):
        shape, function = NETS[name]
        state = numpy.random.get_state()
        numpy.random.seed(0)
        try:
            predictor = function()
        finally:
            numpy.random.set_state(state)
        disturb(predictor, numpy.random.RandomState(1))
        return shape, predictor
    return make


def disturb(predictor, random):
    """Moves what is a constant at first; gammas get both signs."""
    for link in predictor.links():
        for param in link.params(include_uninit=False):
            if param.ndim == 1:
                param.array[...] += random.uniform(-.2, .2, param.shape)
        if isinstance(link, L.BatchNormalization):
            shape = link.avg_mean.shape
            link.avg_mean[...] = random.uniform(-.2, .2, shape)
            link.avg_var[...] = random.uniform(.5, 2, shape)
            if getattr(link, 'gamma', None) is not None:
                link.gamma.array[...] *= random.choice([-1, 1], shape)


@pytest.fixture(scope='session')
def chainer_scores():
    """A function that computes Chainer's scores of scaled images."""
    def compute(predictor, x):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return predictor(x.astype(numpy.float32)).array
    return compute


@pytest.fixture(scope='session')
def make_images():
    """A function that draws uint8 images."""
    def make(n, shape, seed=0):
        return numpy.random.RandomState(seed).randint(
            0, 256, (n, *shape)).astype(numpy.uint8)
    return make


@pytest.fixture(scope='session')
def make_rescale():
    """A function that makes a scaling of pixels."""
    def make(kind, n_channels):
        mean, std = ((.13,), (.31,)) if n_channels == 1 else (
            (.49, .48, .45), (.25, .24, .26))
        return operations.Rescale(
            kind=kind, mean=mean if kind == 'standard' else (),
            std=std if kind == 'standard' else ())
    return make


@pytest.fixture(scope='session')
def pack(make_net, make_rescale):
    """A function that packs one of the nets."""
    def make(name, kind='unit'):
        shape, predictor = make_net(name)
        return packing.pack(
            predictor.describe(), shape, make_rescale(kind, shape[0]),
            map(str, range(10)))
    return make


def _module(name):
    spec = importlib.util.spec_from_file_location(
        'deploy_' + name, HERE / (name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    """A browser; one for all tests."""
    pytest.importorskip('selenium')
    module = _module('browser')
    if module.PROGRAM is None or module.DRIVER is None:
        pytest.skip('no chromium and chromedriver: on Debian and Ubuntu '
                    'apt install chromium chromium-driver')
    browser = module.Browser(tmp_path_factory.mktemp('profile'))
    yield browser
    browser.quit()


@pytest.fixture(scope='session')
def skeleton():
    return _module('skeleton')


@pytest.fixture(scope='session')
def data():
    """What the pages' nets are for: MNIST, or the embedded digits."""
    root = os.environ.get('CHAINER_DATASET_ROOT') or '/nonexistent'
    return datasets.load('mnist' if os.path.isdir(
        os.path.join(root, 'mnist')) else 'digits')


@pytest.fixture(scope='session')
def assert_agrees():
    """A function that compares the page with the net on the picture that it
    has now: scores to the last bit, unless it is told how far they may differ
    of their largest.
    """
    def compare(browser, runner, rounding=0):
        image = numpy.array(browser.run('return bnn.image'), numpy.uint8)
        assert image.shape == (784,)
        scores = runner.scores(image[None])[0]
        numpy.testing.assert_allclose(
            numpy.array(browser.run('return bnn.scores(bnn.image)'),
                        numpy.float32), scores, rtol=0,
            atol=rounding * abs(scores).max())
        assert browser.run(
            'return document.getElementById("digit").textContent'
        ) == runner.class_names[scores.argmax()]
        shares = [float(text) for text in browser.run(
            'return [...document.querySelectorAll("#bars .percent")]'
            '.map(one => one.textContent)')]
        numpy.testing.assert_allclose(
            shares, 100 * run.softmax(scores[None])[0], atol=.51)
        return image.reshape(28, 28)
    return compare
