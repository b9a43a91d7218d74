"""Output folders: numbers, refusals, locks."""
import os
import subprocess
import sys

import pytest

from bnn import errors
from bnn.training.command_line import config as config_module
from bnn.training.files import folders
from bnn.training.files import resume
from bnn.training.ranks import alone


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


def test_refusal(folder):
    early = 'log', 'graph.dot', 'loss.png', 'accuracy.png', 'figures.png'
    for name in (*early, 'mlp.model', 'mlp.state', 'signs.model',
                 'snapshot_iter_600'):
        out = folder / f'out-{name}'
        out.mkdir()
        (out / name).write_text('x')
        with pytest.raises(errors.UserError) as e:
            folders.new(str(out))
        assert '--resume auto' in str(e.value)
        assert '--out' in str(e.value)
        assert os.listdir(out) == [name]
        # What a run writes before its first snapshot is no obstacle where
        # the newest snapshot was wanted.
        if name in early:
            assert folders.new(str(out), resuming=True) == str(out)
            continue
        with pytest.raises(errors.UserError, match='no whole snapshot'):
            folders.new(str(out), resuming=True)


def test_cannot_be_made(folder):
    (folder / 'file').write_text('x')
    for out in 'file', 'file/sub':
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


@pytest.mark.slow
def test_lock_of_another_process(pytestconfig):
    project = pytestconfig.rootpath
    out = folders.new()
    code = ('import sys\nfrom bnn.training.files import folders\n'
            'lock = folders.lock(sys.argv[1])\nprint("locked", flush=True)\n'
            'sys.stdin.read()\n')
    with subprocess.Popen(
            [sys.executable, '-c', code, out], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONPATH': str(project)}) as process:
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


class TestOpenFolder:

    def open(self, snapshot=None, **settings):
        return folders.open_folder(
            config_module.Config(**settings), snapshot)

    def test_new(self):
        with self.open() as out:
            assert out == os.path.join('result', '1')
            with pytest.raises(errors.UserError, match='another run'):
                folders.lock(out)
        folders.lock(out).release()  # free again

    def test_free_after_an_error(self):
        with pytest.raises(KeyError), self.open(out='a') as out:
            raise KeyError
        folders.lock(out).release()

    def test_dry_run(self, folder):
        with self.open(dry_run=True) as out:
            assert os.path.isdir(out)
        assert not os.path.exists(out)
        assert not (folder / 'result').exists()
        with self.open(dry_run=True, out='kept') as out:
            assert out == 'kept'
        assert os.path.isdir('kept')

    def test_goes_on_in_the_folder(self, folder):
        os.mkdir('a')
        for n in 3, 12:
            (folder / 'a' / f'snapshot_iter_{n}').touch()
        newest, older = (resume.Snapshot(f'a/snapshot_iter_{n}', {}, {})
                         for n in (12, 3))
        for out in None, 'a', './a':
            with self.open(newest, out=out, resume=newest.path) as found:
                assert found == 'a'
            # auto may have taken an older one, the newest whole.
            with self.open(older, out=out, resume='auto') as found:
                assert found == 'a'
            with pytest.raises(errors.UserError, match='not the newest'):
                with self.open(older, out=out, resume=older.path):
                    pass
        with self.open(older, out='b', resume=older.path) as found:
            assert found == 'b'
        assert os.path.isdir('b')

    def test_first_process_opens(self):
        class Second(alone.Alone):
            def first(self, compute, *args):
                return 'what the first one found'

        with folders.open_folder(
                config_module.Config(), ranks=Second()) as out:
            assert out == 'what the first one found'
        assert not os.path.exists('result')
