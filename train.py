#!/usr/bin/env python3
"""Train the net of any configuration.

    ./train.py                          list the configurations
    ./train.py lenet5 --epoch 5         train one, for 5 epochs
    ./train.py nin --gpu 0              on the first GPU
    ./train.py nin --resume auto        go on with the latest run
    mpiexec -n 2 ./train.py binary_net --distributed --batchsize 50

The files of configs/ say what is trained, on which data and how; each of
their settings is an option.
"""
from bnn import environment

environment.check(__file__)

import dataclasses
import os
import sys

import numpy
from chainer import training
from chainer.serializers import npz
from chainer.training import extensions

from bnn import data
from bnn import errors
from bnn.training import devices
from bnn.training.command_line import config as config_module
from bnn.training.command_line import parser
from bnn.training.command_line import script
from bnn.training.files import folders
from bnn.training.files import model_file
from bnn.training.files import resume
from bnn.training.files import saving
from bnn.training.files import snapshots
from bnn.training.learning import batches
from bnn.training.learning import classifier
from bnn.training.learning import evaluator
from bnn.training.learning import keep_best
from bnn.training.learning import losses
from bnn.training.learning import means
from bnn.training.learning import running_statistics
from bnn.training.learning import schedule
from bnn.training.learning import stop
from bnn.training.ranks import join
from bnn.training.reports import binary_weights
from bnn.training.reports import curves
from bnn.training.reports import figures
from bnn.training.reports import lines
from bnn.training.reports import log
from bnn.training.reports import summary
from bnn.training.reports import tensorboard
from configs import find
from zoo import configured
from zoo import optimizers
from zoo import teacher
from zoo.binarynet import drawn_weights

# Images at once for the statistics of batch normalization
_LARGE_BATCH = 1000


def main():
    if len(sys.argv) == 1:
        for name in find.names():
            print(f'{name:24}{find.get(name).title}')
        return 0

    # Configuration, and with --resume the snapshot to go on from
    config = choose()
    ranks = join.join(config)
    config, snapshot = resume.take_over(config, ranks)
    if config.initmodel is not None:
        config = configured.of_model(config)
    configured.check(config)
    join.check_alike(config, ranks)
    device = devices.get(ranks.gpu(config.gpu), config.precision)
    numpy.random.seed(config.seed)

    # Data: uint8 images, scaled and varied batch by batch
    dataset = batches.load(
        config, configured.data_names(config.net), snapshot, ranks)
    train = batches.training(dataset, config, ranks)
    test = batches.one_pass(dataset, 'test', config, ranks=ranks)

    # Net
    with resume.bounded(config, snapshot):
        predictor, net_args = configured.make(config, dataset)
    top5 = config.dataset == 'imagenet'
    model = (classifier.Top5Classifier if top5 else classifier.Classifier)(
        predictor, losses.make(config.loss, config.label_smoothing),
        means.accuracy, config.adversarial,
        None if config.evaluate else teacher.load(config, dataset, device),
        config.teacher_weight, config.temperature)
    drawn_weights.choose(model, config.tested_weights, config.test_draws)
    if config.initmodel is not None:
        model_file.load(config.initmodel, model)
    model.to_device(device)
    if config.summary:
        print(summary.describe(
            predictor, data.SHAPES.get(dataset.name, config.picture_shape),
            config.input == 'binary'))
        return 0

    # Evaluation
    tester = evaluator.Evaluator(
        test, model, device, config.test_statistics, ranks)
    if config.evaluate:
        print(lines.seed_line('test ', tester.test(), 'main/'))
        if config.test_mirrored:
            say_mirrored(model, config, tester)
        return 0

    # Optimizer, with the hooks of the net, and updater
    optimizer = optimizers.make(config, model)
    ranks.prepare(model, config.multi_node_bn)
    optimizer = ranks.optimizer(optimizer)
    updater = training.StandardUpdater(
        train.iterator, optimizer, train.converter, device)

    with folders.open_folder(config, snapshot, ranks) as out:
        lines.print_header(
            config, config.net, dataset, device, out, ranks)
        trainer = training.Trainer(
            updater, stop.StopTrigger(config.n_epochs, ranks), out)
        snapshot_now = extend(
            trainer, config, dataset, tester, device, ranks)
        if snapshot:
            snapshots.restore(snapshot, trainer)
            if saving.is_finished(trainer, ranks):
                return 0
        with trainer.stop_trigger:
            trainer.run(show_loop_exception_msg=False)
            if not trainer.stop_trigger.is_finished(trainer):
                # A signal may reach the other ranks as late as here.
                snapshot_now(trainer)
                return saving.say_how_to_go_on(
                    config, trainer, config.name, ranks=ranks)
        finish(trainer, config, dataset, tester, device, ranks, net_args)
    return 0


def choose() -> config_module.Config:
    """Returns the configuration that the command line names and changes."""
    options = script.Parser(__doc__, usage='[CONFIG [OPTION ...]]')
    words = sys.argv[1:]
    if words[0] in ('-h', '--help'):
        base = config_module.Config()
    elif words[0].startswith('-'):
        options.error('name a configuration first; there are: '
                      + ', '.join(find.names()))
    else:
        base = find.get(words[0])
    options.add_argument('config', metavar='CONFIG',
                         help='a file of configs/, without .py')
    config = parser.parse(base, options, argv=words)
    if config.teacher is None:
        return config
    # A path, or a configuration that reproduce.py has trained
    teacher, path = config.teacher, os.path.abspath(config.teacher)
    if teacher in find.names() and not os.path.exists(path):
        path = os.path.abspath(os.path.join(
            'reproductions', teacher, 'seed-0', 'mlp.model'))
        if not os.path.exists(path):
            raise errors.UserError(
                f'--teacher {teacher} is not trained: ./reproduce.py '
                f'{teacher} --seeds 1 makes {path}')
    given = {name: path if name == 'teacher' else value
             for name, value in config.given.items()}
    return dataclasses.replace(config, teacher=path, given=given)


def extend(trainer, config, dataset, tester, device, ranks):
    """Adds what happens beside the updates.

    Args:
        trainer (~chainer.training.Trainer): The trainer.
        config, dataset, tester, device, ranks: See :func:`main`.

    Returns:
        callable: Takes the trainer, saves a snapshot.
    """
    model = trainer.updater.get_optimizer('main').target
    part = 'validation' if config.validation else 'test'

    # The learning rate of the next iteration
    trainer.extend(schedule.LearningRate(
        config.schedule, schedule.glorot_scales(model)
        if config.rate_scale == 'glorot' else None))

    # Test at the end of each epoch, or where there is a validation part on
    # that, and keep the best model
    if config.validation:
        trainer.extend(evaluator.Evaluator(
            batches.one_pass(dataset, 'validation', config, ranks=ranks),
            model, device, config.test_statistics, ranks), name='validation')
        trainer.extend(keep_best.KeepBest(model))
    else:
        trainer.extend(tester, name='validation')
    trainer.extend(stop.StopOnNonFinite())
    trainer.extend(binary_weights.BinaryStatistics(model))

    # Log, lines and figures
    if ranks.is_first:
        trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))
    trainer.extend(log.LogReport(ranks))
    if ranks.is_first:
        for extension in lines.report(
                config.report, config.progress, part,
                isinstance(model, classifier.Top5Classifier)):
            trainer.extend(extension)
        if config.plot:
            trainer.extend(curves.CurvePlot('loss', part))
            trainer.extend(curves.CurvePlot('accuracy', part))
        if config.tensorboard:
            trainer.extend(tensorboard.TensorBoard())

    # What the ranks have to know of one another
    def exchange_broken(trainer):
        ranks.exchange_broken(trainer.updater.get_iterator('main'))

    trainer.extend(exchange_broken, name='exchange_broken',
                   trigger=(1, 'iteration'))

    # Snapshots, of the batch and the running statistics of all ranks
    trainer.extend(snapshots.RandomState(config.seed, device))
    save = extensions.snapshot(
        writer=snapshots.Writer(saving.settings(
            config, dataset, batchsize=config.batchsize * ranks.size),
            ranks.is_first),
        n_retains=config.keep_snapshots)

    def average_statistics(trainer):
        ranks.average_statistics(model)

    trainer.extend(
        average_statistics, name='average_statistics',
        priority=save.priority + 1,
        trigger=snapshots.Trigger(config.snapshot_every))
    trainer.extend(save, name='snapshot',
                   trigger=snapshots.Trigger(config.snapshot_every))
    return lambda trainer: (average_statistics(trainer), save(trainer))


def finish(trainer, config, dataset, tester, device, ranks, net_args):
    """Tests the model of a finished run, and writes it.

    With a validation part it is the model of the best epoch on that.

    Args:
        trainer (~chainer.training.Trainer): The trainer, at its end.
        config, dataset, tester, device, ranks, net_args: See :func:`main`.
    """
    model = trainer.updater.get_optimizer('main').target
    entries = trainer.get_extension('LogReport').log
    entry, attributes = entries[-1], {}
    test = {name.removeprefix('validation/'): value
            for name, value in entry.items()
            if name.startswith('validation/main/')}
    if config.validation:
        entry = keep_best.best(entries)
        attributes['validation_accuracy'] = entry['validation/main/accuracy']
        trainer.get_extension('KeepBest').restore()
        lines.say(config, 'best epoch on the validation part: '
                  f'{entry["epoch"]}')
    if config.precise_bn:
        lines.say(config, 'compute the statistics of batch normalization '
                  'anew')
        recompute_statistics(model, config, dataset, device)
    if config.validation or config.precise_bn:
        test = tester.test()
        lines.say(config, lines.seed_line('test ', test, 'main/'),
                  always=True)
    if config.test_mirrored:
        say_mirrored(model, config, tester)
    attributes |= {'net_class': config.net, 'net_args': net_args}
    if config.tested_weights != 'signs':
        finish_signs(model, config, dataset, tester, device, ranks,
                     os.path.join(trainer.out, 'signs.model'), entry,
                     attributes)
    if not ranks.is_first:
        return
    saving.save(config, trainer, dataset, device, entry, test, **attributes)
    if config.plot:
        figures.draw_page(
            os.path.join(trainer.out, 'figures.png'), entries, model, dataset,
            batches.one_pass(dataset, 'test', config), device,
            'validation' if config.validation else 'test',
            config.test_statistics)
    saving.say_what_next(config, trainer, config.name, ranks=ranks)


def recompute_statistics(model, config, dataset, device):
    """Computes batch normalization's statistics anew.

    They are of training images, varied as in training.
    """
    # Each rank varies them alike.
    numpy.random.seed(config.seed)
    running_statistics.recompute(model, batches.one_pass(
        dataset, 'train', config, _LARGE_BATCH, are_varied=True), device)


def say_mirrored(model, config, tester):
    """Tests with the mean scores of each image and its mirror image."""
    model.is_mirrored = True
    lines.say(config, lines.seed_line('mirrored', tester.test(), 'main/'),
              always=True)
    model.is_mirrored = False


def finish_signs(model, config, dataset, tester, device, ranks, path, entry,
                 attributes):
    """Tests and writes the net of the signs, for which drawn weights stood.

    Its batch normalization needs statistics of its own.

    Args:
        model (~chainer.Link): The model, in the end as it was.
        config, dataset, tester, device, ranks: See :func:`main`.
        path (str): The file.
        entry (dict): The entry of the log whose model it is.
        attributes (dict): What the file is to say, see :func:`saving.save`.
    """
    arrays = keep_best.copy_arrays(model)
    drawn_weights.choose(model, 'signs')
    recompute_statistics(model, config, dataset, device)
    test = tester.test()
    lines.say(config, lines.seed_line('signs', test, 'main/'), always=True)
    if ranks.is_first:
        saving.save_model(
            path, model, config, dataset, device, entry, test, **attributes,
            test_weights='signs')
    npz.NpzDeserializer(arrays).load(model)
    drawn_weights.choose(model, config.tested_weights, config.test_draws)


if __name__ == '__main__':
    script.run(main)
