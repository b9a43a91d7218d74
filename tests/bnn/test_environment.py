"""The check for Chainer before anything is imported."""
import importlib.util
import shlex

import pytest

from bnn import environment


@pytest.fixture
def no_chainer(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name: None if name == 'chainer' else find_spec(name))


def message(script):
    with pytest.raises(SystemExit) as e:
        environment.check(str(script))
    assert isinstance(e.value.code, str)  # standard error, status 1
    assert '\n' not in e.value.code
    return e.value.code


def test_chainer_is_there():
    assert environment.check(__file__) is None


def test_environment_exists(no_chainer, tmp_path):
    activate = tmp_path / '.venv' / 'bin' / 'activate'
    activate.parent.mkdir(parents=True)
    activate.touch()
    line = message(tmp_path / 'train_mnist.py')
    assert line.startswith('train_mnist.py: Chainer is not installed')
    assert line.endswith('run: . %s' % activate)


def test_no_environment(no_chainer, tmp_path):
    line = message(tmp_path / 'train_mnist.py')
    assert line.endswith('run: make -C %s setup && . %s' % (
        tmp_path, tmp_path / '.venv' / 'bin' / 'activate'))


def test_folder_with_spaces(no_chainer, tmp_path):
    root = tmp_path / "it's here"
    root.mkdir()
    command = message(root / 'train_mnist.py').split('run: ')[1]
    assert shlex.split(command) == [
        'make', '-C', str(root), 'setup', '&&', '.',
        str(root / '.venv' / 'bin' / 'activate')]


def test_script_in_the_current_folder(no_chainer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / '.venv') in message('train_mnist.py')
