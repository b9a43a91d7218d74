"""docs/own_net.md: its files and commands, as they stand there."""
import re
import shlex
import subprocess
import sys

import pytest

from bnn import deploy
from tests.helpers import scripts

PAGE = (scripts.ROOT / 'docs' / 'own_net.md').read_text()


@pytest.mark.slow
def test_page(tmp_path, trainer):
    blocks = re.findall(r'```(\w*)\n(.*?)```', PAGE, re.S)
    codes = [text for kind, text in blocks if kind == 'python']
    names = ['my_net.py', 'train_my_net.py', 'in_python.py']
    for name, code in zip(names, codes, strict=True):
        assert name not in names[:2] or f'as `{name}`' in PAGE
        (tmp_path / name).write_text(code)
    commands = [line for kind, text in blocks if not kind
                for line in text.splitlines() if not line.startswith('export')]
    assert len(commands) == 5
    commands.insert(-1, 'python in_python.py')
    printed = []
    for command in commands:
        words = [word for word in shlex.split(command)
                 if not word.startswith('PYTHONPATH=') and word != 'python']
        printed.append(subprocess.run(
            [sys.executable, *(word.replace('./', f'{scripts.ROOT}/')
                               for word in words)],
            cwd=tmp_path, check=True, text=True, capture_output=True,
            env={**trainer.env, 'PYTHONPATH': f'{scripts.ROOT}:{tmp_path}'},
        ).stdout)
    _, table, packed, onnx, accuracy, predicted = printed
    assert 'BinaryConvolution2D' in table and '1-bit MACs' in table
    assert 'differ from Chainer: 0\n' in packed
    assert 'in onnxruntime that differ from Chainer: 0\n' in onnx
    assert .5 < float(accuracy) < 1  # 0.1 by chance
    assert f'accuracy {float(accuracy):.4f}' in predicted
    net = deploy.load(tmp_path / 'my.nbin')
    assert [one.weights.bits for one in net.packed.products] == [
        32, 1, 1, 32]
