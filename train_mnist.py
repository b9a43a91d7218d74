#!/usr/bin/env python3
"""Train a binary multi-layer perceptron on MNIST.

    ./train_mnist.py                              20 epochs on the CPU
    ./train_mnist.py --dataset digits --epoch 5   embedded digits, in seconds
    ./train_mnist.py --gpu=0                      on the first GPU

Weights and activations are +1 or -1, and the gradient passes straight through
the sign (BinaryNet, https://arxiv.org/abs/1602.02830).
"""
from bnn import environment

environment.check(__file__)

import os

import chainer.links as L
import numpy
from chainer import training
from chainer.training import extensions

import net
import weight_clip
from bnn import data
from bnn.chainer_ops import adam
from bnn.training import devices
from bnn.training.command_line import parser
from bnn.training.command_line import script
from bnn.training.files import folders
from bnn.training.files import model_file
from bnn.training.files import resume
from bnn.training.files import saving
from bnn.training.files import snapshots
from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.learning import means
from bnn.training.learning import stop
from bnn.training.reports import binary_weights
from bnn.training.reports import curves
from bnn.training.reports import figures
from bnn.training.reports import lines
from bnn.training.reports import log
from configs import binary_net

OPTIONS = (
    'gpu', 'initmodel', 'resume', 'epoch', 'batchsize', 'unit', 'out', 'seed',
    'precision', 'dataset', 'data_dir', 'allow_modified', 'report',
    'progress', 'plot', 'evaluate', 'test_statistics', 'snapshot_every',
    'keep_snapshots', 'dry_run')


def main():
    # Arguments, and with --resume the snapshot to go on from
    args = parser.parse(binary_net.CONFIG, script.Parser(
        __doc__, './train.py binary_net has more options'), OPTIONS,
        datasets=data.NAMES)
    args, snapshot = resume.take_over(args, only=OPTIONS)
    device = devices.get(args.gpu, args.precision)
    numpy.random.seed(args.seed)

    # Data: uint8 images, scaled to [0, 1] batch by batch.  The order of the
    # first epoch is drawn here, before the weights: a seed's log depends on it
    dataset = batches.load(args, data.NAMES, snapshot)
    train = batches.training(dataset, args)

    # Net: 784-1000-1000-10, and the softmax cross entropy of its scores
    model = L.Classifier(
        net.BinaryMLP(args.unit, 10), accfun=means.accuracy)
    if args.initmodel:
        model_file.load(args.initmodel, model)
    model.to_device(device)

    # Evaluation, with the running statistics of batch normalization
    test = evaluator.Evaluator(
        batches.one_pass(dataset, 'test', args), model, device,
        args.test_statistics)
    if args.evaluate:
        print(lines.seed_line('test ', test.test(), 'main/'))
        return 0

    # Optimizer: Adam on the latent weights, which stay in [-1, 1]
    optimizer = adam.Adam(alpha=args.rate)
    optimizer.setup(model)
    optimizer.add_hook(weight_clip.WeightClip())

    # Updater: a batch, the loss, its gradients, an update
    updater = training.StandardUpdater(
        train.iterator, optimizer, train.converter, device)

    with folders.open_folder(args, snapshot) as out:
        lines.print_header(args, f'binary MLP, 784-{args.unit}-{args.unit}-10',
                           dataset, device, out)

        # Trainer: ends after the last epoch, or on Ctrl-C and SIGTERM
        stop_trigger = stop.StopTrigger(args.n_epochs)
        trainer = training.Trainer(updater, stop_trigger, out)

        # Test the model at the end of each epoch
        trainer.extend(test, name='validation')

        # End the run if the loss is no longer a number
        trainer.extend(stop.StopOnNonFinite())

        # Share of binary weights that flip, and of latent ones at the clip
        trainer.extend(binary_weights.BinaryStatistics(model))

        # Note the learning rate in the log
        trainer.extend(extensions.observe_value(
            'lr', lambda trainer: optimizer.alpha))

        # Write the graph of the first iteration, for Graphviz
        trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))

        # Write the means of each epoch into the file `log`
        trainer.extend(log.LogReport())

        # Print binary_net's lines (or a table), below them a progress bar
        for extension in lines.report(args.report, args.progress):
            trainer.extend(extension)

        # Draw loss.png and accuracy.png
        if args.plot:
            trainer.extend(curves.CurvePlot('loss'))
            trainer.extend(curves.CurvePlot('accuracy'))

        # Save a snapshot of all that, and of the random numbers' state
        trainer.extend(snapshots.RandomState(args.seed, device))
        snapshot_extension = extensions.snapshot(
            writer=snapshots.Writer(saving.settings(args, dataset)),
            n_retains=args.keep_snapshots)
        trainer.extend(snapshot_extension, name='snapshot',
                       trigger=snapshots.Trigger(args.snapshot_every))

        # Resume
        if snapshot:
            snapshots.restore(snapshot, trainer)
            if saving.is_finished(trainer):
                return 0

        # Run
        with stop_trigger:
            trainer.run(show_loop_exception_msg=False)
        if not stop_trigger.is_finished(trainer):
            snapshot_extension(trainer)
            return saving.say_how_to_go_on(args, trainer)

        # Save
        entry = trainer.get_extension('LogReport').log[-1]
        saving.save(args, trainer, dataset, device, entry, {
            name.removeprefix('validation/'): value
            for name, value in entry.items()
            if name.startswith('validation/main/')},
            net_class='BinaryMLP', net_args={
                'n_units': args.unit, 'n_out': 10})
        if args.plot:
            figures.draw_page(
                os.path.join(out, 'figures.png'),
                trainer.get_extension('LogReport').log, model, dataset,
                batches.one_pass(dataset, 'test', args), device,
                test_statistics=args.test_statistics)
        saving.say_what_next(args, trainer)
    return 0


if __name__ == '__main__':
    script.run(main)
