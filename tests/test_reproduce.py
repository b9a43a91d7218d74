"""reproduce.py: its experiments, their numbers, its report."""
import contextlib
import dataclasses
import importlib
import io
import json
import os
import sys

import pytest

import reproduce
from bnn import errors
from bnn.reproduction import published
from bnn.reproduction import standing
from bnn.training import settling
from zoo import optimization

# What makes the nets small that have no --unit
SMALLER = {
    **dict.fromkeys(('lenet5', 'lenet5_float', 'lenet5_varied'), ''),
    **dict.fromkeys(('shallow_convnet', 'shallow_convnet_float', 'nin',
                     'nin_float'), ' --batchsize 4 --allow-modified'),
    'alexnet': ' --unit 64 --batchsize 4 --allow-modified',
    **dict.fromkeys(('convnet', 'convnet_binary_weight'),
                    ' --width 4 --batchsize 8 --allow-modified'),
}
MARK, END = standing.MARKS


def call(monkeypatch, *options):
    """Runs it in this process; returns standard output."""
    monkeypatch.setattr(sys, 'argv', ['reproduce.py', *map(str, options)])
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        reproduce.main()
    return out.getvalue()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


@pytest.fixture
def small(monkeypatch):
    """The experiments with nets that a test can train."""
    monkeypatch.setattr(reproduce, 'EXPERIMENTS', {
        name: dataclasses.replace(
            experiment, arguments=experiment.arguments + SMALLER.get(
                name, ' --unit 16'))
        for name, experiment in reproduce.EXPERIMENTS.items()})


@pytest.fixture
def data_of(tmp_path_factory, monkeypatch, write_cifar10, write_pictures):
    """A function from an experiment's data set to options for small data."""
    def make(dataset):
        if dataset == 'mnist':
            return '--dataset', 'digits'
        folder = tmp_path_factory.mktemp('data') / dataset
        monkeypatch.setenv('XDG_CACHE_HOME', str(folder.parent))
        if dataset == 'cifar10':
            write_cifar10(folder)
        else:
            write_pictures(folder)
        return '--data-dir', folder
    return make


# ---- the facts

def test_every_experiment_has_its_numbers():
    rows = published.read('results')
    assert [row['experiment'] for row in rows] == list(
        reproduce.EXPERIMENTS)
    for row in rows:
        assert len(row['source']) > 3
        assert .4 < float(row['reach']) < 1
        if row['accuracy']:
            assert .4 < float(row['accuracy']) < 1
            assert row['by']
        else:
            assert row['source'].startswith('none')
        assert published.result(row['experiment']) == row


def test_numbers_to_reach():
    assert {name: float(published.result(name)['reach'])
            for name in reproduce.EXPERIMENTS} == {
        'binary_net': .9766, 'quantized_net': .9806, 'float_mlp': .9687,
        'float_mlp_sum': .9687,
        'binary_weight_mlp': .9372, 'best': .985, 'binarynet_paper': .9904,
        'lfc': .989, 'float_mlp_schedule': .9687, 'lenet5': .9923,
        'lenet5_float': .9934, 'lenet5_varied': .9923, 'shallow_convnet': .63,
        'shallow_convnet_float': .63, 'nin': .8628, 'nin_float': .8967,
        'convnet': .8985, 'convnet_binary_weight': .9173, 'alexnet': .4487}


@pytest.mark.parametrize('name,accuracy', [
    ('binary_net', .9766), ('quantized_net', .9806)])
def test_curves(name, accuracy):
    curve = published.curve(name)
    assert [row['epoch'] for row in curve] == list(range(1, 21))
    for row in curve:
        assert set(row) == {'epoch', 'train_loss', 'train_accuracy',
                            'test_loss', 'test_accuracy'}
        assert 0 < row['train_loss'] < 1
        assert .9 < row['train_accuracy'] <= 1
        assert 0 < row['test_loss'] < 1
        assert .9 < row['test_accuracy'] <= 1
    assert curve[-1]['test_accuracy'] == pytest.approx(accuracy, abs=1e-4)


def test_no_curve():
    assert published.curve('lfc') == []


def test_published_files_are_all_used():
    names = {name.removesuffix('.csv')
             for name in os.listdir(published.FOLDER)}
    assert names <= {'results', *reproduce.EXPERIMENTS}


@pytest.mark.parametrize('name', list(reproduce.EXPERIMENTS))
def test_arguments_are_accepted(name):
    experiment = reproduce.EXPERIMENTS[name]
    script = importlib.import_module(experiment.script.removesuffix('.py'))
    parser = script.make_parser()
    args = parser.parse([
        *experiment.arguments.split(), '--epoch', str(experiment.epochs),
        '--dataset', experiment.dataset])
    settling.settle(parser, args, None, script.NETS,
                    getattr(script, 'RECIPES', {}),
                    optimization.LEARNING_RATES)


# ---- the list

def test_list(monkeypatch):
    out = call(monkeypatch)
    for name, experiment in reproduce.EXPERIMENTS.items():
        assert name in out
        assert experiment.title in out
        assert experiment.errors in out
        assert 'not run; published %s' % (
            published.result(name)['accuracy'] or 'none') in out
    assert call(monkeypatch, '--report').count('\n') == 2


def test_unknown_name(monkeypatch, capsys, tmp_path):
    with pytest.raises(SystemExit) as e:
        call(monkeypatch, 'googlenet')
    assert e.value.code == 2
    line, = capsys.readouterr().err.splitlines()
    assert 'error: ' in line
    for word in "'googlenet'", *reproduce.EXPERIMENTS:
        assert word in line
    assert os.listdir(tmp_path) == []


# ---- running

def check_dry_run(monkeypatch, capfd, tmp_path, name, data_of):
    out = call(monkeypatch, name, '--dry-run', '--seeds', 1,
               *data_of(reproduce.EXPERIMENTS[name].dataset))
    line = out.splitlines()[-1]
    assert line.startswith(name + ': published ')
    for word in ('to reach', 'no result: a dry run', '1 seed',
                 published.result(name)['reach']):
        assert word in line
    command = out.splitlines()[0]
    assert command.startswith('$ ')
    assert reproduce.EXPERIMENTS[name].arguments in command
    assert '--dry-run' in command
    assert 'Traceback' not in capfd.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', list(reproduce.EXPERIMENTS))
def test_dry_run(small, monkeypatch, capfd, tmp_path, name, data_of):
    check_dry_run(monkeypatch, capfd, tmp_path, name, data_of)


@pytest.mark.skipif('BNN_TEST_FULL_SIZE' not in os.environ,
                    reason='minutes; BNN_TEST_FULL_SIZE=1 runs it')
@pytest.mark.parametrize('name', list(reproduce.EXPERIMENTS))
def test_dry_run_of_the_whole_net(
        monkeypatch, capfd, tmp_path, name, data_of):
    check_dry_run(monkeypatch, capfd, tmp_path, name, data_of)


def test_run_list_and_report(small, monkeypatch, capfd, tmp_path):
    options = ['--dataset', 'digits', '--seeds', 2, '--epoch', 1]
    out = call(monkeypatch, 'binary_net', *options)
    verdict = out.splitlines()[-1]
    assert verdict.startswith('binary_net: published 0.9766, ours 0.')
    assert 'no result: on digits' in verdict
    for word in '2 seeds', '1 of 20 epochs', 'train loss':
        assert word in verdict
    folder = tmp_path / 'reproductions' / 'binary_net'
    assert sorted(os.listdir(folder)) == [
        'curve.png', 'result.json', 'seed-0', 'seed-1']
    assert (folder / 'curve.png').read_bytes().startswith(b'\x89PNG')
    result = json.loads((folder / 'result.json').read_text())
    assert result['experiment'] == 'binary_net'
    for seed, run in enumerate(result['runs']):
        assert run['command'].endswith(
            '--seed %d --epoch 1 --dataset digits --out '
            'reproductions/binary_net/seed-%d --resume auto' % (seed, seed))
        assert run['machine']['device'].startswith('CPU')
    assert [run['seed'] for run in result['runs']] == [0, 1]
    ours = [run['test_accuracy'] for run in result['runs']]
    assert ours[0] != ours[1]
    assert 'ours %.4f (2 seeds, %.4f to %.4f' % (
        sum(ours) / 2, min(ours), max(ours)) in verdict
    for run in result['runs']:
        assert run['log'][-1]['validation/main/accuracy'] == run[
            'test_accuracy']

    assert verdict.removeprefix('binary_net: ') in call(monkeypatch)
    row = call(monkeypatch, '--report').splitlines()[-1]
    for word in ('reproduce.py binary_net', '0.9766', '%.4f' % (
            sum(ours) / 2)):
        assert word in row
    # Who reads the table must not take it for a result on MNIST
    assert 'digits' in row


def test_other_seeds_stay(small, monkeypatch, capfd, tmp_path):
    options = ['binary_net', '--dataset', 'digits', '--epoch', 1]
    call(monkeypatch, *options, '--seeds', 2)
    path = tmp_path / 'reproductions/binary_net/result.json'
    both = json.loads(path.read_text())['runs']
    assert '2 seeds' in call(monkeypatch, *options, '--seeds', 1)
    assert json.loads(path.read_text())['runs'] == both
    # But not those of other settings
    call(monkeypatch, *options[:-1], 2, '--seeds', 1)
    run, = json.loads(path.read_text())['runs']
    assert run['epochs'] == 2


def test_goes_on_to_the_end_of_a_short_run(
        small, monkeypatch, capfd, tmp_path):
    monkeypatch.setitem(
        reproduce.EXPERIMENTS, 'binary_net', dataclasses.replace(
            reproduce.EXPERIMENTS['binary_net'], epochs=3))
    options = ['binary_net', '--dataset', 'digits', '--seeds', 1]
    call(monkeypatch, *options, '--epoch', 1)
    assert '3 of 3 epochs' in call(monkeypatch, *options)


def test_other_settings_say_what_to_do(small, monkeypatch, capfd, tmp_path):
    options = ['best', '--dataset', 'digits', '--seeds', 1, '--epoch']
    call(monkeypatch, *options, 1)
    with pytest.raises(errors.UserError, match=(
            'move it away$')):  # The cosine would have been another.
        call(monkeypatch, *options, 2)


@pytest.mark.parametrize('options,words', [
    (['best', '--report'], ['--report', 'best']),
    (['--epoch', 3], ['--epoch']), (['--dry-run'], ['--dry-run']),
    (['--report', '--seeds', 2], ['--seeds'])])
def test_options_that_would_do_nothing(monkeypatch, capsys, options, words):
    with pytest.raises(SystemExit) as e:
        call(monkeypatch, *options)
    assert e.value.code == 2
    line, = capsys.readouterr().err.splitlines()
    for word in words:
        assert word in line


def test_failed_run(small, monkeypatch, capfd, tmp_path):
    with pytest.raises(errors.UserError, match='best ended with status'):
        call(monkeypatch, 'best', '--dataset', 'mnist', '--data-dir',
             'nowhere', '--seeds', 1)
    assert not (tmp_path / 'reproductions/best/result.json').exists()


# ---- verdicts and reports of results that are written here

def made(name, *accuracies, **changes):
    return {'experiment': name, 'runs': [{
        'seed': i, 'dataset': 'mnist', 'dry_run': False, 'epochs': 20,
        'seconds': 9., 'validation': 0, 'epoch': 20,
        'test_accuracy': accuracy, 'log': [
            {'epoch': 1, 'main/loss': .6}, {'epoch': 2, 'main/loss': .4}],
        **changes} for i, accuracy in enumerate(accuracies)]}


def verdict(result):
    return standing.verdict(
        reproduce.EXPERIMENTS[result['experiment']], result)


def store(name, *accuracies, **changes):
    result = made(name, *accuracies, **changes)
    result['verdict'] = verdict(result)
    folder = os.path.join('reproductions', name)
    os.makedirs(folder)
    with open(os.path.join(folder, 'result.json'), 'w') as f:
        json.dump(result, f)


@pytest.mark.parametrize('accuracies,reached', [
    ([.9766] * 3, True), ([.9765] * 3, False), ([.977, .9767, .9762], True),
    ([.99, .95], False)])
def test_verdict(accuracies, reached):
    line = verdict(made('binary_net', *accuracies))
    assert ': reached' in line if reached else ': not reached' in line
    # The first published epoch has the loss 0.5739, the second 0.4563
    assert 'largest difference of the train loss from the published curve ' \
        '0.0563' in line
    assert 'dry' not in line
    assert '\n' not in line
    assert 'published none' in verdict(made('best', .99))


def test_top5():
    result = made('alexnet', .42, .44, validation=1)
    assert 'published 0.4487; top-5 0.6970, ours 0.4300' in verdict(result)
    for run, top5 in zip(result['runs'], (.6, .7), strict=True):
        run['test_accuracy_top5'] = top5
    assert 'epochs); top-5 0.6500, ' in verdict(result)


def test_report(monkeypatch):
    store('binary_net', .9771, .9773)
    store('best', .984)
    table = call(monkeypatch, '--report').splitlines()
    assert len(table) == 4
    assert len({line.count('|') for line in table}) == 1
    assert set(table[1]) == {'|', '-'}
    cells = [cell.strip() for cell in table[2].split('|')[1:-1]]
    assert cells[1:] == ['0.9766', '0.9772 (0.9771 to 0.9773)', '2',
                         '20 of 20',
                         '0.9766', 'reached, with 2 of 3 seeds']
    cells = [cell.strip() for cell in table[3].split('|')[1:-1]]
    assert cells[1:] == ['none', '0.9840 (0.9840 to 0.9840)', '1', '20 of 20',
                         '0.985', 'not reached, with 1 of 3 seeds']


def test_report_into_a_file(monkeypatch, tmp_path):
    store('binary_net', .9771, .9773)
    path = tmp_path / 'README.md'
    before = '# Title\n\nText with ümläuts.\n\n'
    after = '\n\nMore text.\n'
    path.write_text(before + MARK + '\nold table\n' + END + after)
    call(monkeypatch, '--report', path)
    table = call(monkeypatch, '--report')
    text = path.read_text()
    assert text == before + MARK + '\n' + table + END + after
    call(monkeypatch, '--report', path)  # again: nothing changes
    assert path.read_text() == text


@pytest.mark.parametrize('text', [
    '', '# Title\n', MARK + '\n', END + '\n', MARK + END + MARK,
    END + '\ntext\n' + MARK + '\n'],
    ids=['empty', 'none', 'first', 'last', 'twice', 'swapped'])
def test_report_into_a_file_without_marks(monkeypatch, tmp_path, text):
    path = tmp_path / 'README.md'
    path.write_text(text)
    with pytest.raises(errors.UserError) as e:
        call(monkeypatch, '--report', path)
    assert str(path) in str(e.value)
    assert '\n' not in str(e.value)
    assert path.read_text() == text


def test_report_into_no_file(monkeypatch, tmp_path):
    with pytest.raises(errors.UserError, match='cannot read .*missing'):
        call(monkeypatch, '--report', tmp_path / 'missing.md')
    assert os.listdir(tmp_path) == []
