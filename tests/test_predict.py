"""predict.py: pictures and data sets with a packed net."""
import json
import shlex

import numpy
import PIL.Image
import pytest

import export
import predict
from bnn import data as datasets
from bnn import deploy
from bnn import errors
from bnn.data import image_folder
from tests.helpers import made_data
from tests.helpers import scripts


@pytest.fixture(scope='module')
def packed(trained, tmp_path_factory):
    """A packed net of a short training."""
    path = str(tmp_path_factory.mktemp('packed') / 'net.bnn')
    export.main([str(trained.out / 'mlp.model'), '-o', path, '--no-check'])
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two digits as files, one of them dark on light and large."""
    data = datasets.load('digits')
    paths = [str(tmp_path / name) for name in ('a.png', 'b.jpg')]
    PIL.Image.fromarray(data.test_images[0, 0]).save(paths[0])
    PIL.Image.fromarray(255 - data.test_images[1, 0]).resize(
        (200, 200)).save(paths[1])
    return paths


def test_pictures(packed, pictures, capsys):
    predict.main([packed, *pictures])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in lines] == pictures
    net = deploy.load(packed)
    x = datasets.load('digits').test_images[:1]
    expected = net.class_names[net.predict(x)[0]]
    share = net.probabilities(x).max()
    assert lines[0].startswith(
        f'{pictures[0]}: {expected}, {100 * share:.1f} %, ')
    assert lines[0].endswith('(light on dark, as it is)')
    assert lines[1].endswith('(dark on light, scaled and centred from '
                             '200x200)')


def test_one_picture(packed, pictures, capsys):
    """It needs no kernels, and gives no time of theirs."""
    predict.main([packed, pictures[0], '--json'])
    found = json.loads(capsys.readouterr().out)
    assert found['microseconds'] is None
    predict.main([packed, pictures[0]])
    line, = capsys.readouterr().out.splitlines()
    assert line == (
        f'{pictures[0]}: {found["class"]}, {100 * found["probability"]:.1f} '
        '% (light on dark, as it is)')


def test_top(packed, pictures, capsys):
    predict.main([packed, pictures[0], '--top', '3'])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    shares = [float(line.split()[1]) for line in lines[1:]]
    assert shares == sorted(shares, reverse=True)


def test_json(packed, pictures, capsys):
    predict.main([packed, *pictures, '--json', '--top', '20'])
    for line, path in zip(capsys.readouterr().out.splitlines(), pictures,
                          strict=True):
        found = json.loads(line)
        assert found['file'] == path and found['microseconds'] > 0
        assert len(found['top']) == 10
        assert found['top'][0]['class'] == found['class']
        assert sum(one['probability'] for one in found['top']) == (
            pytest.approx(1, abs=1e-4))


def test_dataset(packed, capsys):
    predict.main([packed, '--dataset', 'digits'])
    lines = capsys.readouterr().out.splitlines()
    data = datasets.load('digits')
    found = deploy.load(packed).predict(data.test_images)
    accuracy = (found == data.test_labels).mean()
    assert lines[0].startswith(
        f'digits: accuracy {accuracy:.4f} on 360 images, ')
    table = numpy.array([line.split()[1:] for line in lines[3:]], int)
    assert table.sum() == 360 and numpy.trace(table) == round(360 * accuracy)
    predict.main([packed, '--dataset', 'digits', '--json'])
    as_json = json.loads(capsys.readouterr().out)
    assert as_json['confusion'] == table.tolist()
    assert as_json['accuracy'] == pytest.approx(accuracy)


@pytest.mark.parametrize('held', (True, False))
def test_own_pictures(tmp_path, monkeypatch, held):
    """Trained, tested, packed without naming the folder again, predicted."""
    if not held:
        monkeypatch.setattr(image_folder, 'HELD_BYTES', 0)
    made_data.write_pictures(tmp_path / 'data', n_val=6)
    train, pack, script = (scripts.Call(tmp_path, name) for name in (
        'train.py', 'export.py', 'predict.py'))
    size = '--size', 6
    train.succeed('binary_net', '--data', 'data', *size, '--unit', 8,
                  '--epoch', 2, '--batchsize', 4, '--no-plot', '--out', 'run')
    evaluate = 'binary_net', '--evaluate', '--initmodel', 'run/mlp.model'
    train.succeed(*evaluate, '--data', 'data')
    assert '--size is 7' in train.refuse(
        *evaluate, '--data', 'data', '--size', 7)
    printed = pack.succeed('run/mlp.model', '-o', 'net.bnn').stdout
    assert '12 test images of pictures of data' in printed
    assert deploy.load(str(tmp_path / 'net.bnn')).input_shape == (3, 6, 6)
    done = script.succeed('net.bnn', 'data/val/class 1/0.jpg')
    line, = done.stdout.splitlines()
    assert ': class ' in line and line.endswith('(scaled from 40x30)')
    assert done.stderr.endswith('predict.py net.bnn --data DIR\n')
    # The names of the classes are whole.
    assert ' class 0 class 1\n' in script.succeed(
        'net.bnn', '--data', 'data').stdout
    result = script.succeed('net.bnn', '--data', 'data', '--json')
    found = json.loads(result.stdout)
    assert f'accuracy {found["accuracy"]:.4f} in Chainer' in printed
    # A folder of other classes
    for part in 'train', 'val':
        (tmp_path / 'data' / part / 'class 1').rename(
            tmp_path / 'data' / part / 'fox')
    words = '2 classes, class 0, fox, but '
    assert words + 'net.bnn' in script.refuse('net.bnn', '--data', 'data')
    assert words + 'run/mlp.model' in pack.refuse(
        'run/mlp.model', '--data-dir', 'data')
    assert words + 'run/mlp.model' in train.fail(
        *evaluate, '--data', 'data')


def test_other_data(packed, tmp_path):
    folder = tmp_path / 'cifar'
    made_data.write_cifar10(folder)
    with pytest.raises(errors.UserError, match='is of 1x28x28 images and 10 '
                       'classes, CIFAR-10 of 3x32x32 and 10'):
        predict.main([packed, '--dataset', 'cifar10', '--data-dir',
                      str(folder), '--allow-modified'])


def test_script(tmp_path, packed, pictures):
    script = scripts.Process(tmp_path, 'predict.py')
    # It needs no Chainer.
    (script.cwd / 'chainer.py').write_text('raise ImportError')
    script.env['PYTHONPATH'] = str(script.cwd)
    result = script.succeed(packed, *pictures)
    assert len(result.stdout.splitlines()) == 2
    purpose, command = result.stderr.strip().split(': ')
    assert purpose == 'to test'
    program, *words = shlex.split(command)
    assert program == str(script.script)
    assert script.succeed(*words).stderr == (
        f'to classify: {program} {packed} PICTURE\n')


def test_script_refuses(tmp_path, packed, pictures):
    script = scripts.Call(tmp_path, 'predict.py')
    (script.cwd / 'x.png').write_text('no picture')
    with open(packed, 'rb') as f:
        contents = bytearray(f.read())
    contents[-100] ^= 1
    (script.cwd / 'damaged.bnn').write_bytes(contents)
    for words, reason in (
            ([packed, 'x.png'], 'x.png: not a picture'),
            (['damaged.bnn', *pictures], 'damaged.bnn is damaged'),
            ([packed, *pictures, '--top', '0'], '--top')):
        assert reason in script.refuse(*words)


def test_refuses(packed, pictures, tmp_path, capsys):
    with pytest.raises(errors.UserError, match='is not a packed net'):
        predict.main([pictures[0], *pictures])
    with pytest.raises(errors.UserError, match='No such file'):
        predict.main([packed, str(tmp_path / 'none.png')])
    with pytest.raises(SystemExit):
        predict.main([packed])
    assert 'give pictures, or --dataset' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        predict.main(['--json'])
    assert 'are required: NET (see --help)' in capsys.readouterr().err
