"""What a training script knows of its nets."""
import contextlib
import dataclasses

from bnn.training import averages
from bnn.training import classifiers
from bnn.training import losses
from bnn.training import models
from bnn.training import multi_node_bn

# Options that are named otherwise in a net's constructor
_NAMES = {'unit': 'n_units', 'layers': 'n_layers', 'binarize': 'stochastic',
          'weight_scale': 'scaled'}
# --weight-scale, as the layers call it
SCALES = {'corrected': True, 'ste': 'ste', 'none': False}
# Of the net's options those that another training of a model may change
_FREE = ('binarize', 'surrogate', 'dropout_input', 'dropout_hidden')
# Options of the nets without float layers
OF_ALL_BINARY = 'clip', 'lr_scale'


@dataclasses.dataclass(frozen=True)
class Net:

    """A net that a script trains.

    Attributes:
        make (callable): Its class; takes ``n_out``, the number of classes.
        options (tuple of str): Options of the command line that its class
            takes too.
        arguments (dict): What its class is called with beside them.
        defaults (dict): Options whose default is another with this net.
        clip (str): What ``--clip`` is by default; ``'none'`` for a net with
            float layers, which takes no other.
        bop (bool): Whether its binary weights are plain signs, as
            :class:`~zoo.latent_weights.bop.Bop` wants them.
        n_in (bool): Whether its class takes ``n_in``, the size of an image.
        xnor (dict): Arguments of :func:`zoo.xnor_net.hooks.add_to`.
    """

    make: type
    options: tuple = ()
    arguments: dict = dataclasses.field(default_factory=dict)
    defaults: dict = dataclasses.field(default_factory=dict)
    clip: str = 'none'
    bop: bool = False
    n_in: bool = False
    xnor: dict = dataclasses.field(default_factory=dict)

    @property
    def shaping(self):
        """list of str: The options that a trained model has settled."""
        return [name for name in self.options if name not in _FREE]


@dataclasses.dataclass(frozen=True)
class Recipe:

    """A set of options under a name.

    Attributes:
        words (str): What it is, for the help.
        nets (tuple of str): The nets it is for.
        options (dict): The options.
    """

    words: str
    nets: tuple
    options: dict


def takers(nets, option):
    """Returns the names of the nets that take an option.

    Args:
        nets (dict): Names to :class:`Net`.
        option (str): The option, as ``args`` has it.

    Returns:
        list of str: Empty for an option that is of no net.
    """
    return [name for name, net in nets.items() if option in net.options
            or option in OF_ALL_BINARY and net.clip != 'none']


def make(net, args, data):
    """Makes the net that the options ask for.

    Args:
        net (Net): The net.
        args (argparse.Namespace): The options.
        data (~bnn.data.Dataset): The data, for the sizes.

    Returns:
        tuple: The arguments of the net's class, for its file, and the net.

    Raises:
        ~bnn.errors.UserError: If ``--initmodel`` is of a far smaller net.
    """
    net_args = {_NAMES.get(name, name): getattr(args, name)
                for name in net.options}
    if 'scaled' in net_args:
        net_args['scaled'] = SCALES[args.weight_scale]
    if 'stochastic' in net_args:
        net_args['stochastic'] = args.binarize == 'stochastic'
    if net.n_in:
        net_args['n_in'] = data.train_images[0].size
    net_args.update(net.arguments, n_out=len(data.class_names))
    # Some of the options are the file's.
    with (contextlib.nullcontext() if args.initmodel is None
          else models.bounded(args.initmodel)):
        return net_args, net.make(**net_args)


def make_model(run, predictor, top5=False):
    """Puts a net into a classifier, from ``--initmodel`` and on its device.

    Args:
        run (~bnn.training.session.Session): Its options, device and ranks.
        predictor (~chainer.Chain): The net.
        top5 (bool): Whether the classifier reports the share of images whose
            class is among the five best as well.

    Returns:
        ~chainer.links.Classifier: The model.

    Raises:
        ~bnn.errors.UserError: If the file is of another net.
    """
    args = run.args
    kind = classifiers.Top5Classifier if top5 else classifiers.Classifier
    model = kind(predictor, losses.make(args), averages.accuracy,
                 adversarial=args.adversarial)
    if args.initmodel is not None:
        models.load(args.initmodel, model)
    model.to_device(run.device)
    if run.comm is not None and args.multi_node_bn:
        multi_node_bn.synchronize(model, run.comm)
    return model
