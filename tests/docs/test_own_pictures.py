"""The program and the commands of docs/own_pictures.md."""
import json
import pathlib
import re
import shlex

import pytest

from tests.helpers import scripts

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'own_pictures.md'


@pytest.mark.slow
def test_page(tmp_path, monkeypatch):
    text = PAGE.read_text()
    program, = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(PAGE), 'exec'), {})
    lines = [shlex.split(line) for line in re.findall(
        r'^\./.*', text, re.MULTILINE)]
    assert [words[0] for words in lines] == [
        './train.py', './export.py', *['./predict.py'] * 2]
    train, pack, shown, tested = (
        scripts.Call(tmp_path, words[0][2:]).succeed(*words[1:], *more)
        for words, more in zip(
            lines, (['--no-plot'], [], [], ['--json']), strict=True))
    assert '240 training, 60 test images' in train.stderr
    assert 'predictions that differ: 0' in pack.stdout
    first, *top = shown.stdout.splitlines()
    assert sorted(line.split()[0] for line in top) == [
        'circle', 'square', 'triangle']
    assert first.startswith(
        f'shapes/square/7.png: {top[0].split()[0]}, ')
    # 0.98 with each of six seeds; 1 / 3 by chance
    assert json.loads(tested.stdout)['accuracy'] > .9
