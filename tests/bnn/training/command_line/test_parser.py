"""Options: what was given, the command that goes on, resuming."""
import json
import os
import shlex
import types

import chainer.links as L
import numpy
import pytest

from bnn import errors
from bnn.training.command_line import parser
from bnn.training.files import model_file
from bnn.training.command_line import config
from bnn.training.files import resume

SETTINGS = {'batchsize': 10, 'seed': 5, 'dataset': 'digits',
            'test_statistics': 'batch', 'dry_run': False, 'unit': 16,
            'epoch': 7, 'data_dir': '/data', 'allow_modified': True}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parser.sys, 'argv', ['./train.py'])
    return tmp_path


@pytest.fixture
def parser():
    parser = parser.Parser(prog='train.py')
    config.add_training(
        parser, ('mnist', 'digits'), ('none',), epoch=20, batchsize=100)
    parser.add_setting('--unit', '-u', type=parser.positive, default=1000)
    return parser


def test_defaults(parser):
    args = vars(parser.parse([]))
    assert args == {
        'gpu': -1, 'initmodel': None, 'resume': None, 'epoch': 20,
        'batchsize': 100, 'out': None, 'seed': 0, 'dataset': None,
        'data_dir': None, 'allow_modified': False, 'report': 'seed',
        'progress': None, 'plot': True, 'snapshot_every': None,
        'keep_snapshots': 2, 'test_statistics': 'running',
        'augment': 'none', 'evaluate': False, 'dry_run': False,
        'distributed': False, 'communicator': None, 'multi_node_bn': False,
        'cuda_graph': True, 'unit': 1000, 'given': {}}


def test_cuda_graph(parser, capsys):
    assert not parser.parse(['--no-cuda-graph']).cuda_graph
    assert parser.parse(['--gpu=0', '--cuda-graph']).cuda_graph
    with pytest.raises(SystemExit):
        parser.parse(['--cuda-graph'])
    assert '--cuda-graph belongs to --gpu' in capsys.readouterr().err


def test_settings(parser):
    assert sorted(parser.settings) == [
        'augment', 'batchsize', 'dataset', 'dry_run', 'multi_node_bn',
        'seed', 'test_statistics', 'unit']


def test_given(parser):
    # Given counts, even where it is the default.
    args = parser.parse([
        '--seed', '0', '-b5', '--no-plot', '--dry-run', '--out=x',
        '--dataset', 'mnist', '--gpu=-1'])
    assert args.given == {
        'seed': 0, 'batchsize': 5, 'plot': False, 'dry_run': True,
        'out': 'x', 'dataset': 'mnist', 'gpu': -1}
    assert args.batchsize == 5
    assert args.epoch == 20


def test_short_options(parser):
    args = parser.parse(shlex.split('-g 1 -m a -e 3 -b 4 -o c -u 7'))
    assert (args.gpu, args.initmodel, args.epoch, args.batchsize, args.out,
            args.unit) == (1, 'a', 3, 4, 'c', 7)
    assert parser.parse(['-r', 'auto']).resume == 'auto'


def test_data_dir_is_absolute(parser, folder):
    assert parser.parse(['--data-dir', 'd']).data_dir == str(folder / 'd')


@pytest.mark.parametrize('argv', [
    '--batchsize 0', '--batchsize -1', '--batchsize x', '--batchsize 1.5',
    '--epoch 0', '--unit 0', '--seed -1', '--seed 4294967296', '--seed x',
    '--dataset cifar', '--report long', '--test-statistics none',
    '--snapshot-every 0', '--keep-snapshots 0', '--gpu x', '--gpu', '--epo 3',
    '--unknown', 'word', '--evaluate', '--resume auto --initmodel m',
    '--batchsize', '--no-evaluate'])
def test_errors(parser, argv, capsys):
    with pytest.raises(SystemExit) as e:
        parser.parse(argv.split())
    assert e.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.startswith('train.py: error: ')
    assert captured.err.count('\n') == 1
    option = argv.split()[0]
    assert option in captured.err


def test_help(parser, capsys):
    with pytest.raises(SystemExit) as e:
        parser.parse(['--help'])
    assert e.value.code == 0
    captured = capsys.readouterr()
    for option in ('--gpu', '--no-plot', '--unit', '--keep-snapshots'):
        assert option in captured.out


@pytest.mark.parametrize('argv', [
    [], ['--gpu=0'], ['--gpu=-1'], ['--no-plot'], ['--plot'],
    ['--progress'], ['--no-progress', '--dry-run', '--allow-modified'],
    ['-o', 'with space', '--data-dir', "it's", '--seed', '0'],
    ['-m', 'a$b;c', '--evaluate'], ['--resume', 'auto', '-u', '5'],
    ['--out=-x'], ['--data-dir=--odd'], ['-o', ''],
    ['--report', 'table', '--keep-snapshots', '3', '--snapshot-every', '7',
     '--test-statistics', 'batch', '--dataset', 'digits', '-b', '3'],
])
def test_command_round_trip(parser, argv):
    args = parser.parse(argv)
    script, *words = shlex.split(parser.command(args))
    assert script == './train.py'
    assert parser.parse(words) == args


def test_command_with_changes(parser):
    args = parser.parse(['--initmodel', 'm', '--no-plot', '-b', '5'])
    words = shlex.split(parser.command(
        args, out='my out', resume='auto', initmodel=None))[1:]
    changed = parser.parse(words)
    assert changed.given == {
        'plot': False, 'batchsize': 5, 'out': 'my out', 'resume': 'auto'}


class TestResume(object):

    def resume(self, **changes):
        return resume.Resume(
            'run/snapshot_iter_9', {}, {**SETTINGS, **changes})

    def test_out(self):
        assert self.resume().out == 'run'
        assert resume.Resume('snapshot_iter_9', {}, {}).out == '.'

    def test_takes_settings(self, parser):
        args = parser.parse(['--resume', 'auto'])
        self.resume().apply(parser, args, args.given)
        for name, value in SETTINGS.items():
            assert getattr(args, name) == value
        assert args.given == {'resume': 'auto'}

    def test_given_the_same(self, parser):
        args = parser.parse(['-b', '10', '--seed', '5', '-u', '16'])
        self.resume().apply(parser, args, args.given)
        assert args.batchsize == 10

    def test_may_change(self, parser):
        args = parser.parse(['-e', '9', '--data-dir', '/other'])
        self.resume().apply(parser, args, args.given)
        assert args.epoch == 9
        assert args.data_dir == '/other'
        assert args.allow_modified

    @pytest.mark.parametrize('argv,name,given,saved', [
        ('-b 20', '--batchsize', '20', '10'),
        ('--seed 0', '--seed', '0', '5'),
        ('-u 32', '--unit', '32', '16'),
        ('--dataset mnist', '--dataset', 'mnist', 'digits'),
        ('--test-statistics running', '--test-statistics', 'running',
         'batch'),
        ('--dry-run', '--dry-run', 'True', 'False'),
    ])
    def test_refusal(self, parser, argv, name, given, saved):
        args = parser.parse(argv.split())
        with pytest.raises(errors.UserError) as e:
            self.resume().apply(parser, args, args.given)
        line = str(e.value)
        assert '%s is %s,' % (name, given) in line
        assert 'run/snapshot_iter_9 was made with %s;' % saved in line

    def test_older_than_an_option(self, parser):
        resume = self.resume()
        del resume.settings['unit']
        args = parser.parse([])
        resume.apply(parser, args, args.given)
        assert args.unit == 1000  # its default


def write_snapshot(path, **settings):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        numpy.savez(f, x=numpy.zeros(2), settings=json.dumps(settings))


class TestFindResume(object):

    def find(self, resume, out=None):
        return resume.find(
            types.SimpleNamespace(resume=resume, out=out))

    def test_none(self, capsys):
        assert self.find(None) is None
        assert capsys.readouterr().err == ''

    def test_named(self):
        write_snapshot('a/snapshot_iter_3', n=3)
        resume = self.find('a/snapshot_iter_3')
        assert resume.path == 'a/snapshot_iter_3'
        assert resume.out == 'a'
        assert resume.settings == {'n': 3}
        assert list(resume.arrays) == ['x']

    def test_named_missing(self):
        with pytest.raises(errors.UserError, match='a/none'):
            self.find('a/none')

    def test_auto_takes_the_newest(self):
        for n in (9, 10):
            write_snapshot('a/snapshot_iter_%d' % n, n=n)
        assert self.find('auto', 'a').settings == {'n': 10}

    def test_auto_takes_the_newest_whole_one(self, capsys):
        for n in (9, 10, 11):
            write_snapshot('a/snapshot_iter_%d' % n, n=n)
        for n in (10, 11):
            os.truncate('a/snapshot_iter_%d' % n, 100)
        assert self.find('auto', 'a').settings == {'n': 9}
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert 'snapshot_iter_11' in lines[0]
        assert 'snapshot_iter_10' in lines[1]

    def test_auto_in_the_latest_run(self):
        write_snapshot('result/3/snapshot_iter_4', n=4)
        os.symlink('3', 'result/latest')
        resume = self.find('auto')
        assert resume.settings == {'n': 4}
        assert resume.out == os.path.join('result', '3')

    @pytest.mark.parametrize('out', [None, 'none'])
    def test_auto_finds_nothing(self, out, capsys):
        assert self.find('auto', out) is None
        assert capsys.readouterr().err == (
            'no snapshot in %s: starting anew\n' % (out or 'result'))


def test_settings_of_a_run(parser):
    args = parser.parse(['-b', '10', '--data-dir', '/data'])
    settings = resume.settings(
        parser, args, dataset='digits', data_digest='x')
    assert settings == {
        'batchsize': 10, 'seed': 0, 'dataset': 'digits',
        'test_statistics': 'running', 'dry_run': False, 'unit': 1000,
        'epoch': 20, 'data_dir': '/data', 'allow_modified': False,
        'keep_snapshots': 2, 'augment': 'none',
        'multi_node_bn': False, 'data_digest': 'x'}


def test_take_from_model(parser):
    model_file.save('m', L.Linear(3, 2), {'unit': 7, 'dataset': 'digits'})
    args = parser.parse(['-m', 'm'])
    resume.take_from_model(
        parser, args, ['unit', 'dataset', 'other'])
    assert (args.unit, args.dataset) == (7, 'digits')
    assert not hasattr(args, 'other')
    args = parser.parse(['-m', 'm', '-u', '9'])
    resume.take_from_model(parser, args, ['unit'])
    assert (args.unit, args.dataset) == (9, None)


def test_positive():
    assert parser.positive('3') == 3
    for text in ('0', '-1'):
        with pytest.raises(parser.argparse.ArgumentTypeError):
            parser.positive(text)
    with pytest.raises(ValueError):
        parser.positive('x')
