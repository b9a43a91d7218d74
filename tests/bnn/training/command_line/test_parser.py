"""Options: what was given, errors of one line, the command that goes on."""
import shlex
import sys

import pytest

from bnn.training.command_line import config as config_module
from bnn.training.command_line import parser
from bnn.training.command_line import script
from bnn.training.command_line import setting


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['./train.py'])
    return tmp_path


def parse(*argv, only=None, base=None, hint=''):
    return parser.parse(base or config_module.Config(),
                        script.Parser('Trains.', hint), only, argv)


def test_nothing_given():
    assert parse() == config_module.Config()
    base = config_module.Config(name='x', unit=7, binary=False)
    assert parse(base=base) == base


def test_given():
    # Given counts, even where it is the default.
    config = parse('--seed', '0', '-b5', '--no-plot', '--dry-run', '--out=x',
                   '--dataset', 'mnist', '--gpu=-1', '--lr-steps', '2', '4')
    assert config.given == {
        'seed': 0, 'batchsize': 5, 'plot': False, 'dry_run': True,
        'out': 'x', 'dataset': 'mnist', 'gpu': -1, 'lr_steps': [2, 4]}
    for name, value in config.given.items():
        assert getattr(config, name) == value
    assert config.epoch == 20


def test_base():
    base = config_module.Config(name='x', unit=7, epoch=3)
    config = parse('--epoch', '5', base=base)
    assert (config.name, config.unit, config.epoch) == ('x', 7, 5)
    assert config.given == {'epoch': 5}
    assert base.epoch == 3


def test_short_options():
    config = parse(*shlex.split('-g 1 -m a -e 3 -b 4 -o c -u 7'))
    assert (config.gpu, config.initmodel, config.epoch, config.batchsize,
            config.out, config.unit) == (1, 'a', 3, 4, 'c', 7)
    assert parse('-r', 'auto').resume == 'auto'
    assert parse('--pretrained', 'm').initmodel == 'm'


def test_data_dir_is_absolute(folder):
    assert parse('--data-dir', 'd').data_dir == str(folder / 'd')


def test_data_is_short_for_two(folder, capsys):
    config = parse('--data', 'd', '--size', '28', '--grey')
    assert config.given == {
        'dataset': 'pictures', 'data_dir': str(folder / 'd'), 'size': 28,
        'grey': True}
    assert config == parse('--dataset', 'pictures', '--data-dir', 'd',
                           '--size', '28', '--grey')
    for words in ('--dataset', 'mnist'), ('--data-dir', 'e'):
        for argv in ('--data', 'd', *words), (*words, '--data', 'd'):
            with pytest.raises(SystemExit):
                parse(*argv)
            assert f'--data says {words[0]} already' in (
                capsys.readouterr().err)


def test_every_setting_has_an_option():
    """Switches, where they are on both ways; every choice; a number."""
    for name, one in config_module.SETTINGS.items():
        flag = config_module.flag(name)
        if one.convert is None:
            words = [[flag]]
            if config_module.DEFAULTS[name] is not False:
                words.append(['--no-' + flag[2:]])
        elif one.choices:
            words = [[flag, str(choice)] for choice in one.choices]
        else:
            words = [[flag, '.5' if one.convert is setting.ratio else '1']]
        for some in words:
            if name == 'dataset' and some[1] in ('cifar10', 'imagenet'):
                continue  # of images of another size
            config = parse(*some)
            assert set(config.given) == {name}, name
            assert config.given[name] is not None


def test_only_some(capsys):
    assert parse('--unit', '3', only=('unit',)).unit == 3
    with pytest.raises(SystemExit):
        parse('--loss', 'softmax', only=('unit',), hint='./other has more')
    line = capsys.readouterr().err
    assert '--loss' in line and './other has more' in line
    with pytest.raises(SystemExit):
        parse('--unit', 'x', only=('unit',), hint='./other has more')
    assert './other' not in capsys.readouterr().err


def test_errors(capsys):
    for argv in (
            '--batchsize 0', '--batchsize -1', '--batchsize x',
            '--batchsize 1.5', '--batchsize', '--epoch 0', '--unit 0',
            '--seed -1', '--seed 4294967296', '--seed x', '--lr 0',
            '--lr nan', '--dropout-hidden 1', '--w-bits 9',
            '--dataset other', '--report long',
            '--test-statistics none', '--snapshot-every 0',
            '--keep-snapshots 0', '--gpu x', '--gpu', '--epo 3',
            '--size 0', '--size 1025', '--size x', '--data',
            '--unknown', 'word', '--no-evaluate', '--lr-steps',
            '--lr-steps 0'):
        with pytest.raises(SystemExit) as e:
            parse(*argv.split())
        assert e.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ''
        assert captured.err.startswith('train.py: error: ')
        assert captured.err.count('\n') == 1
        for word in argv.split():
            assert word in captured.err


def test_help(capsys):
    with pytest.raises(SystemExit) as e:
        parse('--help', base=config_module.Config(unit=4321, lr=.0321))
    assert e.value.code == 0
    text = ' '.join(capsys.readouterr().out.split())
    for name in config_module.SETTINGS:
        assert config_module.flag(name) in text
    for words in ('Trains.', '--no-plot', '(default: 4321)', 'learning:',
                  'one for each core)', 'learning rate (default: 0.0321)',
                  'seed of the random numbers (default: 0)'):
        assert words in text
    assert 'None' not in text


def test_command_round_trip():
    for argv in (
            [], ['--gpu=0'], ['--gpu=-1'], ['--no-plot'], ['--plot'],
            ['--progress'], ['--no-progress', '--dry-run',
                             '--allow-modified'],
            ['-o', 'with space', '--data-dir', "it's", '--seed', '0'],
            ['-m', 'a$b;c', '--evaluate'], ['--resume', 'auto', '-u', '5'],
            ['--out=-x'], ['--data-dir=--odd'], ['-o', ''],
            ['--lr-schedule', 'step', '--lr-steps', '3', '7', '-e', '9'],
            ['--report', 'table', '--keep-snapshots', '3',
             '--snapshot-every', '7', '--test-statistics', 'batch',
             '--dataset', 'digits', '-b', '3']):
        config = parse(*argv)
        script, name, *words = shlex.split(parser.command(config, 'a net'))
        assert (script, name) == ('./train.py', 'a net')
        assert parse(*words) == config


def test_command_with_changes():
    config = parse('--initmodel', 'm', '--no-plot', '-b', '5')
    words = shlex.split(parser.command(
        config, out='my out', resume='auto', initmodel=None))[1:]
    assert parse(*words).given == {
        'plot': False, 'batchsize': 5, 'out': 'my out', 'resume': 'auto'}


def test_command_without_a_folder(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['train_mnist.py'])
    assert parser.command(parse()) == './train_mnist.py'
    monkeypatch.setattr(sys, 'argv', ['/a b/train_mnist.py'])
    assert parser.command(parse()) == "'/a b/train_mnist.py'"
