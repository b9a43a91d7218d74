#!/usr/bin/env python3
"""Export a trained net: packed to one bit per binary weight, or as ONNX.

    ./export.py result/latest/mlp.model              to predict.py's file
    ./export.py result/latest/mlp.model --to web -o digit.html

Reads a model of train_mnist.py or train.py, prints what each layer takes, and
compares the predictions with Chainer's on the test set.
"""
from bnn import environment

environment.check(__file__)

import dataclasses
import os
import shlex
import typing

from bnn import data as datasets
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import int8
from bnn.deploy import pack
from bnn.deploy import run
from bnn.deploy import stages
from bnn.deploy import table
from bnn.deploy.c import folder
from bnn.deploy.onnx import model as onnx_model
from bnn.deploy.web import page
from bnn.training.command_line import script
from bnn.training.files import atomic
from bnn.training.reports import agreement
from bnn.training.reports import summary
from zoo import trained as trained_module

# Training images that tell how large the operands of the last layer are
_CALIBRATION = 500


@dataclasses.dataclass(frozen=True)
class Export:

    """What an exporter is given.

    Attributes:
        trained (trained.Trained): The net in Chainer.
        operations (list of ~bnn.deploy.operations.Operation): What it
            computes, behind ``trained.rescale``.
        net (~bnn.deploy.stages.PackedNet): The same, packed.
        out (str): The file or folder to write.
    """

    trained: trained_module.Trained
    operations: list
    net: stages.PackedNet
    out: str


@dataclasses.dataclass(frozen=True)
class Format:

    """What a net is exported to.

    Attributes:
        words (str): What it is, for the help.
        suffix (str): Of the file, if none is named.
        write (callable): Takes an :class:`Export`, writes it, returns lines
            to print.
        then (callable): Takes the file or folder as a word of the shell,
            returns how to predict with it.
        run (callable): Takes an :class:`Export` that was written, returns a
            net whose ``predict`` is compared with Chainer's.
        ran (str): What computes it then.
        needs (tuple of str): Packages to write it, and to run it.
    """

    words: str
    suffix: str
    write: typing.Callable
    then: typing.Callable
    run: typing.Callable = lambda export: run.Net(export.net)
    ran: str = 'packed'
    needs: tuple = ()


def write_packed(export):
    contents = file_format.dump(export.net)
    with atomic.write(export.out) as f:
        f.write(contents)
    total = table.rows(export.net)[-1]['float bytes']
    return [f'{export.out}: {len(contents):,} bytes, '
            f'1/{total / len(contents):.1f} of {total:,} bytes in float32']


def write_web(export):
    contents = page.make(export.net).encode()
    with atomic.write(export.out) as f:
        f.write(contents)
    return [f'{export.out}: {len(contents):,} bytes, opens in a browser '
            'without a network']


def write_onnx(export):
    n_packed = len(file_format.dump(export.net))
    n_float = table.rows(export.net)[-1]['float bytes']
    model = onnx_model.build(
        [export.net.rescale, *export.operations], export.net.input_shape, {
            **export.net.facts, 'classes': export.net.class_names,
            'packed_bytes': n_packed, 'float_bytes': n_float})
    contents = model.SerializeToString()
    with atomic.write(export.out) as f:
        f.write(contents)
    return [f'{export.out}: {len(contents):,} bytes, weights as float32, '
            f'opset {onnx_model.OPSET}; packed it takes {n_packed:,} bytes, '
            f'1/{n_float / n_packed:.1f} of {n_float:,}']


def write_c(export):
    c_net = folder.export(export.net)
    folder.write(c_net, export.out, atomic.write)
    return [summary.table(c_net.rows)]


FORMATS = {
    'packed': Format('one file, for predict.py and bnn.deploy', '.bnn',
                     write_packed, lambda out: script.path('predict.py')
                     + f' {out} PICTURE'),
    'web': Format('a web page to draw digits on, of a net below 4 MB',
                  '.html', write_web,
                  lambda out: f'open {out} in a browser and draw'),
    'onnx': Format('a graph of standard ONNX operators, float', '.onnx',
                   write_onnx,
                   lambda out: f'load {out} in onnxruntime (docs/onnx.md)',
                   lambda export: onnx_model.Net(export.out),
                   'in onnxruntime', ('onnx', 'onnxruntime')),
    'c': Format('a folder with a net in C99, of whole numbers', '_c', write_c,
                lambda out: f'make -C {out} && {out}/bnn IMAGE.pgm'),
}


def make_parser():
    parser = script.Parser(__doc__, usage='MODEL [OPTION ...]')
    parser.add_argument('model', metavar='MODEL',
                        help='mlp.model of a training')
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
        '--data-dir', metavar='DIR', help='folder of the data (default: of '
        'own pictures the one of the training)')
    parser.add_argument(
        '--allow-modified', action='store_true',
        help='accept well-formed data files with another content')
    return parser


def check(export, data, args):
    """Prints how the predictions of what was written stand to Chainer's.

    Returns:
        int: 1 if some of them differ and nobody knows why, else 0.
    """
    kind, names = FORMATS[args.to], export.net.class_names
    found = agreement.compare(
        export.trained, export.operations, kind.run(export), data,
        explain=not args.int8_ends)
    print(f'{found.n} test images of {data.title}: accuracy '
          f'{found.chainer_accuracy:.4f} in Chainer, '
          f'{found.packed_accuracy:.4f} {kind.ran}; '
          f'predictions that differ: {len(found.differing)}')
    if args.int8_ends:
        return 0
    for i, theirs, ours, words in found.differing:
        print(f'image {i}, {names[theirs]} in Chainer, {names[ours]} '
              f'{kind.ran}: {words or "no tie explains it"}')
    return int(any(words is None for *_, words in found.differing))


def main(argv=None):
    args = make_parser().parse_args(argv)
    kind = FORMATS[args.to]
    for package in kind.needs if args.check else kind.needs[:1]:
        onnx_model.require(package)
    trained = trained_module.load(args.model)
    if trained.attributes.get('test_weights') in ('real', 'mean'):
        raise errors.UserError(
            f'{args.model} was tested with --test-weights '
            f'{trained.attributes["test_weights"]}, and a packed net has '
            'signs: export signs.model, which the training wrote beside it')
    out = args.out or os.path.splitext(args.model)[0] + kind.suffix
    if os.path.exists(out) and os.path.samefile(out, args.model):
        raise errors.UserError(f'--out {out} is the model itself')
    operations, rescale = trained.operations(), trained.rescale

    def make():
        return pack.pack(
            operations, trained.input_shape, rescale, trained.class_names,
            trained.facts, pad_pixels=args.int8_ends)

    net = make()  # Before anything is computed it is seen whether it can be.
    data = None
    if args.check or args.int8_ends:
        data = datasets.load(
            trained.dataset, args.data_dir or trained.data_dir,
            args.allow_modified, shape=trained.input_shape)
        if trained.dataset in datasets.PICTURE_NAMES:
            data.check_classes(trained.class_names, args.model)
    if args.int8_ends:
        operations, rescale = int8.quantize_ends(
            operations, rescale, agreement.pixels(
                trained, data.train_images, range(_CALIBRATION))[0])
        net = make()
    export = Export(trained, operations, net, out)
    print(summary.table(table.rows(net)))
    for line in kind.write(export):
        print(line)
    status = check(export, data, args) if args.check else 0
    if not status:
        script.say_next(predict=kind.then(shlex.quote(out)))
    return status


if __name__ == '__main__':
    script.run(main)
