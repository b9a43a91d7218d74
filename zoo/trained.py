"""A trained net, as its model file says it is."""
import dataclasses
import math

import chainer
import chainer.links as L

import bst
import net
from bnn import data as datasets
from bnn import errors
from bnn.deploy import operations
from bnn.training import inputs
from bnn.training import models
from bnn.training import nets
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.quantized_net import qst
from zoo.xnor_net import alexnet
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

NETS = {kind.__name__: kind for kind in (
    *net.NETS.values(), alexnet.AlexNet, convnet.ConvNet,
    lenet5.LeNet5, nin.NIN, nin.NINImageNet,
    shallow_convnet.ShallowConvNet)}
# Of the attributes what goes with a packed net
_FACTS = ('net', 'net_class', 'dataset', 'input', 'epoch', 'test_accuracy',
          'loss')
# What the arguments of the nets may be
_SIZES = ('n_in', 'n_layers', 'n_out', 'n_units', 'width')
_RATIOS = ('dropout_hidden', 'dropout_input')
_CHOICES = {
    **dict.fromkeys(('batch_norm', 'binary', 'input_scale', 'shift',
                     'stochastic'), (False, True)),
    **dict.fromkeys(('a_bits', 'w_bits'), qst.BITS),
    'kind': convnet.KINDS, 'pad_value': (0, 1),
    'quantizer': qst.QUANTIZERS, 'scaled': tuple(nets.SCALES.values()),
    'surrogate': tuple(bst.SURROGATES)}


@dataclasses.dataclass(frozen=True)
class Trained:

    """A trained net and what is known of it.

    Attributes:
        predictor (~chainer.Chain): The net, on the CPU.
        attributes (dict): What its file says.
        dataset (str): The name of its data.
        rescale (~bnn.deploy.operations.Rescale): What became of its pixels.
        input_shape (tuple of int): (channels, h, w) of an image.
        class_names (tuple of str): The classes.
    """

    predictor: chainer.Chain
    attributes: dict
    dataset: str
    rescale: operations.Rescale
    input_shape: tuple
    class_names: tuple

    @property
    def facts(self):
        """dict: What goes with a packed net."""
        return {name: self.attributes[name] for name in _FACTS
                if name in self.attributes}

    def scale(self, images):
        """Makes of uint8 images the float32 ones that the net sees."""
        return inputs.rescaler(
            self.rescale.kind, datasets.STATISTICS[self.dataset])(images)

    def crop(self, images):
        """Does with uint8 images what the training did before each test."""
        test = inputs.AUGMENTATIONS[
            self.attributes.get('augment', 'none')].test
        return images if test is None else test(images)


def load(path):
    """Loads a model file of a training script.

    Args:
        path (str): The file.

    Returns:
        Trained: The net.

    Raises:
        ~bnn.errors.UserError: If it cannot be read, is of a net that is not
            known here, or does not say what it is.
    """
    attributes = models.read_attributes(path)
    # The first models had the class under another name, and no choice of
    # scaling.
    name = attributes.get('net_class', attributes.get('net'))
    dataset = attributes.get('dataset')
    scale = attributes.get('input', 'unit')
    net_args = attributes.get('net_args')
    names = attributes.get('class_names')
    if name is None:
        raise errors.UserError(
            '%s does not say of which net it is: train_*.py writes that into '
            'its models' % path)
    augment = attributes.get('augment', 'none')
    for words, value, known in (
            ('a net', name, NETS), ('data', dataset, datasets.STATISTICS),
            ('an input', scale, inputs.SCALES),
            ('an augmentation', augment, inputs.AUGMENTATIONS)):
        if value not in list(known):  # A list takes what cannot be hashed.
            raise errors.UserError(
                '%s is of %s that this program does not know: %.40r'
                % (path, words, value))
    for words, is_valid in (
            ('net_args', isinstance(net_args, dict)),
            ('class_names', isinstance(names, list)),
            *((fact, _is_fact(attributes[fact])) for fact in _FACTS
              if fact in attributes)):
        if not is_valid:
            raise errors.UserError(
                '%s is damaged or of another program: its %s is %.40r'
                % (path, words, attributes.get(words)))
    for argument, value in net_args.items():
        if not _is_valid(argument, value):
            raise errors.UserError(
                '%s is damaged or of another program: its net_args has '
                '%.40s = %.40r' % (path, ascii(argument), value))
    try:
        with models.bounded(path):
            predictor = NETS[name](**net_args)
    except (TypeError, ValueError) as e:  # arguments of another net
        raise errors.UserError('%s does not say how its net was made: %s'
                               % (path, ' '.join(str(e).split()))) from e
    models.load(path, L.Classifier(predictor))
    mean, std = datasets.STATISTICS[dataset]
    if scale != 'standard':
        mean = std = ()
    return Trained(
        predictor, attributes, dataset,
        operations.Rescale(kind=scale, mean=mean, std=std),
        datasets.SHAPES[dataset], tuple(map(str, names)))


def _is_fact(value):
    """Tells whether a value from JSON is a word or a finite number."""
    return (isinstance(value, str) and value.isprintable()
            or type(value) in (int, float) and abs(value) < math.inf)


def _is_valid(argument, value):
    """Tells whether an argument of a net may have a value from JSON."""
    if argument in _SIZES:
        return type(value) is int and value > 0
    if argument in _RATIOS:
        return type(value) in (int, float) and 0 <= value < 1
    # True is no 1 here.
    return any(type(value) is type(one) and value == one
               for one in _CHOICES.get(argument, ()))
