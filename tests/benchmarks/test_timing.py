"""Turns, ratios, tables, records and peers."""
import argparse
import importlib.util
import json
import pathlib
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the benchmarks by its file."""
    monkeypatch.setattr(sys, 'path', [str(BENCHMARKS), *sys.path])
    monkeypatch.delitem(sys.modules, 'timing', raising=False)

    def load(name):
        spec = importlib.util.spec_from_file_location(
            f'benchmark_{pathlib.Path(name).name}', BENCHMARKS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop('timing', None)


@pytest.fixture
def timing(load, monkeypatch):
    found = load('timing')
    monkeypatch.setattr(found, 'PAUSE', 0)
    return found


def test_turns_go_back_and_forth(timing):
    turns = []

    def contender(name):
        def turn():
            turns.append(name)
            return float(len(turns))
        return turn

    seconds = timing.take_turns({name: contender(name) for name in 'ab'}, 3)
    assert ''.join(turns) == 'abbaab'
    assert seconds == {'a': [1, 4, 5], 'b': [2, 3, 6]}


def test_rows(timing):
    # The ratios of the rounds are 1/2, 1/4 and 1.
    found = timing.rows({'ours': [1., 2., 3.], 'b': [2., 8., 3.]}, 1, 1)
    assert found == {'ours': ['2.0', '1.0', '3.0', '1'],
                     'b': ['3.0', '2.0', '8.0', '0.5']}


def test_table(timing):
    assert timing.table(['', 'ms'], [['a', 1], ['bc', '10']]) == (
        '|    | ms |\n|----|---:|\n| a  |  1 |\n| bc | 10 |')


def test_calls_are_at_least_one(timing):
    n = []
    assert timing.Calls(lambda: n.append(1), 0)() > 0
    assert len(n) == 3


def test_environment(timing, monkeypatch):
    monkeypatch.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    monkeypatch.setenv('OPENBLAS_THREAD_TIMEOUT', '28')
    found = timing.environment(2)
    assert found['OPENBLAS_THREAD_TIMEOUT'] == '16'
    assert found['NUMBA_NUM_THREADS'] == found['OMP_NUM_THREADS'] == '2'
    assert 'OMP_WAIT_POLICY' not in found


def test_record_replaces_the_section(timing, monkeypatch, tmp_path, capsys):
    (tmp_path / 'results').mkdir()
    monkeypatch.setattr(timing, 'FOLDER', str(tmp_path))
    monkeypatch.setattr(sys, 'argv', ['/x/some.py', '--record', '/a/b'])
    args = argparse.Namespace(record=True)
    for title, text in ('One', 'first'), ('Two', 'more'), ('One', 'second'):
        timing.report(args, title, [text], 2, {'torch': '2.0'})
    found = (tmp_path / 'results' / 'some.md').read_text()
    assert found.startswith('# Results of some.py\n\n## Two, ')
    assert found.endswith('\n\nsecond\n') and 'first' not in found
    assert found.count('\n## ') == 2
    assert '\n`benchmarks/some.py PATH`, 20' in found
    assert '\n2 threads on ' in found and ', torch 2.0' in found
    assert capsys.readouterr().out.count('first') == 1


def test_no_such_python(timing, tmp_path):
    peer = timing.Peer('predict.py', threads=1, python=tmp_path / 'none')
    assert peer.unavailable == 'No such file or directory'
    peer.close()


def test_broken_peer(timing):
    with pytest.raises(
            RuntimeError, match=r'predict.py nope / ended, status 1:(.|\n)*'
            "KeyError: 'nope'"):
        timing.Peer('predict.py', 'nope', '/', threads=1)


def test_ways_of_pytorch(load):
    ways = load('train_step').torch_ways
    assert ways(False) == {
        'PyTorch, eager': ('torch_step.py', ''),
        'PyTorch, bfloat16': ('torch_step.py', 'bfloat16'),
        'PyTorch, compiled': ('torch_step.py', 'compiled'),
        'PyTorch, compiled, bfloat16': (
            'torch_step.py', 'compiled,bfloat16')}
    assert list(ways(True)) == [
        'PyTorch, eager', 'PyTorch, channels last',
        'PyTorch, channels last, bfloat16',
        'PyTorch, channels last, compiled',
        'PyTorch, channels last, compiled, bfloat16']


def test_a_slow_way_has_no_turns(load, timing, monkeypatch):
    train_step = load('train_step')
    seconds = {'': 1., 'bfloat16': 4.5, 'compiled': .5,
               'compiled,bfloat16': 4.}

    class Peer:
        unavailable, n = None, 0

        def __init__(self, script, *words, **options):
            self.seconds = seconds.get(words[0], 2.)

        def prepare(self, _):
            return {'seconds': self()}

        def __call__(self):
            self.n += 1
            return self.seconds

        def close(self):
            self.is_closed = True

    monkeypatch.setattr(train_step.timing, 'Peer', Peer)
    monkeypatch.setattr(train_step.timing, 'PAUSE', 0)
    args = argparse.Namespace(
        threads=1, seconds=.1, rounds=2, torch_python='python')
    found, started = train_step.measure({}, args, train_step.torch_ways(False))
    assert started['PyTorch, bfloat16'].n == 1
    assert started['PyTorch, bfloat16'].unavailable == (
        'an iteration takes 4.5 s, more than 4 times as long as '
        'PyTorch, eager')
    assert all(one.is_closed for one in started.values())
    assert list(found) == [
        'ours', 'PyTorch, eager', 'PyTorch, compiled',
        'PyTorch, compiled, bfloat16', 'PyTorch, best',
        *train_step.FLOORS, 'floor: all']
    assert found['PyTorch, best'] == [.5, .5]
    assert found['floor: all'] == [6., 6.]


@pytest.mark.parametrize('config, options, products, outputs', [
    # Without the gradient of the images
    ('binary_net', ['--unit', '8'], [
        (4, 784, 8, 2), (4, 8, 8, 3), (4, 8, 10, 3)], 4 * (8 + 8 + 10)),
    ('lenet5', [], [
        (4 * 24 * 24, 25, 20, 2), (4 * 8 * 8, 500, 50, 3), (4, 800, 500, 3),
        (4, 500, 10, 3)], 4 * (24 * 24 * 20 + 8 * 8 * 50 + 500 + 10))])
def test_work_of_the_floors(load, timing, config, options, products, outputs):
    task = load('train_step').make_task(
        config, ['--batchsize', '4', *options])
    for kind, work in (
            ('products', sum(2 * m * k * n * times for m, k, n, times
                             in products)), ('activations', 20 * outputs)):
        peer = timing.Peer('floors.py', kind, json.dumps(task), threads=1)
        assert peer.facts == {'work': work}
        peer.close()
