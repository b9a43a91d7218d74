"""What the options do, in short runs."""
import dataclasses
import os
import re
import shutil

import h5py
import numpy
import pytest

from bnn.training.learning import keep_best
from configs import find
from tests.helpers import results
from tests.helpers import scripts
from tests.helpers import short


@pytest.mark.parametrize('name,options', [
    ('binary_net', ['--optimizer', 'sgd', '--lr', .1]),
    ('binary_net', ['--optimizer', 'momentum']),
    ('binary_net', ['--optimizer', 'bop']),
    ('binary_weight_mlp', ['--optimizer', 'bop', '--validation', 0]),
    ('binary_net', ['--warmup', .5]),
    ('binary_net', ['--lr-schedule', 'step', '--lr-steps', 5, 7,
                    '--lr-decay', .5]),
    ('binary_net', ['--lr-schedule', 'exponential', '--lr-final', 1e-6]),
    ('binary_net', ['--lr-schedule', 'cosine', '--warmup', 2]),
    ('binary_net', ['--loss', 'squared-hinge', '--input', 'signed']),
    ('binary_net', ['--input', 'binary', '--surrogate', 'approx-sign']),
    ('binary_net', ['--surrogate', 'swish-sign', '--binarize',
                    'stochastic']),
    ('binary_weight_mlp', ['--binarize', 'stochastic', '--batch-norm']),
    ('float_mlp', ['--dropout-hidden', 0, '--batch-norm']),
    ('quantized_net', ['--w-bits', 1, '--a-bits', 32]),
    ('quantized_net', ['--w-bits', 32, '--a-bits', 8]),
    ('quantized_net', ['--quantizer', 'linear']),
    ('binary_net', ['--layers', 1, '--dropout-input', .1,
                    '--dropout-hidden', .3, '--lr-scale', 'glorot']),
    ('binary_net', ['--weight-decay', 1e-3, '--input', 'standard']),
    ('binary_net', ['--label-smoothing', .1, '--adversarial', .1]),
    ('binary_net', ['--no-batch-norm', '--augment', 'shift']),
    ('binary_net', ['--clip', 'weights', '--augment', 'affine'])],
    ids=short.words)
def test_options(script, name, options):
    script.env['TMPDIR'] = str(script.cwd)
    result = script.succeed(name, *short.MLP, '--dry-run', '--report', 'seed',
                            *options)
    assert result.stdout.endswith('save the model\nsave the optimizer\n')
    assert 'nan' not in result.stdout
    assert 'warning' not in result.stderr
    assert os.listdir(script.cwd) == []


@pytest.mark.parametrize('options', [
    ['--surrogate', 'swish-sign'], ['--weight-scale', 'ste'],
    ['--weight-scale', 'none', '--clip', 'weights'],
    ['--input-scale', '--shift']], ids=short.words)
def test_options_of_xnor_net(script, options):
    result = script.succeed(
        'lenet5', '--dataset', 'digits', '--batchsize', 8, '--no-plot',
        '--dry-run', '--epoch', 1, '--out', 'run', *options)
    assert 'warning' not in result.stderr
    arguments = results.attributes(
        script.cwd / 'run' / 'mlp.model')['net_args']
    plain = {'n_out': 10, 'binary': True, 'surrogate': 'ste', 'scaled': True,
             'input_scale': False, 'shift': False}
    assert arguments.keys() == plain.keys()
    assert arguments != plain


def test_weights_of_tests(script):
    """The run, a test of its file and the packed net agree."""
    options = '--dataset', 'digits', '--binarize', 'stochastic'
    export = scripts.Call(script.cwd, 'export.py')
    found = set()
    for kind in 'real', 'signs', 'mean':
        out = script.succeed(
            'binary_net', *options, '--unit', 32, '--no-plot', '--epoch', 2,
            '--test-weights', kind, '--out', kind).stdout
        test, *signs = [line for line in out.splitlines()
                        if line.startswith(('test', 'signs'))][1:]
        found.add(test)
        again = script.succeed(
            'binary_net', '--evaluate', '-m', f'{kind}/mlp.model')
        assert again.stdout.splitlines()[-1] == test
        if kind == 'signs':
            assert signs == []
            continue
        assert f'--test-weights {kind}' in export.refuse(f'{kind}/mlp.model')
        again = script.succeed(
            'binary_net', '--evaluate', '-m', f'{kind}/signs.model')
        assert again.stdout.splitlines()[-1][5:] == signs[0][5:]
        packed = export.succeed(f'{kind}/signs.model')
        accuracy = results.attributes(
            script.cwd / kind / 'signs.model')['test_accuracy']
        assert f'{accuracy:.4f} packed' in packed.stdout
    assert len(found) == 3


def test_warning_of_unbounded_weights(script):
    def warnings(name, *options):
        err = script.succeed(
            name, *short.MLP, '--dry-run', '--clip', 'none', *options).stderr
        return [line for line in err.splitlines() if 'warning' in line]

    line, = warnings('binary_net')
    for layer in '/l1/W', '/l2/W', '/l3/W':
        assert layer in line
    assert '--clip weights' in line
    assert warnings('quantized_net', '--quantizer', 'linear')
    # Whose tanh bounds them; who has none; who has no latent weights
    for options in (['quantized_net'], ['quantized_net', '--w-bits', 32],
                    ['binary_net', '--optimizer', 'bop'],
                    ['quantized_net', '--w-bits', 1, '--optimizer', 'bop']):
        assert not warnings(*options)


def test_one_bit_net_is_the_binary_net(script):
    script.succeed('binary_net', *short.MLP, '--dry-run', '--clip', 'weights',
                   '--out', 'a')
    script.succeed('quantized_net', *short.MLP, '--dry-run', '--clip',
                   'weights', '--w-bits', 1, '--a-bits', 1, '--report', 'seed',
                   '--out', 'b')
    results.assert_same_run(script.cwd / 'a', script.cwd / 'b')


def test_clip_covers_weights_only(script):
    # A rate that takes everything out of the range in one step
    for clip in 'weights', 'all', 'none':
        script.succeed(
            'binary_weight_mlp', *short.MLP, '--dry-run', '--batch-norm',
            '--lr', 1000, '--clip', clip, '--layers', 1, '--validation', 0,
            '--out', clip)
        with h5py.File(script.cwd / clip / 'mlp.model', 'r') as f:
            largest = {name: abs(f['predictor'][name][()]).max() for name
                       in ('l1/W', 'l2/W', 'l2/b', 'b2/beta', 'b1/gamma')}
        assert (largest['l1/W'] <= 1) == (clip != 'none')
        assert (largest['l2/W'] <= 1) == (clip != 'none')
        assert (largest['b2/beta'] <= 1) == (clip == 'all')


def test_bop_leaves_binary_weights(script):
    script.succeed('binary_net', *short.MLP, '--dry-run', '--optimizer', 'bop',
                   '--out', 'run')
    with h5py.File(script.cwd / 'run' / 'mlp.model', 'r') as f:
        for name in 'l1', 'l2', 'l3':
            assert (abs(f['predictor'][name]['W'][()]) == 1).all()


def test_schedules(script):
    """The rates of a run stand in its log."""
    for options, rates in (
            (['--lr-schedule', 'step', '--lr-steps', 1, '--lr-decay', .5],
             [.01, .005]),
            # Of the last iteration of each epoch, 5 in two epochs
            (['--lr-schedule', 'cosine', '--warmup', .5],
             [.01 * (1 + numpy.cos(numpy.pi * i / 8)) / 2 for i in (3, 7)])):
        script.succeed('best', *short.MLP, '--dry-run', '--lr', .01, '--epoch',
                       2, '--batchsize', 359, '--out', 'run', *options)
        log = results.log(script.cwd / 'run')
        if 'cosine' not in options:
            assert [entry['lr'] for entry in log] == rates
        else:
            assert .01 > log[0]['lr'] > log[1]['lr'] > 0
        shutil.rmtree(script.cwd / 'run')


@pytest.mark.parametrize('epoch,rates', [
    (320, [.01, .001, 1e-4, 1e-5, 1e-6]), (220, [.01, .001, 1e-4]),
    (100, [.01])])
def test_shorter_runs_take_what_is_left_of_the_steps(epoch, rates):
    config = dataclasses.replace(find.get('nin'), epoch=epoch)
    assert sorted({config.schedule(e) for e in range(epoch)},
                  reverse=True) == pytest.approx(rates)
    assert config.lr_steps == [120, 200, 240, 280]  # for a longer one


def test_summary(script):
    for scale, first in ('unit', False), ('binary', True):
        result = script.succeed(
            'binary_net', '--summary', *short.MLP, '--input', scale)
        rows = {line.split()[0]: line.split()
                for line in result.stdout.splitlines()[2:]}
        assert list(rows) == ['l1', 'b1', 'l2', 'b2', 'l3', 'b3', 'total']
        # layer, type, output, params, bits, 1-bit and other MACs, bytes
        assert rows['l1'][3:] == ['6,280', '1', *(
            ['6,272', '0'] if first else ['0', '6,272']), '25,120', '816']
        assert rows['l2'][3:7] == ['72', '1', '64', '0']
        assert result.stderr == ''
    assert os.listdir(script.cwd) == []


@pytest.mark.slow
def test_tensorboard_and_figures(script):
    pytest.importorskip('tensorboardX')
    script.succeed(
        'binary_net', *short.MLP, '--plot', '--validation', 40,
        '--tensorboard', '--dry-run', '--out', 'run')
    names = os.listdir(script.cwd / 'run')
    assert {'figures.png', 'loss.png', 'accuracy.png'} <= set(names)
    assert [name for name in names if name.startswith('events.out')]


def test_best_epoch_is_kept(script, monkeypatch):
    options = ('binary_net', *short.MLP, '--validation', 200, '--precise-bn')
    script.succeed(*options, '--epoch', 1, '--out', 'first')
    monkeypatch.setattr(keep_best, 'best', lambda log: log[0])
    out = script.succeed(*options, '--epoch', 3, '--out', 'run').stdout
    assert 'best epoch on the validation part: 1' in out
    first, run = (script.cwd / name / 'mlp.model' for name in ('first', 'run'))
    assert results.hdf5(first) == results.hdf5(run)
    first, run = map(results.attributes, (first, run))
    for name in 'epoch', 'test_accuracy', 'validation_accuracy':
        assert first[name] == run[name]


def test_validation(script):
    result = script.succeed('binary_net', *short.MLP, '--validation', 200,
                            '--epoch', 3, '--test-mirrored', '--out', 'run')
    assert '1237 training, 200 validation, 360 test images' in result.stderr
    log = results.log(script.cwd / 'run')
    highest = max(log, key=lambda entry: entry['validation/main/accuracy'])
    attributes = results.attributes(script.cwd / 'run' / 'mlp.model')
    assert attributes['epoch'] == highest['epoch']
    assert attributes['validation_accuracy'] == highest[
        'validation/main/accuracy']
    line, mirrored = result.stdout.splitlines()[-4:-2]
    assert line == (f'test  mean loss={attributes["test_loss"]:.12g}, '
                    f'accuracy={attributes["test_accuracy"]:.12g}')
    again = script.succeed(
        'binary_net', '--evaluate', '-m', 'run/mlp.model', '-b', 20,
        '--test-mirrored')
    assert again.stdout.splitlines()[-2:] == [line, mirrored]
    # Most digits are no digits in a mirror.
    assert mirrored.startswith('mirrored mean loss=')
    assert float(mirrored.split('=')[-1]) < float(line.split('=')[-1])


@pytest.mark.parametrize('report,n', [('table', 3), ('quiet', 0)])
def test_validation_with_other_reports(script, report, n):
    result = script.succeed('binary_net', *short.MLP, '--dry-run',
                            '--validation', 20, '--report', report)
    assert 'best epoch' not in result.stdout
    assert len(result.stdout.splitlines()) == n
    assert re.search('^test  mean loss', result.stderr, re.MULTILINE)
