"""What stands around a training loop: data, header, resume, end."""
import contextlib
import os
import shutil
import sys
import tempfile

import chainer
import numpy
from chainer.training import extensions

from bnn import datasets
from bnn import errors
from bnn.training import arguments
from bnn.training import devices
from bnn.training import models
from bnn.training import plots
from bnn.training import reports
from bnn.training import results
from bnn.training import snapshots
from bnn.training import stop


def cli(main):
    """Runs a script's ``main`` and ends the program with its exit status.

    What the user can mend becomes one line on standard error: status 1, or
    130 after Ctrl-C.

    Args:
        main (callable): Takes nothing, returns an exit status or ``None``.
    """
    name = os.path.basename(sys.argv[0])
    try:
        status = main()
        sys.stdout.flush()
    except errors.UserError as e:
        status = '%s: error: %s' % (name, e)
    except BrokenPipeError:
        # Whoever read the log has gone; nothing is left to be told to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = '%s: error: standard output was closed' % name
    except OSError as e:
        status = '%s: error: %s: %s' % (
            name, e.filename or 'input/output', e.strerror or e)
    except MemoryError:
        status = ('%s: error: out of memory; try a smaller --batchsize'
                  % name)
    except KeyboardInterrupt:
        print('%s: interrupted' % name, file=sys.stderr)
        status = 130
    sys.exit(status)


def load_data(args, resume=None):
    """Loads the data set that the options ask for.

    Args:
        args (argparse.Namespace): ``dataset`` (``None``: MNIST), ``data_dir``,
            ``allow_modified``, ``batchsize``, ``dry_run``, ``report``,
            ``evaluate``.  Where MNIST was not asked for by name and cannot be
            had, a new run gets the embedded digits, after a warning.
        resume (~bnn.training.arguments.Resume or None): The run to go on
            with, whose data it has to be.

    Returns:
        ~bnn.datasets.Dataset: The data; a few batches of it in a dry run.

    Raises:
        ~bnn.errors.UserError: If the data cannot be had, are corrupt or
            other ones, or a batch is larger than them.
    """
    name = args.dataset or 'mnist'
    _say(args, 'load %s dataset' % datasets.TITLES[name])
    try:
        data = datasets.load(name, args.data_dir, args.allow_modified)
    except datasets.UnavailableError as e:
        if args.dataset is not None or resume is not None or args.evaluate:
            raise
        print('\n*** WARNING: %s\n*** WARNING: training on the embedded '
              'digits instead, 1797 small images: no MNIST results!\n' % e,
              file=sys.stderr)
        _say(args, 'load digits dataset')
        data = datasets.load('digits')
    if args.dry_run:
        data = data.head(3 * args.batchsize + 1)
    if args.batchsize > len(data.train_labels):
        raise errors.UserError(
            '--batchsize %d is larger than the data: %s has %d training '
            'images' % (args.batchsize, data.title, len(data.train_labels)))
    if resume is not None and resume.settings.get(
            'data_digest') != data.digest:
        raise errors.UserError('%s was made with other data than those in %s'
                               % (resume.path, data.source))
    return data


def iterators(data, batchsize):
    """Returns Chainer's iterators over the training and test images."""
    train = chainer.datasets.TupleDataset(
        data.train_images, data.train_labels)
    test = chainer.datasets.TupleDataset(data.test_images, data.test_labels)
    return (chainer.iterators.SerialIterator(train, batchsize),
            chainer.iterators.SerialIterator(
                test, batchsize, repeat=False, shuffle=False))


@chainer.dataset.converter()
def to_unit_interval(batch, device):
    """Converts a batch of uint8 images to float32 in [0, 1], on a device."""
    images, labels = chainer.dataset.concat_examples(batch, device)
    return images.astype(numpy.float32) / 255, labels


def print_header(args, device, net, n_epochs, data, out):
    """Prints what a run is, on standard error."""
    for name, value in (
            ('device', devices.describe(device)), ('net', net),
            ('batch size', args.batchsize), ('epochs', n_epochs),
            ('seed', args.seed),
            ('data', '%s, %d training and %d test images (%s)' % (
                data.title, len(data.train_labels), len(data.test_labels),
                data.source)),
            ('results', out)):
        print('%-12s%s' % (name + ':', value), file=sys.stderr)


def print_evaluation(evaluator):
    """Runs an evaluator and prints the line of the test."""
    with _non_finite_allowed():
        print(reports.seed_line('test ', evaluator(), 'main/'))


def _non_finite_allowed():
    # StopOnNonFinite and the printed loss tell of it, without NumPy's
    # warnings from inside.
    return numpy.errstate(over='ignore', invalid='ignore', divide='ignore')


@contextlib.contextmanager
def output_folder(args, resume):
    """Opens the folder for the results, locked against a second run.

    Args:
        args (argparse.Namespace): ``out``, ``dry_run``.
        resume (~bnn.training.arguments.Resume or None): The run to go on
            with, in its own folder unless another was given.

    Yields:
        str: The folder.
    """
    if resume is not None and (args.out is None or os.path.realpath(
            args.out) == os.path.realpath(resume.out)):
        out = resume.out
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


def run(trainer, parser, args, data, resume, attributes):
    """Adds what every run has to a trainer, runs it and saves the results.

    Args:
        trainer (~chainer.training.Trainer): A trainer whose stop trigger is a
            :class:`~bnn.training.stop.StopTrigger`, with the extensions that
            are its own.
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options.
        data (~bnn.datasets.Dataset): The data.
        resume (~bnn.training.arguments.Resume or None): The run to go on
            with.
        attributes (dict): What the model's file is to say of the net.

    Returns:
        int: The exit status: 0, or 128 + the number of the signal that ended
        the run.
    """
    settings = arguments.settings(
        parser, args, dataset=data.name, data_digest=data.digest)
    trainer.extend(stop.StopOnNonFinite())
    trainer.extend(snapshots.RandomState())
    trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))
    reports.extend(trainer, args.report, args.progress)
    if args.plot:
        plots.extend(trainer)
    snapshot = extensions.snapshot(
        writer=snapshots.Writer(settings), n_retains=args.keep_snapshots)
    trainer.extend(snapshot, trigger=snapshots.Trigger(args.snapshot_every))

    if resume is not None:
        snapshots.restore(resume.path, resume.arrays, trainer)
        resume.arrays = None  # as large as the model and its moments
        print('go on from %s' % resume.path, file=sys.stderr)
        if (trainer.stop_trigger.is_finished(trainer)
                and _is_saved(trainer)):
            print('%s is finished: %d epochs are done; a larger --epoch goes '
                  'on' % (trainer.out, trainer.updater.epoch),
                  file=sys.stderr)
            return 0

    with trainer.stop_trigger as stop_trigger:
        with _non_finite_allowed():
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
        last = trainer.get_extension('LogReport').log[-1]
        _save(trainer, args, {
            **attributes, **settings, 'class_names': data.class_names,
            'epoch': trainer.updater.epoch,
            'iteration': trainer.updater.iteration,
            'test_loss': last['validation/main/loss'],
            'test_accuracy': last['validation/main/accuracy']})
    return 0


def _is_saved(trainer):
    # By the file that is written last
    state = os.path.join(trainer.out, 'mlp.state')
    if not all(os.path.exists(path) for path in (
            state, os.path.join(trainer.out, 'mlp.model'))):
        return False
    return (models.read_attributes(state).get('iteration')
            == trainer.updater.iteration)


def _save(trainer, args, attributes):
    optimizer = trainer.updater.get_optimizer('main')
    _say(args, 'save the model')
    models.save(os.path.join(trainer.out, 'mlp.model'), optimizer.target,
                attributes)
    _say(args, 'save the optimizer')
    models.save(os.path.join(trainer.out, 'mlp.state'), optimizer,
                {'iteration': trainer.updater.iteration})


def _say(args, line):
    if args.report == 'seed':
        print(line, flush=True)
