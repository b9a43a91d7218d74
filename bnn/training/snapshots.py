"""Snapshots that a kill cannot spoil, read without pickle.

A snapshot is an uncompressed NPZ file: the state of the trainer as Chainer
serializes it, and under ``settings`` the run's settings as JSON.  Chainer's
own reader unpickles what it finds, so that a hostile file executes code, and
broadcasts silently; this one does neither.
"""
import io
import json
import os
import re
import warnings
import zipfile

import chainer
import numpy
from chainer.serializers import npz
from chainer.training import extension
from chainer.training import triggers
from chainer.training.extensions import snapshot_writers

from bnn import errors
from bnn.training import files

# An array of no pickle that stands for None.
_NONE = numpy.zeros(0, 'V1')
_HDF5_MAGIC = b'\x89HDF\r\n\x1a\n'


class Writer(snapshot_writers.Writer):

    """Writes snapshots for ``chainer.training.extensions.snapshot``.

    Args:
        settings (dict): What the run was started with, kept as JSON.
    """

    def __init__(self, settings):
        super().__init__()
        self._settings = settings

    def __call__(self, filename, outdir, target):
        """Writes one snapshot.

        Raises:
            ~bnn.errors.UserError: If a weight is NaN or infinite, or the
                file cannot be written; older snapshots stay as they are.
        """
        for name, value in target.items():
            if (name.startswith('updater/model:') and value.dtype.kind == 'f'
                    and not numpy.isfinite(value).all()):
                raise errors.UserError(
                    '%s has become NaN or infinite; not saved as %s; %s'
                    % (name.split(':', 1)[1], filename,
                       describe_last(outdir)))
        arrays = {name: _NONE if value.dtype == object else value
                  for name, value in (
                      (name, numpy.asarray(value))
                      for name, value in target.items())}
        arrays['settings'] = numpy.array(json.dumps(self._settings))
        with files.atomic_write(os.path.join(outdir, filename)) as f:
            numpy.savez(f, **arrays)
        self._post_save()


class RandomState(extension.Extension):

    """Carries NumPy's global random state, which Chainer leaves out."""

    def trigger(self, trainer):
        return False

    def serialize(self, serializer):
        kind, keys, *rest = numpy.random.get_state()
        keys = serializer('keys', keys)
        rest = serializer('position', numpy.array(rest))
        if isinstance(serializer, chainer.Deserializer):
            numpy.random.set_state(
                (kind, keys, int(rest[0]), int(rest[1]), float(rest[2])))


class Trigger(object):

    """Fires at each end of an epoch, and at every ``n`` iterations.

    Args:
        n (int or None): Iterations between two snapshots beside the epochs'.
    """

    def __init__(self, n=None):
        self._triggers = [triggers.IntervalTrigger(1, 'epoch')]
        if n is not None:
            self._triggers.append(triggers.IntervalTrigger(n, 'iteration'))

    def __call__(self, trainer):
        # A list: each has to see each iteration.
        return any([trigger(trainer) for trigger in self._triggers])

    def serialize(self, serializer):
        for trigger in self._triggers:
            trigger.serialize(serializer[trigger.unit])


def find(folder):
    """Lists the snapshots in a folder, the one of most iterations first.

    Args:
        folder (str): An output folder; it may be missing.

    Returns:
        list of str: Paths.
    """
    found = []
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            match = re.fullmatch(r'snapshot_iter_(\d+)', name)
            if match:
                found.append((int(match[1]), os.path.join(folder, name)))
    return [path for _, path in sorted(found, reverse=True)]


def describe_last(folder):
    """Names the newest whole snapshot, for an error message."""
    for path in find(folder):
        try:
            read(path)
        except errors.UserError:
            continue
        return 'the last whole snapshot is %s' % path
    return 'there is no snapshot yet'


def read(path):
    """Reads a snapshot.

    Args:
        path (str): The file.

    Returns:
        tuple: The arrays, a dict of names to arrays, and the settings.

    Raises:
        ~bnn.errors.UserError: If the file is missing, truncated, corrupt, not
            a snapshot, or holds pickled objects, which are not read.
    """
    try:
        with open(path, 'rb') as f:
            magic = f.read(8)
            f.seek(0)
            if magic == _HDF5_MAGIC:
                raise errors.UserError(
                    '%s is a model or optimizer file, not a snapshot; use '
                    '--resume auto or a snapshot_iter_* file, or --initmodel '
                    'to start from a model' % path)
            if not magic.startswith(b'PK'):
                raise errors.UserError(
                    '%s is not a snapshot of this program' % path)
            arrays = _read_arrays(f)
        settings = json.loads(str(arrays.pop('settings')[()]))
        if not isinstance(settings, dict):
            raise ValueError('its settings are no JSON object')
    except OSError as e:
        raise errors.UserError(
            'cannot read %s: %s' % (path, e.strerror or e)) from e
    except KeyError as e:
        raise errors.UserError(
            '%s is not a snapshot of this program: it has no settings'
            % path) from e
    except errors.UserError:
        raise
    except Exception as e:  # a hostile file can raise anything in the readers
        raise errors.UserError(
            '%s is damaged or not a snapshot: %s'
            % (path, ' '.join(str(e).split()) or type(e).__name__)) from e
    return arrays, settings


def _read_arrays(f):
    """Reads an NPZ file, comparing each checksum before NumPy parses."""
    size = f.seek(0, os.SEEK_END)
    arrays = {}
    with zipfile.ZipFile(f) as archive:
        for info in archive.infolist():
            if (info.compress_type != zipfile.ZIP_STORED
                    or info.file_size > size):
                raise ValueError('%s is compressed' % info.filename)
            member = io.BytesIO(archive.read(info))
            arrays[info.filename.removesuffix('.npy')] = (
                numpy.lib.format.read_array(member, allow_pickle=False))
            if member.read(1):
                raise ValueError('%s is too long' % info.filename)
    return arrays


def restore(path, arrays, trainer):
    """Puts a snapshot into a trainer.

    Args:
        path (str): Where it is from, for messages.
        arrays (dict): What :func:`read` returned.
        trainer (~chainer.training.Trainer): A trainer built like the one that
            was saved.

    Raises:
        ~bnn.errors.UserError: If it is of another net or another data set.
    """
    for name, ours in sorted(npz.serialize(trainer.updater).items()):
        ours = numpy.asarray(ours)
        name = 'updater/' + name
        if name not in arrays:
            raise errors.UserError(
                '%s is not of this net: it has no %s' % (path, name))
        _compare(path, name, arrays[name], ours)
    values = {name: numpy.array(None) if value.dtype.kind == 'V' else value
              for name, value in arrays.items()}
    try:
        with warnings.catch_warnings():
            # Triggers of extensions that the first run did not have (another
            # --report) warn and then start from the updater's state.
            warnings.simplefilter('ignore', UserWarning)
            npz.NpzDeserializer(values).load(trainer)
    except (KeyError, ValueError, TypeError) as e:
        raise errors.UserError(
            '%s does not fit this run: %s'
            % (path, ' '.join(str(e).split()))) from e
    # Chainer reads an optimizer's moments in whatever shape they have.
    for name, optimizer in trainer.updater.get_all_optimizers().items():
        for path_, param in sorted(optimizer.target.namedparams()):
            for key, state in (param.update_rule.state or {}).items():
                if getattr(state, 'shape', ()):
                    _compare(path, '%s of %s%s' % (key, name, path_), state,
                             param.array)


def _compare(path, name, theirs, ours):
    if theirs.shape != ours.shape:
        raise errors.UserError(
            '%s is not of this net or data: %s has the shape %s, here it is '
            '%s' % (path, name, theirs.shape, ours.shape))
