"""train.py: each configuration, options and what they contradict."""
import dataclasses
import json
import os
import re
import shutil

import h5py
import numpy
import PIL.Image
import pytest

from bnn import data as datasets
from bnn import deploy
from bnn.training.command_line import config as config_module
from bnn.training.learning import keep_best
from configs import best
from configs import find
from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts
from zoo import configured

MLP = '--dataset', 'digits', '--unit', 8, '--batchsize', 20, '--no-plot'
# 15 iterations an epoch
RESUMED = *MLP[:4], '--batchsize', 100, '--no-plot'
NUMBER = r'\d+(\.\d+)?(e-\d+)?'
MEANS = f'mean loss={NUMBER}, accuracy={NUMBER}'


@pytest.fixture
def script(tmp_path):
    """train.py, in a folder of the test."""
    return scripts.Call(tmp_path, 'train.py')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder of small data: cifar10, imagenet."""
    folder = tmp_path_factory.mktemp('made')
    made_data.write_cifar10(folder / 'cifar10', n=40)
    made_data.write_pictures(folder / 'imagenet', n_train=1, n_val=1)
    return folder


def small(config, made):
    """Returns options that make a configuration quick."""
    options = []
    if config.dataset == 'mnist':
        options += ['--dataset', 'digits']
    else:
        options += ['--data-dir', made / config.dataset, '--allow-modified']
    if config.input == 'whitened':  # of too few images
        options += ['--input', 'signed']
    for name, value in ('unit', 16), ('width', 4):
        if name in configured.FIELDS[config.net]:
            options += [f'--{name}', value]
    return [*options, '--batchsize', 4 if config.dataset == 'mnist' else 2]


def words(value):
    """Names a case by its options."""
    return ' '.join(map(str, value)) if isinstance(value, list) else value


# ---- each configuration

def test_list(script):
    out = script.succeed().stdout
    assert [line.split()[0] for line in out.splitlines()] == find.names()
    for name in find.names():
        assert find.get(name).title in out


@pytest.mark.parametrize('name', find.names())
def test_dry_run(script, made, name):
    config = find.get(name)
    script.env['TMPDIR'] = str(script.cwd)
    result = script.succeed(
        name, *small(config, made), '--dry-run', '--epoch', 1, '--no-plot')
    top5 = f', top-5 accuracy={NUMBER}' * (config.dataset == 'imagenet')
    part = 'valid' if config.validation else 'test '
    patterns = [r'load \S+ dataset', 'epoch 1', 'graph generated',
                f'train {MEANS}{top5}', f'{part} {MEANS}{top5}']
    if config.validation:
        patterns.append('best epoch on the validation part: 1')
    if config.precise_bn:
        patterns.append('compute the statistics of batch normalization anew')
    if config.validation or config.precise_bn:
        patterns.append(f'test  {MEANS}{top5}')
    if config.tested_weights != 'signs':
        patterns.append(f'signs {MEANS}')
    patterns += ['save the model', 'save the optimizer']
    if config.report == 'table':
        patterns = ['epoch .*', '1 .*']
    lines = result.stdout.splitlines()
    assert len(lines) == len(patterns), result.stdout
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    assert re.search(rf'^net: +{config.net}$', result.stderr, re.MULTILINE)
    assert 'warning' not in result.stderr
    assert os.listdir(script.cwd) == []


def test_whitened(script, tmp_path):
    """Trained, tested, packed, and a picture predicted, without the data."""
    made_data.write_cifar10(tmp_path / 'data', n=8)
    options = ('convnet_binary_weight', '--data-dir', 'data',
               '--allow-modified', '--no-plot', '--width', 4)
    assert 'at least as many training images, and there are 40' in (
        script.refuse(*options, '--dry-run'))
    dataset = datasets.load('cifar10', str(tmp_path / 'data'), True)
    cache = tmp_path / 'data' / f'whitening-{dataset.digest}.npz'
    with open(cache, 'wb') as f:
        numpy.savez(f, digest=dataset.digest, mean=numpy.zeros(3072, 'f'),
                    matrix=numpy.eye(3072, dtype='f') / 2)
    script.succeed(*options, '--dry-run', '--batchsize', 3, '--out', 'run')
    cache.unlink()
    model = tmp_path / 'run' / 'mlp.model'
    script.succeed(*options, '--evaluate', '--initmodel', model)
    assert not cache.exists()
    export = scripts.Call(tmp_path, 'export.py')
    printed = export.succeed(
        model, '--data-dir', 'data', '--allow-modified', '-o', 'net.bnn')
    assert 'predictions that differ: 0' in printed.stdout
    assert 'whitening' in printed.stdout
    for to, words in (('c', 'whitening cannot go to C: it computes with'),
                      ('web', 'images of 3x32x32')):
        assert words in export.refuse(model, '--to', to, '--no-check')
    PIL.Image.fromarray(dataset.test_images[0].transpose(1, 2, 0)).save(
        tmp_path / 'a.png')
    net = deploy.load(str(tmp_path / 'net.bnn'))
    shown = net.class_names[net.predict(dataset.test_images[:1])[0]]
    assert scripts.Call(tmp_path, 'predict.py').succeed(
        'net.bnn', 'a.png').stdout.startswith(f'a.png: {shown}, ')


@pytest.mark.slow
def test_whitening_of_many_images(script, tmp_path):
    """Computed, kept beside the data, found again."""
    made_data.write_cifar10(tmp_path / 'data', n=620)
    options = ('nin_whitened', '--data-dir', 'data', '--allow-modified',
               '--no-plot', '--batchsize', 4, '--dry-run', '--epoch', 1)
    words = 'compute the whitening of CIFAR-10'
    assert words in script.succeed(*options).stdout
    assert words not in script.succeed(*options).stdout


def test_configurations_are_sound():
    """What a file fills in is what the command line could have given."""
    for name in find.names():
        config = find.get(name)
        assert config.name == name
        assert 10 < len(config.title) < 100
        config.check()
        configured.check(config)
        # As if all that differs from the defaults had been given
        given = {field: getattr(config, field)
                 for field, default in config_module.DEFAULTS.items()
                 if getattr(config, field) != default}
        for field, value in given.items():
            config_module.check(field, value, name)
        config = dataclasses.replace(config, given=given)
        config.check()
        configured.check(config)
        assert config.dataset in (*configured.DATA[config.net], 'mnist')
        assert config.schedule(0) > 0


@pytest.mark.parametrize('name,settings', [
    ('binary_net', {
        'net': 'BinaryMLP', 'unit': 1000, 'layers': 2, 'optimizer': 'adam',
        'rate': .001, 'clip': 'all', 'batchsize': 100, 'epoch': 20,
        'dropout_hidden': 0, 'validation': 0, 'input': 'unit'}),
    ('quantized_net', {
        'net': 'QuantizedMLP', 'w_bits': 3, 'a_bits': 3, 'clip': 'all',
        'quantizer': 'dorefa', 'unit': 1000, 'layers': 2}),
    ('best', {
        'rate': .01, 'lr_schedule': 'cosine', 'clip': 'weights',
        'dropout_input': .2, 'batchsize': 50, 'unit': 1000, 'epoch': 20}),
    ('float_mlp', {
        'optimizer': 'sgd', 'rate': .001, 'batchsize': 256, 'epoch': 200,
        'unit': 2048, 'layers': 3, 'batch_norm': False, 'validation': 10000,
        'dropout_hidden': .5, 'lr_schedule': 'constant'}),
    ('binary_weight_mlp', {
        'batch_norm': False, 'dropout_hidden': 0, 'clip': 'all',
        'unit': 2048, 'layers': 3}),
    ('lenet5', {
        'batchsize': 128, 'epoch': 60, 'rate': .01, 'lr_schedule': 'step',
        'lr_steps': [15, 30, 45], 'weight_decay': 1e-5, 'input': 'standard',
        'clip': 'none', 'binary': True}),
    ('nin', {
        'optimizer': 'adam', 'rate': .01, 'lr_schedule': 'step',
        'lr_steps': [120, 200, 240, 280], 'epoch': 320, 'batchsize': 128,
        'weight_decay': 1e-5, 'clip': 'none', 'augment': 'crop-flip'}),
    ('shallow_convnet_seed', {
        'optimizer': 'sgd', 'rate': .001, 'lr_schedule': 'constant',
        'batchsize': 256, 'epoch': 200, 'batch_norm': False,
        'validation': 10000, 'clip': 'weights'}),
    ('convnet', {
        'loss': 'squared-hinge', 'lr_scale': 'glorot', 'clip': 'weights',
        'input': 'signed', 'batchsize': 50, 'epoch': 500}),
    ('convnet_float', {'lr_scale': 'none', 'kind': 'float'}),
    ('cnv', {
        'w_bits': 1, 'a_bits': 1, 'input': 'signed', 'clip': 'weights'}),
    ('cnv_w1a2', {'w_bits': 1, 'a_bits': 2, 'quantizer': 'dorefa'}),
    ('cnv_w2a2', {'w_bits': 2, 'a_bits': 2}),
    ('cnv_float', {'w_bits': 32, 'a_bits': 32}),
    ('resnet20', {'binary': True, 'width': 16, 'clip': 'weights'}),
    ('resnet20_float', {'binary': False, 'width': 16}),
    ('cifar10_fast', {'binary': True, 'width': 64, 'clip': 'weights'}),
    ('alexnet', {
        'optimizer': 'adam', 'rate': .001, 'lr_schedule': 'step',
        'lr_steps': [30, 60, 90], 'epoch': 100, 'batchsize': 256,
        'weight_decay': 1e-5, 'augment': 'random-crop', 'min_gamma': 0,
        'gradient_scale': 1e9}),
])
def test_settings_of_the_seeds(name, settings):
    config = find.get(name)
    assert {name: getattr(config, name) for name in settings} == settings


# ---- the command line

def test_help(script):
    result = script.succeed('--help')
    assert result.stderr == ''
    words = ' '.join(script.succeed('best', '-h').stdout.split())
    assert '(default: cosine)' in words
    described = result.stdout[result.stdout.index('options:'):]
    for name, one in config_module.SETTINGS.items():
        for flag in (config_module.flag(name), *one.flags):
            assert re.search(rf'(^  |, ){flag}\b', described, re.MULTILINE)
    for text in re.split(r'\n  (?=-)', described):
        assert len(re.findall(r'\(default:', text)) <= 1, text


def test_help_of_a_process(tmp_path):
    result = scripts.Process(tmp_path, 'train.py').succeed('-h')
    assert result.stdout.startswith('usage: train.py ')
    assert result.stderr == ''


def test_names(script):
    for words in ['nonsense'], ['--epoch', '1']:
        line = script.refuse(*words)
        for name in find.names():
            assert name in line
    assert 'unrecognized' in script.refuse('best', 'binary_net')


# ---- options, in a dry run

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
    ids=words)
def test_options(script, name, options):
    script.env['TMPDIR'] = str(script.cwd)
    result = script.succeed(name, *MLP, '--dry-run', '--report', 'seed',
                            *options)
    assert result.stdout.endswith('save the model\nsave the optimizer\n')
    assert 'nan' not in result.stdout
    assert 'warning' not in result.stderr
    assert os.listdir(script.cwd) == []


@pytest.mark.parametrize('options', [
    ['--surrogate', 'swish-sign'], ['--weight-scale', 'ste'],
    ['--weight-scale', 'none', '--clip', 'weights'],
    ['--input-scale', '--shift']], ids=words)
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
            name, *MLP, '--dry-run', '--clip', 'none', *options).stderr
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
    script.succeed('binary_net', *MLP, '--dry-run', '--clip', 'weights',
                   '--out', 'a')
    script.succeed('quantized_net', *MLP, '--dry-run', '--clip', 'weights',
                   '--w-bits', 1, '--a-bits', 1, '--report', 'seed',
                   '--out', 'b')
    results.assert_same_run(script.cwd / 'a', script.cwd / 'b')


def test_clip_covers_weights_only(script):
    # A rate that takes everything out of the range in one step
    for clip in 'weights', 'all', 'none':
        script.succeed(
            'binary_weight_mlp', *MLP, '--dry-run', '--batch-norm', '--lr',
            1000, '--clip', clip, '--layers', 1, '--validation', 0, '--out',
            clip)
        with h5py.File(script.cwd / clip / 'mlp.model', 'r') as f:
            largest = {name: abs(f['predictor'][name][()]).max() for name
                       in ('l1/W', 'l2/W', 'l2/b', 'b2/beta', 'b1/gamma')}
        assert (largest['l1/W'] <= 1) == (clip != 'none')
        assert (largest['l2/W'] <= 1) == (clip != 'none')
        assert (largest['b2/beta'] <= 1) == (clip == 'all')


def test_bop_leaves_binary_weights(script):
    script.succeed('binary_net', *MLP, '--dry-run', '--optimizer', 'bop',
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
        script.succeed('best', *MLP, '--dry-run', '--lr', .01, '--epoch', 2,
                       '--batchsize', 359, '--out', 'run', *options)
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
            'binary_net', '--summary', *MLP, '--input', scale)
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
        'binary_net', *MLP, '--plot', '--validation', 40, '--tensorboard',
        '--dry-run', '--out', 'run')
    names = os.listdir(script.cwd / 'run')
    assert {'figures.png', 'loss.png', 'accuracy.png'} <= set(names)
    assert [name for name in names if name.startswith('events.out')]


# ---- validation

def test_best_epoch_is_kept(script, monkeypatch):
    options = ('binary_net', *MLP, '--validation', 200, '--precise-bn')
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
    result = script.succeed('binary_net', *MLP, '--validation', 200,
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
    result = script.succeed('binary_net', *MLP, '--dry-run', '--validation',
                            20, '--report', report)
    assert 'best epoch' not in result.stdout
    assert len(result.stdout.splitlines()) == n
    assert re.search('^test  mean loss', result.stderr, re.MULTILINE)


# ---- CIFAR-10 and pictures

@pytest.mark.slow
def test_cifar10(script, made):
    options = ('shallow_convnet', '--data-dir', made / 'cifar10',
               '--allow-modified', '--batchsize', 20, '--augment',
               'crop-flip')
    result = script.succeed(*options, '--epoch', 4, '--lr', .01, '--no-plot',
                            '--out', 'run')
    log = results.log(script.cwd / 'run')
    assert log[-1]['validation/main/accuracy'] > .5  # 0.1 by chance
    for layer in 'conv1', 'l5':
        assert layer + '/flip_ratio' in log[-1]
    attributes = results.attributes(script.cwd / 'run' / 'mlp.model')
    assert attributes['net_class'] == 'ShallowConvNet'
    assert attributes['net_args'] == {
        'n_out': 10, 'binary': True, 'stochastic': False, 'batch_norm': True}
    assert attributes['class_names'][3] == 'class 3'
    line = [line for line in result.stdout.splitlines()
            if line.startswith('test')][-1]
    for flag in '--initmodel', '--pretrained':
        again = script.succeed(
            *options, '--evaluate', flag, 'run/mlp.model')
        assert again.stdout.splitlines()[-1] == line


def test_missing_batch(script, made):
    data = shutil.copytree(made / 'cifar10', script.cwd / 'data')
    (data / 'data_batch_3').unlink()
    assert 'data_batch_3' in script.refuse(
        'nin', '--data-dir', 'data', '--allow-modified')


@pytest.mark.slow
def test_pictures(script):
    data = script.cwd / 'data'
    made_data.write_pictures(data, n_train=3, n_val=1)
    broken = data / 'train' / 'class 0' / '0.jpg'
    broken.write_bytes(broken.read_bytes()[:300])
    options = ('nin_imagenet', '--data-dir', 'data', '--batchsize', 2,
               '--workers', 2)
    result = script.succeed(*options, '--report', 'table', '--epoch', 1,
                            '--no-plot', '--out', 'run')
    assert 'accuracy_top5' in result.stdout
    assert '6 training, 2 test images' in result.stderr
    line, = [line for line in result.stderr.splitlines()
             if line.startswith('warning')]
    assert str(broken.relative_to(script.cwd)) in line
    attributes = results.attributes(script.cwd / 'run' / 'mlp.model')
    assert attributes['test_accuracy_top5'] == 1
    assert attributes['class_names'] == ['class 0', 'class 1']
    evaluated = script.succeed(
        *options, '--evaluate', '--pretrained', 'run/mlp.model')
    assert evaluated.stdout.endswith('top-5 accuracy=1\n')


@pytest.mark.parametrize('damage,word', [
    (lambda data: (data / 'val').rename(data / 'test'), 'val'),
    (lambda data: (data / 'val/class 1').rename(data / 'val/class 2'),
     'class'),
    (lambda data: data.rename(data.with_name('gone')), 'train/<class>')])
def test_no_pictures(script, made, damage, word):
    damage(shutil.copytree(made / 'imagenet', script.cwd / 'data'))
    assert word in script.refuse('alexnet', '--data-dir', 'data')


@pytest.mark.parametrize('name,options,words', [
    ('lenet5', [], ['--size 32', 'LeNet5 takes no images of 3x32x32',
                    'give --size 28 --grey']),
    ('lenet5', ['--size', 28], ['of 3x28x28', 'give --size 28 --grey']),
    ('shallow_convnet', ['--size', 40], ['give --size 32']),
    ('shallow_convnet', ['--grey'], ['1x32x32', '--size 32 without --grey']),
    ('alexnet', [], ['--augment random-crop', 'crop-flip']),
    ('nin_whitened', [], ['--input whitened']),
    ('binary_net', ['--dataset', 'mnist'], ['--data says --dataset']),
    ('lenet5', ['--batchsize', 9], ['--batchsize 9', '4 training'])])
def test_own_pictures_refused(script, name, options, words):
    made_data.write_pictures(script.cwd / 'data', n_train=2, n_val=1)
    line = script.fail(name, '--batchsize', 2, '--data', 'data', *options)
    for word in words:
        assert word in line


def test_own_pictures_bad_folder(script):
    made_data.write_pictures(script.cwd / 'data')
    for folder, words in (
            ('none', 'none'), ('data/train/class 0', 'has 0 folders')):
        assert words in script.refuse('nin', '--data', folder)
    assert 'name the folder' in script.refuse('nin', '--dataset', 'pictures')


# ---- a trained model says all of itself

@pytest.mark.parametrize('name,options', [
    ('binary_net', ['--input', 'signed', '--surrogate', 'swish-sign']),
    ('binary_net', ['--loss', 'squared-hinge', '--layers', 3]),
    ('quantized_net', ['--w-bits', 3, '--a-bits', 4, '--quantizer',
                       'linear', '--layers', 3]),
    ('float_mlp', ['--input', 'binary', '--batch-norm']),
    ('binary_weight_mlp', ['--layers', 1])],
    ids=words)
def test_evaluate_without_repeating(script, name, options):
    script.succeed(name, *MLP, '--validation', 0, '--epoch', 1, '--out',
                   'run', *options)
    # The size of a batch, on which the last digits depend
    out = script.succeed(name, '--evaluate', '--initmodel', 'run/mlp.model',
                         '--validation', 0, '--batchsize', 20).stdout
    entry, = results.log(script.cwd / 'run')
    assert out.splitlines()[-1] == (
        f'test  mean loss={entry["validation/main/loss"]:.12g}, '
        f'accuracy={entry["validation/main/accuracy"]:.12g}')


def test_initmodel(script):
    """What is of the net is taken from the file, what is of training not."""
    script.succeed('binary_net', *MLP, '--layers', 3, '--surrogate',
                   'swish-sign', '--epoch', 1, '--out', 'run')
    script.succeed('binary_net', '--dataset', 'digits', '--initmodel',
                   'run/mlp.model', '--epoch', 1, '--dropout-hidden', .1,
                   '--no-plot', '--out', 'next')
    arguments = results.attributes(
        script.cwd / 'next' / 'mlp.model')['net_args']
    assert (arguments['n_units'], arguments['n_layers']) == (8, 3)
    assert (arguments['surrogate'], arguments['dropout_hidden']) == ('ste', .1)
    scratch, = results.log(script.cwd / 'run')
    entry, = results.log(script.cwd / 'next')
    assert entry['main/loss'] < scratch['main/loss']


def test_model_of_another_net(script):
    script.succeed('binary_net', *MLP, '--dry-run', '--out', 'run')
    for name in 'quantized_net', 'lenet5', 'nin':
        line = script.refuse(name, '--initmodel', 'run/mlp.model')
        assert 'run/mlp.model' in line
        assert "'BinaryMLP', not " in line
    # Settings of the net that are not those of the file
    for option, given, saved in (
            ('--unit', '9', '8'), ('--layers', '3', '2'),
            ('--input', 'signed', 'unit'), ('--loss', 'squared-hinge', '')):
        line = script.refuse('binary_net', '--evaluate', '-m',
                             'run/mlp.model', option, given)
        assert f'{option} is {given}' in line
        assert saved in line
    for attribute, value in (
            ('net_args', 5), ('net_args', {'n_layers': 999}),
            ('net_args', {'n_layers': 10 ** 9}),
            ('net_args', {'n_units': 10 ** 9}),
            ('net_args', {'n_units': 'x'}), ('net_args', {'n_units': True})):
        with h5py.File(script.cwd / 'run' / 'mlp.model', 'r+') as f:
            f.attrs[attribute] = json.dumps(value)
        script.refuse('binary_net', '-m', 'run/mlp.model', *MLP[:2])


# ---- refusals

REFUSED = [
    ('binary_net', ['--net', 'cnn'], ['--net cnn', 'BinaryMLP']),
    ('binary_net', ['--optimizer', 'lamb'], ['--optimizer', 'lamb', 'bop']),
    ('binary_net', ['--loss', 'mse'], ['--loss', 'mse']),
    ('binary_net', ['--input', 'rgb'], ['--input', 'rgb']),
    ('binary_net', ['--surrogate', 'relu'], ['--surrogate', 'relu']),
    ('quantized_net', ['--w-bits', 9], ['--w-bits', '9']),
    ('quantized_net', ['--a-bits', 0], ['--a-bits', '0']),
    ('quantized_net', ['--quantizer', 'log'], ['--quantizer', 'log']),
    # Settings of other nets
    ('binary_net', ['--w-bits', 2], ['--w-bits', 'QuantizedMLP']),
    ('float_mlp', ['--quantizer', 'linear'], ['--quantizer', 'FloatMLP']),
    ('quantized_net', ['--surrogate', 'ste'], ['--surrogate', 'BinaryMLP']),
    ('quantized_net', ['--binarize', 'stochastic'],
     ['--binarize', 'BinaryWeightMLP']),
    ('float_mlp', ['--binarize', 'deterministic'], ['--binarize']),
    ('float_mlp', ['--clip', 'weights'], ['--clip', 'FloatMLP']),
    ('float_mlp', ['--weight-init', 'uniform'], ['--weight-init']),
    ('binary_net', ['--test-weights', 'real'],
     ['--test-weights real', '--binarize stochastic']),
    ('binary_net', ['--binarize', 'stochastic', '--test-draws', 3],
     ['--test-draws 3', '--test-weights mean']),
    ('lenet5', ['--unit', 8], ['--unit', 'LeNet5']),
    ('lenet5', ['--layers', 3], ['--layers', 'LeNet5']),
    ('lenet5', ['--dropout-hidden', .1], ['--dropout-hidden', 'LeNet5']),
    ('lenet5', ['--w-bits', 1], ['--w-bits', 'LeNet5']),
    ('lenet5_float', ['--surrogate', 'ste'], ['--surrogate', 'LeNet5']),
    ('nin', ['--width', 8], ['--width', 'ConvNet']),
    ('cnv_w1a2', ['--surrogate', 'ste'], ['--surrogate ste', '--a-bits 2']),
    ('cnv_float', ['--clip', 'weights'], ['--clip', 'CNV has none here']),
    ('resnet20', ['--a-bits', 2], ['--a-bits', 'QuantizedMLP, CNV']),
    ('resnet20_float', ['--surrogate', 'ste'], ['--surrogate', 'ResNet20']),
    ('shallow_convnet_float', ['--binarize', 'stochastic'], ['--binarize']),
    ('alexnet_float', ['--lr-scale', 'glorot'], ['--lr-scale']),
    # Data of other nets
    ('lenet5', ['--dataset', 'cifar10'], ['--dataset', 'cifar10', 'mnist']),
    ('nin', ['--dataset', 'digits'], ['--dataset', 'digits', 'cifar10']),
    ('lenet5', ['--net', 'NIN'], ['--dataset digits', 'NIN', 'cifar10']),
    ('binary_net', ['--augment', 'random-crop'], ['--augment random-crop']),
    ('alexnet', ['--augment', 'none'], ['--augment none', 'imagenet']),
    # Bop
    ('float_mlp', ['--optimizer', 'bop'], ['bop', 'latent']),
    ('quantized_net', ['--optimizer', 'bop'], ['bop', 'latent']),
    ('lenet5', ['--optimizer', 'bop'], ['bop', 'latent']),
    ('binary_net', ['--optimizer', 'bop', '--binarize', 'stochastic'],
     ['bop', 'deterministic']),
    ('binary_net', ['--optimizer', 'bop', '--weight-decay', 1e-5],
     ['bop', '--weight-decay 1e-05', 'latent']),
    ('binary_net', ['--optimizer', 'bop', '--lr-scale', 'glorot'],
     ['bop', '--lr-scale glorot', 'latent']),
    ('binary_net', ['--bop-threshold', 1], ['--bop-threshold', 'not adam']),
    # Learning
    ('quantized_net', ['--w-bits', 32, '--lr-scale', 'glorot'],
     ['--lr-scale', 'k-bit']),
    ('binary_net', ['--adversarial', .1, '--input', 'binary'],
     ['--adversarial 0.1', '--input binary']),
    ('binary_net', ['--label-smoothing', .1, '--loss', 'squared-hinge'],
     ['--label-smoothing 0.1', 'softmax', 'not squared-hinge']),
    ('float_mlp', ['--precise-bn'], ['--precise-bn', '--no-batch-norm']),
    ('float_mlp', ['--test-statistics', 'batch'],
     ['--test-statistics', '--no-batch-norm']),
    ('binary_net', ['--precise-bn', '--test-statistics', 'batch'],
     ['--precise-bn', '--test-statistics batch']),
    # Schedules
    ('binary_net', ['--lr-schedule', 'cosine', '--lr', .01, '--lr-final',
                    .1], ['--lr-final 0.1', '--lr 0.01']),
    ('binary_net', ['--lr-final', .1],
     ['--lr-final', 'cosine', 'not constant']),
    ('binary_net', ['--lr-final', .1, '--lr-schedule', 'step', '--lr-steps',
                    1], ['--lr-final', 'not step']),
    ('binary_net', ['--lr-steps', 3], ['--lr-steps', 'not constant']),
    ('binary_net', ['--lr-decay', .5, '--lr-schedule', 'cosine'],
     ['--lr-decay', 'step', 'not cosine']),
    ('binary_net', ['--lr-schedule', 'step'], ['--lr-steps']),
    ('binary_net', ['--lr-schedule', 'step', '--lr-steps', 4, 20],
     ['--lr-steps 20', '20 epochs']),
    ('binary_net', ['--lr-schedule', 'step', '--lr-steps', 0],
     ['--lr-steps', '0']),
    ('binary_net', ['--lr-schedule', 'exponential', '--lr-final', 0],
     ['--lr-final 0']),
    ('binary_net', ['--lr-schedule', 'cosine', '--lr-final', -1],
     ['--lr-final']),
    ('binary_net', ['--lr-schedule', 'cosine', '--lr-final', 'nan'],
     ['--lr-final']),
    ('binary_net', ['--lr-schedule', 'linear'], ['--lr-schedule', 'linear']),
    ('binary_net', ['--warmup', 20], ['--warmup 20', '20 epochs']),
    ('binary_net', ['--warmup', 3, '--epoch', 2], ['--warmup 3', '2 epochs']),
    # Numbers
    ('binary_net', ['--warmup', -1], ['--warmup', '-1']),
    ('binary_net', ['--lr', 0], ['--lr', '0']),
    ('binary_net', ['--lr', 'nan'], ['--lr', 'nan']),
    ('binary_net', ['--lr', 'inf'], ['--lr', 'inf']),
    ('binary_net', ['--dropout-input', 1], ['--dropout-input', '1']),
    ('binary_net', ['--dropout-hidden', -.1], ['--dropout-hidden', '-0.1']),
    ('binary_net', ['--layers', 0], ['--layers', '0']),
    ('binary_net', ['--validation', -1], ['--validation', '-1']),
    ('binary_net', ['--validation', 1437], ['--validation 1437', '1437']),
    ('binary_net', ['--validation', 1400], ['--batchsize 100', '37']),
    # Ranks
    ('binary_net', ['--multi-node-bn'], ['--multi-node-bn', '--distributed']),
    ('binary_net', ['--communicator', 'naive'], ['--distributed']),
]


def test_refused(script):
    for name, options, words in REFUSED:
        digits = ['--dataset', 'digits'] * (
            '--dataset' not in options and find.get(name).dataset == 'mnist')
        line = script.refuse(name, *digits, *options)
        for word in words:
            assert word in line, options


def test_evaluation_refuses_what_is_of_training(script):
    script.succeed('binary_net', *MLP, '--dry-run', '--out', 'run')
    for options in (['--precise-bn'], ['--adversarial', .1],
                    ['--label-smoothing', .1]):
        line = script.refuse(
            'binary_net', '--evaluate', '-m', 'run/mlp.model', *options)
        assert options[0] in line
        assert '--evaluate' in line


# ---- a teacher

@pytest.mark.slow
def test_teacher(script, tmp_path):
    """A float net's scores are learned; the run goes on with it alone."""
    script.succeed('binary_net', '--net', 'FloatMLP', *RESUMED, '--unit', 64,
                   '--epoch', 5, '--out', 'float')
    teacher = tmp_path / 'float' / 'mlp.model'
    options = (*RESUMED, '--unit', 32, '--teacher-weight', 1, '--out', 'run')
    script.succeed('binary_net', *options, '--teacher', 'float/mlp.model',
                   '--epoch', 5)
    log = json.loads((tmp_path / 'run' / 'log').read_text())
    assert log[-1]['main/loss'] < .7 * log[0]['main/loss']
    # No label was seen.
    assert log[-1]['main/accuracy'] > .8
    with h5py.File(tmp_path / 'run' / 'mlp.model') as f:
        assert json.loads(f.attrs['teacher']) == str(teacher)
        assert set(f) == {'predictor'}
    go_on = 'binary_net', '--resume', 'auto', '--out', 'run', '--epoch', 6
    other = scripts.Call(tmp_path, 'train.py')
    other.succeed('binary_net', *MLP, '--dry-run', '--out', 'other')
    line = script.refuse(*go_on, '--teacher', 'other/mlp.model')
    assert str(teacher) in line and 'other/mlp.model' in line
    line = scripts.Call(tmp_path).refuse(
        '--resume', 'auto', '--out', 'run', '--dataset', 'digits', '--unit',
        32)
    assert '--teacher' in line
    teacher.rename(tmp_path / 'moved.model')
    assert f'cannot read {teacher}' in script.refuse(*go_on)
    script.succeed(*go_on, '--teacher', 'moved.model')


def test_teacher_refused(script, trained):
    model = trained.out / 'mlp.model'
    for options, *words in (
            (['--teacher', 'none'], 'cannot read ', 'none: No such file'),
            (['--teacher', model, '--input', 'signed'],
             'is of --input unit, but the net is of signed'),
            (['--teacher', model, '--teacher-weight', 0], 'not in (0, 1]'),
            (['--teacher', model, '--teacher-weight', 1.5], 'not in (0, 1]'),
            (['--teacher', model, '--temperature', 0], 'not above 0'),
            (['--temperature', 3], '--teacher FILE')):
        line = script.refuse('binary_net', *MLP, *options)
        for word in words:
            assert word in line


# ---- going on with a run

@pytest.fixture(scope='module')
def cosine(tmp_path_factory):
    """A snapshot of a run after its first epoch; read only."""
    script = scripts.Call(tmp_path_factory.mktemp('cosine'), 'train.py')
    script.succeed(
        'binary_net', *MLP, '--epoch', 2, '--lr-schedule', 'cosine', '--lr',
        .01, '--dropout-hidden', .1, '--validation', 200, '--out', 'run')
    return script.cwd / 'run' / 'snapshot_iter_62'


def test_resume_with_other_settings(script, cosine):
    for option, ours, theirs in (
            ('--lr', '0.5', '0.01'),
            ('--lr-schedule', 'constant', 'cosine'),
            ('--net', 'FloatMLP', 'BinaryMLP'),
            ('--optimizer', 'bop', 'adam'),
            ('--loss', 'squared-hinge', 'softmax'),
            ('--label-smoothing', '0.1', '0.0'),
            ('--adversarial', '0.2', '0.0'),
            ('--input', 'signed', 'unit'),
            ('--dropout-hidden', '0.2', '0.1'),
            ('--surrogate', 'approx-sign', 'ste'),
            ('--binarize', 'stochastic', 'deterministic'),
            ('--validation', '100', '200'),
            ('--clip', 'weights', 'all'),
            ('--layers', '3', '2'),
            ('--warmup', '1.0', '0.0'),
            ('--augment', 'shift', 'none')):
        line = script.refuse('binary_net', '--resume', cosine, option, ours)
        assert re.search(
            rf'{option} is {ours}, .*{cosine}.*made with {theirs};', line)
    line = script.refuse('best', '--resume', cosine)
    assert "of the configuration 'binary_net', not best" in line
    line = script.refuse('binary_net', '--resume', cosine, '--epoch', 5)
    for word in '--epoch is 5', 'made with 2', 'cosine', str(cosine):
        assert word in line


def test_resume_with_the_same_settings(script, cosine):
    out = script.succeed('binary_net', '--resume', cosine, '--out', 'again',
                         '--lr', .01, '--epoch', 2, '--no-plot').stdout
    assert 'epoch 2' in out
    results.assert_same_run(script.cwd / 'again', cosine.parent)


@pytest.mark.parametrize('name,options', [
    ('binary_weight_mlp', [
        *RESUMED, '--layers', 1, '--binarize', 'stochastic', '--lr-schedule',
        'cosine', '--warmup', 1, '--validation', 200, '--epoch', 2]),
    ('binary_net', [
        *RESUMED, '--optimizer', 'bop', '--lr-schedule', 'exponential',
        '--precise-bn', '--epoch', 2]),
    ('binary_net', [
        *RESUMED, '--adversarial', .05, '--label-smoothing', .1, '--augment',
        'affine', '--dropout-input', .1, '--epoch', 2]),
    pytest.param('shallow_convnet', [
        '--augment', 'crop-flip', '--no-plot', '--epoch', 2, '--batchsize',
        20, '--allow-modified', '--optimizer', 'momentum'],
        marks=pytest.mark.slow)],
    ids=['stochastic', 'bop', 'adversarial', 'shallow'])
def test_resume_is_exact(script, made, name, options):
    """From the middle of either epoch, and where one ends."""
    if name == 'shallow_convnet':
        options = ['--data-dir', made / 'cifar10', *options]
    script.succeed(name, *options, '--out', 'whole', '--snapshot-every', 1,
                   '--keep-snapshots', 999)
    whole = script.cwd / 'whole'
    n = results.log(whole)[-1]['iteration']
    for at in n // 4, results.log(whole)[0]['iteration'], 3 * n // 4:
        out = script.cwd / f'from-{at}'
        result = script.succeed(
            name, '--resume', f'whole/snapshot_iter_{at}', '--out', out,
            '--no-plot')
        assert f'go on from whole/snapshot_iter_{at}' in result.stderr
        results.assert_same_run(out, whole)
        ours, theirs = (results.attributes(folder / 'mlp.model')
                        for folder in (out, whole))
        assert ours == theirs
        shutil.rmtree(out)


def test_longer_run_takes_the_steps_up_again(script, monkeypatch):
    monkeypatch.setattr(best, 'CONFIG', dataclasses.replace(
        best.CONFIG, lr_schedule='step', lr_steps=[1, 2]))
    options = 'best', '--no-plot', '--out', 'run'
    script.succeed(*options, *RESUMED, '--epoch', 1)
    script.succeed(*options, '--resume', 'auto', '--epoch', 3)
    assert [entry['lr'] for entry in results.log(script.cwd / 'run')] == (
        pytest.approx([.01, .001, .0001]))
