"""How a run ends: epochs, signals, a loss that is no number."""
import os
import signal
import types

import chainer
import numpy
import pytest

from bnn import errors
from bnn.training.learning import stop
from bnn.training.ranks import alone

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def trainer_at(epoch=0, iteration=0, loss=1., out='missing'):
    return types.SimpleNamespace(
        updater=types.SimpleNamespace(epoch=epoch, iteration=iteration),
        observation={'main/loss': loss}, out=out)


@pytest.fixture
def handlers():
    """Handlers of the test's own, instead of the program's end."""
    def ours(number, frame):
        raise AssertionError('not handled')

    before = {number: signal.signal(number, ours) for number in SIGNALS}
    yield ours
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize('number', SIGNALS)
def test_signal(number, handlers, capsys):
    with stop.StopTrigger(3) as trigger:
        assert trigger.signal is None
        assert not trigger(trainer_at())
        os.kill(os.getpid(), number)
        assert trigger.signal == number
        assert trigger(trainer_at())
        assert not trigger.is_finished(trainer_at())
        # The second one ends the program at once.
        assert signal.getsignal(number) == signal.SIG_DFL
    captured = capsys.readouterr()
    assert captured.err == (
        f'{signal.Signals(number).name}: stopping after this iteration\n')
    assert captured.out == ''
    for each in SIGNALS:
        assert signal.getsignal(each) is handlers


def test_handlers_after_an_error(handlers):
    with pytest.raises(KeyError), stop.StopTrigger(3):
        for number in SIGNALS:
            assert signal.getsignal(number) is not handlers
        raise KeyError
    for number in SIGNALS:
        assert signal.getsignal(number) is handlers


def test_both_signals(handlers, capsys):
    with stop.StopTrigger(3) as trigger:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert trigger.signal == signal.SIGINT
    capsys.readouterr()


def test_epochs():
    trigger = stop.StopTrigger(3)
    for epoch, finished in (
            (0, False), (2, False), (3, True), (4, True), (7, True)):
        assert trigger(trainer_at(epoch)) is finished
        assert trigger.is_finished(trainer_at(epoch)) is finished
    assert trigger.get_training_length() == (3, 'epoch')


class Other(alone.Alone):
    """Processes of which another one got a signal."""

    def largest(self, value):
        return max(value, signal.SIGTERM)


def test_signal_of_another_process():
    trigger = stop.StopTrigger(3, Other())
    assert trigger(trainer_at())
    assert trigger.signal == signal.SIGTERM


def test_numpy_is_silent_in_it():
    before = numpy.geterr()
    with stop.StopTrigger(3):
        assert numpy.float32(1e38) * 10 == numpy.inf
    assert numpy.geterr() == before


def kinds(value):
    value = numpy.float32(value)
    return (float(value), value, numpy.array(value),
            chainer.Variable(numpy.array(value)))


def test_finite():
    for value in 0, 2, 1e30:
        for loss in kinds(value):
            stop.StopOnNonFinite()(trainer_at(loss=loss))


def test_not_finite(tmp_path):
    for value in 'nan', 'inf', '-inf':
        for loss in kinds(value):
            with pytest.raises(errors.UserError) as e:
                stop.StopOnNonFinite()(
                    trainer_at(0, 17, loss, str(tmp_path)))
            assert str(e.value) == (f'the loss is {value} at iteration 17; '
                                    'there is no snapshot yet')


def test_not_finite_names_the_snapshot(tmp_path):
    numpy.savez(tmp_path / 'x.npz', settings='{}')
    whole = tmp_path / 'snapshot_iter_5'
    os.rename(tmp_path / 'x.npz', whole)
    (tmp_path / 'snapshot_iter_9').write_bytes(b'PK')
    with pytest.raises(errors.UserError) as e:
        stop.StopOnNonFinite()(
            trainer_at(0, 17, numpy.nan, str(tmp_path)))
    assert str(e.value).endswith(f'the last whole snapshot is {whole}')


def test_before_writers():
    extension = stop.StopOnNonFinite()
    assert extension.trigger == (1, 'iteration')
    assert extension.priority > chainer.training.PRIORITY_WRITER
