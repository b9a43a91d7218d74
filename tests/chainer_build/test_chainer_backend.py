"""The build of Chainer, without network: fake trees and tarballs."""
import hashlib
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

DIRECTORY = pathlib.Path(__file__).parents[2] / 'chainer_build'


@pytest.fixture
def backend(monkeypatch):
    """The backend, found as a front end finds it: by its directory."""
    monkeypatch.syspath_prepend(str(DIRECTORY))
    monkeypatch.delenv('CHAINER_SDIST', raising=False)
    import chainer_backend
    return chainer_backend


@pytest.fixture
def edits(backend):
    import edits
    return edits


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def make_sdist(directory, files):
    tree = directory / 'chainer-7.8.1'
    for name, text in files.items():
        write(tree / name, text)
    sdist = directory / 'chainer-7.8.1.tar.gz'
    with tarfile.open(sdist, 'w:gz') as tar:
        tar.add(tree, tree.name)
    return sdist


# Edits

def test_edit_is_applied(backend, edits, tmp_path):
    write(tmp_path / 'a' / 'b.py', 'one two\r\none\n')
    backend.apply_edits(str(tmp_path), [
        edits.Edit('a/b.py', 'one', '1', 2, 'why'),
        edits.Edit('a/b.py', 'two', '2', 1, 'why')])
    assert (tmp_path / 'a' / 'b.py').read_bytes() == b'1 2\r\n1\n'


@pytest.mark.parametrize('text, found', [('', 0), ('one one one', 3)])
def test_other_count_of_edit_target(backend, edits, tmp_path, text, found):
    write(tmp_path / 'b.py', text)
    with pytest.raises(backend.BuildError) as e:
        backend.apply_edits(
            str(tmp_path), [edits.Edit('b.py', 'one', '1', 2, 'why')])
    message = str(e.value)
    assert 'b.py (why)' in message
    assert f'expected 2 times, found {found} times' in message
    assert "'one'" in message
    assert 'edits.py' in message
    assert (tmp_path / 'b.py').read_text() == text


def test_no_file_to_edit(backend, edits, tmp_path):
    with pytest.raises(backend.BuildError, match=r'gone\.py.*no such file'):
        backend.apply_edits(
            str(tmp_path), [edits.Edit('gone.py', 'one', '1', 1, 'why')])


def test_edits_are_sound(edits):
    assert len(set(edits.EDITS)) == len(edits.EDITS)
    for edit in edits.EDITS:
        assert len(edit.reason) > 10, edit
        assert edit.count > 0, edit
        assert edit.old and edit.old != edit.new, edit
        assert not os.path.isabs(edit.file) and '\\' not in edit.file, edit


# The sdist

def test_wrong_sha256(backend, monkeypatch, tmp_path):
    sdist = tmp_path / 'chainer-7.8.1.tar.gz'
    sdist.write_bytes(b'not it')
    monkeypatch.setenv('CHAINER_SDIST', str(sdist))
    with pytest.raises(backend.BuildError) as e:
        backend.find_sdist(str(tmp_path))
    message = str(e.value)
    assert str(sdist) in message
    assert 'expected ' + backend.SHA256 in message
    assert 'found ' + hashlib.sha256(b'not it').hexdigest() in message


def test_missing_sdist(backend, monkeypatch, tmp_path):
    monkeypatch.setenv('CHAINER_SDIST', str(tmp_path / 'no.tar.gz'))
    with pytest.raises(backend.BuildError, match='CHAINER_SDIST=.*not a file'):
        backend.find_sdist(str(tmp_path))


def test_local_sdist_is_unpacked(backend, monkeypatch, tmp_path):
    sdist = make_sdist(tmp_path, {'chainer/a.py': 'one'})
    monkeypatch.setenv('CHAINER_SDIST', str(sdist))
    monkeypatch.setattr(
        backend, 'SHA256', hashlib.sha256(sdist.read_bytes()).hexdigest())
    out = tmp_path / 'out'
    root = backend.unpack(backend.find_sdist(str(out)), str(out))
    assert pathlib.Path(root, 'chainer', 'a.py').read_text() == 'one'


def test_error_has_no_traceback(tmp_path):
    run = subprocess.run(
        [sys.executable, '-c',
         'import chainer_backend; chainer_backend.build_wheel("wheels")'],
        cwd=tmp_path, capture_output=True, text=True, env=dict(
            os.environ, PYTHONPATH=str(DIRECTORY),
            CHAINER_SDIST=str(tmp_path / 'no.tar.gz')))
    assert run.returncode == 1
    assert run.stdout == ''
    line, = run.stderr.splitlines()
    assert line.startswith('chainer_build: CHAINER_SDIST=')


# The download, from what pip prints

def fake_pip(backend, monkeypatch, output):
    def run(args, **kwargs):
        return subprocess.CompletedProcess(args, 1, output)

    monkeypatch.setattr(backend.subprocess, 'run', run)


def test_no_network(backend, monkeypatch, tmp_path):
    fake_pip(backend, monkeypatch,
             'ERROR: No matching distribution found for chainer==7.8.1')
    with pytest.raises(backend.BuildError) as e:
        backend.find_sdist(str(tmp_path))
    message = str(e.value)
    for part in ('no network', 'PIP_INDEX_URL', 'CHAINER_SDIST',
                 '    ERROR: No matching distribution'):
        assert part in message


def test_download_has_wrong_sha256(backend, monkeypatch, tmp_path):
    fake_pip(backend, monkeypatch,
             f'Expected sha256 {backend.SHA256}\n'
             f'     Got        {"ab" * 32}\n')
    with pytest.raises(backend.BuildError, match='found ' + 'ab' * 32):
        backend.find_sdist(str(tmp_path))


def test_download_fails_otherwise(backend, monkeypatch, tmp_path):
    fake_pip(backend, monkeypatch, 'ERROR: No space left on device')
    with pytest.raises(backend.BuildError) as e:
        backend.find_sdist(str(tmp_path))
    assert 'no network' not in str(e.value)
    assert 'No space left' in str(e.value)


def test_environment_of_pip(backend):
    env = backend._pip_environment({
        'HOME': '/h', 'PEP517_BUILD_BACKEND': 'x',
        '_PYPROJECT_HOOKS_BUILD_BACKEND': 'x',
        'UV_DEFAULT_INDEX': 'mirror=https://m.example/simple'})
    assert env == {
        'HOME': '/h',
        'UV_DEFAULT_INDEX': 'mirror=https://m.example/simple',
        'PIP_INDEX_URL': 'https://m.example/simple'}


def test_pip_setting_goes_before_that_of_uv(backend):
    env = backend._pip_environment({
        'UV_INDEX_URL': 'https://uv.example',
        'PIP_INDEX_URL': 'https://pip.example'})
    assert env['PIP_INDEX_URL'] == 'https://pip.example'


# What is installed

def test_installed_chainer_is_the_built_one():
    run = subprocess.run(
        [sys.executable, '-W', 'error', '-c',
         'import chainer, chainer.functions, chainer.links, chainer.testing\n'
         'import chainer.gradient_check, chainer.training.extensions\n'
         'import chainermn\n'
         'print(chainer.__version__)'],
        capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == '7.8.1+compat.1\n'
