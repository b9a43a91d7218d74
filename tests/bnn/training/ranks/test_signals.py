"""Ranks that get a signal: a whole snapshot, and a status that is not 0."""
import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest

from bnn.training.files import snapshots
from bnn.training.learning import stop
from bnn.training.ranks import alone
from tests.helpers import results

# More epochs than a busy machine takes to send a signal
OPTIONS = ('--dataset', 'digits', '--unit', 16, '--no-plot',
           '--batchsize', 50, '--multi-node-bn', '--optimizer', 'momentum',
           '--out', 'run')
ENDLESS = '--epoch', 10 ** 6


class Exchange(alone.Alone):
    """Ranks whose exchange of signals a signal meets."""

    def largest(self, value):
        os.kill(os.getpid(), signal.SIGTERM)
        return value


def test_signal_during_the_exchange_is_not_forgotten(capsys):
    trainer = types.SimpleNamespace(updater=types.SimpleNamespace(epoch=0))
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop.StopTrigger(1, Exchange()) as trigger:
            # The others have not been told, and go on.
            assert not trigger(trainer)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the next ones
            assert trigger(trainer)
            assert trigger.signal == signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_for_snapshot(ranks, process):
    while not list(ranks.cwd.glob('run/snapshot_iter_*')):
        assert process.poll() is None
        time.sleep(.01)


def check(ranks, process, status):
    """Checks how a run has ended; returns the command that goes on."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == status, err[-3000:]
    iteration, command = re.search(
        r'stopped at iteration (\d+), snapshot saved; to go on: (.*)',
        err).groups()
    newest = snapshots.find(ranks.cwd / 'run')[0]
    assert newest.endswith(f'snapshot_iter_{iteration}')
    snapshots.read(newest)
    return command


@pytest.fixture
def busy():
    """Keeps all cores busy."""
    processes = [
        subprocess.Popen([sys.executable, '-c', 'while True: pass'])
        for _ in range(os.cpu_count())]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize('time_', range(5))
def test_on_a_busy_machine(ranks, busy, time_):
    with ranks.start(*OPTIONS, *ENDLESS) as process:
        wait_for_snapshot(ranks, process)
        # At another place in an iteration each time
        time.sleep(.0123 * time_)
        process.send_signal(signal.SIGTERM)
        check(ranks, process, 128 + signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize('to', ['mpiexec', 'its group', 'rank 0', 'rank 1'])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_to(ranks, to, number):
    with ranks.start(*OPTIONS, *ENDLESS, start_new_session=True) as process:
        wait_for_snapshot(ranks, process)
        if to == 'mpiexec':
            process.send_signal(number)
        elif to == 'its group':
            os.killpg(process.pid, number)
        else:
            os.kill(find_rank(process.pid, int(to[-1])), number)
        check(ranks, process, 128 + number)


def find_rank(mpiexec, rank):
    """Returns the process of a rank: mpiexec starts a proxy, that the ranks.
    """
    def children(pid):
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            return f.read().split()

    proxy, = children(mpiexec)
    for pid in children(proxy):
        with open(f'/proc/{pid}/environ') as f:
            if f'PMI_RANK={rank}' in f.read().split('\0'):
                return int(pid)
    raise AssertionError('no such rank')


@pytest.mark.slow
def test_goes_on(ranks):
    with ranks.start(*OPTIONS, *ENDLESS) as process:
        wait_for_snapshot(ranks, process)
        process.send_signal(signal.SIGTERM)
        command = check(ranks, process, 128 + signal.SIGTERM)
    assert command.startswith('mpiexec -n 2 ')
    assert ' --distributed ' in command
    n = len(results.log(ranks.cwd / 'run')) + 3
    ranks.succeed(*command.split('binary_net ')[1].replace(
        '--distributed ', '').split(), '--epoch', n)
    ranks.succeed(*OPTIONS[:-1], 'whole', '--epoch', n)
    log = results.log(ranks.cwd / 'run')
    assert len(log) == n
    for ours, whole in zip(log, results.log(ranks.cwd / 'whole'), strict=True):
        assert ours == pytest.approx(whole, rel=1e-9)
