"""The check for Chainer and Numba before anything is imported."""
import importlib.util
import shlex
import sys

import pytest

from bnn import environment


@pytest.fixture
def hide(monkeypatch):
    """A function that makes a package look as if it were not installed."""
    def hide(package):
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, 'find_spec',
            lambda name: None if name == package else find_spec(name))
    return hide


@pytest.fixture
def no_chainer(hide):
    hide('chainer')


def message(script, *packages):
    with pytest.raises(SystemExit) as e:
        environment.check(str(script), *packages)
    assert isinstance(e.value.code, str)  # standard error, status 1
    assert '\n' not in e.value.code
    return e.value.code


def test_all_is_there():
    assert environment.check(__file__) is None


def test_without_chainer_where_it_is_not_needed(no_chainer):
    assert environment.check(__file__, 'Numba') is None


def test_no_numba(hide):
    hide('numba')
    for packages in (), ('Numba',):
        assert message('predict.py', *packages).startswith(
            'predict.py: Numba is not installed')


def test_environment_exists(no_chainer, tmp_path):
    activate = tmp_path / '.venv' / 'bin' / 'activate'
    activate.parent.mkdir(parents=True)
    activate.touch()
    (tmp_path / 'Makefile').touch()
    line = message(tmp_path / 'train_mnist.py')
    assert line.startswith('train_mnist.py: Chainer is not installed')
    assert line.endswith(f'run: . {activate}')


def test_no_environment(no_chainer, tmp_path):
    (tmp_path / 'Makefile').touch()
    line = message(tmp_path / 'train_mnist.py')
    activate = tmp_path / '.venv' / 'bin' / 'activate'
    assert line.endswith(f'run: make -C {tmp_path} setup && . {activate}')


def test_installed(hide, tmp_path):
    hide('numba')
    assert message(tmp_path / 'predict.py', 'Numba').endswith(
        f'run: {shlex.quote(sys.executable)} -m pip install numba')


def test_folder_with_spaces(no_chainer, tmp_path):
    root = tmp_path / "it's here"
    root.mkdir()
    (root / 'Makefile').touch()
    command = message(root / 'train_mnist.py').split('run: ')[1]
    assert shlex.split(command) == [
        'make', '-C', str(root), 'setup', '&&', '.',
        str(root / '.venv' / 'bin' / 'activate')]


def test_script_in_the_current_folder(no_chainer, tmp_path, monkeypatch):
    (tmp_path / 'Makefile').touch()
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / '.venv') in message('train_mnist.py')
