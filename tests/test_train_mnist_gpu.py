"""Runs as on a GPU without a graph, with NumPy in the place of CuPy.

Data, updates, sums and tests take the way of a GPU, its kernels run on the
CPU: the log has to be that of the CPU.  The last test is for a real one.
"""
import json
import pathlib
import sys

import pytest
from chainer.backends import cuda

import bnn.training
import train_mnist
from bnn import errors
from bnn.chainer_ops import adam
from bnn.chainer_ops import momentum_sgd
from bnn.chainer_ops import sgd
from bnn.training import updaters

SMALL = ('--dataset', 'digits', '--unit', '16', '--batchsize', '50',
         '--epoch', '2', '--no-plot', '--no-cuda-graph')


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def as_gpu(cuda_on_cpu, monkeypatch):
    def switch():
        monkeypatch.setattr(updaters, 'is_gpu', lambda device: True)
        for rule in adam.AdamRule, momentum_sgd.MomentumSGDRule, sgd.SGDRule:
            monkeypatch.setattr(
                rule, 'update_core_cpu', rule.update_core_gpu)
    return switch


def train(out, *options):
    assert not train_mnist.main([*SMALL, '--out', out, *options])
    return [{name: value for name, value in entry.items()
             if name != 'elapsed_time'} for entry in json.loads(
                 (pathlib.Path(out) / 'log').read_text())]


@pytest.mark.parametrize('options', [
    (), ('--optimizer', 'momentum', '--lr-schedule', 'cosine'),
    ('--optimizer', 'sgd', '--clip', 'weights', '--lr-scale', 'glorot'),
    ('--adversarial', '.1', '--label-smoothing', '.1'),
    ('--validation', '97', '--warmup', '1', '--test-statistics', 'batch')])
def test_log_of_the_cpu(options, as_gpu, cuda_on_cpu):
    expected = train('cpu', *options)
    assert not cuda_on_cpu.launches
    as_gpu()
    found = train('gpu', *options)
    assert {'gather_scaled', 'advance', 'set_rates', 'add_float32',
            'add_float64'} < set(cuda_on_cpu.launches)
    n_iterations = expected[-1]['iteration']
    # One launch updates all parameters.
    assert sum(name.endswith('_float32') and not name.startswith('add')
               for name in cuda_on_cpu.launches) == n_iterations
    assert [set(entry) for entry in found] == [
        set(entry) for entry in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for name in theirs:
            # A test has larger batches there.
            assert ours[name] == pytest.approx(
                theirs[name], rel=1e-6 if 'validation' in name else 1e-14
            ), name


@pytest.mark.parametrize('options', [
    ('--net', 'binary-weight', '--binarize', 'stochastic'),
    ('--net', 'float', '--dropout-input', '.2')])
def test_draws_leave_the_host_alone(options, as_gpu, cuda_on_cpu):
    as_gpu()
    first = train('first', '--layers', '1', *options)
    assert {'signs_float32', 'mask_float32'} & set(cuda_on_cpu.launches)
    # Going on is as if it had never stopped.
    assert not train_mnist.main([
        *SMALL, '--layers', '1', *options, '--epoch', '1', '--out', 'second'])
    assert not train_mnist.main(
        ['--resume', 'auto', '--epoch', '2', '--out', 'second',
         '--no-cuda-graph'])
    second = json.loads(pathlib.Path('second/log').read_text())
    for ours, theirs in zip(second, first, strict=True):
        for name in theirs:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-12)


@pytest.mark.parametrize('kind', ['shift', 'affine'])
def test_augmented(as_gpu, kind):
    expected = train('cpu', '--augment', kind)
    as_gpu()
    found = train('gpu', '--augment', kind)
    assert found[-1]['main/loss'] == pytest.approx(
        expected[-1]['main/loss'], rel=1e-14)


def test_loss_that_is_no_number(as_gpu):
    as_gpu()
    with pytest.raises(errors.UserError, match=(
            r'the loss became nan in the 29 iterations up to 29; '
            'there is no snapshot yet')):
        train('out', '--net', 'float', '--optimizer', 'sgd', '--lr', '1e30',
              '--no-batch-norm', '--dropout-hidden', '0')


def test_line_that_tells_why(as_gpu, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bnn.training.cuda_graph', None)
    monkeypatch.delattr(bnn.training, 'cuda_graph', raising=False)
    as_gpu()
    args = [word for word in SMALL if word != '--no-cuda-graph']
    assert not train_mnist.main([*args, '--dry-run'])
    lines = [line for line in capsys.readouterr().err.splitlines()
             if line.startswith('no CUDA graph')]
    assert len(lines) == 1 and 'cuda_graph' in lines[0]


@pytest.mark.gpu
@pytest.mark.parametrize('options', [
    (), ('--optimizer', 'momentum', '--lr-schedule', 'cosine'),
    ('--net', 'binary-weight', '--binarize', 'stochastic', '--layers', '1'),
    ('--net', 'float', '--layers', '1'), ('--net', 'lenet5'),
    ('--adversarial', '.1', '--label-smoothing', '.1'),
    ('--input', 'standard'), ('--optimizer', 'bop'),
    ('--augment', 'shift'), ('--augment', 'affine')])
def test_graph(options, capsys):
    """A replay is what it replaces, on a GPU."""
    args = [word for word in SMALL if word != '--no-cuda-graph']
    logs = []
    for graph in '--cuda-graph', '--no-cuda-graph':
        assert not train_mnist.main([
            *args, '--gpu', '0', graph, '--out', graph.strip('-'), *options])
        logs.append(json.loads(
            pathlib.Path(graph.strip('-'), 'log').read_text()))
    if 'lenet5' not in options or not cuda.cudnn_enabled:
        assert 'no CUDA graph' not in capsys.readouterr().err
    for ours, theirs in zip(*logs, strict=True):
        for name in 'main/loss', 'validation/main/loss':
            assert ours[name] == pytest.approx(theirs[name], rel=.05)
