"""From image files to what a net was trained on."""
import numpy
import PIL.Image
import pytest

from bnn import data as datasets
from bnn import errors
from bnn.deploy import pictures

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


@pytest.fixture
def digit():
    """A 7, light on dark, (60, 40)."""
    pixels = numpy.zeros((60, 40), numpy.uint8)
    pixels[5:12, 5:35] = 255
    pixels[12:55, 25:32] = 255
    return pixels


@pytest.fixture
def save(tmp_path):
    def save(pixels, name='x.png', **options):
        path = str(tmp_path / name)
        PIL.Image.fromarray(pixels).save(path, **options)
        return path
    return save


def test_as_it_is(save):
    x = numpy.random.randint(0, 100, (28, 28)).astype(numpy.uint8)
    x[10:20, 10:20] = 255
    found, how = pictures.load(save(x), MNIST)
    assert (found == x).all() and how == 'light on dark, as it is'
    found, how = pictures.load(save(255 - x), MNIST)
    assert (found == x).all() and how == 'dark on light, as it is'


@pytest.mark.parametrize('name', ('x.png', 'x.jpg', 'x.bmp', 'x.pgm'))
def test_polarity_and_place_do_not_matter(name, save, digit):
    expected, how = pictures.load(save(digit), MNIST)
    assert how == 'light on dark, scaled and centred from 40x60'
    assert expected.shape == MNIST and expected.dtype == numpy.uint8
    other = numpy.full((200, 300), 235, numpy.uint8)
    other[90:150, 200:240] -= (digit * .8).astype(numpy.uint8)
    found, how = pictures.load(save(other, name), MNIST)
    assert how == 'dark on light, scaled and centred from 300x200'
    assert abs(found.astype(int) - expected).mean() < 3


def test_colour(save, digit):
    expected, _ = pictures.load(save(digit), MNIST)
    paper = numpy.full((60, 40, 3), (250, 240, 200), numpy.uint8)
    paper[digit > 0] = 20, 30, 120
    found, how = pictures.load(save(paper), MNIST)
    assert how.startswith('dark on light')
    assert abs(found.astype(int) - expected).mean() < 3


def test_transparent(save, digit):
    expected, _ = pictures.load(save(255 - digit), MNIST)
    rgba = numpy.zeros((60, 40, 4), numpy.uint8)
    rgba[..., 3] = digit
    found, how = pictures.load(save(rgba), MNIST)
    assert how.startswith('dark on light')
    assert (found == expected).all()


def test_mass_is_where_mnist_has_it(save, digit):
    found, _ = pictures.load(save(digit), MNIST)
    x = found[0].astype(float)
    for axis in 0, 1:
        mass = x.sum(axis=axis)
        centre = mass @ numpy.arange(28) / mass.sum()
        assert abs(centre - pictures.CENTRE) <= .5
    assert (x > 50).any(axis=1).sum() <= 20
    assert (x > 50).any(axis=0).sum() <= 20


@pytest.mark.parametrize('value', (0, 100, 200, 255))
def test_empty(value, save):
    found, how = pictures.load(
        save(numpy.full((50, 70), value, numpy.uint8)), MNIST)
    assert not found.any() and 'empty' in how


def test_thin_and_small(save):
    for shape in (1, 1), (1, 200), (300, 1), (2, 3):
        x = numpy.zeros(shape, numpy.uint8)
        x[0, 0] = 255
        assert pictures.load(save(x), MNIST)[0].shape == MNIST


def test_other_nets(save):
    x = numpy.random.randint(0, 256, (50, 70, 3)).astype(numpy.uint8)
    found, how = pictures.load(save(x), CIFAR, 'cifar10')
    assert found.shape == CIFAR and how == 'scaled from 70x50'
    same = numpy.random.randint(0, 256, (32, 32, 3)).astype(numpy.uint8)
    assert (pictures.load(save(same), CIFAR, 'cifar10')[0]
            == same.transpose(2, 0, 1)).all()
    found, how = pictures.load(save(x), (3, 227, 227), 'imagenet')
    assert found.shape == (3, 227, 227) and 'middle' in how
    found, how = pictures.load(save(x), MNIST, 'fashion-mnist')
    assert found.shape == MNIST and how.endswith('scaled from 70x50')


def test_light_pictures_of_an_unknown_net(save):
    """They are inverted for data that are known to be light on dark."""
    x = numpy.full((28, 28), 255, numpy.uint8)
    x[9:12] = numpy.random.randint(0, 100, (3, 28))
    for dataset, is_inverted in (
            ('mnist', True), ('digits', True), ('fashion-mnist', True),
            (None, False), ('something', False)):
        found, how = pictures.load(save(x), MNIST, dataset)
        assert (found[0] == (255 - x if is_inverted else x)).all()
        assert how.split(',')[0] == (
            'dark on light' if is_inverted else 'grey')


@pytest.mark.parametrize('shape', ((1, 16, 16), (3, 16, 16)))
def test_own_pictures_as_trained(shape, tmp_path):
    """The very pixels of the training, of large JPEGs too."""
    for name in 'ab':
        for part in 'train', 'test':
            (tmp_path / part / name).mkdir(parents=True)
            PIL.Image.fromarray(numpy.random.randint(
                0, 256, (90, 70, 3)).astype(numpy.uint8)).save(
                    tmp_path / part / name / 'x.jpg')
    data = datasets.load('pictures', str(tmp_path), shape=shape)
    for label, name in enumerate('ab'):
        found, how = pictures.load(
            str(tmp_path / 'test' / name / 'x.jpg'), shape, 'pictures')
        assert how.endswith('scaled from 70x90')
        numpy.testing.assert_array_equal(
            found, data.test_images[data.test_labels == label][0])


def test_another_kind(save, capsys):
    """A warning, and a picture."""
    def warning(pixels, shape, dataset='pictures'):
        assert pictures.load(save(pixels), shape, dataset)[0].shape == shape
        return capsys.readouterr().err

    grey = numpy.random.randint(0, 256, (40, 60)).astype(numpy.uint8)
    colour = numpy.random.randint(0, 256, (40, 60, 3)).astype(numpy.uint8)
    paper = colour // 32 + numpy.array([220, 210, 170], numpy.uint8)
    for pixels, shape, dataset, words in (
            (grey, MNIST, 'pictures', ''), (grey, MNIST, 'mnist', ''),
            (colour, CIFAR, 'pictures', ''), (paper, MNIST, 'mnist', ''),
            (colour, MNIST, 'pictures', ''),
            (colour, MNIST, 'mnist', 'has colours, and the net sees grey'),
            (colour, MNIST, None, 'has colours'),
            (grey, CIFAR, 'cifar10', 'is grey, and the net is of colours'),
            (grey[:, :16], MNIST, 'pictures', 'is 16x40, and the net sees it '
             'squeezed to 28x28'),
            (grey[:, :20], MNIST, 'pictures', ''),
            (colour[:13, :13], CIFAR, 'pictures',
             'is 13x13, less than half of the 32x32'),
            (colour[:16, :16], CIFAR, 'pictures', ''),
            (grey[:, :2], MNIST, 'mnist', '')):
        found = warning(pixels, shape, dataset)
        assert words in found and found.count('\n') == bool(words), (
            shape, dataset, words, found)


@pytest.mark.parametrize('contents', (b'', b'no picture', b'\x89PNG\r\n'))
def test_no_picture(contents, tmp_path):
    path = tmp_path / 'x.png'
    path.write_bytes(contents)
    with pytest.raises(errors.UserError, match='x.png: '):
        pictures.load(str(path), MNIST)


def test_truncated_and_missing(tmp_path, save):
    path = save(numpy.random.randint(0, 256, (50, 50)).astype(numpy.uint8))
    with open(path, 'rb') as f:
        half = f.read()[:800]
    with open(path, 'wb') as f:
        f.write(half)
    for one in path, str(tmp_path / 'none.png'), str(tmp_path):
        with pytest.raises(errors.UserError, match='^' + one):
            pictures.load(one, MNIST)
