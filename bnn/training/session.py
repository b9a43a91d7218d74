"""What stands around a training loop: data, header, resume, end."""
import contextlib
import os
import shutil
import sys
import tempfile

import chainer
import numpy
from chainer.training import extensions

from bnn import errors
from bnn import machine
from bnn.training import best
from bnn.training import devices
from bnn.training import finish
from bnn.training import inside
from bnn.training import plots
from bnn.training import reports
from bnn.training import results
from bnn.training import resuming
from bnn.training import snapshots
from bnn.training import stop
from bnn.training import tensorboard


def seed(number, device):
    """Seeds the random numbers of NumPy, and of a GPU where one is used.

    Args:
        number (int): The seed.
        device (chainer.backend.Device): The device.
    """
    numpy.random.seed(number)
    device.xp.random.seed(number)  # dropout's, on a GPU


def print_header(args, device, net, n_epochs, data, out):
    """Prints what a run is, on standard error."""
    for name, value in (
            ('device', devices.describe(device)), ('net', net),
            ('batch size', args.batchsize), ('epochs', n_epochs),
            ('seed', args.seed),
            ('data', '%s, %d training, %s%d test images (%s)' % (
                data.title, len(data.train_labels),
                '' if data.validation_labels is None else
                '%d validation, ' % len(data.validation_labels),
                len(data.test_labels), data.source)),
            ('results', out)):
        print('%-12s%s' % (name + ':', value), file=sys.stderr)


def warn_of_unbounded(names):
    """Warns of latent weights that no clip keeps in their range."""
    if names:
        print('warning: nothing bounds the latent weights %s: their '
              'levels freeze as they grow; add a WeightClip (--clip weights)'
              % ', '.join(names), file=sys.stderr)


def decay_weights(model, rate):
    """Adds weight decay to weights, not to biases and batch normalization.

    Args:
        model (~chainer.Link): A model that an optimizer was set up with.
        rate (float): The rate; 0 adds nothing.
    """
    if rate:
        for name, param in model.namedparams():
            if name.endswith('/W'):
                param.update_rule.add_hook(
                    chainer.optimizer_hooks.WeightDecay(rate))


def print_evaluation(evaluator):
    """Runs an evaluator and prints the line of the test."""
    print(reports.seed_line('test ', evaluator.test(), 'main/'))


@contextlib.contextmanager
def output_folder(args, resume):
    """Opens the folder for the results, locked against a second run.

    Args:
        args (argparse.Namespace): ``out``, ``dry_run``.
        resume (~bnn.training.resuming.Resume or None): The run to go
            on with, in its own folder unless another was given.

    Yields:
        str: The folder.
    """
    if resume is not None and (args.out is None or os.path.realpath(
            args.out) == os.path.realpath(resume.out)):
        out = resume.out
        if args.resume != 'auto' and not os.path.samefile(
                resume.path, snapshots.find(out)[0]):
            raise errors.UserError(
                '%s is not the newest snapshot in its folder; name a new '
                '--out to branch off from it' % resume.path)
    elif _is_temporary(args, resume):
        out = tempfile.mkdtemp(prefix='dry-run-')
    else:
        out = results.new(args.out, args.resume == 'auto')
    lock = results.lock(out)
    try:
        yield out
    finally:
        lock.release()
        if _is_temporary(args, resume):
            shutil.rmtree(out)


def _is_temporary(args, resume):
    return args.dry_run and args.out is None and resume is None


def run(trainer, parser, args, data, resume, tester, attributes):
    """Adds what every run has to a trainer, runs it and saves the results.

    Args:
        trainer (~chainer.training.Trainer): A trainer whose stop trigger is a
            :class:`~bnn.training.stop.StopTrigger`, with the extensions that
            are its own.
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options.
        data (~bnn.datasets.Dataset): The data.
        resume (~bnn.training.resuming.Resume or None): The run to go
            on with.
        tester (~bnn.training.evaluator.Evaluator): Tests the model on the
            test set; at each epoch, or once at the end if there is a
            validation part, which then has an evaluator in the trainer.
        attributes (dict): What the model's file is to say of the net.

    Returns:
        int: The exit status: 0, or 128 + the number of the signal that ended
        the run.
    """
    settings = resuming.settings(
        parser, args, dataset=data.name, data_digest=data.digest)
    attributes = {
        **attributes, **settings, 'class_names': data.class_names,
        'machine': {**machine.describe(), 'device': devices.describe(
            trainer.updater.get_optimizer('main').target.device)}}
    model = trainer.updater.get_optimizer('main').target
    trainer.extend(stop.StopOnNonFinite())
    trainer.extend(snapshots.RandomState())
    trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))
    trainer.extend(inside.BinaryStatistics(model))
    part = 'validation' if args.validation else 'test'
    reports.extend(trainer, args.report, args.progress, part)
    if args.plot:
        plots.extend(trainer, part)
    if args.tensorboard:
        trainer.extend(tensorboard.TensorBoard())
    if args.validation:
        trainer.extend(best.KeepBest(model), name='KeepBest')
    else:
        trainer.extend(tester, name='validation')
    snapshot = extensions.snapshot(
        writer=snapshots.Writer(settings), n_retains=args.keep_snapshots)
    trainer.extend(snapshot, trigger=snapshots.Trigger(args.snapshot_every))

    if resume is not None:
        snapshots.restore(resume.path, resume.arrays, trainer)
        resume.arrays = None  # as large as the model and its moments
        print('go on from %s' % resume.path, file=sys.stderr)
        if (trainer.stop_trigger.is_finished(trainer)
                and finish.is_saved(trainer)):
            print('%s is finished: %d epochs are done; a larger --epoch goes '
                  'on' % (trainer.out, trainer.updater.epoch),
                  file=sys.stderr)
            return 0

    with trainer.stop_trigger as stop_trigger:
        # StopOnNonFinite tells of it, without NumPy's warnings from inside.
        with numpy.errstate(over='ignore', invalid='ignore', divide='ignore'):
            trainer.run(show_loop_exception_msg=False)
        if not stop_trigger.is_finished(trainer):
            snapshot(trainer)
            go_on = parser.command(
                args, out=trainer.out, resume='auto', initmodel=None)
            print('stopped at iteration %d%s' % (
                trainer.updater.iteration,
                '' if _is_temporary(args, resume) else
                ', snapshot saved; to go on: ' + go_on), file=sys.stderr)
            return 128 + stop_trigger.signal
        finish.save(trainer, args, data, tester, attributes)
    return 0


