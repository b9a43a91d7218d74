"""Each configuration, and how the command line names them."""
import dataclasses
import os
import re
import sys

import pytest

import configs
from bnn import errors
from bnn.training.command_line import config as config_module
from configs import find
from tests.helpers import scripts
from tests.helpers import short
from zoo import configured

NUMBER = r'\d+(\.\d+)?(e-\d+)?'
MEANS = f'mean loss={NUMBER}, accuracy={NUMBER}'


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
        name, *short.options(config, made), '--dry-run', '--epoch', 1,
        '--no-plot')
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


@pytest.mark.parametrize('text, words', [
    ('1 +', 'SyntaxError'), ('CONFIG = Config(', 'SyntaxError'),
    ('CONFIG = config.Config(name="own", colour=1)', 'colour'),
    ('CONFIG = config.Config(name="lenet5")', "has name='lenet5'"),
    ('CONFIG = config.Config(name="own", batchsize=0)', '--batchsize'),
    ('CONFIG = config.Config(name="own", lr="fast")', '--lr')])
def test_wrong_file(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr(configs, '__path__', [str(tmp_path)])
    (tmp_path / 'own.py').write_text(
        'from bnn.training.command_line import config\n' + text + '\n')
    with pytest.raises(errors.UserError, match='configs/own.py') as e:
        find.get('own')
    sys.modules.pop('configs.own', None)
    assert words in str(e.value)
    assert '\n' not in str(e.value)


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
