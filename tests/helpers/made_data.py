"""Writes small data sets in the formats of the large ones."""
import pickle

import numpy
import PIL.Image


def write_mnist(folder, seed=0, n_train=60, n_test=20):
    """Writes the four files of MNIST, of random pixels."""
    folder.mkdir(exist_ok=True)
    random = numpy.random.RandomState(seed)
    for part, n in ('train', n_train), ('t10k', n_test):
        sizes = numpy.array([n, 28, 28], '>u4').tobytes()
        (folder / f'{part}-images-idx3-ubyte').write_bytes(
            b'\0\0\x08\x03' + sizes + random.bytes(n * 28 * 28))
        (folder / f'{part}-labels-idx1-ubyte').write_bytes(
            b'\0\0\x08\x01' + sizes[:4]
            + (numpy.arange(n) % 10).astype('u1').tobytes())


def write_cifar10(folder, n=60, seed=0):
    """Writes the seven files of CIFAR-10 with ``n`` images each.

    A class is a colour under noise, which a net learns in a few steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.RandomState(seed)
    colours = random.randint(0, 200, (10, 3, 1))
    for file in (*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch'):
        labels = random.randint(0, 10, n)
        pixels = colours[labels] + random.randint(0, 56, (n, 3, 1024))
        (folder / file).write_bytes(pickle.dumps({
            b'data': pixels.reshape(n, 3072).astype(numpy.uint8),
            b'labels': labels.tolist()}))
    (folder / 'batches.meta').write_bytes(pickle.dumps(
        {b'label_names': [f'class {i}'.encode() for i in range(10)]}))


def write_pictures(folder, n_train=12, n_val=5, n_classes=2, size=(40, 30)):
    """Writes a folder as ImageNet's, of small JPEGs, a colour a class."""
    random = numpy.random.RandomState(0)
    colours = random.randint(0, 200, (n_classes, 3))
    for part, n in ('train', n_train), ('val', n_val):
        for label, colour in enumerate(colours):
            path = folder / part / f'class {label}'
            path.mkdir(parents=True)
            for i in range(n):
                pixels = colour + random.randint(0, 56, (*size[::-1], 3))
                PIL.Image.fromarray(pixels.astype(numpy.uint8)).save(
                    path / f'{i}.jpg')
