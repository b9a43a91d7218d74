"""What a run leaves behind: the model, the optimizer, the last words."""
import json
import os
import shlex
import sys
import types

import numpy
import pytest

from bnn import data
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from bnn.training.files import saving
from tests.helpers import small_runs

ENTRY = {'epoch': 3, 'iteration': 12, 'main/loss': .5}


@pytest.fixture
def trainer(tmp_path):
    trainer = small_runs.make(tmp_path, test=False)
    trainer.updater.update()
    return trainer


def dataset():
    arrays = small_runs.data()
    return data.Dataset(
        'digits', 'digits', *arrays, *arrays, ('a', 'b'), 'here')


def save(trainer, **settings):
    saving.save(
        config_module.Config(name='c', **settings), trainer, dataset(),
        small_runs.CPU, ENTRY, {'main/loss': .25, 'main/accuracy': .75},
        net_class='Net', net_args={'n_units': 4})


def test_files(trainer, capsys):
    save(trainer, unit=7)
    assert capsys.readouterr().out == 'save the model\nsave the optimizer\n'
    path = os.path.join(trainer.out, 'mlp.model')
    found = model_file.read_attributes(path)
    for name, value in {
            'name': 'c', 'unit': 7, 'dataset': 'digits', 'epoch': 3,
            'iteration': 12, 'test_loss': .25, 'test_accuracy': .75,
            'net_class': 'Net', 'net_args': {'n_units': 4},
            'class_names': ['a', 'b'],
            'data_digest': dataset().digest}.items():
        assert found[name] == value, name
    assert found['machine']['device'].startswith('CPU, ')
    optimizer = trainer.updater.get_optimizer('main')
    other = small_runs.make(trainer.out, test=False).updater.get_optimizer(
        'main')
    model_file.load(path, other.target)
    for (_, ours), (_, theirs) in zip(
            sorted(optimizer.target.namedparams()),
            sorted(other.target.namedparams()), strict=True):
        numpy.testing.assert_array_equal(ours.array, theirs.array)
    save(trainer, report='quiet')
    assert capsys.readouterr().out == ''


def test_settings():
    found = saving.settings(config_module.Config(name='c'), dataset(), x=3)
    assert found['dataset'] == 'digits'
    assert found['data_digest'] == dataset().digest
    assert (found['name'], found['x']) == ('c', 3)
    json.dumps(found)


def test_is_finished(trainer, capsys):
    stop = types.SimpleNamespace(is_finished=lambda trainer: done)
    trainer.stop_trigger = stop
    done = True
    assert not saving.is_finished(trainer)  # no files yet
    save(trainer)
    assert capsys.readouterr().err == ''
    assert saving.is_finished(trainer)
    line = capsys.readouterr().err
    assert line.startswith(f'{trainer.out} is finished')
    assert '--epoch' in line and line.count('\n') == 1
    done = False
    assert not saving.is_finished(trainer)
    done = True
    # The files of an earlier end, of before a larger --epoch
    trainer.updater.update()
    assert not saving.is_finished(trainer)
    save(trainer)
    assert saving.is_finished(trainer)
    for name in 'mlp.state', 'mlp.model':
        path = os.path.join(trainer.out, name)
        with open(path, 'rb') as f:
            whole = f.read()
        if name == 'mlp.state':
            with open(path, 'wb') as f:
                f.write(whole[:50])
            assert not saving.is_finished(trainer)
        os.remove(path)
        assert not saving.is_finished(trainer)
        with open(path, 'wb') as f:
            f.write(whole)


def test_how_to_go_on(trainer, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/bin/train.py'])
    trainer.stop_trigger = types.SimpleNamespace(signal=15)
    given = {'unit': 7, 'initmodel': 'm'}
    config = config_module.Config(**given, given=given)
    assert saving.say_how_to_go_on(config, trainer, 'binary_net') == 143
    line = capsys.readouterr().err
    start, _, command = line.partition('to go on: ')
    assert start.startswith('stopped at iteration 1, snapshot saved')
    assert shlex.split(command) == [
        '/bin/train.py', 'binary_net', '--unit=7', f'--out={trainer.out}',
        '--resume=auto']
    trainer.stop_trigger = types.SimpleNamespace(signal=2)
    # The folder of a dry run is gone.
    config = config_module.Config(dry_run=True)
    assert saving.say_how_to_go_on(config, trainer) == 130
    assert capsys.readouterr().err == 'stopped at iteration 1\n'


def test_what_next(trainer, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['train.py'])
    out = trainer.out
    given = {'unit': 7, 'gpu': 0, 'lr': .1, 'epoch': 9, 'plot': False,
             'label_smoothing': .1, 'data_dir': '/d', 'out': 'x'}
    for schedule in 'constant', 'cosine':
        config = config_module.Config(
            **{**given, 'lr_schedule': schedule}, given=given)
        saving.say_what_next(config, trainer, 'lfc')
        evaluate, export, *resume = [
            shlex.split(line.partition(': ')[2])
            for line in capsys.readouterr().err.splitlines()]
        # What belongs to training alone would be refused.
        assert evaluate == [
            './train.py', 'lfc', '--unit=7', '--gpu=0', '--data-dir=/d',
            '--evaluate', f'--initmodel={out}/mlp.model']
        assert export == ['./export.py', f'{out}/mlp.model']
        # The snapshot has the data's folder.  The rates of a cosine depend
        # on the number of epochs.
        assert resume == ([] if schedule == 'cosine' else [[
            './train.py', 'lfc', '--gpu=0', '--no-plot', f'--out={out}',
            '--resume=auto', '--epoch=18']])
    # A resumed run was not given what its snapshot has.
    saving.say_what_next(config_module.Config(
        data_dir='/d', test_statistics='batch'), trainer)
    evaluate = capsys.readouterr().err.splitlines()[0]
    assert '--data-dir=/d' in evaluate
    assert '--test-statistics=batch' in evaluate
    saving.say_what_next(config_module.Config(dry_run=True), trainer)
    assert capsys.readouterr().err == ''
