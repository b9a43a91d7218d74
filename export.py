#!/usr/bin/env python3
"""Export a trained net: packed to one bit per binary weight, C, web, ONNX.

    ./export.py result/latest/mlp.model              to predict.py's file
    ./export.py result/latest/mlp.model --to web -o digit.html
    ./export.py best --to c                          a net of models/

Reads a model of train_mnist.py or train.py, or a net of your own from any
Python file, prints what each layer takes, and compares the predictions with
Chainer's.  A net that is packed already becomes a web page or C.
"""
from bnn import environment

environment.check(__file__)

import dataclasses
import functools
import os
import shlex
import typing

import numpy

import predict
from bnn import data as datasets
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import int8
from bnn.deploy import packing
from bnn.deploy import run
from bnn.deploy import table
from bnn.deploy.c import folder
from bnn.deploy.onnx import model as onnx_model
from bnn.deploy.onnx import operators
from bnn.deploy.onnx import qonnx
from bnn.deploy.web import page
from bnn.training.command_line import script
from bnn.training.files import atomic
from bnn.training.reports import agreement
from bnn.training.reports import card
from bnn.training.reports import summary
from configs import find
from zoo import own_net
from zoo import trained as trained_module

# Training images that tell how large the operands of the last layer are
_CALIBRATION = 500
# Random images on which a net without a data set is compared
_RANDOM = 100


@dataclasses.dataclass(frozen=True)
class Format:
    """What a net is exported to.

    Attributes:
        words (str): What it is, for the help.
        suffix (str): Of the file, if none is named.
        write (callable): Takes the packed net, the file or folder, and the
            operations that it was made of, behind its rescaling; returns
            what to print.
        then (callable): Takes the file or folder as a word of the shell, and
            the packed net; returns how to predict with it.
        needs (tuple of str): Packages to write it, and to run it.
        of_packed (bool): Whether it can be written of a packed file alone.
    """

    words: str
    suffix: str
    write: typing.Callable
    then: typing.Callable
    needs: tuple = ()
    of_packed: bool = False


def write_packed(net, out, operations):
    contents = file_format.dump(net)
    write_file(out, contents)
    total = table.rows(net)[-1]['float bytes']
    return (f'{out}: {len(contents):,} bytes, '
            f'1/{total / len(contents):.1f} of {total:,} bytes in float32')


def write_web(net, out, operations=()):
    contents = page.make(net).encode()
    write_file(out, contents)
    return (f'{out}: {len(contents):,} bytes, opens in a browser without a '
            'network')


def write_onnx(net, out, operations, kind=operators.Graph):
    n_packed = len(file_format.dump(net))
    n_float = table.rows(net)[-1]['float bytes']
    model = onnx_model.build(
        [net.rescale, *operations], net.input_shape, {
            **net.facts, 'classes': net.class_names,
            'packed_bytes': n_packed, 'float_bytes': n_float}, kind)
    contents = model.SerializeToString()
    write_file(out, contents)
    return (f'{out}: {len(contents):,} bytes, weights as float32, '
            f'opset {onnx_model.OPSET}; packed it takes {n_packed:,} bytes, '
            f'1/{n_float / n_packed:.1f} of {n_float:,}')


def write_c(net, out, operations=()):
    files, rows = folder.export(net)
    folder.write(files, out, atomic.write)
    return summary.table(rows)


def write_file(path, contents):
    with atomic.write(path) as f:
        f.write(contents)


FORMATS = {
    'packed': Format('one file, for predict.py and bnn.deploy', '.bnn',
                     write_packed, lambda out, net: script.path('predict.py')
                     + f' {out} PICTURE'),
    'web': Format('a web page to draw digits on or to show pictures, of a net '
                  'below 4 MB', '.html', write_web,
                  lambda out, net: f'open {out} in a browser', of_packed=True),
    'onnx': Format('a graph of standard ONNX operators, float', '.onnx',
                   write_onnx,
                   lambda out, net: f'load {out} in onnxruntime '
                   '(docs/onnx.md)',
                   ('onnx', 'onnxruntime')),
    'qonnx': Format('ONNX with the quantizers of QONNX, for FINN and hls4ml',
                     '.qonnx.onnx',
                     functools.partial(write_onnx, kind=qonnx.Graph),
                     lambda out, net: f'give {out} to FINN or hls4ml '
                     '(docs/onnx.md)', ('onnx',)),
    'c': Format('a folder with a net in C99, of whole numbers', '_c', write_c,
                lambda out, net: f'make -C {out} && {out}/bnn IMAGE.'
                + ('pgm' if net.input_shape[0] == 1 else 'ppm'),
                of_packed=True),
}


def make_parser():
    parser = script.Parser(__doc__, usage='MODEL [OPTION ...]')
    parser.add_argument('model', metavar='MODEL',
                        help='mlp.model of a training; FILE.py:NAME, a '
                        'chainer.Chain in a Python file, which is executed; '
                        'or a packed net, .bnn, or the name of one in '
                        'models/')
    parser.add_argument(
        '--to', choices=list(FORMATS), default='packed',
        help='; '.join(f'{name}: {kind.words}'
                       for name, kind in FORMATS.items()))
    parser.add_argument(
        '-o', '--out', metavar='PATH',
        help='file or folder to write (default: the name of the model)')
    parser.add_argument(
        '--int8-ends', action='store_true',
        help='float first and last layers with 8-bit weights, and 8-bit '
        'operands of the last')
    parser.add_argument(
        '--no-check', dest='check', action='store_false',
        help='do not compare with Chainer on the test set')
    parser.add_argument(
        '--card', action='store_true',
        help='beside a packed net, a card: what it is, how it was trained, '
        'its accuracy')
    parser.add_argument(
        '--summary', action='store_true',
        help='print layers, bits, operations and bytes, and write nothing')
    parser.add_argument(
        '--data-dir', metavar='DIR', help='folder of the data (default: of '
        'own pictures the one of the training)')
    parser.add_argument(
        '--allow-modified', action='store_true',
        help='accept well-formed data files with another content')
    own_net.add_options(parser)
    return parser


def check(trained, operations, net, data, words, explain):
    """Prints how the predictions of what was written stand to Chainer's.

    Returns:
        tuple: 1 if some of them differ and nobody knows why, else 0; the
        accuracy of what was written.
    """
    found = agreement.compare(trained, operations, net, data, explain=explain)
    if data.name is None:
        print(f'{found.n} random images: predictions {words} that differ '
              f'from Chainer: {len(found.differing)}')
    else:
        print(f'{found.n} test images of {data.title}: accuracy '
              f'{found.chainer_accuracy:.4f} in Chainer, '
              f'{found.packed_accuracy:.4f} {words}; '
              f'predictions that differ: {len(found.differing)}')
    if not explain:
        return 0, found.packed_accuracy
    names = trained.class_names
    for i, theirs, ours, reason in found.differing:
        print(f'image {i}, {names[theirs]} in Chainer, {names[ours]} '
              f'{words}: {reason or "no tie explains it"}')
    return (int(any(reason is None for *_, reason in found.differing)),
            found.packed_accuracy)


def write_card(trained, model, net, path, accuracy):
    """Writes the card of a packed net, and says where."""
    name = os.path.splitext(os.path.basename(path))[0]
    write_file(path, card.make(
        name, net, file_format.dump(net), trained.attributes,
        find.get(trained.attributes['name']), accuracy,
        os.path.getmtime(model)).encode())
    print(f'{path}: its card')


def is_packed(model):
    """Tells whether a model is a packed file, or the name of one."""
    if model.endswith('.bnn'):
        return True
    if os.path.isdir(model):
        return False
    try:
        with open(model, 'rb') as f:
            return f.read(len(file_format.MAGIC)) == file_format.MAGIC
    except OSError:
        return not any(mark in model for mark in './\\')


def export_packed(args):
    """Exports a net that is packed already."""
    path, kind = predict.find(args.model), FORMATS[args.to]
    if not kind.of_packed and not args.summary:
        names = ' or '.join(
            name for name, kind in FORMATS.items() if kind.of_packed)
        raise errors.UserError(
            f'{args.model} is packed already: --to {names}; the others need '
            'the model that it was made of')
    for name in (*own_net.OPTIONS, 'data_dir', 'int8_ends', 'card',
                 'allow_modified'):
        if getattr(args, name) not in (None, False):
            raise errors.UserError(
                f'--{name.replace("_", "-")} is of a model, and {args.model} '
                'is packed already')
    net = file_format.load(path)
    print(summary.table(table.rows(net)))
    if args.summary:
        return
    # Of a shipped net by its name: into the current folder
    out = args.out or os.path.splitext(args.model)[0] + kind.suffix
    refuse_the_model(out, path)
    print(kind.write(net, out))
    script.say_next(predict=kind.then(shlex.quote(out), net))


def refuse_the_model(out, *paths):
    """Raises UserError where a net would be written over what it is of."""
    for path in paths:
        if path and os.path.exists(out) and os.path.exists(path) and (
                os.path.samefile(out, path)):
            raise errors.UserError(f'--out {out} is the model itself')


def _load(args):
    """Loads the net, whichever way it is named."""
    if own_net.is_named(args.model):
        if args.int8_ends and args.dataset is None:
            raise errors.UserError(
                '--int8-ends needs training images: name their --dataset')
        return own_net.load(args)
    for name in own_net.OPTIONS:
        if getattr(args, name) is not None:
            raise errors.UserError(
                f'--{name} is of a net in a Python file, FILE.py:NAME; '
                f'{args.model} says it itself')
    return trained_module.load(args.model)


def _read_data(trained, args):
    """Reads the data of a net, or draws images where none are known."""
    if trained.dataset is not None:
        try:
            found = datasets.load(
                trained.dataset, args.data_dir or trained.data_dir,
                args.allow_modified, shape=trained.input_shape)
        except datasets.UnavailableError as e:
            rest = '' if args.int8_ends else ', or compare nothing: --no-check'
            raise errors.UserError(
                f'{e.reason}; name the folder of the data: --data-dir DIR'
                f'{rest}') from e
        datasets.check_net(found, trained.input_shape, trained.class_names,
                           args.model)
        return found
    images = numpy.random.RandomState(0).randint(
        0, 256, (_RANDOM, *trained.input_shape)).astype(numpy.uint8)
    labels = numpy.zeros(_RANDOM, numpy.int32)
    return datasets.Dataset(
        None, 'random images', images[:0], labels[:0], images, labels,
        trained.class_names, 'drawn')


def main(argv=None):
    args = make_parser().parse_args(argv)
    if is_packed(args.model):
        return export_packed(args)
    kind = FORMATS[args.to]
    for package in kind.needs if args.check else kind.needs[:1]:
        onnx_model.require(package)
    trained = _load(args)
    if args.card and (args.to != 'packed' or not args.check
                      or 'name' not in trained.attributes):
        raise errors.UserError(
            '--card is for --to packed of a model that train.py or '
            'train_mnist.py wrote, with the check of its accuracy')
    if args.summary:
        print(summary.describe(trained.predictor, trained.input_shape,
                               trained.rescale.kind == 'binary'))
        return
    out = args.out or os.path.splitext(args.model)[0] + kind.suffix
    refuse_the_model(out, args.model.rpartition('.py:')[0] + '.py',
                     args.model, args.weights)
    card_path = card.path(out) if args.card else None
    operations, rescale = trained.operations(), trained.rescale

    def make():
        return packing.pack(
            operations, trained.input_shape, rescale, trained.class_names,
            trained.facts, pad_pixels=args.int8_ends)

    net = make()  # Before anything is computed it is seen whether it can be.
    data = None
    if args.check or args.int8_ends:
        data = _read_data(trained, args)
    if args.int8_ends:
        operations, rescale = int8.quantize_ends(
            operations, rescale, agreement.pixels(
                trained, data.train_images, range(_CALIBRATION))[0])
        net = make()
    print(summary.table(table.rows(net)))
    print(kind.write(net, out, operations))
    status = 0
    if args.check:
        ran, words = (
            (onnx_model.Net(out), 'in onnxruntime') if args.to == 'onnx' else
            (run.Net(net), 'packed'))
        status, accuracy = check(
            trained, operations, ran, data, words, not args.int8_ends)
    if args.card:
        write_card(trained, args.model, net, card_path, accuracy)
    if not status:
        script.say_next(predict=kind.then(shlex.quote(out), net))
    return status


if __name__ == '__main__':
    script.run(main)
