"""Spoils files in the ways of a full disk, a bad one, or bad intent."""
import os
import pickle

import numpy


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def write_letter(path):
    path.write_text('PK, but this is a letter\n' * 100)


def hostile(path):
    """Returns an object that makes a folder when it is unpickled."""
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(path),)
    return Hostile()


def flip_bit(path):
    """Changes a snapshot amid the weights, where only a checksum notices."""
    with numpy.load(path) as archive:
        weights = archive['updater/model:main/predictor/l1/W'].tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(data)


def lose_settings(path):
    with open(path, 'wb') as f:
        numpy.savez(f, x=numpy.zeros(3))


def write_pickle(path):
    path.write_bytes(pickle.dumps(
        hostile(path.parent / 'executed'), protocol=2))


def add_object(path):
    """Puts an object, which NumPy would unpickle, into a snapshot."""
    with numpy.load(path) as archive:
        arrays = dict(archive)
    array = numpy.empty((), object)
    array[()] = hostile(path.parent / 'executed')
    arrays['updater/iteration'] = array
    with open(path, 'wb') as f:
        numpy.savez(f, **arrays)
