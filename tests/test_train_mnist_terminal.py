"""train_mnist.py on a terminal."""
import contextlib
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


def on_paper(text):
    """Returns the lines that stay of what was written to a terminal."""
    lines, row, column = [''], 0, 0
    for code, control, plain in re.findall(
            r'\x1b\[(\w+)|([\r\n])|([^\x1b\r\n]+)', text):
        assert code in ('', 'K'), code
        if code:
            lines[row] = lines[row][:column]
        elif control == '\r':
            column = 0
        elif control == '\n':
            lines.append('')
            row += 1
        else:
            line, end = lines[row].ljust(column), column + len(plain)
            lines[row] = line[:column] + plain + line[end:]
            column = end
    return [line.rstrip() for line in lines if line.strip()]


@contextlib.contextmanager
def terminal(columns):
    """Yields a terminal as a file, and a list of all that it gets."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack('HHHH', 25, columns, 0, 0))
    pieces = []

    def read():
        with contextlib.suppress(OSError):  # so ends a terminal on Linux
            while piece := os.read(master, 4096):
                pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with open(slave, 'w') as file:
            yield file, pieces
    finally:
        reader.join()
        os.close(master)


def run(script, *options, columns=80):
    """Returns everything that a terminal gets, both streams together."""
    with terminal(columns) as (file, pieces):
        result = script.run(*script.SMALL, '--out', 'run', *options,
                            stdout=file, stderr=file)
    text = b''.join(pieces).decode()
    assert result.returncode == 0, text
    return text


@pytest.mark.parametrize('report', ['seed', 'table'])
def test_terminal(script, trained, report):
    text = run(script, '--epoch', 2, '--report', report)
    assert re.search(r'\d\.\d\d/2 epochs \[.* iters/s\]', text)
    # Of the bar nothing stays, of the rest nothing is lost.
    shown = on_paper(text)
    log = trained.result.stdout.splitlines()
    header = trained.result.stderr.splitlines()
    # What can come next stands last; its last line repeats the options.
    assert shown[-3:-1] == header[-3:-1]
    del shown[-3:], header[-3:]
    if report == 'table':
        assert shown[-3].split() == COLUMNS
        assert [row.split()[0] for row in shown[-2:]] == ['1', '2']
        del shown[-3:], log[:]
    # The first line of the log stands above the header.
    assert shown == log[:1] + header + log[1:]


@pytest.mark.parametrize('columns', [0, 40, 70])
def test_narrow_terminal(script, trained, columns):
    """A bar whose lines were wrapped could not be erased."""
    text = run(script, '--epoch', 1, columns=columns)
    bars = re.findall(r'[^\r\n]*%\|[^\r\n]*', text)
    assert bars
    if columns:
        assert max(map(len, bars)) <= columns
    assert not [line for line in on_paper(text) if '%|' in line]
    assert on_paper(text)[-4] == 'save the optimizer'


def test_terminal_without_bar(script):
    text = run(script, '--epoch', 1, '--no-progress')
    assert '\x1b' not in text
    assert 'iters/s' not in text
