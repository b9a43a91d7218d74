"""The progress bar, on a terminal and in a pipe."""
import io
import time

import chainer

from bnn.training.reports import progress
from tests.helpers import small_runs


class Terminal(io.StringIO):

    def isatty(self):
        return True


def test_lines_in_a_pipe(tmp_path, monkeypatch):
    clock = [0.]
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    out = io.StringIO()
    trainer = small_runs.make(tmp_path, test=False)
    trainer.extend(progress.ProgressBar(out))

    @chainer.training.make_extension(
        trigger=(1, 'iteration'), priority=1000)
    def tick(trainer):
        clock[0] += 4

    trainer.extend(tick, name='tick')
    trainer.run()
    # 8 iterations of 4 s each, a line at least 10 s after the last one
    assert out.getvalue().splitlines() == [
        '3 iterations, 0.75 epochs, 0.2 iters/s',
        '6 iterations, 1.50 epochs, 0.2 iters/s']


def test_bar_on_a_terminal(tmp_path):
    out = Terminal()
    trainer = small_runs.make(tmp_path, test=False)
    bar = progress.ProgressBar(out)
    trainer.extend(bar)
    trainer.run()
    assert '/2 epochs' in out.getvalue()
    assert '\n' not in out.getvalue()
    # What it was drawn on is empty in the end.
    assert out.getvalue().endswith('\r')


def test_nothing_to_erase():
    for out in Terminal(), io.StringIO():
        bar = progress.ProgressBar(out)
        bar.erase()
        bar.finalize()
        assert out.getvalue() == ''


def test_above_the_bar():
    out = io.StringIO()
    stream = progress.AboveBar(out, None)
    for text in '\033[Jepoch 1\n', '\033[J', '', 'a\033[Jb\n':
        stream.write(text)
    stream.flush()
    assert out.getvalue() == 'epoch 1\nab\n'


def test_bar_is_erased_first():
    events = []

    class Bar:
        def erase(self):
            events.append('erase')

    class Out:
        def write(self, text):
            events.append(text)

    stream = progress.AboveBar(Out(), Bar())
    stream.write('\033[J')
    stream.write('epoch 1\n')
    assert events == ['erase', 'epoch 1\n']
