"""train_mnist.py: nets, optimizers, schedules and what they contradict."""
import contextlib
import io
import json
import os
import re
import shutil
import signal
import time

import h5py
import pytest

import train_mnist
from bnn import errors
from bnn.training.learning import keep_best
from bnn.training.reports import figures
from bnn.training.files import model_file
from bnn.training import settling
from zoo import optimization

NETS = ('binary', 'quantized', 'float', 'binary-weight')
SMALL = ('--dataset', 'digits', '--unit', 8, '--batchsize', 20)
NUMBER = r'\d+(\.\d+)?(e-\d+)?'
MEANS = 'mean loss=%s, accuracy=%s' % (NUMBER, NUMBER)


def call(*options):
    """Runs the script's main in this process; returns its two outputs."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert not train_mnist.main([str(option) for option in options])
    return out.getvalue(), err.getvalue()


def dry(*options):
    return call('--dry-run', *SMALL, '--no-plot', *options)


def refused(*options):
    """Returns the one line that options are refused with."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            train_mnist.main([str(option) for option in options])
        except errors.UserError as e:
            line = str(e)
        except SystemExit as e:
            assert e.code == 2
            line = err.getvalue().removesuffix('\n')
        else:
            pytest.fail('not refused: %s' % err.getvalue())
    assert '\n' not in line
    return line


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TMPDIR', str(tmp_path))


# ---- each net, as its users start it

@pytest.mark.parametrize('net', NETS)
def test_net(trainer, results, net):
    result = trainer.succeed(
        '--dry-run', *SMALL, '--net', net, '--validation', 40, '--plot',
        '--out', 'run')
    lines = result.stdout.splitlines()
    patterns = [
        'load digits dataset', 'epoch 1', 'graph generated',
        'train ' + MEANS, 'valid ' + MEANS, 'epoch 2', 'train ' + MEANS,
        'valid ' + MEANS, 'best epoch on the validation part: [12]',
        'test  ' + MEANS, 'save the model', 'save the optimizer']
    assert len(lines) == len(patterns), result.stdout
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    assert 'warning' not in result.stderr.lower()
    n_layers = 2 if net in ('binary', 'quantized') else 3
    assert '%s MLP, 784%s-10' % (net, '-8' * n_layers) in result.stderr
    assert re.search(r'\d+ training, 20 validation, \d+ test images',
                     result.stderr)
    run = trainer.cwd / 'run'
    assert (run / 'figures.png').read_bytes().startswith(b'\x89PNG\r\n')
    log = results.log(run)
    flips = {name for name in log[0] if name.endswith(
        ('/flip_ratio', '/at_clip'))}
    assert flips == ({
        'l%d/%s' % (i, kind) for i in range(1, n_layers + 2)
        for kind in ('flip_ratio', 'at_clip')} if net.startswith('binary')
        else set())
    assert all(0 <= entry[name] <= 1 for entry in log for name in flips)
    assert all('lr' in entry for entry in log)
    attributes = results.attributes(run / 'mlp.model')
    best = 0 if (log[0]['validation/main/accuracy']
                 >= log[1]['validation/main/accuracy']) else 1
    assert attributes['epoch'] == best + 1
    assert lines[8].endswith(str(best + 1))
    assert attributes['validation_accuracy'] == log[best][
        'validation/main/accuracy']
    assert attributes['net'] == net
    assert lines[9].endswith('accuracy=%.12g' % attributes['test_accuracy'])


# ---- LeNet-5, which has no --unit

@pytest.fixture(scope='module')
def lenet5(tmp_path_factory):
    """A function that trains a LeNet-5 shortly and returns its folder."""
    def train(name):
        out = str(tmp_path_factory.mktemp(name) / 'run')
        assert not train_mnist.main([
            '--dataset', 'digits', '--net', name, '--batchsize', '50',
            '--dry-run', '--no-plot', '--report', 'quiet', '--out', out])
        return out
    return train


@pytest.mark.parametrize('name', ['lenet5', 'lenet5-float'])
def test_lenet5(lenet5, results, name, capsys):
    path = os.path.join(lenet5(name), 'mlp.model')
    attributes = results.attributes(path)
    assert {key: attributes[key] for key in (
        'net', 'epoch', 'batchsize', 'lr', 'lr_schedule', 'lr_steps',
        'weight_decay', 'input', 'clip')} == {
            'net': name, 'epoch': 2, 'batchsize': 50, 'lr': .01,
            'lr_schedule': 'step', 'lr_steps': [15, 30, 45],
            'weight_decay': 1e-5, 'input': 'standard', 'clip': 'none'}
    assert 'warning' not in capsys.readouterr().err
    assert not train_mnist.main(
        ['--evaluate', '--dry-run', '--batchsize', '50', '-m', path])
    assert 'accuracy=%.12g\n' % attributes['test_accuracy'] in (
        capsys.readouterr().out)


@pytest.mark.parametrize('options', [
    ['--unit', '8'], ['--clip', 'all'], ['--layers', '3'],
    ['--dropout-hidden', '.1'], ['--w-bits', '1'], ['--optimizer', 'bop']])
def test_lenet5_refuses(options):
    with pytest.raises(errors.UserError, match='lenet5|float|bop'):
        train_mnist.main(['--dataset', 'digits', '--net', 'lenet5', *options])


# ---- options, in a dry run

@pytest.mark.parametrize('options', [
    ['--optimizer', 'adam'], ['--optimizer', 'sgd', '--lr', .1],
    ['--optimizer', 'momentum'], ['--optimizer', 'bop'],
    ['--optimizer', 'bop', '--net', 'binary-weight'],
    ['--lr-schedule', 'constant', '--warmup', .5],
    ['--lr-schedule', 'step', '--lr-steps', 5, 7, '--lr-decay', .5],
    ['--lr-schedule', 'exponential', '--lr-final', 1e-6],
    ['--lr-schedule', 'exponential'],
    ['--lr-schedule', 'cosine', '--warmup', 2],
    ['--loss', 'squared-hinge'], ['--input', 'signed'],
    ['--input', 'binary'], ['--surrogate', 'approx-sign'],
    ['--surrogate', 'swish-sign'], ['--binarize', 'stochastic'],
    ['--net', 'binary-weight', '--binarize', 'stochastic'],
    ['--net', 'binary-weight', '--no-batch-norm'],
    ['--net', 'float', '--no-batch-norm', '--dropout-hidden', 0],
    ['--net', 'quantized', '--w-bits', 1, '--a-bits', 32],
    ['--net', 'quantized', '--w-bits', 32, '--a-bits', 8],
    ['--net', 'quantized', '--quantizer', 'linear', '--clip', 'all'],
    ['--layers', 1, '--dropout-input', .1, '--dropout-hidden', .3],
    ['--recipe', 'best'], ['--lr-scale', 'glorot'], ['--clip', 'weights'],
    ['--recipe', 'seed003', '--net', 'float', '--batchsize', 20],
    ['--recipe', 'seed003', '--net', 'binary-weight', '--batchsize', 20],
    ['--tensorboard'], ['--weight-decay', 1e-3], ['--input', 'standard'],
    ['--label-smoothing', .1], ['--adversarial', .1],
], ids=lambda options: ' '.join(map(str, options)))
def test_options(options, tmp_path):
    if '--tensorboard' in options:
        pytest.importorskip('tensorboardX')
    out, err = dry(*options)
    assert out.endswith('save the model\nsave the optimizer\n')
    assert 'nan' not in out
    assert 'warning' not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('options,settings', [
    ([], {'net': 'binary', 'lr': .001, 'clip': 'all', 'layers': 2,
          'optimizer': 'adam', 'epoch': 20, 'batchsize': 100,
          'dropout_hidden': 0., 'validation': 0}),
    (['--net', 'float'], {'clip': 'none', 'layers': 3, 'unit': 2048,
                          'dropout_hidden': .5, 'batch_norm': True}),
    (['--net', 'binary-weight'], {'clip': 'weights', 'layers': 3,
                                  'unit': 2048, 'dropout_hidden': 0.}),
    (['--net', 'quantized'], {'clip': 'weights', 'layers': 2, 'unit': 1000,
                              'w_bits': 2, 'a_bits': 2}),
    (['--optimizer', 'bop'], {'clip': 'weights', 'lr': .001}),
    (['--optimizer', 'sgd'], {'clip': 'all', 'lr': .01}),
    (['--recipe', 'best'], {'lr': .01, 'lr_schedule': 'cosine',
                            'clip': 'weights', 'dropout_input': .2}),
    (['--recipe', 'best', '--lr', '0.5', '--clip', 'none'],
     {'lr': .5, 'clip': 'none'}),
    (['--recipe', 'seed003', '--net', 'float'],
     {'optimizer': 'sgd', 'batchsize': 256, 'epoch': 200, 'unit': 2048,
      'batch_norm': False, 'validation': 10000, 'dropout_hidden': .5,
      'lr_schedule': 'constant'}),
    (['--recipe', 'seed003', '--net', 'binary-weight', '--unit', '2048'],
     {'batch_norm': False, 'dropout_hidden': 0., 'clip': 'weights'}),
])
def test_defaults(options, settings):
    parser = train_mnist.make_parser()
    args = parser.parse(options)
    settling.settle(parser, args, None, train_mnist.NETS, train_mnist.RECIPES,
                    optimization.LEARNING_RATES)
    assert {name: getattr(args, name) for name in settings} == settings


def test_warning_of_unbounded_weights():
    _, err = dry('--clip', 'none')
    line, = [line for line in err.splitlines() if 'warning' in line]
    for layer in '/l1/W', '/l2/W', '/l3/W':
        assert layer in line
    assert '--clip weights' in line
    _, err = dry('--clip', 'none', '--net', 'quantized', '--quantizer',
                 'linear')
    assert 'warning' in err
    # Whose tanh bounds them; who has none; who has no latent weights
    for options in (['--net', 'quantized'],
                    ['--net', 'quantized', '--w-bits', 32],
                    ['--optimizer', 'bop'],
                    ['--net', 'quantized', '--w-bits', 1, '--optimizer',
                     'bop']):
        _, err = dry('--clip', 'none', *options)
        assert 'warning' not in err


def test_one_bit_net_is_the_binary_net(tmp_path, results):
    for name, options in (
            ('a', ['--net', 'binary', '--clip', 'weights']),
            ('b', ['--net', 'quantized', '--w-bits', 1, '--a-bits', 1,
                   '--clip', 'weights'])):
        dry(*options, '--out', name)
    a, b = tmp_path / 'a', tmp_path / 'b'
    assert results.log(a) == results.log(b)
    assert results.hdf5(a / 'mlp.model') == results.hdf5(b / 'mlp.model')


def test_clip_covers_weights_only(tmp_path):
    # A rate that takes everything out of the range in one step
    for clip in 'weights', 'all', 'none':
        dry('--net', 'binary-weight', '--optimizer', 'sgd', '--lr', 1000,
            '--clip', clip, '--layers', 1, '--out', clip)
        with h5py.File(tmp_path / clip / 'mlp.model', 'r') as f:
            largest = {name: abs(f['predictor'][name][()]).max() for name
                       in ('l1/W', 'l2/W', 'l2/b', 'b2/beta', 'b1/gamma')}
        assert (largest['l1/W'] <= 1) == (clip != 'none')
        assert (largest['l2/W'] <= 1) == (clip != 'none')
        assert (largest['b2/beta'] <= 1) == (clip == 'all')


def test_bop_leaves_binary_weights(tmp_path):
    dry('--optimizer', 'bop', '--out', 'run')
    with h5py.File(tmp_path / 'run' / 'mlp.model', 'r') as f:
        for name in 'l1', 'l2', 'l3':
            assert (abs(f['predictor'][name]['W'][()]) == 1).all()


@pytest.mark.parametrize('input_,first', [
    ('unit', False), ('binary', True)])
def test_summary(tmp_path, input_, first):
    out, err = call('--summary', *SMALL, '--input', input_)
    rows = {line.split()[0]: line.split()
            for line in out.splitlines()[1:]}
    assert list(rows) == ['layer', 'l1', 'b1', 'l2', 'b2', 'l3', 'b3',
                          'total']
    # layer, type, output, params, bits, 1-bit and other MACs, bytes
    assert rows['l1'][3:] == ['6,280', '1', *(
        ['6,272', '0'] if first else ['0', '6,272']), '25,120', '816']
    assert rows['l2'][3:7] == ['72', '1', '64', '0']
    assert err == ''
    assert os.listdir(tmp_path) == []


def test_tensorboard_and_figures_are_there(tmp_path):
    pytest.importorskip('tensorboardX')
    call('--dry-run', *SMALL, '--tensorboard', '--out', 'run')
    names = os.listdir(tmp_path / 'run')
    assert {'figures.png', 'loss.png', 'accuracy.png'} <= set(names)
    assert [name for name in names if name.startswith('events.out')]


def test_best_epoch_is_kept(monkeypatch, tmp_path, results):
    options = *SMALL, '--validation', 200, '--no-plot', '--precise-bn'
    call(*options, '--epoch', 1, '--out', 'first')
    monkeypatch.setattr(best, 'best', lambda log: log[0])
    out, _ = call(*options, '--epoch', 3, '--out', 'run')
    assert 'best epoch on the validation part: 1' in out
    a, b = (results.hdf5(tmp_path / name / 'mlp.model')
            for name in ('first', 'run'))
    assert a == b
    a, b = (model_file.read_attributes(name + '/mlp.model')
            for name in ('first', 'run'))
    for name in 'epoch', 'test_accuracy', 'validation_accuracy':
        assert a[name] == b[name]


@pytest.mark.parametrize('statistics', ['running', 'batch'])
def test_figures_are_of_the_net_that_is_reported(
        monkeypatch, results, statistics, tmp_path):
    drawn = []
    monkeypatch.setattr(
        figures, 'draw_page', lambda *args: drawn.append(args))
    call(*SMALL, '--epoch', 1, '--test-statistics', statistics, '--out', 'r')
    labels, rows, scores = drawn[0][4:7]
    assert (scores.argmax(axis=1) == labels[rows]).mean() == pytest.approx(
        results.log(tmp_path / 'r')[-1]['validation/main/accuracy'])


@pytest.mark.parametrize('report', ['table', 'quiet'])
def test_validation_with_other_reports(report):
    out, _ = dry('--validation', 20, '--report', report)
    assert 'best epoch' not in out
    assert len(out.splitlines()) == (3 if report == 'table' else 0)


# ---- a trained model says all of itself

@pytest.mark.parametrize('options', [
    ['--net', 'binary', '--input', 'signed', '--surrogate', 'swish-sign'],
    ['--net', 'binary', '--loss', 'squared-hinge'],
    ['--net', 'binary', '--binarize', 'stochastic', '--layers', 1],
    ['--net', 'binary', '--optimizer', 'bop'],
    ['--net', 'quantized', '--w-bits', 3, '--a-bits', 4, '--quantizer',
     'linear', '--layers', 3],
    ['--net', 'quantized', '--w-bits', 32, '--a-bits', 1],
    ['--net', 'float', '--no-batch-norm', '--layers', 2],
    ['--net', 'float', '--input', 'binary'],
    ['--net', 'binary-weight', '--no-batch-norm', '--layers', 1],
    ['--net', 'binary-weight', '--input', 'signed'],
], ids=lambda options: ' '.join(map(str, options)))
def test_evaluate_without_repeating(options):
    # The default size of a batch, on which the last digits depend
    call('--dataset', 'digits', '--unit', 8, '--epoch', 1, '--no-plot',
         '--out', 'run', *options)
    out, _ = call('--evaluate', '--initmodel', 'run/mlp.model')
    with open('run/log') as f:
        entry = json.load(f)[-1]
    assert out.splitlines() == [
        'load digits dataset', 'test  mean loss=%.12g, accuracy=%.12g' % (
            entry['validation/main/loss'],
            entry['validation/main/accuracy'])]


# ---- refusals

REFUSED = [
    (['--net', 'cnn'], ['--net', 'cnn', 'binary-weight']),
    (['--optimizer', 'lamb'], ['--optimizer', 'lamb', 'bop']),
    (['--loss', 'mse'], ['--loss', 'mse']),
    (['--input', 'rgb'], ['--input', 'rgb']),
    (['--recipe', 'worst'], ['--recipe', 'worst', 'seed003']),
    (['--surrogate', 'relu'], ['--surrogate', 'relu']),
    (['--net', 'quantized', '--w-bits', 9], ['--w-bits', '9']),
    (['--net', 'quantized', '--w-bits', 0], ['--w-bits', '0']),
    (['--net', 'quantized', '--a-bits', 9], ['--a-bits', '9']),
    (['--net', 'quantized', '--a-bits', 0], ['--a-bits', '0']),
    (['--net', 'quantized', '--quantizer', 'log'], ['--quantizer', 'log']),
    (['--w-bits', 2], ['--w-bits', 'quantized', 'not binary']),
    (['--a-bits', 2], ['--a-bits', 'quantized', 'not binary']),
    (['--quantizer', 'linear', '--net', 'float'],
     ['--quantizer', 'quantized', 'not float']),
    (['--surrogate', 'ste', '--net', 'quantized'],
     ['--surrogate', 'binary', 'not quantized']),
    (['--binarize', 'stochastic', '--net', 'quantized'],
     ['--binarize', 'binary-weight', 'not quantized']),
    (['--binarize', 'deterministic', '--net', 'float'],
     ['--binarize', 'not float']),
    (['--no-batch-norm'], ['--batch-norm', 'float', 'not binary']),
    (['--clip', 'weights', '--net', 'float'], ['--clip', 'not float']),
    (['--optimizer', 'bop', '--net', 'float'],
     ['bop', 'latent', 'binary-weight']),
    (['--optimizer', 'bop', '--net', 'quantized'], ['bop', 'latent']),
    (['--optimizer', 'bop', '--binarize', 'stochastic'],
     ['bop', 'deterministic']),
    (['--optimizer', 'bop', '--weight-decay', 1e-5],
     ['bop', '--weight-decay 1e-05', 'latent']),
    (['--optimizer', 'bop', '--lr-scale', 'glorot'],
     ['bop', '--lr-scale glorot', 'latent']),
    (['--net', 'quantized', '--w-bits', 32, '--lr-scale', 'glorot'],
     ['--lr-scale glorot', 'k-bit']),
    (['--adversarial', .1, '--input', 'binary'],
     ['--adversarial 0.1', '--input binary']),
    (['--label-smoothing', .1, '--loss', 'squared-hinge'],
     ['--label-smoothing 0.1', 'softmax', 'not squared-hinge']),
    (['--net', 'float', '--no-batch-norm', '--precise-bn'],
     ['--precise-bn', '--no-batch-norm']),
    (['--net', 'float', '--no-batch-norm', '--test-statistics', 'batch'],
     ['--test-statistics batch', '--no-batch-norm']),
    (['--precise-bn', '--test-statistics', 'batch'],
     ['--precise-bn', '--test-statistics batch']),
    (['--lr-schedule', 'cosine', '--lr', .01, '--lr-final', .1],
     ['--lr-final 0.1', '--lr 0.01']),
    (['--lr-final', .1], ['--lr-final', 'cosine', 'not constant']),
    (['--lr-final', .1, '--lr-schedule', 'step', '--lr-steps', 1],
     ['--lr-final', 'not step']),
    (['--lr-steps', 3], ['--lr-steps', 'step', 'not constant']),
    (['--lr-decay', .5, '--lr-schedule', 'cosine'],
     ['--lr-decay', 'step', 'not cosine']),
    (['--lr-schedule', 'step'], ['--lr-steps']),
    (['--lr-schedule', 'step', '--lr-steps', 4, 20],
     ['--lr-steps 20', '20 epochs']),
    (['--lr-schedule', 'step', '--lr-steps', 0], ['--lr-steps', '0']),
    (['--lr-schedule', 'exponential', '--lr-final', 0], ['--lr-final 0']),
    (['--lr-schedule', 'cosine', '--lr-final', -1], ['--lr-final']),
    (['--lr-schedule', 'cosine', '--lr-final', 'nan'], ['--lr-final']),
    (['--lr-schedule', 'linear'], ['--lr-schedule', 'linear']),
    (['--warmup', 20], ['--warmup 20', '20 epochs']),
    (['--warmup', 3, '--epoch', 2], ['--warmup 3', '2 epochs']),
    (['--warmup', -1], ['--warmup', '-1']),
    (['--lr', 0], ['--lr', '0']), (['--lr', -1], ['--lr', '-1']),
    (['--lr', 'nan'], ['--lr', 'nan']), (['--lr', 'inf'], ['--lr', 'inf']),
    (['--dropout-input', 1], ['--dropout-input', '1']),
    (['--dropout-hidden', -.1], ['--dropout-hidden', '-0.1']),
    (['--layers', 0], ['--layers', '0']),
    (['--validation', -1], ['--validation', '-1']),
]


@pytest.mark.parametrize('options,words', REFUSED, ids=lambda value: (
    ' '.join(map(str, value)) if value and str(value[0]).startswith('-')
    else ''))
def test_refused(options, words, tmp_path):
    line = refused('--dry-run', '--dataset', 'digits', '--unit', 8, *options)
    for word in words:
        assert word in line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('options,words', [
    (['--validation', 1437], ['--validation 1437', '1437']),
    (['--validation', 5000], ['--validation 5000', '1437']),
    (['--validation', 1420, '--batchsize', 20], ['--batchsize 20', '17']),
])
def test_validation_larger_than_the_data(options, words, tmp_path):
    line = refused('--dataset', 'digits', '--unit', 8, *options)
    for word in words:
        assert word in line
    assert os.listdir(tmp_path) == []


def test_refused_by_the_script(trainer):
    line = trainer.refuse('--net', 'float', '--w-bits', 2)
    assert '--w-bits belongs to --net quantized, not float' in line


@pytest.mark.parametrize('options', [
    ['--precise-bn'], ['--adversarial', .1], ['--label-smoothing', .1]])
def test_evaluation_refuses_what_is_of_training(options, tmp_path):
    dry('--out', 'run')
    line = refused('--evaluate', '-m', 'run/mlp.model', *options)
    assert line == (options[0] + ' belongs to training; --evaluate tests the '
                    'model as it is')


def test_refused_with_a_model(tmp_path):
    dry('--net', 'float', '--out', 'run')
    line = refused('--evaluate', '-m', 'run/mlp.model', '--w-bits', 2)
    assert '--w-bits' in line
    assert 'not float' in line


# ---- going on with a run

@pytest.fixture(scope='module')
def cosine(tmp_path_factory):
    """A run that stands after its first epoch; read only."""
    folder = tmp_path_factory.mktemp('cosine') / 'run'
    call('--dataset', 'digits', '--unit', 8, '--batchsize', 100, '--epoch', 2,
         '--no-plot', '--lr-schedule', 'cosine', '--lr', .01,
         '--dropout-hidden', .1, '--validation', 200, '--out', folder)
    first, = [name for name in os.listdir(folder)
              if name == 'snapshot_iter_13']
    return folder / first


@pytest.mark.parametrize('options,ours,theirs', [
    (['--lr', .5], '0.5', '0.01'),
    (['--lr-schedule', 'constant'], 'constant', 'cosine'),
    (['--net', 'float'], 'float', 'binary'),
    (['--optimizer', 'bop'], 'bop', 'adam'),
    (['--loss', 'squared-hinge'], 'squared-hinge', 'softmax'),
    (['--label-smoothing', .1], '0.1', '0.0'),
    (['--adversarial', .2], '0.2', '0.0'),
    (['--input', 'signed'], 'signed', 'unit'),
    (['--dropout-hidden', .2], '0.2', '0.1'),
    (['--surrogate', 'approx-sign'], 'approx-sign', 'ste'),
    (['--binarize', 'stochastic'], 'stochastic', 'deterministic'),
    (['--validation', 100], '100', '200'),
    (['--clip', 'weights'], 'weights', 'all'),
    (['--layers', 3], '3', '2'),
    (['--warmup', 1], '1', '0.0'),
    (['--w-bits', 3], '3', '2'),
])
def test_resume_with_other_settings(cosine, options, ours, theirs):
    line = refused('--resume', cosine, *options)
    assert re.search(r'%s is %s(\.0)?, .*%s.*made with %s;' % tuple(map(
        re.escape, (options[0], ours, str(cosine), theirs))), line), line


def test_resume_with_a_recipe_of_other_settings(cosine):
    line = refused('--resume', cosine, '--recipe', 'best')
    for word in '--recipe best has --', 'made with', 'leave --recipe out':
        assert word in line


def test_resume_of_a_cosine_run_with_another_length(cosine):
    line = refused('--resume', cosine, '--epoch', 5)
    for word in '--epoch is 5', 'made with 2', 'cosine', str(cosine):
        assert word in line


def test_resume_with_the_same_settings(cosine, results):
    out, _ = call('--resume', cosine, '--out', 'again', '--lr', .01,
                  '--epoch', 2, '--no-plot')
    assert 'epoch 2' in out
    assert os.path.exists('again/mlp.model')


@pytest.mark.parametrize('options', [
    ['--net', 'binary-weight', '--layers', 1, '--binarize', 'stochastic',
     '--lr-schedule', 'cosine', '--warmup', 1],
    ['--optimizer', 'bop', '--lr-schedule', 'exponential'],
    ['--adversarial', .05, '--label-smoothing', .1]],
    ids=['stochastic', 'bop', 'adversarial'])
def test_killed_run_resumes_bit_for_bit(trainer, results, options):
    options = ['--dataset', 'digits', '--unit', 16, '--batchsize', 20,
               '--epoch', 4, '--no-plot', '--validation', 200,
               '--dropout-input', .1, '--dropout-hidden', .2,
               '--snapshot-every', 25, '--keep-snapshots', 99, *options]
    trainer.succeed(*options, '--out', 'whole')
    killed = trainer.cwd / 'killed'
    for _ in range(5):
        with trainer.start(*options, '--out', 'killed') as process:
            # The second epoch has begun and is not at its end
            while not (killed / 'snapshot_iter_100').exists():
                assert process.poll() is None, process.stderr.read()
                time.sleep(.002)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=300)
        if process.returncode:  # not later than the end, on a busy machine
            break
        shutil.rmtree(killed)
    assert process.returncode == -signal.SIGKILL
    # Whatever it reached, go on from the middle of the second epoch
    for path in killed.glob('snapshot_iter_*'):
        if int(path.name.rsplit('_', 1)[1]) > 100:
            path.unlink()
    result = trainer.succeed('--resume', 'auto', '--out', 'killed',
                             '--no-plot')
    assert 'go on from killed/snapshot_iter_100' in result.stderr
    whole = trainer.cwd / 'whole'
    assert results.log(killed) == results.log(whole)
    for name in 'mlp.model', 'mlp.state':
        assert results.hdf5(killed / name) == results.hdf5(whole / name)
    ours, theirs = [results.attributes(run / 'mlp.model')
                    for run in (killed, whole)]
    assert ours == theirs
