#!/usr/bin/env python3
"""Train a binary multi-layer perceptron on MNIST.

The weights are binarized at each computation, the activations are binary,
and the gradient passes both straight through: BinaryNet, 1602.02830.
"""
from bnn import environment

environment.check(__file__)

import chainer
import chainer.links as L
import numpy

import net
import weight_clip
from bnn import datasets
from bnn.training import arguments
from bnn.training import averages
from bnn.training import devices
from bnn.training import evaluator
from bnn.training import models
from bnn.training import session
from bnn.training import stop


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    arguments.add_training(parser, datasets.NAMES, epoch=20, batchsize=100)
    parser.add_setting(
        '--unit', '-u', type=arguments.positive, default=1000, metavar='N',
        help='units in each hidden layer')
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse(argv)
    resume = arguments.find_resume(args)
    if resume is not None:
        resume.apply(parser, args)
    if args.initmodel is not None:
        arguments.take_from_model(
            parser, args, ['unit', *['dataset'] * args.evaluate])
    device = devices.get(args.gpu)

    # Before the iterator, which shuffles at once
    numpy.random.seed(args.seed)

    # Data: uint8 images, scaled batch by batch
    data = session.load_data(args, resume)
    train_iter, test_iter = session.iterators(data, args.batchsize)

    # Net
    net_args = {'n_units': args.unit, 'n_out': len(data.class_names),
                'n_in': data.train_images[0].size}
    model = L.Classifier(
        net.BinaryMLP(**net_args), accfun=averages.accuracy)
    if args.initmodel is not None:
        models.load(args.initmodel, model)
    model.to_device(device)

    # Test
    tester = evaluator.Evaluator(
        test_iter, model, session.to_unit_interval, device,
        args.test_statistics)
    if args.evaluate:
        return session.print_evaluation(tester)

    # Optimizer; the clip keeps all parameters in [-1, 1], as binary_net's
    optimizer = chainer.optimizers.Adam().setup(model)
    optimizer.add_hook(weight_clip.WeightClip())

    # Trainer
    n_epochs = min(args.epoch, 2) if args.dry_run else args.epoch
    updater = chainer.training.StandardUpdater(
        train_iter, optimizer, session.to_unit_interval, device)
    with session.output_folder(args, resume) as out:
        session.print_header(
            args, device, 'binary MLP, %(n_in)d-%(n_units)d-%(n_units)d-'
            '%(n_out)d' % net_args, n_epochs, data, out)
        trainer = chainer.training.Trainer(
            updater, stop.StopTrigger(n_epochs), out)
        trainer.extend(tester, name='validation')
        return session.run(trainer, parser, args, data, resume, {
            'net': 'BinaryMLP', 'net_args': net_args, 'input_range': [0, 1]})


if __name__ == '__main__':
    session.cli(main)
