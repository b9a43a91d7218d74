"""Output folders: numbers, refusals, locks."""
import os
import subprocess
import sys

import pytest

from bnn import errors
from bnn.training.files import folders


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_numbering():
    assert folders.latest() is None
    for i in range(1, 13):
        out = folders.new()
        assert out == os.path.join('result', str(i))
        assert os.path.isdir(out)
        assert folders.latest() == out
    assert os.readlink(folders.LATEST) == '12'
    assert sorted(os.listdir('result')) == sorted(
        [*map(str, range(1, 13)), 'latest'])


def test_numbers_go_on_after_the_largest():
    for name in ('2', '10', 'mine', '3.old'):
        os.makedirs(os.path.join('result', name))
    assert folders.new() == os.path.join('result', '11')


def test_another_run_is_quicker(monkeypatch):
    os.makedirs('result/1')
    monkeypatch.setattr(folders.os, 'listdir', lambda path: [])
    assert folders.new() == os.path.join('result', '2')


def test_latest_of_removed_run():
    os.rmdir(folders.new())
    assert folders.latest() is None
    assert folders.new() == os.path.join('result', '1')


def test_given(folder):
    assert folders.new('a/b') == 'a/b'
    assert os.path.isdir('a/b')
    assert not os.path.exists('result')
    (folder / 'a/b/notes.txt').write_text('mine')
    assert folders.new('a/b') == 'a/b'  # no results yet


@pytest.mark.parametrize('name', [
    'log', 'mlp.model', 'mlp.state', 'snapshot_iter_600'])
def test_refusal(folder, name):
    os.mkdir('out')
    (folder / 'out' / name).write_text('x')
    with pytest.raises(errors.UserError) as e:
        folders.new('out')
    assert '--resume auto' in str(e.value)
    assert '--out' in str(e.value)
    assert os.listdir('out') == [name]


@pytest.mark.parametrize('out', ['file', 'file/sub'])
def test_cannot_be_made(folder, out):
    (folder / 'file').write_text('x')
    with pytest.raises(errors.UserError, match='cannot write to'):
        folders.new(out)


def test_root_cannot_be_made(folder):
    (folder / 'result').write_text('x')
    with pytest.raises(errors.UserError, match='cannot write to result'):
        folders.new()


def test_lock_twice():
    out = folders.new()
    lock = folders.lock(out)
    with pytest.raises(errors.UserError, match='another run'):
        folders.lock(out)
    lock.release()
    folders.lock(out).release()


def test_lock_of_another_process():
    out = folders.new()
    project = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(folders.__file__))))
    code = ('import sys\nfrom bnn.training.files import folders\n'
            'lock = folders.lock(sys.argv[1])\nprint("locked", flush=True)\n'
            'sys.stdin.read()\n')
    with subprocess.Popen(
            [sys.executable, '-c', code, out], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONPATH': project}) as process:
        assert process.stdout.readline() == 'locked\n'
        with pytest.raises(errors.UserError, match='another run'):
            folders.lock(out)
        process.kill()  # and the lock goes with it
        process.wait()
    folders.lock(out).release()


def test_lock_that_cannot_be_written(folder):
    (folder / 'file').write_text('x')
    with pytest.raises(errors.UserError, match='cannot write to'):
        folders.lock('file')
