"""train_cifar10.py: each net, the data, resuming, what it refuses."""
import pathlib
import re
import time

import pytest

import train_cifar10
from bnn.training.files import resume
from bnn.training import settling
from zoo import optimization


@pytest.fixture
def cifar(trainer, write_cifar10):
    """A trainer of the script in a folder with small data, ``data``."""
    trainer.script = pathlib.Path(train_cifar10.__file__)
    write_cifar10(trainer.cwd / 'data')
    return trainer


DATA = '--data-dir', 'data', '--allow-modified'
SMALL = *DATA, '--batchsize', 20, '--no-plot'


def settle(*options):
    parser = train_cifar10.make_parser()
    args = parser.parse(list(options))
    settling.settle(
        parser, args, None, train_cifar10.NETS, train_cifar10.RECIPES,
        optimization.LEARNING_RATES)
    return args


@pytest.mark.parametrize('net', list(train_cifar10.NETS))
def test_dry_run(cifar, net):
    options = ['--width', 4] if net.startswith('convnet') else []
    result = cifar.succeed(
        *DATA, '--dry-run', '--net', net, '--batchsize', 4, '--epoch', 1,
        '--validation', 4, *options)
    assert [line.split('=')[0] for line in result.stdout.splitlines()] == [
        'load CIFAR-10 dataset', 'epoch 1', 'graph generated',
        'train mean loss', 'valid mean loss',
        'best epoch on the validation part: 1', 'test  mean loss',
        'save the model', 'save the optimizer']
    assert re.search(r'^net: +%s$' % net, result.stderr, re.M)
    assert 'warning' not in result.stderr
    assert sorted(path.name for path in cifar.cwd.iterdir()) == ['data']


def test_learns_and_tests(cifar, results):
    options = *SMALL[:5], '--augment', 'crop-flip', '--plot', '--out', 'run'
    result = cifar.succeed(*options, '--epoch', 4, '--lr', .01)
    log = results.log(cifar.cwd / 'run')
    assert log[-1]['validation/main/accuracy'] > .5  # 0.1 by chance
    for layer in 'conv1', 'l5':
        assert layer + '/flip_ratio' in log[-1]
    attributes = results.attributes(cifar.cwd / 'run' / 'mlp.model')
    assert attributes['net_class'] == 'ShallowConvNet'
    assert attributes['net_args'] == {
        'n_out': 10, 'binary': True, 'stochastic': False, 'batch_norm': True}
    assert attributes['class_names'][3] == 'class 3'
    assert (cifar.cwd / 'run' / 'figures.png').read_bytes().startswith(
        b'\x89PNG')
    line, = [line for line in result.stdout.splitlines()
             if line.startswith('test')][-1:]
    for flag in '--initmodel', '--pretrained':
        again = cifar.succeed(
            *SMALL, '--evaluate', flag, 'run/mlp.model')
        assert again.stdout.splitlines()[-1] == line


def test_resume_is_exact(cifar, results):
    options = *SMALL, '--augment', 'crop-flip', '--epoch', 2
    cifar.succeed(*options, '--out', 'whole')
    with cifar.start(*options, '--out', 'parts') as process:
        while not list(cifar.cwd.glob('parts/snapshot_iter_*')):
            assert process.poll() is None
            time.sleep(.01)
        process.kill()
    cifar.succeed('--resume', 'auto', '--out', 'parts', '--no-plot')
    whole, parts = cifar.cwd / 'whole', cifar.cwd / 'parts'
    assert results.log(parts) == results.log(whole)
    assert results.hdf5(parts / 'mlp.model') == results.hdf5(
        whole / 'mlp.model')


@pytest.mark.parametrize('options, words', [
    (['--width', '8'], '--width belongs to --net convnet'),
    (['--net', 'nin', '--clip', 'weights'], '--clip belongs to'),
    (['--net', 'nin', '--recipe', 'seed003'], '--recipe seed003 is for'),
    (['--net', 'nin', '--optimizer', 'bop'], '--optimizer bop'),
    (['--net', 'shallow-float', '--binarize', 'stochastic'], '--binarize'),
    (['--net', 'mlp'], "invalid choice: 'mlp'"),
    (['--data-dir', 'nowhere'], 'nowhere'),
    (['--validation', '300'], '--validation 300 leaves nothing'),
])
def test_refused(cifar, options, words):
    line = cifar.refuse(*DATA, *options)
    assert words in line


def test_missing_batch(cifar):
    (cifar.cwd / 'data' / 'data_batch_3').unlink()
    assert 'data_batch_3' in cifar.refuse(*SMALL)


def test_model_of_another_net(cifar):
    cifar.succeed(*SMALL, '--epoch', 1, '--out', 'run')
    line = cifar.refuse(*SMALL, '--initmodel', 'run/mlp.model', '--net', 'nin')
    assert 'run/mlp.model' in line
    assert 'it has no predictor/b' in line  # the first difference


def test_settings_of_the_seeds():
    nin = settle('--net', 'nin')
    assert (nin.optimizer, nin.lr, nin.lr_schedule, nin.lr_steps) == (
        'adam', .01, 'step', [120, 200, 240, 280])
    assert (nin.epoch, nin.batchsize, nin.weight_decay, nin.clip) == (
        320, 128, 1e-5, 'none')
    shallow = settle('--recipe', 'seed003')
    assert (shallow.optimizer, shallow.lr, shallow.lr_schedule) == (
        'sgd', .001, 'constant')
    assert (shallow.batchsize, shallow.epoch, shallow.batch_norm,
            shallow.validation, shallow.clip) == (
        256, 200, False, 10000, 'weights')
    convnet = settle('--net', 'convnet')
    assert (convnet.loss, convnet.lr_scale, convnet.clip, convnet.input) == (
        'squared-hinge', 'glorot', 'weights', 'signed')
    assert settle('--net', 'convnet-float').lr_scale == 'none'
    assert settle('--net', 'convnet', '--optimizer', 'bop').lr_scale == 'none'


@pytest.mark.parametrize('epoch,rates', [
    (320, [.01, .001, 1e-4, 1e-5, 1e-6]), (220, [.01, .001, 1e-4]),
    (100, [.01])])
def test_shorter_runs_take_what_is_left_of_the_steps(epoch, rates):
    parser = train_cifar10.make_parser()
    args = parser.parse(['--net', 'nin', '--epoch', str(epoch)])
    schedule = settling.settle(
        parser, args, None, train_cifar10.NETS, train_cifar10.RECIPES,
        optimization.LEARNING_RATES)
    assert sorted({schedule(e) for e in range(epoch)}, reverse=True) == (
        pytest.approx(rates))
    assert args.lr_steps == [120, 200, 240, 280]  # for a longer one


def test_another_schedule_has_no_steps():
    assert settle('--net', 'nin', '--lr-schedule', 'cosine').lr_steps is None


def test_longer_run_takes_the_steps_up_again():
    run = resume.Resume('s', {}, {
        'net': 'nin', 'epoch': 100, 'lr_steps': [120, 200], 'lr': .01,
        'lr_schedule': 'step'})
    parser = train_cifar10.make_parser()
    args = parser.parse(['--epoch', '150', '--resume', 's'])
    schedule = settling.settle(
        parser, args, run, train_cifar10.NETS, train_cifar10.RECIPES,
        optimization.LEARNING_RATES)
    assert schedule(119) == .01
    assert schedule(121) == pytest.approx(.001)
