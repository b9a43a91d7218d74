"""A net of the user's own, from any Python file."""
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

from bnn import errors
from bnn.deploy import operations
from bnn.training.files import weights as weights_module
from zoo import trained

_MODULE = 'own_net'


def is_named(words: str) -> bool:
    """Tells whether words name a net in a Python file, not a model file."""
    return words.endswith('.py') or '.py:' in words


def load(words: str, input_shape: tuple[int, int, int],
         rescale: operations.Rescale, weights: str | None = None,
         class_names: tuple[str, ...] | None = None,
         dataset: str | None = None) -> trained.Trained:
    """Makes a net of a Python file and loads its weights.

    The file is executed.

    Args:
        words: ``'FILE.py:NAME'``; NAME is a class or a function that takes no
            arguments and gives a :class:`chainer.Link`, or such a link.
        input_shape: (channels, h, w) of an image.
        rescale: How the training scaled the pixels.
        weights: See :func:`bnn.training.files.weights.load`; ``None`` leaves
            those that the net is made with.
        class_names: The classes; by default their numbers.
        dataset: The name of its data, if that is known.

    Returns:
        The net.

    Raises:
        ~bnn.errors.UserError: If there is no such file or name, the file or
            the net raises an error, or the weights or the images are of
            another net.
    """
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
    if weights is not None:
        weights_module.load(weights, net)
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
    _guarded(lambda: spec.loader.exec_module(module),
             f'{path} cannot be run', path)
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
