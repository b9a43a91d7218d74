"""A trained net, as its model file says it is."""
import dataclasses
import math

import chainer
import chainer.links as L
import numpy

from bnn import data as datasets
from bnn import errors
from bnn.deploy import operations
from bnn.deploy import tracing
from bnn.kernels import whitening as whitening_module
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from bnn.training.learning import inputs
from zoo import configured
from zoo import nets

# The attributes of a model file that go into a packed net
_FACTS = ('net', 'net_class', 'dataset', 'input', 'epoch', 'test_accuracy',
          'loss')


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained net and what is known of it.

    Attributes:
        predictor (~chainer.Chain): The net, on the CPU.
        attributes (dict): The attributes of its file.
        dataset (str or None): The name of its data, if that is known.
        rescale (~bnn.deploy.operations.Rescale): How the pixels of its images
            are scaled.
        input_shape (tuple of int): (channels, h, w) of an image.
        class_names (tuple of str): Names of the classes.
        whitening (~bnn.kernels.whitening.Whitening): What whitens the scaled
            images, if anything does.
    """

    predictor: chainer.Chain
    attributes: dict
    dataset: str | None
    rescale: operations.Rescale
    input_shape: tuple
    class_names: tuple
    whitening: whitening_module.Whitening | None = None

    @property
    def data_dir(self) -> str | None:
        """str: The folder of its data, where these are own pictures."""
        if self.dataset not in datasets.PICTURE_NAMES:
            return None
        return self.attributes.get('data_dir')

    @property
    def facts(self) -> dict:
        """dict: The facts that go into a packed net."""
        return {name: self.attributes[name] for name in _FACTS
                if name in self.attributes}

    def operations(self) -> list:
        """Lists the operations, see :func:`bnn.deploy.tracing.trace`."""
        found = tracing.trace(
            self.predictor, numpy.zeros((1, *self.input_shape), numpy.float32))
        if self.whitening is not None:
            found.insert(0, operations.Whiten(
                name='whitening', **self.whitening._asdict()))
        return found

    def scale(self, images: numpy.ndarray) -> numpy.ndarray:
        """Scales uint8 images to the float32 images that the net sees."""
        if self.whitening is not None:
            return inputs.rescaler('whitened', self.whitening)(images)
        return inputs.rescaler(
            self.rescale.kind, (self.rescale.mean, self.rescale.std))(images)

    def crop(self, images: numpy.ndarray) -> numpy.ndarray:
        """Crops uint8 images as the training did before each test."""
        test = inputs.AUGMENTATIONS[
            self.attributes.get('augment', 'none')].test
        return images if test is None else test(images)


def load(path: str) -> Trained:
    """Loads a model file of a training script.

    Args:
        path (str): The file.

    Returns:
        Trained: The net.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, is damaged, does
            not name a net of :data:`zoo.nets.NETS`, or was tested with other
            weights than the signs that the net computes with.
    """
    attributes = model_file.read_attributes(path)
    # The first model files have the class under another name, and no input.
    name = attributes.get('net_class', attributes.get('net'))
    dataset = attributes.get('dataset')
    scale = attributes.get('input', 'unit')
    net_args = attributes.get('net_args')
    names = attributes.get('class_names')
    if name is None:
        raise errors.UserError(
            f'{path} does not say of which net it is: the training scripts '
            'write that into their models')
    if attributes.get('test_weights') in ('real', 'mean'):
        raise errors.UserError(
            f'{path} was tested with --test-weights '
            f'{attributes["test_weights"]}, and the net that it holds has '
            'signs: name signs.model, which the training wrote beside it')
    augment = attributes.get('augment', 'none')
    for words, value, known in (
            ('a net', name, nets.NETS), ('data', dataset, datasets.STATISTICS),
            ('an input', scale, inputs.SCALES),
            ('an augmentation', augment, inputs.AUGMENTATIONS)):
        if value not in list(known):  # A list takes unhashable values too.
            raise errors.UserError(
                f'{path} is of {words} that this program does not know: '
                f'{value!r:.40}')
    for words, is_valid in (
            ('net_args', isinstance(net_args, dict)),
            ('class_names', isinstance(names, list)),
            ('data_dir', isinstance(
                attributes.get('data_dir'), (str, type(None)))),
            *((fact, _is_fact(attributes[fact])) for fact in _FACTS
              if fact in attributes)):
        if not is_valid:
            raise errors.UserError(
                f'{path} is damaged or of another program: its {words} is '
                f'{attributes.get(words)!r:.40}')
    for argument, value in net_args.items():
        try:
            configured.check_argument(argument, value)
        except (KeyError, ValueError, TypeError) as e:
            raise errors.UserError(
                f'{path} is damaged or of another program: its net_args has '
                f'{argument!a:.40} = {value!r:.40}') from e
    try:
        with model_file.bounded(path):
            predictor = nets.NETS[name](**net_args)
    except (TypeError, ValueError) as e:  # arguments of another net
        raise errors.UserError(
            f'{path} does not say how its net was made: '
            f'{errors.one_line(e)}') from e
    model_file.load(path, L.Classifier(predictor))
    shape = datasets.SHAPES.get(dataset)
    if shape is None:
        shape = config_module.Config(**{
            setting: config_module.check(setting, attributes.get(
                setting, config_module.DEFAULTS[setting]), path)
            for setting in ('size', 'grey')}).picture_shape
        if not nets.takes(predictor, shape):
            raise errors.UserError(
                f'{path} is damaged or of another program: its net takes no '
                f'images of {"x".join(map(str, shape))}')
    whitening = None
    if scale == 'whitened':
        whitening = model_file.read_whitening(
            path, math.prod(shape))
        if whitening is None:
            raise errors.UserError(
                f'{path} is damaged or of another program: its images are '
                'whitened, and it does not say with what')
        scale = 'unit'
    mean, std = datasets.statistics(dataset, shape[0])
    if scale != 'standard':
        mean = std = ()
    return Trained(
        predictor, attributes, dataset,
        operations.Rescale(kind=scale, mean=mean, std=std),
        shape, tuple(map(str, names)), whitening)


def _is_fact(value):
    """Tells whether a value from JSON is a word or a finite number."""
    return (isinstance(value, str) and value.isprintable()
            or type(value) in (int, float) and abs(value) < math.inf)
