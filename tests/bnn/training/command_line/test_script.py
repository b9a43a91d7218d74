"""How a script ends: its exit status, and one line on standard error."""
import sys

import pytest

from bnn import errors
from bnn.training.command_line import script


@pytest.fixture
def end(monkeypatch):
    """A function that runs a main and returns what sys.exit was given."""
    def end(main, name='train_mnist.py'):
        monkeypatch.setattr(sys, 'argv', ['/somewhere/' + name])
        with pytest.raises(SystemExit) as e:
            script.run(main)
        return e.value.code
    return end


def raiser(error):
    def main():
        raise error
    return main


def test_status(end):
    for status in None, 0, 1, 143:
        assert end(lambda status=status: status) == status


def test_line(end):
    for error, words in (
            (errors.UserError('no such thing'), 'no such thing'),
            (FileNotFoundError(2, 'No such file', 'a/b'),
             'a/b: No such file'),
            (OSError('odd'), 'input/output: odd'),
            (MemoryError(), 'out of memory; try a smaller batch or net')):
        assert end(raiser(error)) == 'train_mnist.py: error: ' + words


def test_memory_of_scripts_without_batches(end):
    assert end(raiser(MemoryError()), 'export.py') == (
        'export.py: error: out of memory')


def test_interrupted(end, capsys):
    assert end(raiser(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == 'train_mnist.py: interrupted\n'


def test_options(end):
    assert end(raiser(SystemExit(2))) == 2


def test_bug(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        script.run(raiser(ZeroDivisionError()))
