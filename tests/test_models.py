"""The nets of models/: each is what its card says."""
import hashlib
import re
import subprocess
import sys

import pytest
from PIL import Image

import predict
from bnn import data
from bnn import deploy
from bnn.training.reports import card
from configs import find

NETS = predict.shipped()
_MOST = 2 << 20  # bytes together


def rows(path):
    """Returns the table of a card."""
    found = re.findall(r'^\| ([a-z ]+) \| (.+) \|$',
                       path.with_suffix('.md').read_text(), re.MULTILINE)
    return dict(found)


def test_there_are_some():
    assert {'best', 'binary_net', 'cifar10_fast', 'lenet5_varied', 'lfc',
            'quantized_net'} <= set(NETS)
    files = list(predict.MODELS.iterdir())
    assert sum(file.stat().st_size for file in files) < _MOST
    for path in NETS.values():
        assert path.with_suffix('.md').is_file()


@pytest.mark.parametrize('name', NETS)
def test_card(name):
    path, found = NETS[name], rows(NETS[name])
    contents = path.read_bytes()
    assert found['file'] == (f'{len(contents):,} bytes, SHA-256 '
                             f'{hashlib.sha256(contents).hexdigest()}')
    script, config, *_ = found['trained by'].strip('`').split()
    assert script == './train.py' and config in find.names()
    assert re.fullmatch('[0-9a-f]{12}', found['commit'])  # not -dirty
    net = deploy.load(path)
    assert found['takes'].startswith(
        f'uint8 images {"x".join(map(str, net.input_shape))}')
    assert ', '.join(net.class_names) in found['gives']
    # On made images everywhere; rounding moves no class of these.
    assert found['made images'] == f'SHA-256 {card.made_digest(net)}'


@pytest.mark.parametrize('name', NETS)
def test_accuracy(name, monkeypatch):
    """That of the card, on the data where they are at hand."""
    net = deploy.load(NETS[name])
    # Nothing listens there: nothing is downloaded.
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')
    try:
        dataset = data.load(net.packed.facts['dataset'])
    except data.UnavailableError as e:
        pytest.skip(str(e))
    found = predict.test(net, dataset)
    assert found['accuracy'] == float(rows(NETS[name])['test accuracy'])


def test_list():
    result = subprocess.run(
        [sys.executable, predict.__file__], capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(NETS)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize('picture,dataset,found', [
    ('seven.png', 'mnist', '7'), ('ship.png', 'cifar10', 'ship')])
def test_sample(picture, dataset, found, capsys):
    """Each net of these data knows the picture that comes with them."""
    path = predict.MODELS / picture
    with Image.open(path) as opened:
        assert opened.size not in ((28, 28), (32, 32))
    names = [name for name in NETS
             if deploy.load(NETS[name]).packed.facts['dataset'] == dataset]
    assert names
    for name in names:
        predict.main([name, str(path)])
        assert f': {found}, ' in capsys.readouterr().out


@pytest.mark.parametrize('name', NETS)
def test_first_image_needs_no_numba(name):
    code = '''
import sys
import numpy
from bnn import deploy
net = deploy.load(sys.argv[1])
x = numpy.zeros((1, *net.input_shape), numpy.uint8)
x.reshape(-1)[:] = numpy.arange(x.size) % 251
first = net.scores(x)
assert not {'numba', 'chainer', 'PIL'} & set(sys.modules)
numpy.testing.assert_array_equal(net.scores(x), first)
assert 'numba' in sys.modules
'''
    subprocess.run([sys.executable, '-c', code, NETS[name]], check=True,
                   cwd=predict.MODELS.parent)


def test_one_picture_needs_no_numba():
    code = '''
import sys
import predict
predict.main(['best', 'models/seven.png'])
assert not {'numba', 'chainer', 'http.client'} & set(sys.modules)
'''
    result = subprocess.run(
        [sys.executable, '-c', code], check=True, text=True,
        cwd=predict.MODELS.parent, capture_output=True)
    assert result.stdout.startswith('models/seven.png: 7, ')


def test_unknown_name(tmp_path):
    result = subprocess.run(
        [sys.executable, predict.__file__, 'lenet6', 'x.png'], cwd=tmp_path,
        capture_output=True, text=True)
    line, = result.stderr.splitlines()
    assert result.returncode == 1
    assert "lenet6: no such file, and no net of models/; there are: " in line
    assert 'best' in line
