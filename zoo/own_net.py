"""A net of the user's own, from any Python file."""
import argparse
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import chainer
import chainer.links as L
import numpy

from bnn import data as datasets
from bnn import errors
from bnn.deploy import operations
from bnn.training.files import weights
from zoo import trained

#: Options of a net in a Python file, whose weights say none of it
OPTIONS = 'weights', 'example', 'input', 'mean', 'std', 'classes', 'dataset'
_MODULE = 'own_net'


def is_named(words: str) -> bool:
    """Tells whether words name a net in a Python file, not a model file."""
    return words.endswith('.py') or '.py:' in words


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds :data:`OPTIONS` to a parser."""
    group = parser.add_argument_group('of a net in a Python file')
    group.add_argument(
        '--weights', metavar='FILE',
        help='of chainer.serializers.save_npz or save_hdf5, or mlp.model '
        '(default: as NAME makes them)')
    group.add_argument(
        '--example', metavar='C,H,W', type=_shape,
        help='channels, height and width of an image')
    group.add_argument(
        '--input', choices=('unit', 'signed', 'standard', 'binary'),
        help='what pixels were scaled to: [0, 1] (default), [-1, 1], less '
        '--mean by --std, +-1')
    for name in 'mean', 'std':
        group.add_argument(
            '--' + name, metavar='X,...', type=_numbers,
            help='of each channel, of pixels in [0, 1]')
    group.add_argument(
        '--dataset', choices=list(datasets.SHAPES),
        help='compare on its test set (default: on random images)')
    group.add_argument(
        '--classes', metavar='A,...', type=lambda words: words.split(','),
        help='names of the classes (default: their numbers)')


def _shape(words):
    try:
        shape = tuple(map(int, words.split(',')))
    except ValueError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1:
        raise argparse.ArgumentTypeError(
            f'{words!r} is not CHANNELS,HEIGHT,WIDTH, such as 1,28,28')
    return shape


def _numbers(words):
    try:
        return tuple(map(float, words.split(',')))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{words!r} is no list of numbers, such as .49,.48,.45') from None


def _rescale(args):
    """Makes of the options how the training scaled the pixels."""
    kind = args.input or 'unit'
    is_standard = kind == 'standard'
    for name in 'mean', 'std':
        values = getattr(args, name)
        if (values is not None) != is_standard:
            raise errors.UserError(
                '--input standard, --mean and --std belong together')
        if is_standard and len(values) not in (1, args.example[0]):
            raise errors.UserError(
                f'--{name} has {len(values)} numbers, an image '
                f'{args.example[0]} channels')
    if not is_standard:
        return operations.Rescale(kind=kind)
    if min(args.std) <= 0:
        raise errors.UserError('--std must be above 0')
    with numpy.errstate(all='ignore'):
        mean, std = map(numpy.float32, (args.mean, args.std))
        ends = (numpy.array([[0], [1]], numpy.float32) - mean) / std
    if not (numpy.isfinite(ends) & numpy.isfinite(std)).all():
        raise errors.UserError(
            'pixels less --mean, by --std, are no finite float32 numbers: '
            'they are of pixels in [0, 1], such as --mean .5 --std .25')
    return operations.Rescale(kind=kind, mean=args.mean, std=args.std)


def load(args: argparse.Namespace) -> trained.Trained:
    """Makes a net of a Python file as :data:`OPTIONS` say.

    The file is executed.

    Args:
        args: Has the options of :func:`add_options`, and ``model``,
            ``'FILE.py:NAME'``; NAME is a class or a function that takes no
            arguments and gives a :class:`chainer.Link`, or such a link.

    Returns:
        The net.

    Raises:
        ~bnn.errors.UserError: If an option is missing or does not fit the
            others, there is no such file or name, the file or the net raises
            an error, or the weights or the images are of another net.
    """
    words, input_shape, dataset = args.model, args.example, args.dataset
    if input_shape is None:
        raise errors.UserError(
            f'{words} needs the size of an image: --example 1,28,28')
    if dataset is not None and input_shape != datasets.SHAPES[dataset]:
        shape = ','.join(map(str, datasets.SHAPES[dataset]))
        raise errors.UserError(
            f'images of {dataset} are of --example {shape}')
    rescale = _rescale(args)
    path, _, name = words.rpartition(':')
    if not path.endswith('.py'):
        raise errors.UserError(
            f'{words} names no net: write {words}:NAME, a class or a '
            'function of that file')
    net = _make(path, name)
    if isinstance(net, L.Classifier):
        net = net.predictor
    if not isinstance(net, chainer.Link):
        raise errors.UserError(
            f'{words} gives {type(net).__name__}, not a chainer.Chain')

    def score():
        with (chainer.using_config('train', False),
              chainer.no_backprop_mode(), numpy.errstate(all='ignore')):
            return net(numpy.zeros((1, *input_shape), numpy.float32))

    # Lazy layers take their sizes from it.
    size = 'x'.join(map(str, input_shape))
    y = _guarded(score, f'{words} does not take an example of {size}', path)
    if args.weights is not None:
        weights.load(args.weights, net)
    class_names = args.classes
    if class_names is None:
        class_names = map(str, range(
            y.shape[1] if len(getattr(y, 'shape', ())) > 1 else 1))
    attributes = {'net': name, **({'dataset': dataset} if dataset else {})}
    return trained.Trained(net, attributes, dataset, rescale, input_shape,
                           tuple(class_names))


def _make(path, name):
    """Returns what a name of a Python file stands for, called if it can."""
    if not os.path.isfile(path):
        raise errors.UserError(f'cannot read {path}: there is no such file')
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    module = sys.modules[_MODULE] = importlib.util.module_from_spec(spec)
    # Its folder comes last: a net.py there must not stand for ours.
    sys.path.append(os.path.dirname(os.path.abspath(path)))
    # No bytecode is left in it.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        _guarded(lambda: spec.loader.exec_module(module),
                 f'{path} cannot be run', path)
    finally:
        sys.dont_write_bytecode = before
    found = getattr(module, name, None)
    if found is None:
        there = [key for key, value in vars(module).items()
                 if getattr(value, '__module__', None) == _MODULE
                 and callable(value)]
        raise errors.UserError(
            f'{path} has no {name!r}; it has '
            f'{", ".join(there) or "no class and no function"}')
    if isinstance(found, chainer.Link) or not callable(found):
        return found
    needed = [one.name for one in inspect.signature(found).parameters.values()
              if one.default is one.empty and one.kind not in (
                  one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if needed:
        raise errors.UserError(
            f'{path}:{name} needs arguments ({", ".join(needed)}): write a '
            f'function of none, def make_net(): return {name}(...), and name '
            f'it, {path}:make_net')
    return _guarded(found, f'{path}:{name} cannot be made', path)


def _guarded(function: Callable[[], Any], words: str, path: str) -> Any:
    """Calls what the user wrote; its errors become one line."""
    try:
        return function()
    except errors.UserError:
        raise
    except (Exception, SystemExit) as e:
        lines = [e.lineno] if isinstance(e, SyntaxError) else [
            one.lineno for one in traceback.extract_tb(e.__traceback__)
            if one.filename == os.path.abspath(path)]
        where = f' (line {lines[-1]} of {path})' if lines else ''
        reason = ' '.join(str(e).split())
        raise errors.UserError(
            f'{words}: {type(e).__name__}: {reason:.300}{where}') from e
