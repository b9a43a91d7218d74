"""Where a packed net and Chainer's differ, and how that is explained."""
import types

import numpy
import pytest

from bnn.deploy import operations
from bnn.training.reports import agreement
from zoo import trained as trained_module
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import quantized_mlp


def make(predictor, shape=(1, 2, 2)):
    """Wraps a net of pixels in [0, 1]."""
    return trained_module.Trained(
        predictor, {}, 'digits', operations.Rescale(kind='unit'), shape,
        ('a', 'b', 'c'))


@pytest.fixture
def trained():
    return make(deep_binary_mlp.DeepBinaryMLP(5, n_in=4, n_out=3))


@pytest.fixture
def images():
    return numpy.random.randint(0, 256, (230, 1, 2, 2)).astype('u1')


def packed(predict):
    return types.SimpleNamespace(predict=predict)


def data(images, labels):
    return types.SimpleNamespace(test_images=images, test_labels=labels)


def test_counts(trained, images):
    theirs = agreement.predict(trained, images)
    ours = theirs.copy()
    ours[[3, 150, 229]] = (theirs[[3, 150, 229]] + 1) % 3
    labels = theirs.copy()
    labels[[3, 7]] = ours[3], (theirs[7] + 1) % 3
    start = iter((0, 100, 200))

    def predict(x):
        i = next(start)
        numpy.testing.assert_array_equal(x, images[i:i + 100])
        return ours[i:i + 100]

    found = agreement.compare(
        trained, [], packed(predict), data(images, labels), explain=False)
    assert found.n == 230
    assert found.chainer_accuracy == 228 / 230
    assert found.packed_accuracy == 227 / 230
    assert found.differing == [
        (i, theirs[i], ours[i], None) for i in (3, 150, 229)]


def test_broken_images(trained, images):
    class Images:
        shape = images.shape

        def __len__(self):
            return len(images)

        def read(self, some):
            kept = some % 10 != 0
            return images[some[kept]], kept

    theirs = agreement.predict(trained, images)
    found = agreement.compare(
        trained, [], packed(lambda x: 1 - agreement.predict(trained, x)),
        data(Images(), theirs), explain=False)
    assert found.n == 230 - 23 and found.chainer_accuracy == 1
    assert [i for i, *_ in found.differing] == [
        i for i in range(230) if i % 10]
    assert all(a == theirs[i] for i, a, *_ in found.differing)
    x, some = agreement.pixels(trained, Images(), range(225, 300))
    assert some.tolist() == [225, 226, 227, 228, 229]
    numpy.testing.assert_array_equal(x, images[225:])


def test_large_pictures_are_cropped(trained):
    trained.attributes['augment'] = 'center-crop'
    images = numpy.random.randint(0, 256, (3, 1, 256, 256)).astype('u1')
    x, some = agreement.pixels(trained, images, range(1, 3))
    numpy.testing.assert_array_equal(x, images[1:, :, 14:241, 14:241])
    assert some.tolist() == [1, 2]


def test_no_images(trained, images):
    found = agreement.compare(
        trained, [], packed(None), data(images[:0], numpy.zeros(0, int)))
    assert (found.n, found.chainer_accuracy, found.differing) == (0, 0, [])


def test_large_images_are_few_at_once():
    sizes = []

    class Large(deep_binary_mlp.DeepBinaryMLP):
        def forward(self, x):
            sizes.append(x.shape)
            return super().forward(x[:, 0, :1, :1])

    trained = make(Large(2, n_in=1, n_out=3), (1, 101, 101))
    images = numpy.zeros((13, 1, 101, 101), 'u1')
    agreement.compare(
        trained, [], packed(lambda x: numpy.zeros(len(x), int)),
        data(images, numpy.zeros(13, int)), explain=False)
    assert [shape[0] for shape in sizes] == [10, 3]


def test_not_all_are_explained(trained, images, monkeypatch):
    monkeypatch.setattr(agreement, '_MAX_EXPLAINED', 2)
    monkeypatch.setattr(agreement, 'find_tie', lambda *_: 'a tie')
    theirs = agreement.predict(trained, images)
    found = agreement.compare(
        trained, [], packed(lambda x: (agreement.predict(trained, x) + 1) % 3),
        data(images[:4], theirs[:4]))
    assert [words for *_, words in found.differing] == [
        'a tie', 'a tie', *['not looked at, after 2 others'] * 2]


# ---- ties: one pixel, one sign behind batch normalization, two classes

X = numpy.full((1, 1, 1, 1), 51, 'u1')


def of_sign(mean):
    """Returns a net that gives class 0 if a pixel is at least ``mean``."""
    predictor = deep_binary_mlp.DeepBinaryMLP(1, n_layers=1, n_in=1, n_out=2)
    predictor.l1.W.array[...] = 1
    predictor.b1.avg_mean[...] = mean
    predictor.l2.W.array[...] = [[1], [-1]]
    return make(predictor, (1, 1, 1))


def tie(mean):
    """Explains why Chainer gives the class that it gives to ``X``."""
    trained = of_sign(mean)
    theirs = agreement.predict(trained, X)[0]
    return agreement.find_tie(
        trained, trained.operations(), X, theirs, 1 - theirs)


@pytest.fixture
def shift(monkeypatch):
    """A function that moves the pixels that Chainer sees."""
    def shift(size):
        scale = trained_module.Trained.scale
        monkeypatch.setattr(
            trained_module.Trained, 'scale',
            lambda self, x: scale(self, x) + numpy.float32(size))
    return shift


def test_sign_at_its_threshold():
    # 51 / 255 is below float32's .2, which Chainer takes it for.
    mean = numpy.float32(51) / numpy.float32(255)
    assert float(mean) > 51 / 255
    words = tie(mean)
    assert words.startswith('b1, unit 0: ')
    assert words.endswith(
        ' from its threshold in float64, on the other side in float32')
    assert float(words.split()[3]) < 1e-6


def test_far_from_the_threshold():
    assert tie(.1) is None
    assert tie(.3) is None


def test_sign_that_chainer_turns(shift):
    shift(2e-6)
    assert tie(.2 + 1e-6).startswith('b1, unit 0: 1.')
    shift(.1)  # more than rounding
    assert tie(.25) is None


def test_sign_that_the_packed_net_turns(shift):
    # Its float layers compute in float32, where 51 / 255 is at its mean.
    shift(-1e-6)
    trained = of_sign(numpy.float32(51) / numpy.float32(255))
    assert agreement.predict(trained, X) == 1  # as in float64
    assert agreement.find_tie(
        trained, trained.operations(), X, 1, 0).startswith('b1, unit 0: ')


def test_equal_scores():
    predictor = deep_binary_mlp.DeepBinaryMLP(2, n_layers=1, n_in=1, n_out=2)
    predictor.l2.W.array[...] = 1
    trained = make(predictor, (1, 1, 1))
    words = agreement.find_tie(
        trained, trained.operations(), numpy.ones((1, 1, 1, 1), 'u1'), 0, 1)
    assert words == 'the two scores differ by 0.0e+00 in float64'


def test_level_at_its_threshold():
    # Between the levels 0 and 1/3 of 2 bits, at 1/6: with some of the means
    # next to it float32 and float64 round to different ones.
    predictor = quantized_mlp.QuantizedMLP(
        1, n_layers=1, n_in=1, n_out=2, w_bits=1, a_bits=2)
    predictor.l1.W.array[...] = 1
    predictor.l2.W.array[...] = [[1], [-1]]
    predictor.b2.beta.array[...] = -.1, .1
    trained = make(predictor, (1, 1, 1))
    explained = []
    for pixel in range(100, 256, 5):
        x = numpy.full((1, 1, 1, 1), pixel, 'u1')
        middle = numpy.float32(
            pixel / 255 - numpy.sqrt(1 + predictor.b1.eps) / 6)
        for mean in (numpy.nextafter(middle, numpy.float32(0)), middle,
                     numpy.nextafter(middle, numpy.float32(1))):
            predictor.b1.avg_mean[...] = mean
            theirs = agreement.predict(trained, x)[0]
            explained.append(
                agreement.find_tie(trained, trained.operations(), x, theirs,
                                   1 - theirs))
    assert {words.split(':')[0] for words in explained if words} == {
        'b1, unit 0'}


def test_margin_of_signs():
    operation = operations.Sign(shift=numpy.array([.5, -.5], 'f'))
    assert agreement._margin(operation, numpy.array([[.75, -1.5]])) == (
        pytest.approx(numpy.array([[.25, 1.]])))
    assert agreement._margin(operations.Sign(), -.75) == .75


def test_margin_of_levels():
    operation = operations.Quantize(n=3, low=0., high=1.)
    assert agreement._margin(operation, numpy.array(
        [1 / 6 + .01, .5 - .02, 0, 1, -2, 2])) == pytest.approx(
            [.01, .02, 1 / 6, 1 / 6, 1 / 3, 1 / 3])
