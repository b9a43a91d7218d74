"""What stands around a training loop: options, header, resume, end."""
import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile

import chainer
import numpy
from chainer.training import extensions

from bnn import errors
from bnn import machine
from bnn.training import arguments
from bnn.training import best
from bnn.training import devices
from bnn.training import evaluator
from bnn.training import finish
from bnn.training import inside
from bnn.training import plots
from bnn.training import reports
from bnn.training import results
from bnn.training import resuming
from bnn.training import schedules
from bnn.training import settling
from bnn.training import snapshots
from bnn.training import stop
from bnn.training import tensorboard


def start(parser, argv, nets, recipes, learning_rates):
    """Reads and settles the options, and seeds the random numbers.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        argv (list of str or None): The arguments; the program's own by
            default.
        nets, recipes, learning_rates: See
            :func:`bnn.training.settling.settle`.

    Returns:
        Session: What the script goes on with.

    Raises:
        ~bnn.errors.UserError: If the options contradict one another or a
            snapshot, or there is no such GPU.
    """
    args = parser.parse(argv)
    resume = resuming.find(args)
    schedule = settling.settle(
        parser, args, resume, nets, recipes, learning_rates)
    device = devices.get(args.gpu)
    # Before there is an iterator, which shuffles at once
    numpy.random.seed(args.seed)
    device.xp.random.seed(args.seed)  # dropout's, on a GPU
    return Session(parser, args, resume, schedule, device)


@dataclasses.dataclass
class Session:

    """One call of a training script.

    Attributes:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options, settled.
        resume (~bnn.training.resuming.Resume or None): The run to go on with.
        schedule (~bnn.training.schedules.Schedule): The learning rates.
        device (chainer.backend.Device): Where the net computes.
    """

    parser: arguments.Parser
    args: argparse.Namespace
    resume: resuming.Resume
    schedule: schedules.Schedule
    device: chainer.backend.Device

    @property
    def n_epochs(self):
        """int: Length of the training."""
        return min(self.args.epoch, 2) if self.args.dry_run else (
            self.args.epoch)

    def print_header(self, net, data, out):
        """Prints what a run is, on standard error."""
        for name, value in (
                ('device', devices.describe(self.device)), ('net', net),
                ('batch size', self.args.batchsize),
                ('epochs', self.n_epochs), ('seed', self.args.seed),
                ('data', '%s, %d training, %s%d test images (%s)' % (
                    data.title, len(data.train_labels),
                    '' if data.validation_labels is None else
                    '%d validation, ' % len(data.validation_labels),
                    len(data.test_labels), data.source)),
                ('results', out)):
            print('%-12s%s' % (name + ':', value), file=sys.stderr)

    @contextlib.contextmanager
    def output_folder(self):
        """Opens the folder for the results, locked against a second run.

        Yields:
            str: The folder.
        """
        args, resume = self.args, self.resume
        if resume is not None and (args.out is None or os.path.realpath(
                args.out) == os.path.realpath(resume.out)):
            out = resume.out
            if args.resume != 'auto' and not os.path.samefile(
                    resume.path, snapshots.find(out)[0]):
                raise errors.UserError(
                    '%s is not the newest snapshot in its folder; name a new '
                    '--out to branch off from it' % resume.path)
        elif self._is_temporary:
            out = tempfile.mkdtemp(prefix='dry-run-')
        else:
            out = results.new(args.out, args.resume == 'auto')
        lock = results.lock(out)
        try:
            yield out
        finally:
            lock.release()
            if self._is_temporary:
                shutil.rmtree(out)

    @property
    def _is_temporary(self):
        return (self.args.dry_run and self.args.out is None
                and self.resume is None)

    def run(self, trainer, data, validation, tester, attributes):
        """Adds what every run has to a trainer, runs it, saves the results.

        Args:
            trainer (~chainer.training.Trainer): A trainer whose stop trigger
                is a :class:`~bnn.training.stop.StopTrigger`, with the
                extensions that are its own.
            data (~bnn.datasets.Dataset): The data.
            validation (~bnn.training.data.Feed or None): The validation part.
            tester (~bnn.training.evaluator.Evaluator): Tests the model on the
                test set; at each epoch, or once at the end if there is a
                validation part.
            attributes (dict): What the model's file is to say of the net.

        Returns:
            int: The exit status: 0, or 128 + the number of the signal that
            ended the run.
        """
        args, resume = self.args, self.resume
        settings = resuming.settings(
            self.parser, args, dataset=data.name, data_digest=data.digest)
        attributes = {
            **attributes, **settings, 'class_names': data.class_names,
            'machine': {**machine.describe(),
                        'device': devices.describe(self.device)}}
        model = trainer.updater.get_optimizer('main').target
        trainer.extend(schedules.LearningRate(
            self.schedule, schedules.glorot_scales(model)
            if args.lr_scale == 'glorot' else None))
        trainer.extend(stop.StopOnNonFinite())
        trainer.extend(snapshots.RandomState())
        trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))
        trainer.extend(inside.BinaryStatistics(model))
        part = 'test' if validation is None else 'validation'
        reports.extend(trainer, args.report, args.progress, part)
        if args.plot:
            plots.extend(trainer, part)
        if args.tensorboard:
            trainer.extend(tensorboard.TensorBoard())
        if validation is None:
            trainer.extend(tester, name='validation')
        else:
            trainer.extend(evaluator.Evaluator(
                validation, model, self.device, args.test_statistics),
                name='validation')
            trainer.extend(best.KeepBest(model), name='KeepBest')
        snapshot = extensions.snapshot(
            writer=snapshots.Writer(settings), n_retains=args.keep_snapshots)
        trainer.extend(
            snapshot, trigger=snapshots.Trigger(args.snapshot_every))

        if resume is not None:
            snapshots.restore(resume.path, resume.arrays, trainer)
            resume.arrays = None  # as large as the model and its moments
            print('go on from %s' % resume.path, file=sys.stderr)
            if (trainer.stop_trigger.is_finished(trainer)
                    and finish.is_saved(trainer)):
                print('%s is finished: %d epochs are done; a larger --epoch '
                      'goes on' % (trainer.out, trainer.updater.epoch),
                      file=sys.stderr)
                return 0

        with trainer.stop_trigger as stop_trigger:
            # StopOnNonFinite tells of it, without NumPy's warnings from
            # inside.
            with numpy.errstate(
                    over='ignore', invalid='ignore', divide='ignore'):
                trainer.run(show_loop_exception_msg=False)
            if not stop_trigger.is_finished(trainer):
                snapshot(trainer)
                go_on = self.parser.command(
                    args, out=trainer.out, resume='auto', initmodel=None)
                print('stopped at iteration %d%s' % (
                    trainer.updater.iteration,
                    '' if self._is_temporary else
                    ', snapshot saved; to go on: ' + go_on), file=sys.stderr)
                return 128 + stop_trigger.signal
            finish.save(trainer, args, data, tester, attributes)
        return 0


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
