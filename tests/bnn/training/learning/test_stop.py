"""How a run ends: epochs, signals, a loss that is no number."""
import os
import signal
import types

import chainer
import numpy
import pytest

from bnn import errors
from bnn.training.learning import stop

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
    assert captured.err == '%s: stopping after this iteration\n' % (
        signal.Signals(number).name)
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


@pytest.mark.parametrize('epoch,finished', [
    (0, False), (2, False), (3, True), (4, True), (7, True)])
def test_epochs(epoch, finished):
    trigger = stop.StopTrigger(3)
    assert trigger(trainer_at(epoch)) is finished
    assert trigger.is_finished(trainer_at(epoch)) is finished
    assert trigger.get_training_length() == (3, 'epoch')


@pytest.mark.parametrize('loss', [
    0., 1e30, numpy.array(2., numpy.float32), numpy.float32(3),
    chainer.Variable(numpy.array(2., numpy.float32))])
def test_finite(loss):
    stop.StopOnNonFinite()(trainer_at(loss=loss))


@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
@pytest.mark.parametrize('make', [
    float, numpy.float32, lambda v: numpy.array(float(v), numpy.float32),
    lambda v: chainer.Variable(numpy.array(float(v), numpy.float32))])
def test_not_finite(value, make, tmp_path):
    loss = make(value)
    with pytest.raises(errors.UserError) as e:
        stop.StopOnNonFinite()(trainer_at(0, 17, loss, str(tmp_path)))
    assert str(e.value) == (
        'the loss is %s at iteration 17; there is no snapshot yet' % value)


def test_not_finite_names_the_snapshot(tmp_path):
    numpy.savez(tmp_path / 'x.npz', settings='{}')
    whole = tmp_path / 'snapshot_iter_5'
    os.rename(tmp_path / 'x.npz', whole)
    (tmp_path / 'snapshot_iter_9').write_bytes(b'PK')
    with pytest.raises(errors.UserError) as e:
        stop.StopOnNonFinite()(
            trainer_at(0, 17, numpy.nan, str(tmp_path)))
    assert str(e.value).endswith(
        'the last whole snapshot is %s' % whole)


def test_before_writers():
    extension = stop.StopOnNonFinite()
    assert extension.trigger == (1, 'iteration')
    assert extension.priority > chainer.training.PRIORITY_WRITER
