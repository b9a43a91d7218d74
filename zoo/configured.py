"""A net as a configuration asks for it."""
from typing import Any

import chainer

from bnn import data
from bnn import errors
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from zoo import nets
from zoo.binarynet import drawn_weights

_MLP = 'unit', 'layers', 'dropout_input', 'dropout_hidden'
_BLOCKS = 'surrogate', 'weight_scale', 'input_scale', 'shift'
#: The fields of a configuration that each class of net takes
FIELDS = {
    'BinaryMLP': (*_MLP, 'batch_norm', 'binarize', 'surrogate'),
    'QuantizedMLP': (*_MLP, 'batch_norm', 'w_bits', 'a_bits', 'quantizer'),
    'FloatMLP': (*_MLP, 'batch_norm'),
    'BinaryWeightMLP': (*_MLP, 'batch_norm', 'binarize'),
    'ShallowConvNet': ('binary', 'batch_norm', 'binarize'),
    'ConvNet': ('kind', 'width', 'binarize', 'surrogate', 'pad_value'),
    'LeNet5': ('binary', *_BLOCKS),
    'NIN': ('binary', *_BLOCKS),
    'NINImageNet': ('binary', *_BLOCKS),
    'AlexNet': ('binary', 'unit', *_BLOCKS),
    'CNV': ('w_bits', 'a_bits', 'quantizer', 'surrogate'),
    'ResNet20': ('binary', 'weights', 'width', 'surrogate'),
    'FastConvNet': ('binary', 'weights', 'width', 'surrogate'),
}
#: The data sets whose images each class of net takes
DATA = {
    **dict.fromkeys(('BinaryMLP', 'QuantizedMLP', 'FloatMLP',
                     'BinaryWeightMLP'), data.NAMES + data.CIFAR_NAMES),
    **dict.fromkeys(('ShallowConvNet', 'ConvNet', 'NIN', 'CNV', 'ResNet20',
                     'FastConvNet'), data.CIFAR_NAMES),
    'LeNet5': data.NAMES,
    **dict.fromkeys(('NINImageNet', 'AlexNet'), data.IMAGENET_NAMES),
}
# What a constructor calls a field, where it calls it otherwise
_ARGUMENTS = {'unit': 'n_units', 'layers': 'n_layers',
              'binarize': 'stochastic', 'weight_scale': 'scaled',
              'weights': 'binary_weights'}
_VALUES = {'binarize': {'deterministic': False, 'stochastic': True},
           'weights': {'binary': True, 'float': False},
           'weight_scale': {'corrected': True, 'ste': 'ste', 'none': False}}
#: The arguments of the constructors and the fields that check them; sizes of
#: the data as sizes of a layer
FIELD_OF = {'n_in': 'unit', 'n_out': 'unit', **{
    _ARGUMENTS.get(name, name): name
    for names in FIELDS.values() for name in names}}
# Fields of binary layers, which a float twin has none of
_OF_BINARY = ('weights', 'binarize', 'surrogate', 'weight_scale',
              'input_scale', 'pad_value', 'clip', 'lr_scale', 'weight_init',
              'test_weights')
# Classes whose binary weights are signs without a scale, whatever the fields
_OF_PLAIN_SIGNS = ('BinaryMLP', 'BinaryWeightMLP', 'ShallowConvNet', 'ConvNet',
                   'ResNet20', 'FastConvNet')
# Fields that another training of a model may change
_FREE = 'binarize', 'surrogate', 'dropout_input', 'dropout_hidden'


def data_names(net: str) -> tuple[str, ...]:
    """Lists the data sets that a class of net takes, own pictures too."""
    return (*DATA[net], *data.PICTURE_NAMES)


def check(config: config_module.Config) -> None:
    """Refuses settings that do nothing with the net.

    Args:
        config: The configuration.

    Raises:
        ~bnn.errors.UserError: If a setting that was given belongs to other
            nets.
    """
    if config.net not in FIELDS:
        raise errors.UserError(f'--net {config.net}: there is none; there '
                               f'are: {", ".join(FIELDS)}')
    is_float = (config.net == 'FloatMLP'
                or 'binary' in FIELDS[config.net] and not config.binary
                or 'kind' in FIELDS[config.net] and config.kind == 'float'
                or 'w_bits' in FIELDS[config.net] and config.w_bits == 32)
    for name in config.given:
        takers = [net for net, fields in FIELDS.items() if name in fields]
        if takers and config.net not in takers:
            raise errors.UserError(
                f'{config_module.flag(name)} does nothing with '
                f'{config.net}; it is of {", ".join(takers)}')
        if name in _OF_BINARY and is_float and config.given[name] != 'none':
            raise errors.UserError(
                f'{config_module.flag(name)} is for binary and k-bit '
                f'weights; {config.net} has none here')
    if config.binarize != 'stochastic' and config.tested_weights != 'signs':
        raise errors.UserError(
            f'--test-weights {config.tested_weights} is for weights that '
            'training draws, --binarize stochastic; others are tested with '
            'signs')
    if 'surrogate' in config.given and config.net == 'CNV' and (
            config.a_bits != 1):
        raise errors.UserError(
            f'--surrogate {config.surrogate} is for activations of 1 bit, '
            f'not of --a-bits {config.a_bits}')
    if config.optimizer == 'bop' and (
            is_float or config.net not in _OF_PLAIN_SIGNS
            and not ('w_bits' in FIELDS[config.net] and config.w_bits == 1)):
        raise errors.UserError(
            '--optimizer bop has no latent weights: it takes the nets whose '
            f'binary weights are plain signs, {", ".join(_OF_PLAIN_SIGNS)}, '
            'QuantizedMLP and CNV with --w-bits 1')


def make(config: config_module.Config, dataset: data.Dataset
         ) -> tuple[chainer.Chain, dict[str, Any]]:
    """Makes the net that a configuration asks for.

    Args:
        config: The configuration.
        dataset: The data, for the sizes.

    Returns:
        The net, and the arguments of its class, for its file.

    Raises:
        ~bnn.errors.UserError: If it takes no pictures of that size.
    """
    arguments = {}
    for name in FIELDS[config.net]:
        value = getattr(config, name)
        arguments[_ARGUMENTS.get(name, name)] = (
            _VALUES[name][value] if name in _VALUES else value)
    if 'layers' in FIELDS[config.net]:
        arguments['n_in'] = dataset.train_images[0].size
    arguments['n_out'] = len(dataset.class_names)
    net = nets.NETS[config.net](**arguments)
    if dataset.name in data.PICTURE_NAMES and not nets.takes(
            net, config.picture_shape):
        wanted = {data.SHAPES[name] for name in DATA[config.net]}
        raise errors.UserError(
            f'--size {config.size}: {config.net} takes no images of '
            f'{"x".join(map(str, config.picture_shape))}; give '
            + ' or '.join(
                f'--size {size}' + (
                    ' --grey' if channels == 1 else
                    ' without --grey' if config.grey else '')
                for channels, size, _ in sorted(wanted)))
    if config.first_weights == 'uniform':
        drawn_weights.draw_uniform(net)
    return net, arguments


def of_model(config: config_module.Config) -> config_module.Config:
    """Takes settings of the net that were not given from ``--initmodel``.

    Args:
        config: The configuration.

    Returns:
        The configuration with what the file says of its net: sizes, bits,
        layers; what another training may change stays.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read or is damaged, or
            with ``--evaluate`` has another setting than was given.
    """
    path = config.initmodel
    attributes = model_file.read_attributes(path)
    arguments = attributes.get('net_args', {})
    if not isinstance(arguments, dict):
        raise errors.UserError(
            f'{path} is damaged or of another program: its net_args is '
            f'{arguments!r:.80}')
    return config_module.take(config, {
        name: _word(name, arguments[_ARGUMENTS.get(name, name)])
        for name in FIELDS[config.net]
        if _ARGUMENTS.get(name, name) in arguments and name not in _FREE},
        path)


def check_argument(argument: str, value: Any) -> None:
    """Checks an argument of a net that a file holds.

    Args:
        argument: Its name.
        value: Its value, as JSON gave it.

    Raises:
        KeyError: If no net has it.
        TypeError, ValueError: If no configuration could have given it.
    """
    name = FIELD_OF[argument]
    config_module.SETTINGS[name].check(
        _word(name, value), config_module.DEFAULTS[name])


def _word(name, value):
    """Returns the value of a field that makes this one of its argument."""
    if name not in _VALUES:
        return value
    return next((word for word, one in _VALUES[name].items()
                 if type(one) is type(value) and one == value), None)
