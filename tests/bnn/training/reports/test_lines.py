"""What a run prints: the epoch log, a table, the header."""
import io
import json
import re
import sys

from chainer.training import extensions

from bnn import data
from bnn.kernels import products
from bnn.training.command_line import config as config_module
from bnn.training.reports import lines
from bnn.training.reports import log
from bnn.training.reports import progress
from tests.helpers import small_runs

EPOCH = re.compile(
    r'train mean loss=[0-9.e-]+, accuracy=[0-9.e-]+\n'
    r'test  mean loss=[0-9.e-]+, accuracy=[0-9.e-]+\n')


class Terminal(io.StringIO):

    def isatty(self):
        return True


def run(out, *args, n_epochs=2):
    trainer = small_runs.make(out, n_epochs)
    trainer.extend(log.LogReport())
    for extension in lines.report(*args):
        trainer.extend(extension)
    trainer.run()
    return trainer


def test_seed_line():
    means = {'main/loss': 0.5738611787561234, 'main/accuracy': 0.9275666692599,
             'validation/main/loss': 1e-7, 'validation/main/accuracy': 1.}
    assert lines.seed_line('train', means, 'main/') == (
        'train mean loss=0.573861178756, accuracy=0.92756666926')
    assert lines.seed_line('test ', means, 'validation/main/') == (
        'test  mean loss=1e-07, accuracy=1')
    means['main/accuracy_top5'] = .5
    assert lines.seed_line('train', means, 'main/').endswith(
        'accuracy=0.92756666926, top-5 accuracy=0.5')


def test_seed_report(tmp_path, capsys):
    run(tmp_path, 'seed', False)
    captured = capsys.readouterr()
    assert EPOCH.split(captured.out) == [
        'epoch 1\ngraph generated\n', 'epoch 2\n', '']
    assert captured.err == ''
    entry = json.loads((tmp_path / 'log').read_text())[1]
    assert captured.out.splitlines()[-2:] == [
        lines.seed_line('train', entry, 'main/'),
        lines.seed_line('test ', entry, 'validation/main/')]
    run(tmp_path, 'seed', False, 'validation')
    assert capsys.readouterr().out.count('\nvalid mean loss=') == 2


def test_table(tmp_path, capsys):
    trainer = run(tmp_path, 'table', False)
    assert isinstance(
        trainer.get_extension('PrintReport'), extensions.PrintReport)
    captured = capsys.readouterr()
    header, *rows = captured.out.splitlines()
    assert header.split() == [
        'epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
        'validation/main/accuracy', 'elapsed_time']
    assert [row.split()[0] for row in rows] == ['1', '2']
    assert all(len(row.split()) == 6 for row in rows)
    assert '\033' not in captured.out
    run(tmp_path, 'table', False, 'test', True)
    assert capsys.readouterr().out.splitlines()[0].split()[-1] == (
        'validation/main/accuracy_top5')


def test_quiet(tmp_path, capsys):
    run(tmp_path, 'quiet', False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ''
    assert (tmp_path / 'log').exists()


def test_bar(tmp_path, capsys, monkeypatch):
    """By default there is one on a terminal; in a pipe it has no codes."""
    run(tmp_path, 'seed', None)
    assert capsys.readouterr().err == ''
    run(tmp_path, 'seed', True)
    captured = capsys.readouterr()
    assert '\033' not in captured.out + captured.err
    assert '\r' not in captured.out + captured.err
    for kind in 'seed', 'table':
        err = Terminal()
        monkeypatch.setattr(sys, 'stderr', err)
        run(tmp_path, kind, None)
        assert '\033' not in capsys.readouterr().out
        assert '/2 epochs' in err.getvalue()
        err = Terminal()
        monkeypatch.setattr(sys, 'stderr', err)
        run(tmp_path, kind, False)
        assert err.getvalue() == ''
        capsys.readouterr()


def test_say(capsys):
    for kind, always, out, err in (
            ('seed', False, 'words\n', ''), ('seed', True, 'words\n', ''),
            ('table', False, '', ''), ('quiet', True, '', 'words\n')):
        lines.say(config_module.Config(report=kind), 'words', always)
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == (out, err)


def test_header(capsys):
    arrays = small_runs.data()
    dataset = data.Dataset(
        'digits', 'digits', *arrays, *arrays, ('a', 'b'), 'a folder')
    for some in dataset, dataset.with_validation(6):
        lines.print_header(
            config_module.Config(batchsize=50, epoch=3, seed=7), 'a net',
            some, small_runs.CPU, 'result/1')
    captured = capsys.readouterr()
    assert captured.out == ''
    found = [line.split(':', 1) for line in captured.err.splitlines()]
    assert [value.strip() for name, value in found if name == 'data'] == [
        'digits, 20 training, 20 test images (a folder)',
        'digits, 14 training, 6 validation, 20 test images (a folder)']
    found = {name: value.strip() for name, value in found if name != 'data'}
    assert found.pop('device').startswith('CPU, ')
    assert found.pop('gradients').startswith(products.FASTER)
    assert found == {
        'net': 'a net', 'batch size': '50', 'epochs': '3', 'seed': '7',
        'results': 'result/1'}


def test_quiet_with_a_bar():
    assert lines.report('quiet', False) == []
    bar, = lines.report('quiet', True)
    assert isinstance(bar, progress.ProgressBar)
