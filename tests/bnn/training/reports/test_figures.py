"""The page of figures, of nets of every kind."""
import chainer
import chainer.links as L
import matplotlib
import numpy
import pytest
from matplotlib import pyplot

import net
from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.reports import figures
from bnn.training.learning import inputs

CPU = chainer.get_device('@numpy')
NAMES = [str(i) for i in range(10)]


def make_log(model, n=2):
    log = []
    for epoch in range(1, n + 1):
        entry = {'epoch': epoch}
        for prefix in 'main/', 'validation/main/':
            entry[prefix + 'loss'] = 1 / epoch
            entry[prefix + 'accuracy'] = 1 - .5 / epoch
        for name in 'l1', 'l2':
            entry[name + '/flip_ratio'] = .1 / epoch
        log.append(entry)
    return log


def make_data(n=40, channels=1):
    random = numpy.random.RandomState(0)
    return (random.randint(0, 256, (n, channels, 5, 4)).astype('u1'),
            (numpy.arange(n) % 10).astype('i'),
            random.normal(size=(n, 10)).astype('f'))


def make_model(kind, channels=1, **kwargs):
    numpy.random.seed(0)
    return L.Classifier(kind(8, 10, 20 * channels, n_layers=1, **kwargs))


def draw(tmp_path, model, log, images, labels, scores, names=NAMES):
    path = tmp_path / 'figures.png'
    open_before = len(pyplot.get_fignums())
    figures.draw_page(str(path), log, model, images, labels,
                      numpy.arange(len(labels)), scores, names)
    assert len(pyplot.get_fignums()) == open_before
    assert path.read_bytes().startswith(b'\x89PNG\r\n\x1a\n')
    image = pyplot.imread(str(path))
    assert image.shape[:2] == (13 * 80, 15 * 80)
    assert image.std() > .01
    return image


def test_broken_images_are_left_out(tmp_path):
    whole, labels, _ = make_data(25)

    class Images(object):
        def __len__(self):
            return 25

        def __getitem__(self, i):
            assert isinstance(i, int)
            return whole[i]

        def read(self, indices):
            kept = numpy.array(indices) != 13
            return whole[indices][kept], kept

        shape = whole.shape

    model = make_model(net.BinaryMLP)
    feed = batches.Feed(
        batches.Indices(Images(), 10, repeat=False, shuffle=False),
        inputs.converter(Images(), labels, 'signed'))
    rows, scores = figures.predict(model.predictor, feed, CPU, Images())
    assert rows.tolist() == [i for i in range(25) if i != 13]
    assert scores.shape == (24, 10)
    figures.draw_page(str(tmp_path / 'x.png'), make_log(model), model,
                      Images(), labels, rows, scores, NAMES)


def test_many_classes(tmp_path):
    images, _, _ = make_data()
    labels = numpy.arange(40)
    scores = numpy.random.randn(40, 40).astype('f')
    model = make_model(net.BinaryMLP)
    draw(tmp_path, model, make_log(model), images, labels, scores,
         ['class %d' % i for i in range(40)])


@pytest.fixture(autouse=True)
def no_display():
    matplotlib.use('Agg')


@pytest.mark.parametrize('kind', [
    net.BinaryMLP, net.FloatMLP, net.QuantizedMLP, net.BinaryWeightMLP])
def test_nets(tmp_path, kind):
    model = make_model(kind)
    draw(tmp_path, model, make_log(model), *make_data())


def test_no_mistake(tmp_path):
    model = make_model(net.BinaryMLP)
    images, labels, _ = make_data()
    scores = 9 * numpy.eye(10, dtype='f')[labels]
    draw(tmp_path, model, make_log(model), images, labels, scores)


def test_all_wrong(tmp_path):
    model = make_model(net.BinaryMLP)
    images, labels, _ = make_data()
    scores = 1000 * numpy.eye(10, dtype='f')[(labels + 1) % 10]
    draw(tmp_path, model, make_log(model), images, labels, scores)


def test_one_epoch_without_flips(tmp_path):
    model = make_model(net.BinaryMLP)
    log = make_log(model, 1)
    log[0]['l1/flip_ratio'] = log[0]['l2/flip_ratio'] = 0.
    draw(tmp_path, model, log, *make_data())


def test_weights_without_spread(tmp_path):
    # As Bop leaves them, or an extreme learning rate
    model = make_model(net.BinaryMLP)
    for name in 'l1', 'l2':
        W = model.predictor[name].W.array
        W[...] = 1
    draw(tmp_path, model, make_log(model), *make_data())


def test_colours_and_two_classes(tmp_path):
    numpy.random.seed(0)
    model = L.Classifier(net.BinaryMLP(8, 2, 60, n_layers=1))
    images, labels, scores = make_data(12, 3)
    draw(tmp_path, model, make_log(model), images, labels % 2, scores[:, :2],
         ['cat', 'dog'])


def test_predict():
    model = make_model(net.BinaryMLP)
    images, labels, _ = make_data(25)
    feed = batches.Feed(
        batches.Indices(images, 10, repeat=False, shuffle=False),
        inputs.converter(images, labels, 'signed'))
    tester = evaluator.Evaluator(feed, model, CPU)
    before = model.predictor.b1.avg_mean.copy()
    rows, scores = figures.predict(model.predictor, feed, CPU, images)
    assert rows.tolist() == list(range(25))
    assert scores.shape == (25, 10)
    accuracy = (scores.argmax(axis=1) == labels).mean()
    assert tester()['main/accuracy'] == pytest.approx(accuracy, abs=1e-7)
    numpy.testing.assert_array_equal(model.predictor.b1.avg_mean, before)
