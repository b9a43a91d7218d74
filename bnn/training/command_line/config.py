"""The configuration of a run: every setting, declared once.

The files of ``configs/`` fill it in, the command line overrides its fields,
a snapshot and a model file keep it.
"""
import dataclasses
from collections.abc import Sequence
from typing import Any

from bnn import data
from bnn import errors
from bnn.kernels import products
from bnn.kernels import shifted_activations
from bnn.training.command_line import setting
from bnn.training.learning import inputs
from bnn.training.learning import losses
from bnn.training.learning import schedule as schedule_module
from bnn.training.ranks import launcher

_DATA, _NET, _LEARNING, _RUN = 'data', 'net', 'learning', 'run'
_RATES = {'adam': 1e-3, 'sgd': 1e-2, 'momentum': 1e-2, 'bop': 1e-3}
# 1 bit is the sign, 32 are a float.
BITS = (1, 2, 3, 4, 5, 6, 7, 8, 32)


@dataclasses.dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        accuracy: On the test set, as the source writes it; ``None`` where
            there is none.
        source: Where it stands.
        epoch: The epoch that it is of: ``'last'``, ``'best on test'``,
            ``'best on validation'``, or ``'unknown'``.
        reach: What is to be reached here, if that is another number.
        top5: Share of images whose class is among the five best.
    """

    accuracy: float | None
    source: str
    epoch: str = 'unknown'
    reach: float | None = None
    top5: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is trained, on which data, how, and what the run writes.

    Each field carries its help, which is its documentation, and its check;
    see :class:`~bnn.training.command_line.setting.Setting`.

    Attributes:
        name: What the configuration is called, the name of its file.
        title: What it is, in a line.
        notes: What is known to be wrong in the published experiment.
        published: Its result; ``None`` where the configuration is ours alone.
        given: The fields that the command line set, with their values.
        teacher_digest: 40 hex digits of the bytes of ``teacher``, which
            :func:`bnn.training.files.resume.take_over` reads.
    """

    name: str = ''
    title: str = ''
    notes: str = ''
    published: Published | None = None
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    teacher_digest: str | None = None

    dataset: str = setting.field(
        'mnist', 'data to train on', _DATA, choices=tuple(data.TITLES))
    data_dir: str | None = setting.field(
        None, 'folder of the data; the only place looked in', _DATA,
        metavar='DIR', kept='carried')
    size: int = setting.field(
        32, 'height and width to which own pictures are scaled', _DATA,
        convert=setting.side, metavar='N')
    grey: bool = setting.field(
        False, 'own pictures become grey', _DATA, convert=None)
    allow_modified: bool = setting.field(
        False, 'accept well-formed data files with another content', _DATA,
        convert=None, kept='carried')
    augment: str = setting.field(
        'none', 'random variants of the training images: ' + '; '.join(
            f'{name}: {one.words}'
            for name, one in inputs.AUGMENTATIONS.items()),
        _DATA, choices=tuple(inputs.AUGMENTATIONS))
    input: str = setting.field(
        'unit', 'pixels in [0, 1], in [-1, 1], of mean 0 and deviation 1 in '
        'each channel, as -1 and +1, or images of normalized contrast, '
        'whitened (CIFAR-10)', _DATA, choices=tuple(inputs.SCALES))
    validation: int = setting.field(
        0, 'split the last N training images off; the best epoch on them is '
        'kept, and tested once at the end', _DATA,
        convert=setting.not_negative,
        metavar='N')
    workers: int | None = setting.field(
        None, 'threads that read images from files (default: one for each '
        'core)', _DATA, convert=setting.positive, metavar='N', kept='free')

    net: str = setting.field(
        'BinaryMLP', 'class of the net, one of zoo/nets.py', _NET,
        metavar='CLASS')
    unit: int = setting.field(
        1000, 'units in each hidden layer', _NET, convert=setting.positive,
        flags=('-u',), metavar='N')
    layers: int = setting.field(
        2, 'hidden layers', _NET, convert=setting.depth, metavar='N')
    width: int = setting.field(
        128, 'filters of the first layer', _NET, convert=setting.positive,
        metavar='N')
    binary: bool = setting.field(
        True, 'the binary net, or its float twin', _NET, convert=None)
    weights: str = setting.field(
        'binary', 'weights of the binary layers; float: the first of two '
        'steps, which trains the binary activations alone', _NET,
        choices=('binary', 'float'))
    kind: str = setting.field(
        'binary', 'binary weights and activations, binary weights alone, or '
        'float', _NET, choices=('binary', 'binary-weight', 'float'))
    w_bits: int = setting.field(
        2, 'bits of a weight, 1 to 8 or 32', _NET, convert=int, choices=BITS,
        metavar='K')
    a_bits: int = setting.field(
        2, 'bits of an activation, 1 to 8, or 32: its clip alone, in CNV ReLU',
        _NET, convert=int, choices=BITS, metavar='K')
    quantizer: str = setting.field(
        'dorefa', "DoReFa's or QNN's LinearQuant", _NET,
        choices=('dorefa', 'linear'))
    batch_norm: bool = setting.field(
        True, 'batch normalization', _NET, convert=None)
    dropout_input: float = setting.field(
        0., 'ratio of inputs that training drops', _NET, convert=setting.ratio,
        metavar='P')
    dropout_hidden: float = setting.field(
        0., 'ratio of hidden units that training drops', _NET,
        convert=setting.ratio,
        metavar='P')
    binarize: str = setting.field(
        'deterministic', 'sign of a weight, or in training a draw', _NET,
        choices=('deterministic', 'stochastic'))
    weight_init: str | None = setting.field(
        None, 'latent weights at the start: normal, with a variance that each '
        'net sets, or uniform in [-1, 1] (default: uniform for --binarize '
        'stochastic)', _NET, choices=('normal', 'uniform'))
    surrogate: str = setting.field(
        'ste', 'what stands for the derivative of the sign of an activation',
        _NET, choices=shifted_activations.SURROGATES)
    weight_scale: str = setting.field(
        'corrected', 'the signs of a filter are scaled by the mean of its '
        'absolute weights, with the gradient of that, the straight-through '
        'one, or are not', _NET, choices=('corrected', 'ste', 'none'))
    input_scale: bool = setting.field(
        False, 'the result is scaled by the mean of the absolute inputs, K '
        'of XNOR-Net', _NET, convert=None)
    shift: bool = setting.field(
        False, 'sign and ReLU have learnable shifts, as in ReActNet', _NET,
        convert=None)
    pad_value: int = setting.field(
        0, 'what the padding of signs is', _NET, convert=int, choices=(0, 1))

    epoch: int = setting.field(
        20, 'number of epochs', _LEARNING,
        convert=setting.positive, flags=('-e',),
        metavar='N', kept='carried')
    batchsize: int = setting.field(
        100, 'images in a batch, of each rank', _LEARNING,
        convert=setting.positive,
        flags=('-b',), metavar='N')
    seed: int = setting.field(
        0, 'seed of the random numbers', _LEARNING,
        convert=setting.seed, metavar='N')
    optimizer: str = setting.field(
        'adam', 'what updates the weights; bop: binary weights without '
        'latent ones, Adam for the rest', _LEARNING,
        choices=('adam', 'sgd', 'momentum', 'bop'))
    lr: float | None = setting.field(
        None, 'learning rate (default: 0.001 for adam and bop, 0.01 for sgd '
        'and momentum)', _LEARNING,
        convert=setting.positive_float, metavar='RATE')
    lr_schedule: str = setting.field(
        'constant', 'how the learning rate changes over the run', _LEARNING,
        choices=schedule_module.SCHEDULES)
    lr_final: float | None = setting.field(
        None, 'rate at the end of an exponential or cosine schedule '
        '(default: a thousandth of the first, and 0)', _LEARNING,
        convert=setting.not_negative_float, metavar='RATE')
    lr_steps: list[int] | None = setting.field(
        None, 'epochs after which a step schedule lowers the rate',
        _LEARNING, convert=setting.positive, several=True, metavar='E')
    lr_decay: float = setting.field(
        .1, 'what a step schedule multiplies the rate with', _LEARNING,
        convert=setting.positive_float, metavar='FACTOR')
    warmup: float = setting.field(
        0., 'epochs over which the rate rises', _LEARNING,
        convert=setting.not_negative_float, metavar='E')
    lr_scale: str | None = setting.field(
        None, "factors on the rates of binary and k-bit weights: "
        "BinaryNet's code has the reciprocal of Glorot's initial range "
        '(default: glorot for --binarize stochastic, else none)',
        _LEARNING, choices=('none', 'glorot'))
    loss: str = setting.field(
        'softmax', 'softmax cross entropy, or the squared hinge of one class '
        'against the rest', _LEARNING, choices=tuple(losses.LOSSES))
    label_smoothing: float = setting.field(
        0., 'share of each training target that softmax cross entropy '
        'spreads over all classes', _LEARNING, convert=setting.ratio,
        metavar='SHARE')
    adversarial: float = setting.field(
        0., 'half of the loss is of images whose pixels are moved by EPS in '
        'the direction that raises it; pixels as --input has them',
        _LEARNING, convert=setting.not_negative_float, metavar='EPS')
    teacher: str | None = setting.field(
        None, 'model whose scores are targets too: another net for the same '
        'classes and images, with the same --input; a file, or a '
        'configuration that reproduce.py has trained', _LEARNING,
        metavar='MODEL', kept='carried')
    teacher_weight: float = setting.field(
        .9, "the teacher's share of the loss; the rest is of the labels",
        _LEARNING, convert=setting.weight, metavar='SHARE')
    temperature: float = setting.field(
        4., 'what the scores of teacher and net are divided by',
        _LEARNING, convert=setting.positive_float, metavar='T')
    clip: str = setting.field(
        'weights', 'what is kept in [-1, 1]: all parameters, or the latent '
        'weights that need it, of 1 bit or of the linear quantizer',
        _LEARNING, choices=('all', 'weights', 'none'))
    weight_decay: float = setting.field(
        0., 'what is added to the gradients of weights, times them; not of '
        'biases and batch normalization', _LEARNING,
        convert=setting.not_negative_float, metavar='RATE')
    bop_adaptivity: float = setting.field(
        1e-4, 'how fast the average gradient follows (bop)', _LEARNING,
        convert=setting.positive_float, metavar='GAMMA')
    bop_threshold: float = setting.field(
        1e-8, 'how large the average has to be for a flip (bop)', _LEARNING,
        convert=setting.not_negative_float, metavar='TAU')
    min_gamma: float = setting.field(
        .01, "least gamma of batch normalization in XNOR-Net's nets; 0 bounds "
        'none', _LEARNING, convert=setting.not_negative_float, metavar='GAMMA')
    gradient_scale: float = setting.field(
        1., "factor on the gradients of XNOR-Net's weights, which Adam takes "
        'out again, but not out of the weight decay', _LEARNING,
        convert=setting.positive_float, metavar='FACTOR')
    precise_bn: bool = setting.field(
        False, "at the end batch normalization's statistics are computed "
        'anew over the training images, varied as in training, without '
        'dropout', _LEARNING,
        convert=None)
    test_statistics: str = setting.field(
        'running', 'what batch normalization uses in tests: its running '
        'statistics, or as binary_net those of each test batch', _LEARNING,
        choices=('running', 'batch'))
    precision: str = setting.field(
        products.FASTER, 'operands of the products of the backward pass on '
        'the CPU, in BinaryLinear and convolutions: rounded to bfloat16, or '
        'as they are; sums are of float32 (default: bfloat16 where the '
        'processor has AMX or AVX512-BF16, else float32)', _LEARNING,
        choices=products.PRECISIONS)

    test_weights: str | None = setting.field(
        None, 'what tests of drawn weights compute with: signs, as packed; '
        'real, the latent weights; mean, the mean scores of nets that are '
        'drawn (default: real for --binarize stochastic)', _LEARNING,
        choices=('signs', 'real', 'mean'))
    test_draws: int = setting.field(
        16, 'nets that --test-weights mean draws', _LEARNING,
        convert=setting.positive, metavar='N')
    test_mirrored: bool = setting.field(
        False, 'test the trained model also with the mean scores of each '
        'image and its mirror image, in a line of its own', _LEARNING,
        convert=None, kept='free')

    gpu: int = setting.field(
        -1, 'GPU to train on, 0 for the first; -1 for the CPU', _RUN,
        convert=int, flags=('-g',), metavar='ID', kept='free')
    distributed: bool = setting.field(
        False, 'be one of the ranks that mpiexec started, '
        'docs/distributed.md', _RUN, convert=None, kept='free')
    communicator: str | None = setting.field(
        None, "how ranks exchange gradients, ChainerMN's name (default: "
        'naive on the CPU, pure_nccl on GPUs)', _RUN,
        choices=launcher.COMMUNICATORS, kept='free')
    multi_node_bn: bool = setting.field(
        False, 'batch normalization over the batch of all ranks', _RUN,
        convert=None)
    initmodel: str | None = setting.field(
        None, 'start from this model (mlp.model of another run)', _RUN,
        flags=('--pretrained', '-m'), metavar='FILE', kept='free')
    resume: str | None = setting.field(
        None, 'go on from a snapshot; auto: from the newest whole one in '
        '--out, by default of the latest run', _RUN, flags=('-r',),
        metavar='SNAPSHOT', kept='free')
    out: str | None = setting.field(
        None, 'folder for the results (default: the next number under '
        'result/)', _RUN, flags=('-o',), metavar='DIR', kept='free')
    report: str = setting.field(
        'seed', "the log lines: binary_net's, a table, or none", _RUN,
        choices=('seed', 'table', 'quiet'), kept='free')
    progress: bool | None = setting.field(
        None, 'a progress bar (default: on a terminal)', _RUN, convert=None,
        kept='free')
    plot: bool = setting.field(
        True, 'draw loss.png, accuracy.png and figures.png', _RUN,
        convert=None, kept='free')
    tensorboard: bool = setting.field(
        False, 'write scalars for TensorBoard into the results', _RUN,
        convert=None, kept='free')
    snapshot_every: int | None = setting.field(
        None, 'a snapshot also at each N iterations, not only each epoch',
        _RUN, convert=setting.positive, metavar='N', kept='free')
    keep_snapshots: int = setting.field(
        2, 'how many of the newest snapshots to keep', _RUN,
        convert=setting.positive, metavar='N', kept='carried')
    evaluate: bool = setting.field(
        False, 'test the model of --initmodel and stop', _RUN, convert=None,
        kept='free')
    summary: bool = setting.field(
        False, 'print the net layer by layer and stop', _RUN, convert=None,
        kept='free')
    dry_run: bool = setting.field(
        False, 'a few iterations of everything, to see that it works; '
        'without --out nothing is kept', _RUN, convert=None)

    @property
    def n_epochs(self) -> int:
        """Length of the training."""
        return min(self.epoch, 2) if self.dry_run else self.epoch

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of own pictures as a net gets them."""
        return 1 if self.grey else 3, self.size, self.size

    @property
    def rate(self) -> float:
        """The learning rate, by default that of the optimizer."""
        return _RATES[self.optimizer] if self.lr is None else self.lr

    @property
    def first_weights(self) -> str:
        """How latent weights start, by default as drawing them needs it."""
        return self._unless_drawn('normal', 'uniform', self.weight_init)

    @property
    def rate_scale(self) -> str:
        """The factors on rates, by default as drawing weights needs it."""
        return self._unless_drawn('none', 'glorot', self.lr_scale)

    @property
    def tested_weights(self) -> str:
        """What tests compute with, for draws by default their means."""
        return self._unless_drawn('signs', 'real', self.test_weights)

    @property
    def schedule(self) -> schedule_module.Schedule:
        """The learning rates over the run.

        Raises:
            ~bnn.errors.UserError: If they contradict themselves.
        """
        name, steps = self.lr_schedule, self.lr_steps
        if name == 'step' and steps and 'lr_steps' not in self.given:
            # A shorter run has fewer of the configuration's.
            steps = [step for step in steps if step < self.epoch]
            name = name if steps else 'constant'
        return schedule_module.Schedule(
            name, self.rate, self.epoch, self.lr_final,
            steps if name == 'step' else None, self.lr_decay, self.warmup)

    def check(self) -> None:
        """Refuses settings that contradict one another.

        Raises:
            ~bnn.errors.UserError: With the two that do.
        """
        for name in self.given:
            reason = self._refusal(name)
            if reason:
                raise errors.UserError(
                    f'{flag(name)} {self.given[name]}: {reason}')
        if not self.distributed:
            launcher.check_alone()
        if self.evaluate and self.initmodel is None:
            raise errors.UserError('--evaluate tests a trained model; name '
                                   'it: --initmodel FILE')
        if self.resume is not None and self.initmodel is not None:
            raise errors.UserError(
                '--resume goes on with a run, --initmodel starts one from a '
                'model: give one of them')
        if self.label_smoothing and self.loss != 'softmax':
            raise errors.UserError(
                f'--label-smoothing {self.label_smoothing:g} belongs to '
                f'--loss softmax, not {self.loss}; --label-smoothing 0 '
                'leaves it out')
        if self.adversarial and self.input == 'binary':
            raise errors.UserError(
                f'--adversarial {self.adversarial:g} moves pixels, which '
                '--input binary has as +-1 alone; --adversarial 0 leaves it '
                'out')
        if self.input == 'whitened':
            if self.dataset not in data.CIFAR_NAMES:
                raise errors.UserError(
                    '--input whitened is for --dataset '
                    f'{" or ".join(data.CIFAR_NAMES)}, not {self.dataset}')
            if self.augment == 'affine':
                raise errors.UserError(
                    '--augment affine makes pixels, and behind --input '
                    'whitened there are none; --augment shift and crop-flip '
                    'only move the images')
        is_of_pictures = inputs.AUGMENTATIONS[self.augment].is_of_pictures
        if is_of_pictures != (self.dataset == 'imagenet'):
            others = ', '.join(
                name for name, one in inputs.AUGMENTATIONS.items()
                if one.is_of_pictures != is_of_pictures)
            raise errors.UserError(
                f'--augment {self.augment} is for '
                + ('pictures of 256 pixels, --dataset imagenet'
                   if is_of_pictures else 'images of the size of the net')
                + f', not --dataset {self.dataset}; take one of {others}')
        if self.precise_bn and self.test_statistics == 'batch':
            raise errors.UserError(
                '--precise-bn computes running statistics, which '
                '--test-statistics batch does not use')
        for name, value in (('precise_bn', True),
                            ('test_statistics', 'batch')):
            if getattr(self, name) == value and not self.batch_norm:
                raise errors.UserError(
                    f'{flag(name)} is about batch normalization, which '
                    '--no-batch-norm leaves out')
        if self.lr_final is not None and self.lr_final > self.rate:
            raise errors.UserError(
                f'--lr-final {self.lr_final:g} is above --lr {self.rate:g}; '
                '--warmup raises the rate')
        if self.optimizer == 'bop':
            for name, nothing in (
                    ('binarize', 'deterministic'), ('lr_scale', 'none'),
                    ('weight_decay', 0)):
                if getattr(self, name) not in (None, nothing):
                    raise errors.UserError(
                        f'{flag(name)} {getattr(self, name)} is for latent '
                        'weights, which --optimizer bop has not; give '
                        f'{flag(name)} {nothing}')

    def _unless_drawn(self, plain, drawn, given):
        """Returns what was given, else BinaryConnect's choice or the plain."""
        if given is not None:
            return given
        return drawn if self.binarize == 'stochastic' else plain

    def _refusal(self, name: str) -> str | None:
        """Says why a setting that was given does nothing."""
        if self.evaluate and name in (
                'adversarial', 'label_smoothing', 'precise_bn', 'teacher'):
            return ('it belongs to training; --evaluate tests the model as '
                    'it is')
        if name == 'precision' and self.gpu != -1:
            return f'it is for the CPU, not --gpu {self.gpu}'
        if name in ('size', 'grey') and (
                self.dataset not in data.PICTURE_NAMES):
            return 'it is for own pictures, --data DIR'
        if name == 'test_draws' and self.tested_weights != 'mean':
            return ('it belongs to --test-weights mean, not '
                    f'{self.tested_weights}')
        if name in ('communicator', 'multi_node_bn') and (
                not self.distributed):
            return 'it belongs to --distributed'
        if name in ('teacher_weight', 'temperature') and (
                self.teacher is None):
            return 'it belongs to --teacher MODEL'
        if name.startswith('bop_') and self.optimizer != 'bop':
            return f'it belongs to --optimizer bop, not {self.optimizer}'
        for wanted, names in ((('exponential', 'cosine'), ('lr_final',)),
                              (('step',), ('lr_steps', 'lr_decay'))):
            if name in names and self.lr_schedule not in wanted:
                return (f'it belongs to --lr-schedule {" or ".join(wanted)}, '
                        f'not {self.lr_schedule}')
        return None


SETTINGS: dict[str, setting.Setting] = {
    field.name: field.metadata['setting']
    for field in dataclasses.fields(Config) if 'setting' in field.metadata}
DEFAULTS: dict[str, Any] = {
    field.name: field.default for field in dataclasses.fields(Config)
    if 'setting' in field.metadata}


def names(*kept: str) -> list[str]:
    """Lists the settings that a snapshot treats in one of these ways."""
    return [name for name, one in SETTINGS.items() if one.kept in kept]


def flag(name: str) -> str:
    """Returns the option of a field, ``--data-dir`` of ``data_dir``."""
    return '--' + name.replace('_', '-')


def check(name: str, value: Any, path: str) -> Any:
    """Checks a setting that a file holds.

    Args:
        name: The field.
        value: Its value, as JSON gave it.
        path: The file, for the message.

    Returns:
        The value.

    Raises:
        ~bnn.errors.UserError: If the command line could not have given it.
    """
    try:
        return SETTINGS[name].check(value, DEFAULTS[name])
    except (ValueError, TypeError) as e:
        raise errors.UserError(
            f'{path} is damaged or of another program: its {flag(name)} is '
            f'{value!r:.80}') from e


def take(config: Config, found: dict[str, Any], path: str,
         free: Sequence[str] = ()) -> Config:
    """Takes settings that were not given from a file.

    Args:
        config: The configuration.
        found: The settings that the file has, as JSON gave them.
        path: The file.
        free: Settings that a test may have otherwise.

    Returns:
        The configuration with them.

    Raises:
        ~bnn.errors.UserError: If the command line could not have given one,
            or ``--evaluate`` has another value.
    """
    values = {}
    for name, value in found.items():
        if name not in config.given:
            values[name] = check(name, value, path)
        elif (config.evaluate and name not in free
              and config.given[name] != value):
            raise errors.UserError(
                f'{flag(name)} is {config.given[name]}, but {path} is of a '
                f'net with {value!r:.80}; leave it out')
    return dataclasses.replace(config, **values)
