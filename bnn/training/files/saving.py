"""What a finished or interrupted run leaves behind."""
import dataclasses
import os
import shlex
import sys
from typing import Any

import chainer

from bnn import data
from bnn import errors
from bnn import machine
from bnn.training import devices
from bnn.training.command_line import config as config_module
from bnn.training.command_line import parser
from bnn.training.command_line import script
from bnn.training.files import model_file
from bnn.training.ranks import alone
from bnn.training.reports import lines


def settings(config: config_module.Config, dataset: data.Dataset,
             **more: Any) -> dict[str, Any]:
    """Returns what snapshots and models keep of a run, for JSON.

    Args:
        config: The configuration.
        dataset: The data.
        more: What they keep beside it.
    """
    return {
        **{name: getattr(config, name)
           for name in config_module.names('fixed', 'carried')},
        'name': config.name, 'teacher_digest': config.teacher_digest,
        'gradients': devices.describe_products(config.gpu, config.precision),
        'dataset': dataset.name, 'data_digest': dataset.digest, **more}


def is_finished(trainer: chainer.training.Trainer,
                ranks: alone.Ranks = alone.ALONE) -> bool:
    """Tells whether a resumed run has nothing left to do, and says so.

    Args:
        trainer: The trainer, restored from a snapshot.
        ranks: The processes of the run.

    Returns:
        Whether its epochs are done and its results are in its folder.
    """
    if not trainer.stop_trigger.is_finished(trainer) or not ranks.first(
            _is_saved, trainer):
        return False
    print(f'{trainer.out} is finished: {trainer.updater.epoch} epochs are '
          'done; a larger --epoch goes on', file=sys.stderr)
    return True


def _is_saved(trainer):
    # By the file that is written last
    state = os.path.join(trainer.out, 'mlp.state')
    if not all(map(os.path.exists, (
            state, os.path.join(trainer.out, 'mlp.model')))):
        return False
    try:
        attributes = model_file.read_attributes(state)
    except errors.UserError:
        return False
    return attributes.get('iteration') == trainer.updater.iteration


def save(config: config_module.Config, trainer: chainer.training.Trainer,
         dataset: data.Dataset, device: chainer.backend.Device,
         entry: dict[str, Any], test: dict[str, float],
         **attributes: Any) -> None:
    """Writes the model, with what it is, and the optimizer.

    Args:
        config: The configuration.
        trainer: The trainer, at its end.
        dataset: The data.
        device: Where the model was trained.
        entry: The entry of the log whose model it is.
        test: Its test, ``'main/loss'`` and ``'main/accuracy'``.
        attributes: What else the file is to say: ``net_class`` and
            ``net_args``.

    Raises:
        ~bnn.errors.UserError: If a file cannot be written.
    """
    optimizer = trainer.updater.get_optimizer('main')
    lines.say(config, 'save the model')
    save_model(os.path.join(trainer.out, 'mlp.model'), optimizer.target,
               config, dataset, device, entry, test, **attributes,
               test_weights=config.tested_weights)
    lines.say(config, 'save the optimizer')
    model_file.save(os.path.join(trainer.out, 'mlp.state'), optimizer,
                    {'iteration': trainer.updater.iteration})


def save_model(path: str, model: chainer.Link, config: config_module.Config,
               dataset: data.Dataset, device: chainer.backend.Device,
               entry: dict[str, Any], test: dict[str, float],
               **attributes: Any) -> None:
    """Writes a model, with what it is.

    Args:
        path: The file.
        model: The model.
        config, dataset, device, entry, test, attributes: See :func:`save`.

    Raises:
        ~bnn.errors.UserError: If the file cannot be written.
    """
    model_file.save(path, model, settings(
        config, dataset, **attributes, class_names=dataset.class_names,
        machine={**machine.describe(), 'device': devices.describe(device)},
        epoch=entry['epoch'], iteration=entry['iteration'],
        **{name.replace('main/', 'test_'): value
           for name, value in test.items()}), dataset.whitening)


def say_how_to_go_on(config: config_module.Config,
                     trainer: chainer.training.Trainer, *positional: str,
                     ranks: alone.Ranks = alone.ALONE) -> int:
    """Tells of a run that a signal ended, after its last snapshot.

    Args:
        config: The configuration.
        trainer: The trainer.
        positional: Words of the command that stand first.
        ranks: The processes of the run.

    Returns:
        The exit status, 128 + the number of the signal.
    """
    words = f'stopped at iteration {trainer.updater.iteration}'
    if not config.dry_run or config.out is not None:
        words += ', snapshot saved; to go on: ' + ranks.command(
            parser.command(config, *positional, out=trainer.out,
                           resume='auto', initmodel=None))
    print(words, file=sys.stderr)
    return 128 + trainer.stop_trigger.signal


def say_what_next(config: config_module.Config,
                  trainer: chainer.training.Trainer, *positional: str,
                  ranks: alone.Ranks = alone.ALONE) -> None:
    """Tells of a finished run how to test, export and continue it.

    A dry run has nothing to go on from.

    Args:
        config: The configuration.
        trainer: The trainer.
        positional: Words of the command that stand first.
        ranks: The processes of the run.
    """
    if config.dry_run:
        return
    model = os.path.join(trainer.out, 'mlp.model')

    def command(is_needed, **changes):
        # The model and the snapshot have the other settings.
        given = {name: value for name, value in config.given.items()
                 if is_needed(name, config_module.SETTINGS[name])}
        return parser.command(dataclasses.replace(config, given=given),
                              *positional, **changes)

    commands = {
        'evaluate': command(
            lambda name, one: one.group in ('data', 'net') or name in (
                'gpu', 'test_statistics'),
            resume=None, evaluate=True, initmodel=model,
            # A resumed run has them from its snapshot.
            data_dir=config.data_dir, test_statistics=(
                None if config.test_statistics == 'running' else
                config.test_statistics)),
        'export': shlex.join([script.path('export.py'), (
            model if config.tested_weights == 'signs' else
            os.path.join(trainer.out, 'signs.model'))])}
    if not config.schedule.depends_on_length:
        commands['resume'] = ranks.command(command(
            lambda name, one: one.kept == 'free', out=trainer.out,
            resume='auto', initmodel=None, epoch=2 * config.n_epochs))
    script.say_next(**commands)
