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
import sys
import warnings
import zipfile
from typing import Any
from typing import BinaryIO

import chainer
import numpy
from chainer import training
from chainer.serializers import npz
from chainer.training import extension
from chainer.training import triggers
from chainer.training.extensions import snapshot_writers

from bnn import errors
from bnn.training.files import atomic

# An array of no pickle that stands for None.
_NONE = numpy.zeros(0, 'V1')
_HDF5_MAGIC = b'\x89HDF\r\n\x1a\n'


class Writer(snapshot_writers.Writer):
    """Writes snapshots for ``chainer.training.extensions.snapshot``.

    Args:
        settings: What the run was started with, kept as JSON.
        is_first: Whether this process writes.  The others of a run
            have the same state.
    """

    def __init__(self, settings: dict[str, Any], is_first: bool = True
                 ) -> None:
        super().__init__()
        self._settings = settings
        self._is_first = is_first

    def __call__(self, filename: str, outdir: str,
                 target: dict[str, Any]) -> None:
        """Writes one snapshot.

        Raises:
            ~bnn.errors.UserError: If a weight is NaN or infinite, or the
                file cannot be written; older snapshots stay as they are.
        """
        if not self._is_first:
            return
        for name, value in target.items():
            if (name.startswith('updater/model:') and value.dtype.kind == 'f'
                    and not numpy.isfinite(value).all()):
                raise errors.UserError(
                    f'{name.split(":", 1)[1]} has become NaN or infinite; '
                    f'not saved as {filename}; {describe_last(outdir)}')
        arrays = {name: _NONE if value.dtype == object else value
                  for name, value in (
                      (name, numpy.asarray(value))
                      for name, value in target.items())}
        arrays['settings'] = numpy.array(json.dumps(self._settings))
        with atomic.write(os.path.join(outdir, filename)) as f:
            numpy.savez(f, **arrays)
        self._post_save()


class RandomState(extension.Extension):
    """Carries NumPy's global random state, which Chainer leaves out.

    CuPy's generator cannot be saved: on a GPU it is seeded anew at each
    iteration, by the seed of the run and the number of the iteration.

    Args:
        seed: The seed of the run.
        device: Where the net computes.
    """

    trigger = 1, 'iteration'

    def __init__(self, seed: int, device: chainer.backend.Device) -> None:
        self._seed = seed
        self._xp = device.xp

    def initialize(self, trainer: training.Trainer) -> None:
        self(trainer)

    def __call__(self, trainer: training.Trainer) -> None:
        if self._xp is not numpy:
            self._xp.random.seed(
                (self._seed + 0x9e3779b9 * trainer.updater.iteration)
                % 2 ** 32)

    def serialize(self, serializer: Any) -> None:
        kind, keys, *rest = numpy.random.get_state()
        keys = serializer('keys', keys)
        rest = serializer('position', numpy.array(rest))
        if isinstance(serializer, chainer.Deserializer):
            numpy.random.set_state(
                (kind, keys, int(rest[0]), int(rest[1]), float(rest[2])))


class Trigger:
    """Fires at each end of an epoch, and at every ``n`` iterations.

    Args:
        n: Iterations between two snapshots beside the epochs'.
    """

    def __init__(self, n: int | None = None) -> None:
        self._triggers = [triggers.IntervalTrigger(1, 'epoch')]
        if n is not None:
            self._triggers.append(triggers.IntervalTrigger(n, 'iteration'))

    def __call__(self, trainer: training.Trainer) -> bool:
        # A list: each has to see each iteration.
        return any([trigger(trainer) for trigger in self._triggers])

    def serialize(self, serializer: Any) -> None:
        for trigger in self._triggers:
            trigger.serialize(serializer[trigger.unit])


def find(folder: str) -> list[str]:
    """Lists the snapshots in a folder, the one of most iterations first.

    Args:
        folder: An output folder; it may be missing.

    Returns:
        Paths.
    """
    found = []
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            match = re.fullmatch(r'snapshot_iter_(\d+)', name)
            if match:
                found.append((int(match[1]), os.path.join(folder, name)))
    return [path for _, path in sorted(found, reverse=True)]


def describe_last(folder: str) -> str:
    """Names the newest whole snapshot, for an error message."""
    for path in find(folder):
        try:
            read(path)
        except errors.UserError:
            continue
        return f'the last whole snapshot is {path}'
    return 'there is no snapshot yet'


def read(path: str) -> tuple[dict[str, numpy.ndarray], dict[str, Any]]:
    """Reads a snapshot.

    Args:
        path: The file.

    Returns:
        The arrays by their names, and the settings.

    Raises:
        ~bnn.errors.UserError: If the file is missing, truncated, corrupt, not
            a snapshot, or holds pickled objects, which are not read.
    """
    try:
        with errors.reading(path), open(path, 'rb') as f:
            magic = f.read(8)
            f.seek(0)
            if magic == _HDF5_MAGIC:
                raise errors.UserError(
                    f'{path} is a model or optimizer file, not a snapshot; '
                    'use --resume auto or a snapshot_iter_* file, or '
                    '--initmodel to start from a model')
            if not magic.startswith(b'PK'):
                raise errors.UserError(
                    f'{path} is not a snapshot of this program')
            arrays = read_arrays(f)
        settings = json.loads(str(arrays.pop('settings')[()]))
        if not isinstance(settings, dict):
            raise ValueError('its settings are no JSON object')
    except KeyError as e:
        raise errors.UserError(
            f'{path} is not a snapshot of this program: it has no settings'
        ) from e
    except errors.UserError:
        raise
    except Exception as e:  # a hostile file can raise anything in the readers
        raise errors.UserError(
            f'{path} is damaged or not a snapshot: '
            f'{errors.one_line(e)}') from e
    return arrays, settings


def read_arrays(f: BinaryIO) -> dict[str, numpy.ndarray]:
    """Reads an uncompressed NPZ file, without pickle.

    Each checksum is compared before NumPy parses an array.

    Args:
        f: The file.

    Raises:
        Exception: Of any kind, if the file is damaged or hostile.
    """
    size = f.seek(0, os.SEEK_END)
    arrays = {}
    with zipfile.ZipFile(f) as archive:
        for info in archive.infolist():
            if (info.compress_type != zipfile.ZIP_STORED
                    or info.file_size > size):
                raise ValueError(f'{info.filename} is compressed')
            member = io.BytesIO(archive.read(info))
            arrays[info.filename.removesuffix('.npy')] = (
                numpy.lib.format.read_array(member, allow_pickle=False))
            if member.read(1):
                raise ValueError(f'{info.filename} is too long')
    return arrays


def restore(snapshot: Any, trainer: training.Trainer) -> None:
    """Puts a snapshot into a trainer, and says so.

    Args:
        snapshot (~bnn.training.files.resume.Snapshot): What :func:`read`
            returned; its arrays are given up.
        trainer: A trainer built like the one that was saved.

    Raises:
        ~bnn.errors.UserError: If it is of another net or another data set.
    """
    path, arrays = snapshot.path, snapshot.arrays
    for name, ours in sorted(npz.serialize(trainer.updater).items()):
        ours = numpy.asarray(ours)
        name = 'updater/' + name
        if name not in arrays:
            raise errors.UserError(
                f'{path} is not of this net: it has no {name}')
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
            f'{path} does not fit this run: {errors.one_line(e)}'
        ) from e
    # Chainer reads an optimizer's moments in whatever shape they have.
    for name, optimizer in trainer.updater.get_all_optimizers().items():
        for path_, param in sorted(optimizer.target.namedparams()):
            for key, state in (param.update_rule.state or {}).items():
                if getattr(state, 'shape', ()):
                    _compare(path, f'{key} of {name}{path_}', state,
                             param.array)
    snapshot.arrays = None  # as large as the model and its moments
    print(f'go on from {path}', file=sys.stderr)


def _compare(path, name, theirs, ours):
    if theirs.shape != ours.shape:
        raise errors.UserError(
            f'{path} is not of this net or data: {name} has the shape '
            f'{theirs.shape}, here it is {ours.shape}')
