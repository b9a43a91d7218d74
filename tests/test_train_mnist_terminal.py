"""train_mnist.py on a terminal."""
import fcntl
import os
import pty
import re
import struct
import termios
import threading

import pytest

# Of --report table
COLUMNS = [
    'epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
    'validation/main/accuracy', 'elapsed_time']


class Terminal:

    """What is to be seen after all that was written, on endless paper."""

    def __init__(self):
        self.lines = ['']
        self.row = self.column = 0

    def write(self, text):
        for code, move, control, plain in re.findall(
                r'\x1b\[(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)', text):
            if move == 'A':
                self.row -= int(code or 1)
            elif move == 'J':
                del self.lines[self.row + 1:]
                self.lines[self.row] = self.lines[self.row][:self.column]
            elif control == '\r':
                self.column = 0
            elif control == '\n':
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append('')
            elif plain:
                line = self.lines[self.row].ljust(self.column)
                end = self.column + len(plain)
                self.lines[self.row] = (
                    line[:self.column] + plain + line[end:])
                self.column = end
            else:
                raise AssertionError('unexpected code %r' % (code + move))


def run_on_terminal(trainer, *options, columns=0):
    """Returns everything that a terminal gets, both streams together."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack('HHHH', 25, columns, 0, 0))
    pieces = []

    def read():
        try:
            while piece := os.read(master, 4096):
                pieces.append(piece)
        except OSError:  # so ends a terminal on Linux
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with trainer.start(
                *options, stdout=slave, stderr=slave) as process:
            os.close(slave)
            status = process.wait(timeout=120)
    finally:
        reader.join()
        os.close(master)
    text = b''.join(pieces).decode()
    assert status == 0, text
    return text


@pytest.mark.parametrize('report', ['seed', 'table'])
def test_terminal(trainer, trained, report):
    text = run_on_terminal(
        trainer, *trainer.SMALL, '--epoch', 2, '--out', 'run',
        '--report', report)
    assert 'iters/sec' in text
    assert 'Estimated time to finish' in text
    assert '\x1b[' in text
    terminal = Terminal()
    terminal.write(text)
    # Of the bar nothing stays, of the rest nothing is lost.
    shown = [line.rstrip() for line in terminal.lines if line.strip()]
    log = trained.result.stdout.splitlines()
    if report == 'table':
        assert shown[-3].split() == COLUMNS
        assert [row.split()[0] for row in shown[-2:]] == ['1', '2']
        del shown[-3:], log[:]
    assert sorted(shown) == sorted(trained.result.stderr.splitlines() + log)
    assert [line for line in shown if line in log] == log


@pytest.mark.parametrize('columns', [0, 70, 71])
def test_narrow_terminal(trainer, columns):
    """A bar whose lines were wrapped could not be erased."""
    text = run_on_terminal(
        trainer, *trainer.SMALL, '--epoch', 1, '--out', 'run',
        columns=columns)
    assert 'iters/sec' in text
    assert ('\x1b' in text) == (columns != 70)
    bars = re.findall(r'.*\[[#.]{50}\].*', re.sub(
        r'\x1b\[\d*[AJ]|\r', '', text))
    assert bool(bars) == (columns != 70)
    assert max(map(len, bars), default=0) <= 71, bars


def test_terminal_without_bar(trainer):
    text = run_on_terminal(
        trainer, *trainer.SMALL, '--epoch', 1, '--out', 'run',
        '--no-progress')
    assert '\x1b' not in text
    assert 'iters/sec' not in text
