"""What a run takes over from the files of another: its settings."""
import contextlib
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy

from bnn import errors
from bnn.training import devices
from bnn.training.command_line import config as config_module
from bnn.training.files import folders
from bnn.training.files import model_file
from bnn.training.files import snapshots
from bnn.training.ranks import alone

# What a test of a model may have other than its training had
_FREE_IN_TESTS = 'dataset', 'test_weights', 'test_draws'


@dataclasses.dataclass
class Snapshot:
    """A run to go on with.

    Attributes:
        path: The file.
        arrays: What it holds, names to arrays.
        settings: The settings of the run.
    """

    path: str
    arrays: dict[str, numpy.ndarray]
    settings: dict[str, Any]

    @property
    def out(self) -> str:
        """The folder of the run."""
        return os.path.dirname(self.path) or '.'


def find(resume: str | None, out: str | None) -> Snapshot | None:
    """Finds the snapshot that ``--resume`` means.

    Args:
        resume: A file; ``'auto'``: the newest whole one; ``None``: none.
        out: The folder where ``'auto'`` looks; that of the latest run by
            default.

    Returns:
        ``None`` to start anew; a line on standard error says so.

    Raises:
        ~bnn.errors.UserError: If a named snapshot cannot be read.
    """
    if resume is None:
        return None
    if resume != 'auto':
        return Snapshot(resume, *snapshots.read(resume))
    folder = folders.latest() if out is None else out
    for path in snapshots.find(folder) if folder else ():
        try:
            return Snapshot(path, *snapshots.read(path))
        except errors.UserError as e:
            print(f'warning: {e}; trying the one before', file=sys.stderr)
    print(f'no snapshot in {folder or folders.ROOT}: starting anew',
          file=sys.stderr)
    return None


def take_over(config: config_module.Config, ranks: alone.Ranks = alone.ALONE,
              only: Sequence[str] | None = None
              ) -> tuple[config_module.Config, Snapshot | None]:
    """Takes the settings of the run or the model that a run goes on from.

    Args:
        config: What the command line says.
        ranks: The processes of the run, see :mod:`bnn.training.ranks.alone`.
        only: The fields that may be others than those of ``config``; all by
            default.

    Returns:
        The configuration, checked, and the snapshot to go on from, if any.

    Raises:
        ~bnn.errors.UserError: If a setting that was given is another than
            that of the snapshot, the teacher is another or cannot be read,
            or settings contradict one another.
    """
    config.check()
    snapshot = ranks.first(find, config.resume, config.out)
    if snapshot is not None:
        settings = dict(snapshot.settings)
        # A snapshot has the batch of all ranks.
        settings['batchsize'] = ranks.part_of_batch(
            config_module.check('batchsize', settings.get('batchsize'),
                                snapshot.path), snapshot.path)
        config = _go_on(config, settings, snapshot.path, only)
        _warn_of_unit(config, settings, snapshot.path)
        weights = snapshot.arrays.get('updater/model:main/predictor/l1/W')
        _check_unit(config, snapshot.path, numpy.shape(weights))
    elif config.initmodel is not None:
        names = ['unit', 'input', 'size', 'grey']
        if config.evaluate:
            names += ['loss', 'binarize', *_FREE_IN_TESTS]
        config = take_from_model(config, names, config.initmodel)
        _check_unit(config, config.initmodel, model_file.shape(
            config.initmodel, 'predictor/l1/W'))
    config.check()
    config = _with_teacher(config, snapshot)
    schedule = config.schedule  # which refuses what contradicts itself
    if (snapshot is not None and schedule.depends_on_length
            and snapshot.settings.get('epoch') != config.epoch):
        raise errors.UserError(
            f'--epoch is {config.epoch}, but {snapshot.path} was made with '
            f'{snapshot.settings.get("epoch")!r:.80}, and its --lr-schedule '
            f'{config.lr_schedule} depends on it; leave it out to go on')
    return config, snapshot


def _go_on(config, settings, path, only):
    if settings.get('name', config.name) != config.name:
        raise errors.UserError(
            f'{path} is of the configuration {settings["name"]!r:.80}, not '
            f'{config.name}')
    values = {}
    for name in config_module.names('fixed'):
        # A snapshot may be older than the setting.
        saved = config_module.check(
            name, settings.get(name, config_module.DEFAULTS[name]), path)
        if name in config.given and config.given[name] != saved:
            raise errors.UserError(
                f'{config_module.flag(name)} is {config.given[name]}, but '
                f'{path} was made with {saved}; leave it out to go on, or '
                'start a new run without --resume')
        values[name] = saved
    for name in config_module.names('carried'):
        if name not in config.given and name in settings:
            values[name] = config_module.check(name, settings[name], path)
    for name, saved in values.items():
        if only is not None and name not in only and (
                saved != getattr(config, name)):
            raise errors.UserError(
                f'{path} was made with {config_module.flag(name)} '
                f'{saved!r:.80}: ./train.py {config.name} goes on with it')
    return dataclasses.replace(config, **values)


def _with_teacher(config, snapshot):
    """Notes which teacher it is; it may have moved, but is no other."""
    if config.teacher is not None and not config.evaluate:
        config = dataclasses.replace(
            config, teacher_digest=model_file.digest(config.teacher))
    if snapshot is None:
        return config
    path, digest = (snapshot.settings.get(name)
                    for name in ('teacher', 'teacher_digest'))
    if digest != config.teacher_digest:
        raise errors.UserError(
            f'--teacher is {config.teacher} of digest '
            f'{config.teacher_digest}, but {snapshot.path} was made with '
            f'{path!r:.400} of digest {digest!r:.42}; name that file to go on')
    return config


def _warn_of_unit(config, settings, path):
    """Tells that sums round otherwise on the unit of this processor."""
    ours = devices.describe_products(config.gpu, config.precision)
    theirs = settings.get('gradients', ours)
    if theirs != ours:
        print(f'warning: {path} was made with gradients in {theirs!r:.80}, '
              f'here they are in {ours!r}: the results differ a little from '
              'those of a run that was not interrupted', file=sys.stderr)


def _check_unit(config, path, shape):
    """Refuses a file whose first layer is not as large as its settings say.

    They may be wrong, or hostile: nothing is made of such a size.
    """
    if shape and shape[0] != config.unit and 'unit' not in config.given:
        raise errors.UserError(
            f'{path} is damaged or of another program: its --unit is '
            f'{config.unit}, but its first layer has {shape[0]} units')


def bounded(config: config_module.Config, snapshot: Snapshot | None
            ) -> contextlib.AbstractContextManager:
    """Refuses to make a net that is far larger than the file of its sizes.

    What a file says of its net may be wrong, or hostile.

    Args:
        config: The configuration, with the sizes.
        snapshot: The run to go on with, if any.

    Returns:
        A context, see :func:`bnn.training.files.model_file.at_most`.
    """
    if snapshot is not None:
        return model_file.at_most(snapshot.path, sum(
            array.nbytes for array in snapshot.arrays.values()))
    if config.initmodel is not None:
        return model_file.bounded(config.initmodel)
    return contextlib.nullcontext()


def take_from_model(config: config_module.Config, names: list[str],
                    path: str) -> config_module.Config:
    """Takes settings that were not given from a model file.

    Args:
        config: The configuration.
        names: Which settings; attributes of these names in the file.
        path: The file.

    Returns:
        The configuration with those that the file has.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, is of another net,
            or with ``--evaluate`` holds another value than was given.
    """
    attributes = model_file.read_attributes(path)
    theirs = attributes.get('net_class', config.net)
    if theirs != config.net:
        raise errors.UserError(
            f'{path} is of the net {theirs!r:.80}, not {config.net}; take a '
            'configuration of that net, ./train.py lists them')
    return config_module.take(
        config, {name: attributes[name] for name in names
                 if name in attributes}, path, _FREE_IN_TESTS)
