"""train_mnist.py: its options, its log lines and its results."""
import json
import os
import re
import subprocess
import sys

import h5py
import pytest

NUMBER = r'\d+(\.\d+)?(e-\d+)?'
MEANS = 'mean loss=%s, accuracy=%s' % (NUMBER, NUMBER)
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
    return '%s mean loss=%.12g, accuracy=%.12g' % (
        part, entry[prefix + 'loss'], entry[prefix + 'accuracy'])


# ---- what it prints

def test_seed_lines(trained, results):
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
                  for line in trained.result.stderr.splitlines())
    assert header.pop('device').startswith('CPU')
    assert '784-16-16-10' in header.pop('net')
    data = header.pop('data')
    for word in 'digits', '1437', '360':
        assert word in data
    assert header == {'batch size': '100', 'epochs': '2', 'seed': '0',
                      'results': 'run'}


def test_no_escape_codes(trained):
    assert '\x1b' not in trained.result.stdout + trained.result.stderr
    assert '\r' not in trained.result.stdout + trained.result.stderr


def test_table(trainer, results):
    # With the plain lines of --progress, which must not mix with it
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 2, '--report', 'table', '--progress',
        '--out', 'run')
    header, *rows = result.stdout.splitlines()
    assert header.split() == COLUMNS
    log = json.loads((trainer.cwd / 'run' / 'log').read_text())
    assert len(rows) == len(log)
    for row, entry in zip(rows, log, strict=True):
        assert [float(cell) for cell in row.split()] == pytest.approx(
            [entry[column] for column in COLUMNS], rel=1e-4)
    assert '\x1b' not in result.stdout + result.stderr
    assert '\r' not in result.stdout + result.stderr
    assert 'iters/sec' not in result.stdout
    assert re.search(r'^.*iter.*iters/sec.*$', result.stderr, re.MULTILINE)


def test_quiet_same_seed_same_log(trainer, trained, results):
    # Another report and no figures: the same numbers, digit for digit.
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 2, '--report', 'quiet', '--out', 'run')
    assert result.stdout == ''
    assert result.stderr == trained.result.stderr
    folder = trainer.cwd / 'run'
    assert results.log(folder) == results.log(trained.out)
    for name in 'mlp.model', 'mlp.state':
        assert results.hdf5(folder / name) == results.hdf5(
            trained.out / name)
    assert not list(folder.glob('*.png'))


def test_another_seed_another_log(trainer, trained, results):
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 1, '--seed', 1, '--out', 'run')
    assert re.search(r'^seed: +1$', result.stderr, re.MULTILINE)
    assert (results.log(trainer.cwd / 'run')[0]['main/loss']
            != results.log(trained.out)[0]['main/loss'])


def test_help(trainer):
    options = (
        '--gpu', '-g', '--initmodel', '-m', '--resume', '-r', '--epoch', '-e',
        '--batchsize', '-b', '--unit', '-u', '--out', '-o', '--seed',
        '--dataset', '--data-dir', '--allow-modified', '--report',
        '--progress', '--no-progress', '--plot', '--no-plot', '--evaluate',
        '--dry-run', '--snapshot-every', '--keep-snapshots',
        '--test-statistics')
    result = trainer.succeed('-h')
    assert trainer.run('--help').stdout == result.stdout
    # Without the usage, which names them too
    described = result.stdout[result.stdout.index('options:'):]
    for option in options:
        assert re.search(r'(^  |, )%s\b' % option, described, re.MULTILINE)
    assert result.stderr == ''


def test_help_says_each_default_once(trainer):
    text = trainer.run('-h').stdout
    # One option ends where the next one begins.
    for option in re.split(r'\n  (?=-)', text):
        assert len(re.findall(r'\(default:', option)) <= 1, option


def test_outside_the_environment(trainer):
    # -S -E: no site-packages, no PYTHONPATH; the library of Python is there.
    result = subprocess.run(
        [sys.executable, '-S', '-E', str(trainer.script)], cwd=trainer.cwd,
        env=trainer.env, capture_output=True, text=True, check=False)
    assert result.returncode > 0
    assert result.stdout == ''
    line, = result.stderr.splitlines()
    assert line.startswith('train_mnist.py: ')
    assert re.search(r'\. \S+/\.venv/bin/activate$', line)


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
        'mlp.model',
        'mlp.state', 'snapshot_iter_15', 'snapshot_iter_29']
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
    assert all(set(COLUMNS) <= set(entry) for entry in log)
    assert 0 < log[0]['elapsed_time'] < log[1]['elapsed_time']


def test_attributes(trained, results):
    attributes = results.attributes(trained.out / 'mlp.model')
    assert {name: attributes[name] for name in (
        'format', 'format_version', 'net', 'net_class', 'input',
        'dataset', 'class_names', 'epoch', 'iteration', 'seed', 'batchsize',
        'test_statistics')} == {
            'format': 'bnn-model', 'format_version': 1, 'net': 'binary',
            'net_class': 'BinaryMLP', 'input': 'unit', 'dataset': 'digits',
            'class_names': list('0123456789'), 'epoch': 2, 'iteration': 29,
            'seed': 0, 'batchsize': 100, 'test_statistics': 'running'}


def test_weights_are_clipped(trained):
    with h5py.File(trained.out / 'mlp.model', 'r') as f:
        for name in 'l1/W', 'l1/b', 'b1/gamma', 'b1/beta', 'l3/W':
            assert abs(f['predictor'][name][()]).max() <= 1


def test_means_are_exact(trained, trainer, results):
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
        assert accuracy in trainer.succeed(
            '--evaluate', '-m', trained.out / 'mlp.model',
            '-b', batchsize).stdout


@pytest.mark.parametrize('keep,every,left', [
    (1, 4, ['snapshot_iter_15']),
    (3, 4, ['snapshot_iter_12', 'snapshot_iter_15', 'snapshot_iter_8'])])
def test_snapshots_kept(trainer, keep, every, left):
    trainer.succeed(
        *trainer.SMALL, '--epoch', 1, '--out', 'run',
        '--keep-snapshots', keep, '--snapshot-every', every)
    assert sorted(path.name for path in (trainer.cwd / 'run').glob(
        'snapshot*')) == left


def test_epoch_of_one_iteration(trainer, results):
    trainer.succeed('--dataset', 'digits', '--unit', 8, '--batchsize', 1437,
                    '--epoch', 1, '--no-plot', '--out', 'run')
    entry, = results.log(trainer.cwd / 'run')
    assert entry['iteration'] == 1
    assert (trainer.cwd / 'run' / 'graph.dot').exists()


def test_numbered_folders(trainer, results):
    for number in '1', '2':
        result = trainer.succeed(*trainer.SMALL, '--epoch', 1)
        assert re.search(r'^results: +result/%s$' % number, result.stderr,
                         re.MULTILINE)
        assert os.readlink(trainer.cwd / 'result' / 'latest') == number
        assert (trainer.cwd / 'result' / number / 'mlp.model').is_file()
    result = trainer.succeed('--resume', 'auto', '--epoch', 2, '--no-plot')
    assert sorted(os.listdir(trainer.cwd / 'result')) == ['1', '2', 'latest']
    for number in 1, 2:
        assert len(results.log(
            trainer.cwd / 'result' / str(number))) == number


def test_dry_run_leaves_nothing(trainer):
    trainer.env['TMPDIR'] = str(trainer.cwd)
    result = trainer.succeed(
        '--dry-run', '--dataset', 'digits', '--unit', 16)
    assert 'save the optimizer' in result.stdout
    assert re.search('^epochs: +2$', result.stderr, re.MULTILINE)
    assert os.listdir(trainer.cwd) == []


def test_dry_run_into_a_folder(trainer):
    trainer.succeed('--dry-run', *trainer.SMALL, '--plot', '--out', 'run')
    assert {'graph.dot', 'log', 'loss.png', 'mlp.model', 'mlp.state'} <= set(
        os.listdir(trainer.cwd / 'run'))


# ---- a trained model

def test_evaluate(trainer, trained, results):
    # Unit and data set are in the file; nothing is repeated, nothing made.
    model = trained.out / 'mlp.model'
    before = results.contents(trained.cwd)
    running = trainer.succeed('--evaluate', '--initmodel', model)
    batch = trainer.succeed('--evaluate', '--initmodel', model,
                            '--test-statistics', 'batch')
    entry = results.log(trained.out)[-1]
    assert running.stdout.splitlines() == [
        'load digits dataset', seed_line('test ', entry, 'validation/main/')]
    assert batch.stdout != running.stdout
    assert_lines(batch.stdout, ['load digits dataset', 'test  ' + MEANS])
    assert results.contents(trained.cwd) == before
    assert os.listdir(trainer.cwd) == []


def test_statistics_of_tests_leave_the_model(trainer, trained, results):
    trainer.succeed(*trainer.SMALL, '--epoch', 2, '--out', 'run',
                    '--test-statistics', 'batch')
    assert results.hdf5(trainer.cwd / 'run' / 'mlp.model') == results.hdf5(
        trained.out / 'mlp.model')
    ours, theirs = (results.log(folder)[-1]
                    for folder in (trainer.cwd / 'run', trained.out))
    assert ours['main/loss'] == theirs['main/loss']
    assert ours['validation/main/loss'] != theirs['validation/main/loss']


def test_initmodel(trainer, trained, results):
    # Without --unit: the model says how large it is.
    result = trainer.succeed(
        '-m', trained.out / 'mlp.model', '--dataset', 'digits', '-e', 1,
        '-b', 100, '--no-plot', '-o', 'run')
    assert '784-16-16-10' in result.stderr
    entry, = results.log(trainer.cwd / 'run')
    scratch, last = results.log(trained.out)
    assert entry['main/loss'] < last['main/loss'] < scratch['main/loss']


# ---- data

def test_fall_back_without_network(trainer, results):
    result = trainer.succeed('--unit', 8, '--epoch', 1, '--no-plot')
    assert result.stdout.splitlines()[:2] == [
        'load MNIST dataset', 'load digits dataset']
    warnings = [line for line in result.stderr.splitlines()
                if line.startswith('*** WARNING: ')]
    assert len(warnings) == 2
    assert 'MNIST' in warnings[0]
    assert 'digits' in warnings[1]
    assert re.search('^data: +digits', result.stderr, re.MULTILINE)
    out = trainer.cwd / 'result' / '1'
    assert results.attributes(out / 'mlp.model')['dataset'] == 'digits'
    # It goes on with what it was begun with, and asks for nothing else.
    result = trainer.succeed('--resume', 'auto', '--epoch', 2, '--no-plot')
    assert 'WARNING' not in result.stderr
    assert result.stdout.startswith('load digits dataset\n')


def test_own_data(trainer, results, write_mnist):
    data = trainer.cwd / 'data'
    write_mnist(data)
    options = ('--data-dir', 'data', '--unit', 8, '--batchsize', 20,
               '--no-plot')
    assert '--allow-modified' in trainer.refuse(*options)
    result = trainer.succeed(
        *options, '--allow-modified', '--epoch', 1, '--out', 'run')
    assert result.stdout.startswith('load MNIST dataset\n')
    assert '60 training, 20 test images (%s)' % data in result.stderr
    # Where the data are, and that they may be own ones, is known to resume.
    trainer.succeed('--resume', 'auto', '--out', 'run', '--epoch', 2)
    assert len(results.log(trainer.cwd / 'run')) == 2


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(
        os.environ.get('CHAINER_DATASET_ROOT') or '/nonexistent', 'mnist')),
    reason='CHAINER_DATASET_ROOT has no folder mnist')
def test_real_mnist(trainer, results):
    trainer.env['CHAINER_DATASET_ROOT'] = os.path.abspath(
        os.environ['CHAINER_DATASET_ROOT'])
    result = trainer.succeed(
        '--unit', 64, '--epoch', 1, '--no-plot', '--out', 'run')
    assert result.stdout.startswith('load MNIST dataset\n')
    assert '60000 training, 10000 test images' in result.stderr
    assert results.log(trainer.cwd / 'run')[0][
        'validation/main/accuracy'] > .85


# ---- GPU

@pytest.mark.gpu
def test_gpu(trainer, results):
    result = trainer.succeed(
        *trainer.SMALL, '--epoch', 5, '--gpu', 0, '--out', 'run')
    assert re.search('^device: +GPU 0', result.stderr, re.MULTILINE)
    accuracy = results.log(trainer.cwd / 'run')[-1][
        'validation/main/accuracy']
    assert accuracy > .6
    # On the CPU the same model is as good.
    line = trainer.succeed(
        '--evaluate', '-m', 'run/mlp.model').stdout.splitlines()[-1]
    assert float(line.split('accuracy=')[1]) == pytest.approx(
        accuracy, abs=.02)
