"""The log: its lines, its file, the bar below."""
import io
import json
import re

import chainer
import chainer.links as L
import numpy
import pytest
from chainer.training import extensions

from bnn.training.learning import means
from bnn.training.learning import batches as data_module
from bnn.training.learning import evaluator
from bnn.training.reports import log

EPOCH = re.compile(
    r'train mean loss=[0-9.e-]+, accuracy=[0-9.e-]+\n'
    r'test  mean loss=[0-9.e-]+, accuracy=[0-9.e-]+\n')


class Terminal(io.StringIO):

    def isatty(self):
        return True


def make_trainer(out, n_epochs=2, n_data=20):
    random = numpy.random.RandomState(0)
    data = chainer.datasets.TupleDataset(
        random.randn(n_data, 3).astype(numpy.float32),
        random.randint(0, 2, n_data).astype(numpy.int32))
    model = L.Classifier(L.Linear(3, 2), accfun=means.accuracy)
    optimizer = chainer.optimizers.Adam().setup(model)
    updater = chainer.training.StandardUpdater(
        chainer.iterators.SerialIterator(data, 5), optimizer)
    trainer = chainer.training.Trainer(
        updater, (n_epochs, 'epoch'), str(out))
    feed = data_module.Feed(
        data_module.Indices(data, 6, repeat=False, shuffle=False),
        lambda batch, device: chainer.dataset.concat_examples(
            [data[i] for i in batch]))
    trainer.extend(evaluator.Evaluator(
        feed, model, chainer.get_device('@numpy')), name='validation')
    return trainer


def test_seed_line():
    means = {'main/loss': 0.5738611787561234, 'main/accuracy': 0.9275666692599,
             'validation/main/loss': 1e-7, 'validation/main/accuracy': 1.}
    assert log.seed_line('train', means, 'main/') == (
        'train mean loss=0.573861178756, accuracy=0.92756666926')
    assert log.seed_line('test ', means, 'validation/main/') == (
        'test  mean loss=1e-07, accuracy=1')


class TestLogStream(object):

    def test_plain(self):
        out = io.StringIO()
        stream = log.LogStream(out)
        stream.write('\033[Jepoch 1\n')
        stream.write('\033[J')
        stream.write('')
        stream.write('a\033[Jb\n')
        stream.flush()
        assert out.getvalue() == 'epoch 1\nab\n'

    def test_bar_is_erased_first(self):
        events = []

        class Bar(object):
            def erase(self):
                events.append('erase')

        class Out(object):
            def write(self, text):
                events.append(text)

        stream = log.LogStream(Out(), Bar())
        stream.write('\033[J')
        stream.write('epoch 1\n')
        assert events == ['erase', 'epoch 1\n']


class TestLogReport(object):

    def test_means(self, tmp_path):
        trainer = make_trainer(tmp_path)
        trainer.extend(log.LogReport(), name='LogReport')
        losses = []

        @chainer.training.make_extension(trigger=(1, 'iteration'),
                                         priority=1000)
        def record(trainer):
            losses.append(float(trainer.observation['main/loss'].array))

        seen = []

        @chainer.training.make_extension(trigger=(1, 'epoch'), priority=-1)
        def after(trainer):
            seen.append(trainer.observation['main/loss'])

        trainer.extend(record, name='record')
        trainer.extend(after, name='after')
        trainer.run()
        with open(tmp_path / 'log') as f:
            log = json.load(f)
        assert [entry['epoch'] for entry in log] == [1, 2]
        assert [entry['iteration'] for entry in log] == [4, 8]
        for i, entry in enumerate(log):
            mean = sum(losses[4 * i:4 * i + 4], 0.) / 4
            assert entry['main/loss'] == mean  # in float64, all digits
            assert entry['elapsed_time'] > 0
            for name in ('main/accuracy', 'validation/main/loss',
                         'validation/main/accuracy'):
                assert 0 <= entry[name]
        assert seen == [entry['main/loss'] for entry in log]

    def test_no_temporary_file(self, tmp_path):
        trainer = make_trainer(tmp_path)
        trainer.extend(log.LogReport(), name='LogReport')
        trainer.run()
        assert [path.name for path in tmp_path.iterdir()] == ['log']


def run(tmp_path, report, progress=False, n_epochs=2):
    trainer = make_trainer(tmp_path, n_epochs)
    trainer.extend(log.LogReport(), name='LogReport')
    log.extend(trainer, report, progress)
    trainer.run()


class TestExtend(object):

    def test_seed(self, tmp_path, capsys):
        run(tmp_path, 'seed')
        captured = capsys.readouterr()
        parts = EPOCH.split(captured.out)
        assert parts == ['epoch 1\ngraph generated\n', 'epoch 2\n', '']
        assert captured.err == ''
        with open(tmp_path / 'log') as f:
            entry = json.load(f)[1]
        assert captured.out.splitlines()[-1] == log.seed_line(
            'test ', entry, 'validation/main/')

    def test_table(self, tmp_path, capsys):
        run(tmp_path, 'table')
        captured = capsys.readouterr()
        header, *lines = captured.out.splitlines()
        assert header.split() == [
            'epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
            'validation/main/accuracy', 'elapsed_time']
        assert [line.split()[0] for line in lines] == ['1', '2']
        assert all(len(line.split()) == 6 for line in lines)
        assert '\033' not in captured.out

    def test_quiet(self, tmp_path, capsys):
        run(tmp_path, 'quiet')
        captured = capsys.readouterr()
        assert captured.out == captured.err == ''
        assert (tmp_path / 'log').exists()

    def test_bar_in_a_pipe(self, tmp_path, capsys):
        run(tmp_path, 'seed', progress=True)
        captured = capsys.readouterr()
        assert '\033' not in captured.out + captured.err
        assert captured.err.count('\n') == 1

    def test_default_bar_in_a_pipe(self, tmp_path, capsys):
        run(tmp_path, 'seed', progress=None)
        assert capsys.readouterr().err == ''

    @pytest.mark.parametrize('report', ['seed', 'table'])
    def test_bar_on_a_terminal(self, tmp_path, capsys, monkeypatch, report):
        err = Terminal()
        monkeypatch.setattr(log.sys, 'stderr', err)
        run(tmp_path, report, progress=None)
        assert '\033' not in capsys.readouterr().out
        assert '\033' in err.getvalue()
        assert 'epoch' in err.getvalue()


class TestProgressBar(object):

    def test_interval(self, tmp_path, monkeypatch):
        clock = [0.]
        monkeypatch.setattr(log.time, 'monotonic', lambda: clock[0])
        out = io.StringIO()
        trainer = make_trainer(tmp_path)
        trainer.extend(log.ProgressBar(out))

        @chainer.training.make_extension(trigger=(1, 'iteration'))
        def tick(trainer):
            clock[0] += 4

        trainer.extend(tick, name='tick')
        trainer.run()
        # 8 iterations, 4 s each, a line at least 10 s after the last one
        lines = out.getvalue().splitlines()
        assert len(lines) == 3
        for line in lines:
            assert 'iter' in line
            assert 'iters/sec' in line

    def test_erase(self):
        out = Terminal()
        log.ProgressBar(out).erase()
        assert out.getvalue().startswith('\033')
        out = io.StringIO()
        log.ProgressBar(out).erase()
        assert out.getvalue() == ''


def test_print_report_is_chainers(tmp_path, capsys):
    trainer = make_trainer(tmp_path)
    trainer.extend(log.LogReport(), name='LogReport')
    log.extend(trainer, 'table', False)
    assert isinstance(
        trainer.get_extension('PrintReport'), extensions.PrintReport)
