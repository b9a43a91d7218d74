"""A run from its first iteration, or a snapshot's, to its saved results."""
import sys

import numpy
from chainer.training import extensions

from bnn import machine
from bnn.training import background
from bnn.training import best
from bnn.training import collective
from bnn.training import devices
from bnn.training import distributed
from bnn.training import finish
from bnn.training import inside
from bnn.training import plots
from bnn.training import reports
from bnn.training import resuming
from bnn.training import schedules
from bnn.training import snapshots
from bnn.training import stop
from bnn.training import tensorboard
from bnn.training import updaters


def run(session, trainer, data, validation, tester, attributes):
    """Adds what every run has to a trainer, runs it, saves the results.

    Args:
        session (~bnn.training.session.Session): The options, device, ranks.
        trainer (~chainer.training.Trainer): A trainer whose stop trigger
            is a :class:`~bnn.training.stop.StopTrigger`, with the
            extensions that are its own.
        data (~bnn.data.Dataset): The data.
        validation (~bnn.training.data.Feed or None): The validation part.
        tester (~bnn.training.evaluator.Evaluator): Tests the model on the
            test set; at each epoch, or once at the end if there is a
            validation part.
        attributes (dict): What the model's file is to say of the net.

    Returns:
        int: The exit status: 0, or 128 + the number of the signal that
        ended the run.
    """
    args, resume = session.args, session.resume
    settings = resuming.settings(
        session.parser, args, dataset=data.name, data_digest=data.digest)
    attributes = {
        **attributes, **settings, 'class_names': data.class_names,
        'machine': {**machine.describe(),
                    'device': devices.describe(session.device)}}
    _extend(session, trainer, validation, tester)
    # A snapshot has the batch of all ranks.
    snapshot = _snapshot(session, trainer, {
        **settings, 'batchsize': args.batchsize * session.n_ranks})

    if resume is not None:
        snapshots.restore(resume.path, resume.arrays, trainer)
        resume.arrays = None  # as large as the model and its moments
        print('go on from %s' % resume.path, file=sys.stderr)
        is_saved = (finish.is_saved(trainer) if session.comm is None else
                    collective.share(
                        session.comm, finish.is_saved, trainer))
        if trainer.stop_trigger.is_finished(trainer) and is_saved:
            print('%s is finished: %d epochs are done; a larger --epoch '
                  'goes on' % (trainer.out, trainer.updater.epoch),
                  file=sys.stderr)
            return 0

    with trainer.stop_trigger as stop_trigger:
        # StopOnNonFinite tells of it, without NumPy's warnings.
        with numpy.errstate(
                over='ignore', invalid='ignore', divide='ignore'):
            trainer.run(show_loop_exception_msg=False)
        if not stop_trigger.is_finished(trainer):
            snapshot(trainer)
            if session.comm is None:
                snapshot.finalize()  # until it is written
            go_on = '' if session.comm is None else (
                'mpiexec -n %d ' % session.n_ranks)
            go_on += session.parser.command(
                args, out=trainer.out, resume='auto', initmodel=None)
            print('stopped at iteration %d%s' % (
                trainer.updater.iteration,
                '' if session.is_temporary else
                ', snapshot saved; to go on: ' + go_on), file=sys.stderr)
            return 128 + stop_trigger.signal
        finish.save(session, trainer, data, tester, attributes)
    return 0


def _extend(session, trainer, validation, tester):
    """Adds the learning rates, the tests, the log and what reads it."""
    args = session.args
    model = trainer.updater.get_optimizer('main').target
    trainer.extend(schedules.LearningRate(
        session.schedule, schedules.glorot_scales(model)
        if args.lr_scale == 'glorot' else None))
    trainer.extend(stop.StopOnNonFinite())
    trainer.extend(snapshots.RandomState())
    trainer.extend(inside.BinaryStatistics(model))
    part = 'test' if validation is None else 'validation'
    trainer.extend(reports.LogReport(
        session.comm, sums=getattr(trainer.updater, 'sums', None)),
        name='LogReport')
    if session.is_first:
        trainer.extend(
            extensions.DumpGraph('main/loss', filename='graph.dot'),
            # Before the LogReport leaves the means of an epoch
            priority=extensions.DumpGraph.priority + 1)
        reports.extend(trainer, args.report, args.progress, part)
        if args.plot:
            plots.extend(trainer, part)
        if args.tensorboard:
            trainer.extend(tensorboard.TensorBoard())
    if validation is None:
        trainer.extend(tester, name='validation')
    else:
        trainer.extend(
            session.evaluator(validation, model), name='validation')
        trainer.extend(best.KeepBest(model), name='KeepBest')
    if session.comm is not None:
        trainer.extend(distributed.BrokenImages(session.comm))


def _snapshot(session, trainer, settings):
    """Adds the snapshots; returns what takes one."""
    model = trainer.updater.get_optimizer('main').target
    make_writer = (background.Writer if session.comm is None
                   and updaters.is_gpu(session.device) else snapshots.Writer)
    snapshot = extensions.snapshot(
        writer=make_writer(settings) if session.is_first else
        distributed.SilentWriter(), n_retains=session.args.keep_snapshots)
    trainer.extend(snapshot, name='snapshot', trigger=snapshots.Trigger(
        session.args.snapshot_every))
    if session.comm is None:
        return snapshot

    def average(trainer):
        distributed.average_persistents(model, session.comm)

    trainer.extend(average, name='average_persistents',
                   trigger=snapshots.Trigger(session.args.snapshot_every),
                   priority=snapshot.priority + 1)
    return lambda trainer: (average(trainer), snapshot(trainer))
