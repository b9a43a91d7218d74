"""reproduce.py: its configurations, their numbers, its report."""
import dataclasses
import json
import os
import signal
import sys
import time

import pytest

import reproduce
from bnn.reproduction import results
from configs import best
from configs import binary_net
from configs import find
from tests.helpers import results as results_of_runs
from tests.helpers import scripts

MARK, END = results.MARKS


@pytest.fixture
def script(tmp_path, monkeypatch):
    """reproduce.py in a folder of the test, with rows of its own.

    The processes that it starts are calls in this one.
    """
    monkeypatch.setattr(results, 'KEPT', str(tmp_path / 'accuracy.csv'))
    train = scripts.Call(tmp_path, 'train.py')

    def call(command):
        assert command[:2] == [sys.executable, str(train.script)]
        result = train.run(*command[2:])
        sys.stderr.write(result.stderr)
        return result.returncode

    monkeypatch.setattr(reproduce, 'call', call)
    return scripts.Call(tmp_path, 'reproduce.py')


@pytest.fixture
def small(monkeypatch):
    """Two configurations with nets that a test can train."""
    for module in best, binary_net:
        monkeypatch.setattr(module, 'CONFIG', dataclasses.replace(
            module.CONFIG, unit=16, batchsize=100, plot=False))


# ---- the facts

def test_published_numbers():
    found = {name: (config.published.accuracy, config.published.reach)
             for name in find.names()
             if (config := find.get(name)).published is not None}
    assert found == {
        'alexnet': (.4487, None), 'best': (None, .989),
        'binary_net': (.9766, None), 'binaryconnect': (.9882, .985),
        'binaryconnect_det': (.9871, .985),
        'binary_weight_mlp': (.9372, None),
        'binarynet_paper': (.9904, None), 'cifar10_fast': (None, .88),
        'convnet': (.8985, None),
        'convnet_binary_weight': (.9173, None), 'float_mlp': (.9687, None),
        'float_mlp_sum': (.9687, None),
        'lenet5': (.9923, None), 'lenet5_float': (.9934, None),
        'lenet5_varied': (.9923, .9945), 'lfc': (.9888, .9895),
        'lfc_w1a2': (.9899, .9905),
        'nin': (.8628, None), 'nin_float': (.8967, None),
        'nin_whitened': (.8628, None),
        'quantized_net': (.9806, None), 'shallow_convnet': (.63, None),
        'shallow_convnet_float': (.766, .63),
        'cnv': (.8422, None), 'cnv_w1a2': (.8780, None),
        'cnv_w2a2': (.8903, None), 'resnet20': (.865, .88),
        'resnet20_float': (.9125, None)}
    for name in found:
        one = find.get(name).published
        assert len(one.source) > 20
        assert one.epoch in ('last', 'best on test', 'best on validation',
                             'unknown')


def test_curves():
    for name, accuracy in ('binary_net', .9766), ('quantized_net', .9806):
        curve = results.published_curve(name)
        assert [row['epoch'] for row in curve] == list(range(1, 21))
        for row in curve:
            assert set(row) == {'epoch', 'train_loss', 'train_accuracy',
                                'test_loss', 'test_accuracy'}
            assert 0 < row['train_loss'] < 1
            assert .9 < row['train_accuracy'] <= 1
            assert 0 < row['test_loss'] < 1
            assert .9 < row['test_accuracy'] <= 1
        assert curve[-1]['test_accuracy'] == pytest.approx(accuracy, abs=1e-4)
    assert results.published_curve('lfc') == []
    for file in os.listdir(results.CURVES):
        assert file.removesuffix('.csv') in find.names()


def test_kept_rows_are_of_configurations():
    rows = results.kept()
    assert {'binary_net', 'quantized_net', 'best'} <= set(rows)
    for name, row in rows.items():
        assert name == row.name
        assert find.get(name)
        assert row.least <= row.mean <= row.largest
        assert row.seeds > 0


# ---- the list

def test_list(script):
    out = script.succeed().stdout
    for name in find.names():
        config = find.get(name)
        assert name in out
        assert config.title in out
        assert config.notes in out
    assert out.count('not run\n') == len(find.names())
    assert script.succeed('--report').stdout.count('\n') == 2


def test_refused(script):
    line = script.refuse('googlenet')
    for word in "'googlenet'", *find.names():
        assert word in line
    for options, words in (
            (['best', '--report'], ['--report', 'best']),
            (['--epoch', 3], ['--epoch']), (['--dry-run'], ['--dry-run']),
            (['--report', '--seeds', 2], ['--seeds']),
            (['best', '--seeds', 0], ['--seeds', '0'])):
        line = script.refuse(*options)
        for word in words:
            assert word in line


# ---- running

def test_dry_run(small, script):
    script.env['TMPDIR'] = str(script.cwd)
    out = script.succeed('best', '--dry-run', '--seeds', 1, '--dataset',
                         'digits').stdout
    assert out.startswith('$ ./train.py best --seed 0 --epoch 20 --dataset '
                          'digits --dry-run --out ')
    assert out.splitlines()[-1] == 'best: no result: a dry run'
    assert os.listdir(script.cwd) == []


@pytest.mark.slow
def test_process(tmp_path):
    """As a user starts it, with train.py in processes of their own."""
    result = scripts.Process(tmp_path, 'reproduce.py').succeed(
        'binary_net', '--dry-run', '--seeds', 1, '--dataset', 'digits')
    assert result.stdout.startswith('$ ./train.py binary_net --seed 0 ')
    assert result.stdout.splitlines()[-1] == 'binary_net: no result: a dry run'
    assert 'Traceback' not in result.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize('number,status', [
    (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal(tmp_path, number, status):
    """The run stops with a snapshot, and the same command goes on."""
    process = scripts.Process(tmp_path, 'reproduce.py')
    options = ('binary_net', '--seeds', 1, '--dataset', 'digits', '--epoch',
               8)
    folder = tmp_path / 'reproductions' / 'binary_net' / 'seed-0'
    with process.start(*options, start_new_session=True) as running:
        while not list(folder.glob('snapshot_iter_*')):
            assert running.poll() is None
            time.sleep(.01)
        if number == signal.SIGINT:  # of a terminal: for both
            os.killpg(running.pid, number)
        else:
            running.send_signal(number)
        _, err = running.communicate(timeout=120)
    assert running.returncode == status, err
    assert 'the same command goes on with it' in err
    assert 'Traceback' not in err
    result = process.succeed(*options)
    assert 'go on from' in result.stderr


def test_run_list_and_report(small, script):
    options = '--dataset', 'digits', '--seeds', 2, '--epoch', 1
    out = script.succeed('binary_net', *options).stdout
    assert out.splitlines()[-1] == 'binary_net: no result: on digits'
    folder = script.cwd / 'reproductions' / 'binary_net'
    assert sorted(os.listdir(folder)) == [
        'curve.png', 'result.json', 'seed-0', 'seed-1']
    assert (folder / 'curve.png').read_bytes().startswith(b'\x89PNG')
    result = json.loads((folder / 'result.json').read_text())
    assert result['experiment'] == 'binary_net'
    for seed, run in enumerate(result['runs']):
        assert run['command'] == (
            f'./train.py binary_net --seed {seed} --epoch 1 --dataset digits '
            f'--out reproductions/binary_net/seed-{seed} --resume auto')
        assert run['machine']['device'].startswith('CPU')
        assert run['seed'] == seed
        assert run['log'][-1]['validation/main/accuracy'] == run[
            'test_accuracy']
    ours = [run['test_accuracy'] for run in result['runs']]
    assert ours[0] != ours[1]
    assert 'no result: on digits' in script.succeed().stdout
    # Who reads the table must not take it for a result on MNIST.
    assert 'binary_net' not in script.succeed('--report').stdout


def test_other_seeds_stay(small, script):
    options = 'binary_net', '--dataset', 'digits', '--epoch', 1
    script.succeed(*options, '--seeds', 2)
    path = script.cwd / 'reproductions' / 'binary_net' / 'result.json'
    both = json.loads(path.read_text())['runs']
    script.succeed(*options, '--seeds', 1)
    assert json.loads(path.read_text())['runs'] == both
    # But not those of other settings
    script.succeed(*options[:-1], 2, '--seeds', 1)
    run, = json.loads(path.read_text())['runs']
    assert run['epochs'] == 2


def test_other_settings_say_what_to_do(small, script):
    options = 'best', '--dataset', 'digits', '--seeds', 1, '--epoch'
    script.succeed(*options, 1)
    err = script.run(*options, 2).stderr  # The cosine would be another.
    assert err.splitlines()[-1].endswith('move it away')


def test_failed_run(small, script):
    result = script.run('best', '--dataset', 'mnist', '--data-dir', 'nowhere',
                        '--seeds', 1)
    assert result.returncode == 1
    assert 'best ended with status 1' in result.stderr.splitlines()[-1]
    assert not (script.cwd / 'reproductions/best/result.json').exists()


def test_call():
    before = signal.getsignal(signal.SIGTERM)
    assert reproduce.call([sys.executable, '-c', 'raise SystemExit(5)']) == 5
    assert signal.getsignal(signal.SIGTERM) is before


# ---- verdicts and reports of results that are written here

def made(name, *accuracies, **changes):
    config = find.get(name)
    return {'experiment': name, 'runs': [{
        'seed': i, 'dataset': config.dataset, 'dry_run': False,
        'epochs': config.epoch, 'seconds': 90., 'validation': 0, 'epoch': 20,
        'test_accuracy': accuracy, 'machine': {'cpu': 'a, b', 'commit': 'c'},
        'log': [{'epoch': 1, 'main/loss': .6, 'validation/main/accuracy': .9},
                {'epoch': 2, 'main/loss': .4,
                 'validation/main/accuracy': accuracy}],
        **changes} for i, accuracy in enumerate(accuracies)]}


def verdict(result):
    return results.verdict(find.get(result['experiment']), result)


@pytest.fixture
def store(tmp_path):
    """A function that writes a result where reproduce.py looks for it."""
    def write(name, *accuracies, **changes):
        result = made(name, *accuracies, **changes)
        result['verdict'] = verdict(result)
        folder = tmp_path / 'reproductions' / name
        folder.mkdir(parents=True)
        (folder / 'result.json').write_text(json.dumps(result))
    return write


def test_verdict():
    for accuracies, reached in (
            ([.9766] * 3, True), ([.9765] * 3, False),
            ([.977, .9767, .9762], True), ([.99, .95], False)):
        line = verdict(made('binary_net', *accuracies))
        assert line.startswith('published 0.9766, ours 0.9')
        assert ('not reached' not in line) == reached
        assert ': reached' in line or not reached
        # The first published epoch has the loss 0.5739, the second 0.4563.
        assert 'largest difference of the train loss from the published ' \
            'curve 0.0563' in line
        assert '\n' not in line
    assert '1 of 3 seeds' in verdict(made('binary_net', .99))
    assert '10 of 20 epochs' in verdict(made('binary_net', .99, epochs=10))
    assert 'published none' in verdict(made('best', .99))
    for changes, words in (({'dry_run': True}, 'a dry run'),
                           ({'dataset': 'digits'}, 'on digits')):
        assert verdict(made('best', .99, **changes)) == f'no result: {words}'


def test_best_epoch_on_the_test_set():
    """A number that was chosen so stands beside one that is."""
    result = made('lenet5', .991, .992)
    result['runs'][0]['log'][0]['validation/main/accuracy'] = .995
    line = verdict(result)
    assert 'ours 0.9915' in line
    assert '0.9935 at the best epoch on the test set' in line
    assert ('not reached by the last epoch, reached by the best on the test '
            'set') in line
    assert 'best epoch' not in verdict(made('lenet5', .9, validation=100))


def test_top5():
    result = made('alexnet', .42, .44, validation=1)
    assert 'published 0.4487; top-5 0.6970, ours 0.4300' in verdict(result)
    for run, top5 in zip(result['runs'], (.6, .7), strict=True):
        run['test_accuracy_top5'] = top5
    assert 'epochs); top-5 0.6500' in verdict(result)


def test_report(script, store):
    store('binary_net', .9771, .9773)
    store('best', .984)
    table = script.succeed('--report').stdout.splitlines()
    assert len(table) == 4
    assert len({line.count('|') for line in table}) == 1
    assert set(table[1]) == {'|', '-'}
    assert [[cell.strip() for cell in line.split('|')[1:-1]]
            for line in table[2:]] == [
        ['`./reproduce.py best`', '20', '2 min', '0.9840, 1',
         'none; to reach 0.9890',
         'not reached, with 1 of 3 seeds'],
        ['`./reproduce.py binary_net`', '20', '2 min',
         '0.9772 (0.9771 to 0.9773), 2', '0.9766',
         'reached, with 2 of 3 seeds']]
    assert not (script.cwd / 'accuracy.csv').exists()


def test_damaged_result_is_left_out(script, store):
    store('best', .984)
    path = script.cwd / 'reproductions' / 'best' / 'result.json'
    for text in '', '{}', '{"runs": []}', '[1]':
        path.write_text(text)
        result = script.succeed('--report')
        assert 'best' not in result.stdout
        assert result.stderr.startswith('warning: ')
        assert 'is damaged' in result.stderr


def test_report_into_a_file(script, store):
    store('binary_net', .9771, .9773)
    path = script.cwd / 'README.md'
    before = '# Title\n\nText with ümläuts.\n\n'
    after = '\n\nMore text.\n'
    path.write_text(before + MARK + '\nold table\n' + END + after)
    script.succeed('--report', path)
    table = script.succeed('--report').stdout
    text = path.read_text()
    assert text == before + MARK + '\n' + table + END + after
    # The rows stay when the runs have gone.
    (script.cwd / 'reproductions').rename(script.cwd / 'elsewhere')
    script.succeed('--report', path)
    assert path.read_text() == text
    assert 'ours 0.9772: reached' in script.succeed().stdout


@pytest.mark.parametrize('accuracies, changes', [
    ([.5], {}), ([.5, .5], {'epochs': 1})])
def test_a_short_try_replaces_no_row(script, store, accuracies, changes):
    path = script.cwd / 'table.md'
    path.write_text(f'{MARK}\n{END}\n')
    store('binary_net', .9771, .9773)
    script.succeed('--report', path)
    text = path.read_text()
    (script.cwd / 'reproductions').rename(script.cwd / 'elsewhere')
    store('binary_net', *accuracies, **changes)
    result = script.succeed('--report', path)
    assert path.read_text() == text
    assert 'the row that is kept 2 of 20' in result.stderr


def test_report_into_no_table(script, store):
    store('binary_net', .9771, .9773)
    script.succeed('--report')
    path = script.cwd / 'README.md'
    for text in ('', '# Title\n', MARK + '\n', END + '\n', MARK + END + MARK,
                 END + '\ntext\n' + MARK + '\n'):
        path.write_text(text)
        result = script.run('--report', path)
        assert str(path) in results_of_runs.error_line(result, 'reproduce.py')
        assert path.read_text() == text
    path.write_bytes(b'\x89PNG\xff')
    result = script.run('--report', path)
    assert str(path) in results_of_runs.error_line(result, 'reproduce.py')
    result = script.run('--report', script.cwd / 'missing.md')
    line = results_of_runs.error_line(result, 'reproduce.py')
    assert 'cannot read' in line
    assert not (script.cwd / 'missing.md').exists()
