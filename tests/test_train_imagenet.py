"""train_imagenet.py on small folders of images."""
import pathlib
import re

import pytest

import train_imagenet
from bnn.training import settling
from zoo import optimization


@pytest.fixture
def imagenet(trainer, write_pictures):
    """A trainer of the script in a folder with pictures, ``data``."""
    trainer.script = pathlib.Path(train_imagenet.__file__)
    trainer.env['XDG_CACHE_HOME'] = str(trainer.cwd.parent / 'cache')
    write_pictures(trainer.cwd / 'data', n_train=4, n_val=2)
    return trainer


SMALL = '--data-dir', 'data', '--batchsize', 2, '--workers', 2, '--no-plot'


@pytest.mark.parametrize('net', ['alexnet', 'nin-float'])
def test_dry_run(imagenet, net):
    result = imagenet.succeed(
        *SMALL, '--dry-run', '--net', net, '--epoch', 1)
    lines = result.stdout.splitlines()
    assert lines[0] == 'load ImageNet dataset'
    for line in lines[3:5]:
        assert re.search(r'accuracy=[01.]\S*, top-5 accuracy=1$', line)
    assert 'warning' not in result.stderr
    assert '7 training, 4 test images' in result.stderr
    assert sorted(path.name for path in imagenet.cwd.iterdir()) == ['data']


def test_train_evaluate_resume(imagenet, results):
    options = *SMALL, '--net', 'nin', '--report', 'table', '--plot'
    result = imagenet.succeed(*options, '--epoch', 1, '--out', 'run')
    assert 'accuracy_top5' in result.stdout
    attributes = results.attributes(imagenet.cwd / 'run' / 'mlp.model')
    assert attributes['test_accuracy_top5'] == 1
    assert attributes['class_names'] == ['class 0', 'class 1']
    evaluated = imagenet.succeed(
        *SMALL[:2], '--evaluate', '--pretrained', 'run/mlp.model')
    assert evaluated.stdout.endswith('top-5 accuracy=1\n')
    imagenet.succeed('--resume', 'auto', '--out', 'run', '--epoch', 2)
    assert len(results.log(imagenet.cwd / 'run')) == 2


def test_broken_pictures_are_left_out(imagenet):
    path = imagenet.cwd / 'data' / 'train' / 'class 0' / '0.jpg'
    path.write_bytes(path.read_bytes()[:300])
    result = imagenet.succeed(
        *SMALL, '--net', 'nin', '--epoch', 1, '--out', 'run')
    line, = [line for line in result.stderr.splitlines()
             if line.startswith('warning')]
    assert str(path.relative_to(imagenet.cwd)) in line


@pytest.mark.parametrize('damage, words', [
    (lambda data: (data / 'val').rename(data / 'test'), 'val'),
    (lambda data: (data / 'val/class 1').rename(data / 'val/class 2'),
     'class'),
])
def test_refused(imagenet, damage, words):
    damage(imagenet.cwd / 'data')
    assert words in imagenet.refuse(*SMALL)


def test_no_folder(imagenet):
    line = imagenet.refuse('--data-dir', 'nowhere')
    for word in 'nowhere', 'train/<class>':
        assert word in line


def test_settings_of_the_seed():
    parser = train_imagenet.make_parser()
    args = parser.parse([])
    settling.settle(parser, args, None, train_imagenet.NETS, {},
                    optimization.LEARNING_RATES)
    assert (args.optimizer, args.lr, args.lr_schedule, args.lr_steps) == (
        'adam', .001, 'step', [30, 60, 90])
    assert (args.epoch, args.batchsize, args.weight_decay, args.augment) == (
        100, 256, 1e-5, 'random-crop')
    assert train_imagenet.NETS['alexnet'].xnor == {
        'min_gamma': None, 'extra': 1e9}


@pytest.mark.parametrize('options, words', [
    (['--lr-scale', 'glorot'], 'without float layers'),
    (['--clip', 'weights'], 'without float layers'),
    (['--optimizer', 'bop'], "invalid choice: 'bop'"),
    (['--recipe', 'best'], 'unrecognized'),
])
def test_refused_options(imagenet, options, words):
    assert words in imagenet.refuse(*SMALL, *options)
