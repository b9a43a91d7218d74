"""What a run takes over: the newest whole snapshot, settings, refusals."""
import dataclasses
import json
import os
import types

import chainer.links as L
import numpy
import pytest

from bnn import errors
from bnn.kernels import float_tiles
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from bnn.training.files import resume
from bnn.training.files import saving
from bnn.training.ranks import alone

PATH = 'run/snapshot_iter_9'
# What a run may have been started with that is not the default
SETTINGS = {'batchsize': 10, 'seed': 5, 'dataset': 'digits',
            'test_statistics': 'batch', 'unit': 16, 'lr_steps': [2, 4],
            'lr_schedule': 'step', 'epoch': 7, 'data_dir': '/data',
            'allow_modified': True}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_snapshot(path, **settings):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        numpy.savez(f, x=numpy.zeros(2), settings=json.dumps(settings))


def keep(config, **more):
    """Returns what a snapshot of a run on some data keeps."""
    return saving.settings(config, types.SimpleNamespace(
        name=config.dataset, digest='0'), **more)


def configure(**given):
    return config_module.Config(name='a', **given, given=given)


def go_on(settings=(), ranks=alone.ALONE, **given):
    """Takes over the settings of a snapshot at ``PATH``."""
    kept = keep(config_module.Config(
        **{'name': 'a', **SETTINGS, **dict(settings)}))
    write_snapshot(PATH, **kept)
    config, snapshot = resume.take_over(
        configure(resume=PATH, **given), ranks)
    assert snapshot.path == PATH
    return config


def refused(**kwargs):
    with pytest.raises(errors.UserError) as e:
        go_on(**kwargs)
    assert '\n' not in str(e.value)
    return str(e.value)


def test_warning_of_another_unit(capsys, monkeypatch):
    """Both names stand there; the run goes on."""
    monkeypatch.setattr(float_tiles, 'UNIT', float_tiles.MATRIX)
    kept = keep(config_module.Config(name='a', precision='bfloat16'))
    write_snapshot(PATH, **kept)
    for unit, warns in (float_tiles.MATRIX, False), (float_tiles.PAIRS, True):
        monkeypatch.setattr(float_tiles, 'UNIT', unit)
        resume.take_over(configure(resume=PATH))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == warns
        assert all("'bfloat16 on AMX'" in line
                   and "'bfloat16 on AVX512-BF16'" in line for line in lines)


def test_another_precision_is_refused():
    assert refused(settings={'precision': 'float32'},
                   precision='bfloat16') == (
        f'--precision is bfloat16, but {PATH} was made with float32; leave it '
        'out to go on, or start a new run without --resume')


def test_out():
    for path, out in (PATH, 'run'), ('snapshot_iter_9', '.'):
        assert resume.Snapshot(path, {}, {}).out == out


def test_takes_settings():
    config = go_on()
    for name, value in SETTINGS.items():
        assert getattr(config, name) == value, name
    assert config.given == {'resume': PATH}
    # What is of the single call is not taken over.
    assert go_on({'plot': False, 'snapshot_every': 3}).plot
    assert 'plot' not in keep(config_module.Config())


def test_given_the_same():
    config = go_on(batchsize=10, seed=5, unit=16)
    assert (config.batchsize, config.seed, config.unit) == (10, 5, 16)


def test_may_change():
    config = go_on(epoch=9, data_dir='/other', report='table')
    assert (config.epoch, config.data_dir, config.report) == (
        9, '/other', 'table')
    assert config.allow_modified


def test_what_changes_the_mathematics_is_refused():
    for given, words in (
            ({'batchsize': 20}, ('--batchsize is 20,', 'with 10;')),
            ({'seed': 0}, ('--seed is 0,', 'with 5;')),
            ({'unit': 32}, ('--unit is 32,', 'with 16;')),
            ({'dataset': 'mnist'}, ('--dataset is mnist,', 'with digits;')),
            ({'test_statistics': 'running'}, (
                '--test-statistics is running,', 'with batch;')),
            ({'dry_run': True}, ('--dry-run is True,', 'with False;'))):
        line = refused(**given)
        assert PATH in line
        for word in words:
            assert word in line


def test_every_fixed_setting_is_kept():
    """None that changes the mathematics is forgotten."""
    kept = keep(config_module.Config(name='b'), more=3)
    assert kept['name'] == 'b' and kept['more'] == 3
    assert set(kept) == {
        'name', 'gradients', 'teacher_digest', 'data_digest', 'more',
        *config_module.names('fixed', 'carried')}
    json.dumps(kept)
    for name in ('net', 'optimizer', 'lr', 'loss', 'clip', 'augment',
                 'input', 'seed', 'batchsize'):
        assert name in config_module.names('fixed')


def test_older_than_a_setting():
    kept = keep(config_module.Config(name='a', unit=16))
    del kept['unit'], kept['keep_snapshots']
    write_snapshot(PATH, **kept)
    config, _ = resume.take_over(configure(resume=PATH))
    assert (config.unit, config.keep_snapshots) == (1000, 2)


def test_of_another_configuration():
    line = refused(settings={'name': 'other\nthing'})
    assert r"is of the configuration 'other\nthing', not a" in line


def test_damaged_settings():
    for name, value in (
            ('unit', 'x'), ('unit', -1), ('unit', True), ('unit', [3]),
            ('seed', None), ('dataset', 'x'), ('lr_steps', 3),
            ('lr_steps', [0]), ('dry_run', 1), ('batchsize', None),
            ('batchsize', 'x'), ('batchsize', 0), ('epoch', 0), ('seed', -1),
            ('lr', 'x'), ('test_statistics', {}), ('loss', {'a': 1})):
        kept = keep(config_module.Config(name='a'))
        kept[name] = value
        write_snapshot(PATH, **kept)
        with pytest.raises(errors.UserError, match='is damaged') as e:
            resume.take_over(configure(resume=PATH))
        assert config_module.flag(name) in str(e.value)
        assert '\n' not in str(e.value)
    # They are checked before a message has them.
    line = refused(settings={'unit': 'two\nlines'}, unit=3)
    assert 'is damaged' in line


def test_only_some_may_be_others():
    """A script of few options goes on with its own configuration alone."""
    for settings, words in (
            ({'unit': 16, 'seed': 5}, None), ({'layers': 3}, '--layers 3'),
            ({'loss': 'squared-hinge'}, "--loss 'squared-hinge'")):
        kept = keep(config_module.Config(name='a', **settings))
        write_snapshot(PATH, **kept)
        config = configure(resume=PATH)
        if words is None:
            found, _ = resume.take_over(config, only=('unit', 'seed'))
            assert (found.unit, found.seed) == (16, 5)
            continue
        with pytest.raises(errors.UserError) as e:
            resume.take_over(config, only=('unit', 'seed'))
        assert words in str(e.value)
        assert './train.py a goes on with it' in str(e.value)


def test_another_teacher():
    """It may lie elsewhere, and has the same bytes."""
    for name, words in ('t1', 'one'), ('t2', 'two'), ('moved', 'one'):
        with open(name, 'w') as f:
            f.write(words)
    digests = {name: model_file.digest(name) for name in ('t1', 't2')}
    taught = {'teacher': 't1', 'teacher_digest': digests['t1']}
    assert digests['t1'] != digests['t2'] and len(digests['t1']) == 40
    assert go_on(taught).teacher == 't1'
    assert go_on(taught, teacher='moved').teacher == 'moved'
    assert go_on(taught).teacher_digest == digests['t1']
    for settings, teacher in (taught, 't2'), ((), 't1'):
        line = refused(settings=settings, teacher=teacher)
        settings = dict(settings)
        for word in (teacher, digests[teacher], settings.get('teacher'),
                     settings.get('teacher_digest')):
            assert str(word) in line
    os.remove('t1')
    assert refused(settings=taught).startswith('cannot read t1: ')
    with pytest.raises(errors.UserError, match='cannot read t1: '):
        resume.take_over(configure(teacher='t1'))
    # train_mnist.py has none.
    kept = keep(config_module.Config(name='a', **taught))
    write_snapshot(PATH, **kept)
    with pytest.raises(errors.UserError, match="--teacher 't1': ./train.py a"):
        resume.take_over(configure(resume=PATH), only=('unit',))


def test_net_that_is_far_larger():
    """A snapshot's settings may be hostile, as a model file's."""
    snapshot = resume.Snapshot(PATH, {'x': numpy.zeros(1000)}, {})
    config = configure()
    with resume.bounded(config, snapshot):
        L.Linear(10, 10)
    with pytest.raises(errors.UserError, match=PATH):
        with resume.bounded(config, snapshot):
            L.Linear(10 ** 5, 10 ** 5)
    model_file.save('m', L.Linear(3, 2))
    with pytest.raises(errors.UserError, match='^m is not of this net'):
        with resume.bounded(configure(initmodel='m'), None):
            L.Linear(10 ** 5, 10 ** 5)
    with resume.bounded(config, None):
        pass


def test_length_of_a_schedule_that_depends_on_it():
    settings = {'lr_schedule': 'cosine', 'lr_steps': None}
    assert go_on(settings).epoch == 7
    line = refused(settings=settings, epoch=9)
    assert '--epoch is 9' in line and 'made with 7' in line
    assert go_on(epoch=9).epoch == 9


def test_batch_of_several_processes():
    class Two(alone.Alone):
        size = 2

        def part_of_batch(self, batchsize, path):
            assert path == PATH
            return batchsize // 2

    assert go_on({'batchsize': 10}, Two()).batchsize == 5
    line = refused(settings={'batchsize': 10}, ranks=Two(), batchsize=10)
    assert '--batchsize is 10,' in line and 'made with 5;' in line


class TestFind:

    def test_none(self, capsys):
        assert resume.find(None, None) is None
        assert capsys.readouterr().err == ''

    def test_named(self):
        write_snapshot('a/snapshot_iter_3', n=3)
        found = resume.find('a/snapshot_iter_3', None)
        assert found.path == 'a/snapshot_iter_3'
        assert found.out == 'a'
        assert found.settings == {'n': 3}
        assert list(found.arrays) == ['x']
        with pytest.raises(errors.UserError, match='a/none'):
            resume.find('a/none', None)

    def test_auto_takes_the_newest_whole_one(self, capsys):
        for n in 9, 10, 11:
            write_snapshot(f'a/snapshot_iter_{n}', n=n)
        assert resume.find('auto', 'a').settings == {'n': 11}
        assert capsys.readouterr().err == ''
        for n in 10, 11:
            os.truncate(f'a/snapshot_iter_{n}', 100)
        assert resume.find('auto', 'a').settings == {'n': 9}
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert 'snapshot_iter_11' in lines[0]
        assert 'snapshot_iter_10' in lines[1]

    def test_auto_in_the_latest_run(self):
        write_snapshot('result/3/snapshot_iter_4', n=4)
        os.symlink('3', 'result/latest')
        found = resume.find('auto', None)
        assert found.settings == {'n': 4}
        assert found.out == os.path.join('result', '3')

    def test_auto_finds_nothing(self, capsys):
        for out in None, 'none':
            assert resume.find('auto', out) is None
            assert capsys.readouterr().err == (
                f'no snapshot in {out or "result"}: starting anew\n')


def test_new_run():
    config = configure(batchsize=7)
    assert resume.take_over(config) == (config, None)
    with pytest.raises(errors.UserError, match='--lr-steps'):
        resume.take_over(configure(lr_schedule='step'))


def test_first_process_looks():
    snapshot = resume.Snapshot(PATH, {}, {'batchsize': 6})

    class Second(alone.Alone):
        def first(self, compute, *args):
            return dataclasses.replace(snapshot)

    config, found = resume.take_over(configure(resume='auto'), Second())
    assert config.batchsize == 6
    assert found == snapshot


def test_take_from_model():
    model_file.save('m', L.Linear(3, 2), {'unit': 7, 'dataset': 'digits'})
    config = resume.take_from_model(
        configure(initmodel='m'), ['unit', 'dataset', 'loss'], 'm')
    assert (config.unit, config.dataset, config.loss) == (
        7, 'digits', 'softmax')
    config = resume.take_from_model(
        configure(initmodel='m', unit=9), ['unit'], 'm')
    assert (config.unit, config.dataset) == (9, 'mnist')
    # A test is of the net as it is, maybe on other data.
    for name, given in ('unit', 9), ('dataset', 'mnist'):
        config = configure(initmodel='m', evaluate=True, **{name: given})
        if name == 'dataset':
            assert resume.take_from_model(
                config, [name], 'm').dataset == 'mnist'
            continue
        with pytest.raises(errors.UserError) as e:
            resume.take_from_model(config, [name], 'm')
        assert '--unit is 9' in str(e.value) and 'with 7' in str(e.value)
    model_file.save('m', L.Linear(3, 2), {'unit': 'x'})
    with pytest.raises(errors.UserError, match='its --unit'):
        resume.take_from_model(configure(), ['unit'], 'm')
    model_file.save('m', L.Linear(3, 2), {'net_class': ['binary']})
    with pytest.raises(errors.UserError, match=r"the net \['binary'\], not"):
        resume.take_from_model(configure(), ['unit'], 'm')


def test_what_is_taken_from_the_model():
    """The net as it is; to test it, its loss and data too."""
    model_file.save('m', L.Linear(3, 2), {
        'unit': 7, 'input': 'signed', 'loss': 'squared-hinge',
        'dataset': 'digits', 'net_class': 'BinaryMLP'})
    for evaluate, loss, dataset in (
            (True, 'squared-hinge', 'digits'), (False, 'softmax', 'mnist')):
        config, snapshot = resume.take_over(
            configure(initmodel='m', evaluate=evaluate))
        assert snapshot is None
        assert (config.unit, config.input, config.loss, config.dataset) == (
            7, 'signed', loss, dataset)
    with pytest.raises(errors.UserError) as e:
        resume.take_over(configure(initmodel='m', net='LeNet5'))
    assert "is of the net 'BinaryMLP', not LeNet5" in str(e.value)
