"""One call of a training script: its options, device, ranks and folder."""
import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
import typing

import chainer
import numpy

from bnn import errors
from bnn.training import arguments
from bnn.training import collective
from bnn.training import devices
from bnn.training import distributed
from bnn.training import evaluator
from bnn.training import memory
from bnn.training import ranks
from bnn.training import results
from bnn.training import resuming
from bnn.training import schedules
from bnn.training import settling
from bnn.training import snapshots
from bnn.training import stop
from bnn.training import updaters

# Options that may be others on each rank: devices and places
_OF_RANK = 'given', 'gpu', 'data_dir', 'out', 'initmodel', 'resume'


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
    memory.keep()
    comm = None
    if args.distributed:
        comm = ranks.communicator(args.communicator, args.gpu)
        args.gpu = ranks.gpu_of(comm, args.gpu)
        resume = collective.share(comm, resuming.find, args)
        if resume is not None:  # A snapshot has the batch of all ranks.
            resume.settings['batchsize'] = distributed.batchsize_of_rank(
                parser.check('batchsize', resume.settings.get('batchsize'),
                             resume.path), comm.size, resume.path)
    else:
        ranks.check_alone()
        resume = resuming.find(args)
    schedule = settling.settle(
        parser, args, resume, nets, recipes, learning_rates)
    if comm is not None:
        collective.check_alike(comm, **{
            '--' + name.replace('_', '-'): value
            for name, value in vars(args).items() if name not in _OF_RANK})
    device = devices.get(args.gpu)
    # Before there is an iterator, which shuffles at once
    numpy.random.seed(args.seed)
    device.xp.random.seed(args.seed)  # dropout's, on a GPU
    return Session(parser, args, resume, schedule, device, comm)


@dataclasses.dataclass
class Session:

    """One call of a training script.

    Attributes:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options, settled.
        resume (~bnn.training.resuming.Resume or None): The run to go on with.
        schedule (~bnn.training.schedules.Schedule): The learning rates.
        device (chainer.backend.Device): Where the net computes.
        comm (chainermn.CommunicatorBase or None): The ranks of the run, if it
            is distributed.
    """

    parser: arguments.Parser
    args: argparse.Namespace
    resume: resuming.Resume
    schedule: schedules.Schedule
    device: chainer.backend.Device
    comm: typing.Any = None

    @property
    def n_ranks(self):
        """int: Processes that share each batch."""
        return 1 if self.comm is None else self.comm.size

    @property
    def share(self):
        """slice: This process's part of what the ranks share."""
        return slice(0 if self.comm is None else self.comm.rank, None,
                     self.n_ranks)

    @property
    def is_first(self):
        """bool: Whether this is the process that prints and writes."""
        return self.comm is None or self.comm.rank == 0

    def evaluator(self, feed, model):
        """Makes an evaluator of a model on a part of the data.

        Args:
            feed (~bnn.training.data.Feed): The part, or this rank's share.
            model (~chainer.Link): The model.

        Returns:
            ~bnn.training.evaluator.Evaluator: For all ranks.
        """
        options = feed, model, self.device, self.args.test_statistics
        if self.comm is not None:
            return distributed.Evaluator(self.comm, *options)
        if updaters.is_gpu(self.device) and updaters.is_in_memory(feed):
            return evaluator.DeviceEvaluator(*options)
        return evaluator.Evaluator(*options)

    def updater(self, feed, optimizer):
        """Makes the updater, see :func:`bnn.training.updaters.make`."""
        return updaters.make(self, feed, optimizer)

    def stop_trigger(self):
        """Makes the stop trigger of a trainer, for all ranks."""
        if self.comm is None:
            return stop.StopTrigger(self.n_epochs)
        return distributed.StopTrigger(self.n_epochs, self.comm)

    @property
    def n_epochs(self):
        """int: Length of the training."""
        return min(self.args.epoch, 2) if self.args.dry_run else (
            self.args.epoch)

    def print_header(self, net, data, out):
        """Prints what a run is, on standard error."""
        for name, value in (
                ('device', devices.describe(self.device)), ('net', net),
                ('batch size', self.args.batchsize if self.comm is None else
                 '%d x %d ranks, %s' % (
                     self.args.batchsize, self.n_ranks,
                     type(self.comm).__name__)),
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
        with contextlib.ExitStack() as stack:
            def enter():
                return stack.enter_context(self._open_folder())

            if self.comm is None:
                yield enter()
            else:
                yield collective.share(self.comm, enter)
                self.comm.mpi_comm.Barrier()

    @contextlib.contextmanager
    def _open_folder(self):
        args, resume = self.args, self.resume
        if resume is not None and (args.out is None or os.path.realpath(
                args.out) == os.path.realpath(resume.out)):
            out = resume.out
            if args.resume != 'auto' and not os.path.samefile(
                    resume.path, snapshots.find(out)[0]):
                raise errors.UserError(
                    '%s is not the newest snapshot in its folder; name a new '
                    '--out to branch off from it' % resume.path)
        elif self.is_temporary:
            out = tempfile.mkdtemp(prefix='dry-run-')
        else:
            out = results.new(args.out, args.resume == 'auto')
        lock = results.lock(out)
        try:
            yield out
        finally:
            lock.release()
            if self.is_temporary:
                shutil.rmtree(out)

    @property
    def is_temporary(self):
        """bool: Whether nothing is kept."""
        return (self.args.dry_run and self.args.out is None
                and self.resume is None)
