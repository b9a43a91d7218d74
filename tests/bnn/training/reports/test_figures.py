"""The page of figures, of nets of every kind."""
import dataclasses

import chainer
import chainer.links as L
import matplotlib
import numpy
import pytest
from matplotlib import pyplot

from bnn import data
from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.learning import inputs
from bnn.training.learning import means
from bnn.training.reports import figures
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import quantized_mlp

pytestmark = pytest.mark.slow  # A page takes seconds to draw.
CPU = chainer.get_device('@numpy')
NETS = (deep_binary_mlp.DeepBinaryMLP, float_mlp.FloatMLP,
        quantized_mlp.QuantizedMLP, binary_weight_mlp.BinaryWeightMLP)


@pytest.fixture(autouse=True)
def no_display():
    matplotlib.use('Agg')


def make_log(n=2):
    return [{
        'epoch': epoch, 'l1/flip_ratio': .1 / epoch,
        'l2/flip_ratio': .1 / epoch,
        **{prefix + name: value for prefix in ('main/', 'validation/main/')
           for name, value in (('loss', 1 / epoch),
                               ('accuracy', 1 - .5 / epoch))}}
        for epoch in range(1, n + 1)]


def make_data(n=40, channels=1, n_classes=10):
    images = numpy.random.RandomState(0).randint(
        0, 256, (n, channels, 5, 4)).astype('u1')
    labels = (numpy.arange(n) % n_classes).astype('i')
    return data.Dataset(
        'digits', 'digits', images, labels, images, labels,
        tuple(f'class {i}' for i in range(n_classes)), 'here')


def make_model(kind=deep_binary_mlp.DeepBinaryMLP, channels=1, n_classes=10):
    return L.Classifier(kind(8, n_classes, 20 * channels, n_layers=1),
                        accfun=means.accuracy)


def make_feed(dataset):
    return batches.Feed(
        batches.Indices(dataset.test_images, 10, repeat=False, shuffle=False),
        inputs.converter(dataset.test_images, dataset.test_labels,
                         inputs.rescaler('signed')))


def draw(tmp_path, model, dataset, log=None, **kwargs):
    path = tmp_path / 'figures.png'
    figures.draw_page(str(path), log or make_log(), model, dataset,
                      make_feed(dataset), CPU, **kwargs)
    assert not pyplot.get_fignums()
    image = pyplot.imread(str(path))
    assert image.shape[:2] == (13 * 80, 15 * 80)
    assert image.std() > .01


class Scores(chainer.Chain):
    """A net whose scores are chosen; it has weights to draw."""

    def __init__(self, score):
        super().__init__()
        self._score = score
        with self.init_scope():
            self.l1 = L.Linear(20, 3)

    def forward(self, x):
        labels = numpy.arange(self._seen, self._seen + len(x)) % 10
        self._seen = (self._seen + len(x)) % 40
        return chainer.Variable(self._score(labels))

    _seen = 0


def test_other_pages(tmp_path):
    for kind in NETS:
        draw(tmp_path, make_model(kind), make_data())
    # More classes than there is room to name, and colours
    draw(tmp_path, make_model(n_classes=40), make_data(n_classes=40))
    draw(tmp_path, make_model(channels=3, n_classes=2),
         make_data(12, 3, 2), part='validation')
    # Names that are no formulas
    draw(tmp_path, make_model(), dataclasses.replace(
        make_data(), class_names=('$5_$10_', *map(str, range(9)))))
    # No mistake, and nothing but mistakes
    eye = 1000 * numpy.eye(10, dtype='f')
    for score in lambda t: eye[t], lambda t: eye[(t + 1) % 10]:
        draw(tmp_path, L.Classifier(Scores(score)), make_data())
    # Weights without spread, as Bop leaves them, that never flip
    model = make_model()
    for name in 'l1', 'l2':
        model.predictor[name].W.array[...] = 1
    log = make_log(1)
    log[0]['l1/flip_ratio'] = log[0]['l2/flip_ratio'] = 0.
    draw(tmp_path, model, make_data(), log)


def test_page(tmp_path):
    """Of a binary net; a broken image is left out."""
    dataset = make_data(25)
    whole = dataset.test_images

    class Images:
        shape = whole.shape

        def __len__(self):
            return 25

        def __getitem__(self, i):
            assert isinstance(i, int)
            assert i != 13
            return whole[i]

        def read(self, indices):
            kept = numpy.array(indices) != 13
            return whole[indices][kept], kept

    draw(tmp_path, make_model(), dataclasses.replace(
        dataset, test_images=Images()))


def test_the_model_stays(tmp_path):
    model, dataset = make_model(), make_data(25)
    model(*make_feed(dataset).converter(range(10), CPU))
    tester = evaluator.Evaluator(make_feed(dataset), model, CPU)
    before = tester()
    for statistics in 'running', 'batch':
        draw(tmp_path, model, dataset, test_statistics=statistics)
        assert tester() == before
