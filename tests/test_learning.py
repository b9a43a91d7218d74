"""Each option of the mathematics trains a net to a number, on the digits.

Chance is 0.1.  Each threshold is well below what the option reaches and above
what the net has where the option is broken or its rate is.
"""
import pytest

from tests.helpers import results
from tests.helpers import scripts

DIGITS = '--dataset', 'digits', '--batchsize', 50, '--no-plot', '--report', (
    'quiet')
MLP = *DIGITS, '--unit', 128, '--epoch', 10
WEIGHTS = ('binary_weight_mlp', '--layers', 2, '--validation', 0, '--clip',
           'weights', '--batch-norm', '--optimizer', 'adam', '--lr', .001,
           *MLP)
FLOAT = ('float_mlp', '--layers', 2, '--validation', 0, '--dropout-hidden', 0,
         *MLP)
LENET5 = 'lenet5', *DIGITS, '--epoch', 3, '--lr-schedule', 'cosine'
BINARY = 'binary_net', *MLP
QUANTIZED = 'quantized_net', *MLP


@pytest.mark.slow
@pytest.mark.parametrize('base,options,least', [
    # What the net sees
    (BINARY, '', .9),
    (BINARY, '--input signed', .9),
    (BINARY, '--input standard', .9),
    (BINARY, '--input binary', .9),
    (BINARY, '--augment shift', .9),
    (BINARY, '--augment affine', .9),
    # The net
    (BINARY, '--layers 3', .9),
    (BINARY, '--layers 1', .9),
    (BINARY, '--surrogate approx-sign', .9),
    (BINARY, '--surrogate swish-sign', .9),
    (BINARY, '--dropout-input .2', .9),
    (BINARY, '--dropout-hidden .2', .9),
    (BINARY, '--no-batch-norm', .9),
    (BINARY, '--weight-init uniform --lr-scale glorot', .9),
    (WEIGHTS, '', .9),
    (FLOAT, '--batch-norm', .9),
    (FLOAT, '--lr .1', .9),
    *((QUANTIZED, f'--w-bits {w} --a-bits {a} --quantizer {quantizer}', .9)
      for w, a, quantizer in (
          (1, 1, 'dorefa'), (1, 32, 'dorefa'), (2, 2, 'dorefa'),
          (2, 2, 'linear'), (3, 3, 'linear'), (8, 8, 'dorefa'),
          (32, 8, 'dorefa'), (32, 32, 'linear'))),
    # Drawn weights
    (BINARY, '--binarize stochastic', .9),
    (WEIGHTS, '--binarize stochastic', .9),
    (BINARY, '--binarize stochastic --test-weights signs', .9),
    (BINARY, '--binarize stochastic --test-weights mean --test-draws 8', .9),
    (('binaryconnect', *MLP), '--epoch 20', .9),
    (('binaryconnect_deterministic', *MLP), '', .9),
    # Optimizer and schedule
    (BINARY, '--optimizer sgd --lr .1', .9),
    (BINARY, '--optimizer momentum', .9),
    (BINARY, '--optimizer bop', .9),
    (WEIGHTS, '--optimizer bop', .9),
    (BINARY, '--lr-schedule step --lr-steps 6 8', .9),
    (BINARY, '--lr-schedule exponential --lr .01', .9),
    (BINARY, '--lr-schedule cosine --warmup 2 --lr .01', .9),
    (BINARY, '--lr-scale glorot', .9),
    (BINARY, '--weight-decay 1e-4', .9),
    (BINARY, '--clip weights', .9),
    (BINARY, '--clip none', .9),
    # Loss
    (BINARY, '--loss squared-hinge', .9),
    (BINARY, '--label-smoothing .1', .9),
    (BINARY, '--adversarial .05', .9),
    # Tests
    (BINARY, '--precise-bn', .9),
    (BINARY, '--test-statistics batch', .9),
    (BINARY, '--validation 200', .9),
    # XNOR-Net's blocks
    (LENET5, '', .9),
    (LENET5, '--no-binary', .9),
    (LENET5, '--surrogate approx-sign', .9),
    (LENET5, '--surrogate swish-sign', .9),
    (LENET5, '--weight-scale ste', .9),
    (LENET5, '--weight-scale none --clip weights', .9),
    (LENET5, '--input-scale', .9),
    (LENET5, '--shift', .9),
    (LENET5, '--gradient-scale 1000 --min-gamma 0', .9),
], ids=lambda value: value[0] if isinstance(value, tuple) else str(value))
def test_learns(tmp_path, base, options, least):
    script = scripts.Call(tmp_path, 'train.py')
    script.succeed(*base, *options.split(), '--out', 'run')
    assert results.attributes(
        tmp_path / 'run' / 'mlp.model')['test_accuracy'] > least
