"""CIFAR-10, whitened images, folders of pictures."""
import shutil

import numpy
import PIL.Image
import pytest

from bnn import data as datasets
from bnn import deploy
from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts


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
                      ('web', 'whitening is a matrix of all pixels')):
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
