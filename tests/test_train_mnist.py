"""train_mnist.py: its options, its log lines and its results."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import h5py
import pytest

from bnn.kernels import products
from tests.helpers import made_data
from tests.helpers import results
from tests.helpers import scripts

NUMBER = r'\d+(\.\d+)?(e-\d+)?'
MEANS = f'mean loss={NUMBER}, accuracy={NUMBER}'
SEED_LINES = [
    'load digits dataset', 'epoch 1', 'graph generated',
    'train ' + MEANS, 'test  ' + MEANS, 'epoch 2',
    'train ' + MEANS, 'test  ' + MEANS,
    'save the model', 'save the optimizer']
COLUMNS = [
    'epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
    'validation/main/accuracy', 'elapsed_time']


def assert_lines(text, patterns):
    lines = text.splitlines()
    assert len(lines) == len(patterns), text
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (pattern, line)


def seed_line(part, entry, prefix):
    return (f'{part} mean loss={entry[prefix + "loss"]:.12g}, '
            f'accuracy={entry[prefix + "accuracy"]:.12g}')


# ---- what it prints

def test_seed_lines(trained):
    out = trained.result.stdout
    assert out.endswith('\n')
    assert_lines(out, SEED_LINES)
    log = results.log(trained.out)
    assert [line for line in out.splitlines() if line.startswith('t')] == [
        seed_line(part, entry, prefix) for entry in log
        for part, prefix in (('train', 'main/'),
                             ('test ', 'validation/main/'))]


def test_header(trained):
    header = dict(re.split(r': +', line, maxsplit=1)
                  for line in trained.result.stderr.splitlines()[:-3])
    assert header.pop('device').startswith('CPU')
    assert header.pop('gradients').startswith(products.FASTER)
    assert '784-16-16-10' in header.pop('net')
    data = header.pop('data')
    for word in 'digits', '1437', '360':
        assert word in data
    assert header == {'batch size': '100', 'epochs': '2', 'seed': '0',
                      'results': 'run'}


def test_process(trainer, trained):
    """A process of its own prints and computes what a call does."""
    result = trainer.succeed(
        *trainer.SMALL, '--plot', '--epoch', 2, '--out', 'run')
    assert (result.stdout, result.stderr) == (
        trained.result.stdout, trained.result.stderr)
    assert not re.search('[\x1b\r]', result.stdout + result.stderr)
    results.assert_same_run(trainer.cwd / 'run', trained.out)


def test_table(script):
    # With the plain lines of --progress, which must not mix with it
    result = script.succeed(
        *script.SMALL, '--epoch', 2, '--report', 'table', '--progress',
        '--out', 'run')
    header, *rows = result.stdout.splitlines()
    assert header.split() == COLUMNS
    log = json.loads((script.cwd / 'run' / 'log').read_text())
    assert len(rows) == len(log)
    for row, entry in zip(rows, log, strict=True):
        assert [float(cell) for cell in row.split()] == pytest.approx(
            [entry[column] for column in COLUMNS], rel=1e-4)
    assert not re.search('[\x1b\r]', result.stdout + result.stderr)


def test_quiet_same_seed_same_log(script, trained):
    # Another report and no figures: the same numbers, digit for digit
    result = script.succeed(
        *script.SMALL, '--epoch', 2, '--report', 'quiet', '--out', 'run')
    assert result.stdout == ''
    # But for the options that the last line repeats
    assert (result.stderr.splitlines()[:-1]
            == trained.result.stderr.splitlines()[:-1])
    results.assert_same_run(script.cwd / 'run', trained.out)
    assert not list((script.cwd / 'run').glob('*.png'))


def test_what_comes_next(script, trained):
    """The commands that a run prints at its end work."""
    shutil.copytree(trained.out, script.cwd / 'run')
    next_ = dict(re.split(r': +', line, maxsplit=1)
                 for line in trained.result.stderr.splitlines()[-3:])
    assert list(next_) == ['to evaluate', 'to export', 'to resume']
    printed = {}
    for purpose, command in next_.items():
        program, *words = shlex.split(command)
        one = scripts.Call(script.cwd, os.path.basename(program))
        printed[purpose] = one.succeed(*words).stdout
    line = printed['to evaluate'].splitlines()[-1]
    assert line.startswith('test  mean loss=')
    assert line in trained.result.stdout.splitlines()
    assert (script.cwd / 'run' / 'mlp.bnn').exists()
    assert [entry['epoch'] for entry in results.log(script.cwd / 'run')] == [
        1, 2, 3, 4]


def test_another_seed_another_log(script, trained):
    result = script.succeed(
        *script.SMALL, '--epoch', 1, '--seed', 1, '--out', 'run')
    assert re.search(r'^seed: +1$', result.stderr, re.MULTILINE)
    assert (results.log(script.cwd / 'run')[0]['main/loss']
            != results.log(trained.out)[0]['main/loss'])


def test_help(script):
    options = (
        '--gpu', '-g', '--initmodel', '-m', '--resume', '-r', '--epoch', '-e',
        '--batchsize', '-b', '--unit', '-u', '--out', '-o', '--seed',
        '--dataset', '--data-dir', '--allow-modified', '--report',
        '--progress', '--no-progress', '--plot', '--no-plot', '--evaluate',
        '--dry-run', '--snapshot-every', '--keep-snapshots',
        '--test-statistics')
    result = script.succeed('-h')
    assert script.succeed('--help').stdout == result.stdout
    assert result.stderr == ''
    # Without the usage, which names them too
    described = result.stdout[result.stdout.index('options:'):]
    for option in options:
        assert re.search(rf'(^  |, ){option}\b', described, re.MULTILINE)
    assert '--lr' not in described
    # One option ends where the next one begins.
    for text in re.split(r'\n  (?=-)', described):
        assert len(re.findall(r'\(default:', text)) <= 1, text


def test_outside_the_environment(trainer):
    # -S -E: no site-packages, no PYTHONPATH; the library of Python is there.
    result = subprocess.run(
        [sys.executable, '-S', '-E', str(trainer.script)], cwd=trainer.cwd,
        env=trainer.env, capture_output=True, text=True, check=False)
    assert result.returncode > 0
    assert result.stdout == ''
    line, = result.stderr.splitlines()
    assert line.startswith('train_mnist.py: Chainer is not installed')
    assert re.search(r'\. \S+/\.venv/bin/activate$', line)


@pytest.mark.slow
def test_closed_output(trainer):
    # As with `| head -1`: the reader goes away.
    with trainer.start(*trainer.SMALL, '--epoch', 50, '--out',
                       'run') as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=120)
    assert process.returncode > 0
    assert 'Traceback' not in err
    assert 'standard output was closed' in err.splitlines()[-1]


# ---- what it leaves behind

def test_results(trained):
    assert sorted(name for name in os.listdir(trained.out)
                  if not name.startswith('.')) == [
        'accuracy.png', 'figures.png', 'graph.dot', 'log', 'loss.png',
        'mlp.model', 'mlp.state', 'snapshot_iter_15', 'snapshot_iter_29']
    assert not list(trained.out.glob('.*.tmp'))
    for name in 'mlp.model', 'mlp.state':
        assert h5py.is_hdf5(trained.out / name)
    for name in 'loss.png', 'accuracy.png', 'figures.png':
        assert (trained.out / name).read_bytes().startswith(
            b'\x89PNG\r\n\x1a\n')
    assert (trained.out / 'graph.dot').read_text().startswith('digraph')
    log = json.loads((trained.out / 'log').read_text())
    assert [entry['epoch'] for entry in log] == [1, 2]
    assert [entry['iteration'] for entry in log] == [15, 29]
    for entry in log:
        assert set(entry) == {
            *COLUMNS, 'iteration', 'lr',
            *(f'l{i}/{what}' for i in (1, 2, 3)
              for what in ('flip_ratio', 'at_clip'))}
        assert entry['lr'] == .001
    assert 0 < log[0]['elapsed_time'] < log[1]['elapsed_time']


def test_attributes(trained):
    attributes = results.attributes(trained.out / 'mlp.model')
    assert {name: attributes[name] for name in (
        'format', 'format_version', 'name', 'net', 'net_class', 'net_args',
        'input', 'dataset', 'class_names', 'epoch', 'iteration', 'seed',
        'batchsize', 'test_statistics')} == {
            'format': 'bnn-model', 'format_version': 1, 'name': 'binary_net',
            'net': 'BinaryMLP', 'net_class': 'BinaryMLP',
            'net_args': {'n_units': 16, 'n_out': 10}, 'input': 'unit',
            'dataset': 'digits', 'class_names': list('0123456789'),
            'epoch': 2, 'iteration': 29, 'seed': 0, 'batchsize': 100,
            'test_statistics': 'running'}
    entry = results.log(trained.out)[-1]
    for name in 'loss', 'accuracy':
        assert attributes[f'test_{name}'] == entry[f'validation/main/{name}']


def test_all_parameters_are_clipped(trained):
    with h5py.File(trained.out / 'mlp.model', 'r') as f:
        for name in 'l1/W', 'l1/b', 'b1/gamma', 'b1/beta', 'l3/W':
            assert abs(f['predictor'][name][()]).max() <= 1


def test_means_are_exact(trained, script):
    # 360 = 3 x 100 + 60: a short last batch counts for what it is, and
    # shares of 360 images survive in all their digits.
    for entry in results.log(trained.out):
        right = round(entry['validation/main/accuracy'] * 360)
        assert entry['validation/main/accuracy'] == pytest.approx(
            right / 360, abs=1e-15)
        n = 100 * (15 if entry['epoch'] == 1 else 14)
        assert entry['main/accuracy'] == pytest.approx(
            round(entry['main/accuracy'] * n) / n, abs=1e-15)
    line = trained.result.stdout.splitlines()[-3]
    accuracy = line[line.index('accuracy='):]
    for batchsize in 7, 360:
        assert accuracy in script.succeed(
            '--evaluate', '-m', trained.out / 'mlp.model',
            '-b', batchsize).stdout


def test_snapshots_kept(script):
    for keep, left in (1, ['15']), (3, ['12', '15', '8']):
        out = f'run{keep}'
        script.succeed(
            *script.SMALL, '--epoch', 1, '--out', out,
            '--keep-snapshots', keep, '--snapshot-every', 4)
        assert sorted(path.name.removeprefix('snapshot_iter_') for path in (
            script.cwd / out).glob('snapshot*')) == left


def test_epoch_of_one_iteration(script):
    script.succeed('--dataset', 'digits', '--unit', 8, '--batchsize', 1437,
                   '--epoch', 1, '--no-plot', '--out', 'run')
    entry, = results.log(script.cwd / 'run')
    assert entry['iteration'] == 1
    assert (script.cwd / 'run' / 'graph.dot').exists()


def test_numbered_folders(script):
    for number in '1', '2':
        result = script.succeed(*script.SMALL, '--epoch', 1)
        assert re.search(rf'^results: +result/{number}$', result.stderr,
                         re.MULTILINE)
        assert os.readlink(script.cwd / 'result' / 'latest') == number
        assert (script.cwd / 'result' / number / 'mlp.model').is_file()
    script.succeed('--resume', 'auto', '--epoch', 2, '--no-plot')
    assert sorted(os.listdir(script.cwd / 'result')) == ['1', '2', 'latest']
    for number in 1, 2:
        assert len(results.log(
            script.cwd / 'result' / str(number))) == number


def test_dry_run_leaves_nothing(script):
    script.env['TMPDIR'] = str(script.cwd)
    result = script.succeed('--dry-run', *script.SMALL)
    assert 'save the optimizer' in result.stdout
    assert re.search('^epochs: +2$', result.stderr, re.MULTILINE)
    assert os.listdir(script.cwd) == []


def test_dry_run_into_a_folder(script):
    script.succeed('--dry-run', *script.SMALL, '--out', 'run')
    assert {'graph.dot', 'log', 'mlp.model', 'mlp.state'} <= set(
        os.listdir(script.cwd / 'run'))
    # It stays a dry run, and that is finished.
    result = script.succeed('--resume', 'auto', '--out', 'run', '--no-plot')
    assert 'is finished' in result.stderr


# ---- a trained model

def test_evaluate(script, trained):
    # Unit and data set are in the file; nothing is repeated, nothing made.
    model = trained.out / 'mlp.model'
    before = results.contents(trained.cwd)
    running = script.succeed('--evaluate', '--initmodel', model)
    batch = script.succeed('--evaluate', '--initmodel', model,
                           '--test-statistics', 'batch')
    entry = results.log(trained.out)[-1]
    assert running.stdout.splitlines() == [
        'load digits dataset', seed_line('test ', entry, 'validation/main/')]
    assert batch.stdout != running.stdout
    assert_lines(batch.stdout, ['load digits dataset', 'test  ' + MEANS])
    assert results.contents(trained.cwd) == before
    assert os.listdir(script.cwd) == []


def test_statistics_of_tests_leave_the_model(script, trained):
    script.succeed(*script.SMALL, '--epoch', 2, '--out', 'run',
                   '--test-statistics', 'batch')
    assert results.hdf5(script.cwd / 'run' / 'mlp.model') == results.hdf5(
        trained.out / 'mlp.model')
    ours, theirs = (results.log(folder)[-1]
                    for folder in (script.cwd / 'run', trained.out))
    assert ours['main/loss'] == theirs['main/loss']
    assert ours['validation/main/loss'] != theirs['validation/main/loss']


def test_initmodel(script, trained):
    # Without --unit: the model says how large it is.
    result = script.succeed(
        '-m', trained.out / 'mlp.model', '--dataset', 'digits', '-e', 1,
        '-b', 100, '--no-plot', '-o', 'run')
    assert '784-16-16-10' in result.stderr
    entry, = results.log(script.cwd / 'run')
    scratch, last = results.log(trained.out)
    assert entry['main/loss'] < last['main/loss'] < scratch['main/loss']


def test_as_train_py(script, trained):
    """It is train.py binary_net in plain sight, and each goes on with it."""
    shutil.copytree(trained.out, script.cwd / 'run')
    general = scripts.Call(script.cwd, 'train.py')
    general.succeed('binary_net', *script.SMALL, '--epoch', 2, '--out', 'own')
    results.assert_same_run(script.cwd / 'own', trained.out)
    for one, out, words in ((general, 'run', ['binary_net']),
                            (script, 'own', [])):
        one.succeed(*words, '--resume', 'auto', '--out', out, '--epoch', 3,
                    '--no-plot')
    results.assert_same_run(script.cwd / 'own', script.cwd / 'run')


# ---- data

def test_fall_back_without_network(script):
    result = script.succeed('--unit', 8, '--epoch', 1, '--no-plot')
    assert result.stdout.splitlines()[:2] == [
        'load MNIST dataset', 'load digits dataset']
    warnings = [line for line in result.stderr.splitlines()
                if line.startswith('*** WARNING: ')]
    assert len(warnings) == 2
    assert 'MNIST' in warnings[0]
    assert 'digits' in warnings[1]
    assert re.search('^data: +digits', result.stderr, re.MULTILINE)
    out = script.cwd / 'result' / '1'
    assert results.attributes(out / 'mlp.model')['dataset'] == 'digits'
    # It goes on with what it was begun with, and asks for nothing else.
    result = script.succeed('--resume', 'auto', '--epoch', 2, '--no-plot')
    assert 'WARNING' not in result.stderr
    assert result.stdout.startswith('load digits dataset\n')


def test_own_data(script):
    data = script.cwd / 'data'
    made_data.write_mnist(data)
    options = ('--data-dir', 'data', '--unit', 8, '--batchsize', 20,
               '--no-plot')
    assert '--allow-modified' in script.refuse(*options)
    result = script.succeed(
        *options, '--allow-modified', '--epoch', 1, '--out', 'run')
    assert result.stdout.startswith('load MNIST dataset\n')
    assert f'60 training, 20 test images ({data})' in result.stderr
    # Where the data are, and that they may be own ones, is known to resume.
    script.succeed('--resume', 'auto', '--out', 'run', '--epoch', 2,
                   '--no-plot')
    assert len(results.log(script.cwd / 'run')) == 2


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(
        os.environ.get('CHAINER_DATASET_ROOT') or '/nonexistent', 'mnist')),
    reason='CHAINER_DATASET_ROOT has no folder mnist')
def test_real_mnist(script):
    script.env['CHAINER_DATASET_ROOT'] = os.path.abspath(
        os.environ['CHAINER_DATASET_ROOT'])
    result = script.succeed(
        '--unit', 64, '--epoch', 1, '--no-plot', '--out', 'run')
    assert result.stdout.startswith('load MNIST dataset\n')
    assert '60000 training, 10000 test images' in result.stderr
    assert results.log(script.cwd / 'run')[0][
        'validation/main/accuracy'] > .85
