"""Each option of the mathematics trains a net to a number.

On the digits chance is 0.1, and a net whose first layers do not learn stays
below 0.8.  The thresholds are 0.03 to 0.06 below what was reached; where the
net learns little, as a binary one without batch normalization, 0.13 below.
"""
import pytest

from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts

QUIET = '--no-plot', '--report', 'quiet'
DIGITS = '--dataset', 'digits', '--batchsize', 50, *QUIET
MLP = *DIGITS, '--unit', 128, '--epoch', 10
BINARY = 'binary_net', *MLP
QUANTIZED = 'quantized_net', *MLP
FLOAT = ('float_mlp', *MLP, '--layers', 2, '--validation', 0,
         '--dropout-hidden', 0, '--lr', .1)
WEIGHTS = ('binary_weight_mlp', *MLP, '--layers', 2, '--validation', 0,
           '--clip', 'weights', '--batch-norm', '--optimizer', 'adam', '--lr',
           .001)
LENET5 = 'lenet5', *DIGITS, '--epoch', 3, '--lr-schedule', 'cosine'

pytestmark = pytest.mark.slow


def words(value):
    return str(value[0] if isinstance(value, tuple) else value)


def check(folder, base, options, least):
    scripts.Call(folder, 'train.py').succeed(
        *base, *options.split(), '--out', 'run')
    found = results.attributes(folder / 'run' / 'mlp.model')['test_accuracy']
    assert found > least


@pytest.mark.parametrize('base,options,least', [
    # What the net sees
    (BINARY, '', .93),
    (BINARY, '--input signed', .91),
    (BINARY, '--input standard', .92),
    (BINARY, '--input binary', .89),
    (BINARY, '--augment shift', .91),
    (BINARY, '--augment affine', .91),
    # The net
    (BINARY, '--layers 1', .92),
    (BINARY, '--layers 3', .92),
    (BINARY, '--surrogate approx-sign', .93),
    (BINARY, '--surrogate swish-sign', .93),
    (BINARY, '--dropout-input .2', .92),
    (BINARY, '--dropout-hidden .2', .92),
    (QUANTIZED, '--no-batch-norm', .9),
    (BINARY, '--no-batch-norm --lr .0001', .4),
    (BINARY, '--weight-init uniform --lr-scale glorot', .91),
    (WEIGHTS, '', .95),
    (FLOAT, '', .93),
    (FLOAT, '--batch-norm', .93),
    *((QUANTIZED, f'--w-bits {w} --a-bits {a} --quantizer {quantizer}', .93)
      for w, a, quantizer in (
          (1, 1, 'dorefa'), (1, 32, 'dorefa'), (2, 2, 'dorefa'),
          (2, 2, 'linear'), (3, 3, 'linear'), (8, 8, 'dorefa'),
          (32, 8, 'dorefa'), (32, 32, 'linear'))),
    # Drawn weights
    (BINARY, '--binarize stochastic', .9),
    (BINARY, '--binarize stochastic --test-weights signs --precise-bn', .9),
    (BINARY, '--binarize stochastic --test-weights mean --test-draws 8', .88),
    (WEIGHTS, '--binarize stochastic', .91),
    (('binaryconnect', *MLP), '--epoch 20', .91),
    (('binaryconnect_det', *MLP), '', .93),
    # Optimizer and schedule
    (BINARY, '--optimizer sgd --lr .1', .86),
    (BINARY, '--optimizer momentum --lr .1', .91),
    (BINARY, '--optimizer bop', .93),
    (BINARY, '--optimizer bop --bop-adaptivity .001 --bop-threshold 1e-6',
     .9),
    (WEIGHTS, '--optimizer bop', .95),
    (BINARY, '--lr-schedule step --lr-steps 6 8 --lr-decay .2', .92),
    (BINARY, '--lr-schedule exponential --lr .01 --lr-final .0001', .92),
    (BINARY, '--lr-schedule cosine --warmup 2 --lr .01', .94),
    (BINARY, '--lr-scale glorot', .91),
    (BINARY, '--weight-decay 1e-4', .92),
    (BINARY, '--clip weights', .92),
    (BINARY, '--clip none', .92),
    # Loss
    (BINARY, '--loss squared-hinge', .91),
    (BINARY, '--label-smoothing .1', .93),
    (BINARY, '--adversarial .05', .93),
    # Tests
    (BINARY, '--precise-bn', .93),
    (BINARY, '--test-statistics batch', .91),
    (BINARY, '--validation 200', .91),
    # XNOR-Net's blocks
    (LENET5, '', .93),
    (LENET5, '--no-binary', .93),
    (LENET5, '--surrogate approx-sign', .93),
    (LENET5, '--surrogate swish-sign', .93),
    (LENET5, '--weight-scale ste', .93),
    (LENET5, '--weight-scale none --clip weights', .9),
    (LENET5, '--input-scale', .93),
    (LENET5, '--shift', .93),
    (LENET5, '--gradient-scale 1000 --min-gamma 0', .93),
], ids=words)
def test_digits(tmp_path, base, options, least):
    check(tmp_path, base, options, least)


@pytest.mark.parametrize('name,options', [
    ('convnet', '--augment crop-flip'),
    ('convnet', '--pad-value 1 --surrogate approx-sign'),
    ('convnet', '--kind binary-weight'),
    ('convnet_float', ''),
    ('shallow_convnet', '--binarize stochastic --lr .01 --epoch 6 '
     '--batchsize 20'),
    ('shallow_convnet_float', '--epoch 3'),
], ids=words)
def test_colours(tmp_path, name, options):
    """Convolutions tell ten colours under noise; chance is 0.1.

    Few images leave much to chance: a good net has 0.5 to 0.9.
    """
    made_data.write_cifar10(tmp_path / 'made', n=60)
    width = ('--width', 24) if name.startswith('convnet') else ()
    check(tmp_path, (
        name, '--data-dir', tmp_path / 'made', '--allow-modified', *QUIET,
        '--validation', 0, '--batchsize', 10, '--epoch', 15, '--lr', .003,
        *width), options, .3)
