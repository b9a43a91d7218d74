"""setup.py: the package binary_net, built, installed, and used elsewhere."""
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy
import PIL.Image
import pytest

import bnn
import predict
import setup
from tests.helpers import scripts

ROOT = scripts.ROOT
NET = ROOT / 'tests' / 'golden' / 'binary_mlp.bnn'
# What the wheel depends on, and what that needs
RUNTIME = 'numpy', 'numba', 'llvmlite', 'Pillow'

# What a user has in a file of another folder
STEP = '''\
import chainer.links as L
import numpy
from chainer import optimizers

from binary_net import bst
from binary_net import weight_clip
from binary_net.link_binary_linear import BinaryLinear
from binary_net.zoo import nets

assert len(nets.NETS) > 5
x = numpy.array([[1, -2, 3], [-1, 2, 0]], 'f')
W = numpy.full((2, 3), 0.5, 'f')
model = L.Classifier(BinaryLinear(3, 2, initialW=W))
optimizer = optimizers.SGD(lr=10.).setup(model)
optimizer.add_hook(weight_clip.WeightClip())
assert model.predictor(bst.bst(x)).array.tolist() == [[1, 1], [1, 1]]
optimizer.update(model, x, numpy.array([0, 1], 'i'))
print(model.predictor.W.array.tolist())
'''


@pytest.mark.parametrize('before, after', [
    ('from bnn import deploy', 'from binary_net import deploy'),
    ('def f():\n    from bnn.deploy import run as r  # é',
     'def f():\n    from binary_net.deploy import run as r  # é'),
    ('from zoo import mlp', 'from binary_net.zoo import mlp'),
    ('import bst\nimport bst as b',
     'from binary_net import bst\nfrom binary_net import bst as b'),
    ('import bstx\nfrom bnns import a\nfrom bnn and others',
     'import bstx\nfrom bnns import a\nfrom bnn and others'),
])
def test_rewrite(before, after):
    assert setup.rewrite(before, 'a.py') == after


@pytest.mark.parametrize('line', [
    'import bnn', 'import bnn.deploy', 'import zoo', 'import net',
    'import train_mnist', 'from configs import find', 'from bst import bst'])
def test_rewrite_refuses(line):
    with pytest.raises(SystemExit, match=f"a.py: .* has no '{line}'$"):
        setup.rewrite(f'import numpy\n    {line}\n', 'a.py')


def test_requirements():
    runtime, train = setup.read_requirements()
    assert [line.split('>=')[0] for line in runtime] == [
        'numpy', 'numba', 'Pillow']
    version = importlib.metadata.version('chainer')
    assert train[0] == f'chainer=={version}'
    assert len(train) > 1 and not any('/' in line for line in train)


def run(*words, **kwargs):
    """Runs a command; returns what it prints."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith('PYTHON')}
    result = subprocess.run(
        [str(word) for word in words], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**env, 'PIP_NO_INDEX': '1'}, **kwargs)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built of the source distribution of a copy."""
    folder = tmp_path_factory.mktemp('wheel')
    copy = folder / 'copy'
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    for name in 'bnn', 'zoo', 'chainer_build', 'models':
        shutil.copytree(ROOT / name, copy / name, ignore=(
            shutil.ignore_patterns('__pycache__', 'build')))
    run(sys.executable, '-c', 'from setuptools import build_meta; '
        f'build_meta.build_sdist({str(folder)!r})', cwd=copy)
    sdist, = folder.glob('*.tar.gz')
    run(sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation',
        '--no-deps', '-w', folder, sdist)
    wheel, = folder.glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def clean(wheel, tmp_path_factory):
    """An environment with the wheel and what the runtime needs, no more."""
    folder = tmp_path_factory.mktemp('clean')
    run(sys.executable, '-m', 'venv', '--without-pip', folder)
    site, = folder.glob('lib/python*/site-packages')
    for name in RUNTIME:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {'..'}:
            (site / top).symlink_to(distribution.locate_file(top))
    run(sys.executable, '-m', 'pip', '--python', folder / 'bin' / 'python',
        'install', '--no-deps', wheel)
    return folder


@pytest.mark.slow
def test_wheel(wheel):
    assert wheel.name.endswith('-py3-none-any.whl')
    assert wheel.stat().st_size < 3e6
    with zipfile.ZipFile(wheel) as f:
        names = [pathlib.PurePath(name) for name in f.namelist()]
    tops = {name.parts[0] for name in names}
    assert tops == {'binary_net', next(
        top for top in tops if top.endswith('.dist-info'))}
    expected = {
        pathlib.PurePath(package.replace('.', '/')) / path.relative_to(
            ROOT / folder)
        for package, folder in setup.FOLDERS.items()
        for path in (ROOT / folder).rglob('*') if path.is_file()
        and '__pycache__' not in path.parts
        and 'reproduction' not in path.parts}
    expected |= {pathlib.PurePath('binary_net', f'{name}.py')
                 for name in setup.FILES}
    assert {name for name in names if name.parts[0] == 'binary_net'
            } == expected


@pytest.mark.slow
def test_predicts_without_chainer(clean, tmp_path, capsys):
    pixels = numpy.random.randint(0, 256, (28, 28)).astype(numpy.uint8)
    picture = str(tmp_path / 'a.png')
    PIL.Image.fromarray(pixels).save(picture)
    words = [str(NET), picture, '--json', '--top', '10']
    command = clean / 'bin' / 'binary-net-predict'
    found, = (json.loads(line) for line in run(
        command, *words, cwd=tmp_path).splitlines() if line[0] == '{')
    predict.main(words)
    expected = json.loads(capsys.readouterr().out)
    del found['microseconds'], expected['microseconds']
    assert found == expected
    result = subprocess.run(
        [command, 'none.bnn', picture],
        text=True, capture_output=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith('binary-net-predict: error: cannot read '
                                    'none.bnn')
    assert len(result.stderr.splitlines()) == 1
    # The nets of models/ come along.
    assert run(command, cwd=tmp_path).startswith('best ')
    assert ': 7, ' in run(
        command, 'best', str(ROOT / 'models' / 'seven.png'), cwd=tmp_path)


@pytest.mark.slow
def test_names(clean, tmp_path):
    code = '''
import importlib.util
import binary_net
from binary_net import deploy
print([name for name in ('bnn', 'zoo', 'bst', 'net', 'configs', 'predict',
       'link_binary_linear', 'chainer', 'setup')
       if importlib.util.find_spec(name)], binary_net.__version__)'''
    words = run(clean / 'bin' / 'python', '-I', '-c', code, cwd=tmp_path)
    assert words.split() == ['[]', bnn.__version__]


@pytest.mark.slow
def test_layers_in_another_folder(clean, tmp_path):
    chainer = str(importlib.metadata.distribution('chainer').locate_file(''))
    (tmp_path / 'step.py').write_text(
        f'import sys\nsys.path.append({chainer!r})\n{STEP}')
    found = json.loads(run(clean / 'bin' / 'python', 'step.py', cwd=tmp_path))
    # gW = (softmax(y) - t)^T x / 2; both scores of an example are equal.
    x = numpy.array([[1, -2, 3], [-1, 2, 0]])
    gradient = numpy.array([[-.5, .5], [.5, -.5]]).T @ x / 2
    assert numpy.allclose(found, numpy.clip(.5 - 10 * gradient, -1, 1))
