"""Errors in one line."""
import pytest

from bnn import errors


def test_one_line():
    assert errors.one_line(ValueError('two\n  lines ')) == 'two lines'
    assert errors.one_line(KeyError()) == 'KeyError'


def test_reading(tmp_path):
    for path, words in ((tmp_path / 'none', 'No such file'),
                        (tmp_path, 'Is a directory')):
        with pytest.raises(errors.UserError, match=f'{path}: {words}'):
            with errors.reading(path), open(path):
                pass
    with pytest.raises(ValueError, match='other'), errors.reading('x'):
        raise ValueError('other')
