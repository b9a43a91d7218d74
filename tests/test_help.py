"""--help of the scripts: its first examples work."""
import re
import shlex
import shutil

import pytest

from tests.helpers import scripts

# Options that make a quick run of an example
DRY = {'train_mnist.py': ['--dry-run'],
       'train.py': ['--dry-run'],
       'reproduce.py': ['--dry-run', '--seeds', '1', '--dataset', 'digits'],
       'export.py': [], 'predict.py': []}
LISTS = './train.py', './reproduce.py'


@pytest.fixture
def folder(tmp_path, trained):
    """A folder with what the examples name."""
    shutil.copytree(trained.out, tmp_path / 'result' / 'latest')
    shutil.copy(scripts.ROOT / 'tests/golden/binary_mlp.bnn',
                tmp_path / 'net.bnn')
    shutil.copytree(scripts.ROOT / 'models', tmp_path / 'models')
    return tmp_path


@pytest.mark.parametrize('name', [
    'export.py', 'predict.py', *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ('train_mnist.py', 'train.py', 'reproduce.py'))])
def test_examples(folder, name):
    script = scripts.Call(folder, name)
    lines = script.succeed('--help').stdout.splitlines()
    assert re.match(r'usage: .*\]$', lines[0])
    assert lines[1] == lines[3] == ''  # around what it does
    for line in lines[4:6]:
        command, *_ = re.split('   +', line.strip())
        program, *words = shlex.split(command)
        assert program == f'./{name}'
        if command not in LISTS:
            words += DRY[name]
        assert script.succeed(*words).stdout
