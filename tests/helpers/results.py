"""Reads, compares and changes what a run leaves in its folder."""
import hashlib
import json

import h5py
import numpy


def error_line(result, script='train_mnist.py'):
    """Returns the last line on stderr, which has to be the only error."""
    assert result.returncode > 0, result
    assert 'Traceback' not in result.stderr
    assert '\x1b' not in result.stderr + result.stdout
    assert result.stderr.count('error:') == 1, result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith(script + ': error: ')
    return line


def contents(folder):
    """Returns everything in a folder: names, times and digests."""
    found = {}
    for path in sorted(folder.rglob('*')):
        stat = path.lstat()
        found[str(path.relative_to(folder))] = (
            stat.st_mtime_ns, stat.st_size,
            hashlib.md5(path.read_bytes()).hexdigest()
            if path.is_file() else None)
    return found


def log(folder):
    """Returns the entries of a log, without the times."""
    entries = json.loads((folder / 'log').read_text())
    for entry in entries:
        assert entry.pop('elapsed_time') >= 0
    return entries


def hdf5(path):
    """Returns the arrays of a model file: types, shapes and bytes."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype.str, item.shape, item[()].tobytes())

    with h5py.File(path, 'r') as f:
        f.visititems(add)
    return found


def attributes(path):
    """Returns what a model file says of itself."""
    with h5py.File(path, 'r') as f:
        return {name: value if name.startswith('format')
                else json.loads(value) for name, value in f.attrs.items()}


def assert_same_run(ours, theirs):
    """Compares log, model and optimizer of two runs to the last bit."""
    assert log(ours) == log(theirs)
    for name in 'mlp.model', 'mlp.state':
        assert hdf5(ours / name) == hdf5(theirs / name)


def edit_snapshot(path, change):
    """Rewrites a snapshot after ``change(arrays, settings)``."""
    with numpy.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    settings = json.loads(str(arrays.pop('settings')))
    change(arrays, settings)
    arrays = {'settings': json.dumps(settings), **arrays}
    with open(path, 'wb') as f:
        numpy.savez(f, **arrays)
