"""A trained model says all of itself; it may be a teacher."""
import json

import h5py
import pytest

from configs import find
from tests.helpers import results
from tests.helpers import scripts
from tests.helpers import short


@pytest.mark.parametrize('name,options', [
    ('binary_net', ['--input', 'signed', '--surrogate', 'swish-sign']),
    ('binary_net', ['--loss', 'squared-hinge', '--layers', 3]),
    ('quantized_net', ['--w-bits', 3, '--a-bits', 4, '--quantizer',
                       'linear', '--layers', 3]),
    ('float_mlp', ['--input', 'binary', '--batch-norm']),
    ('binary_weight_mlp', ['--layers', 1])],
    ids=short.words)
def test_evaluate_without_repeating(script, name, options):
    script.succeed(name, *short.MLP, '--validation', 0, '--epoch', 1, '--out',
                   'run', *options)
    # The size of a batch, on which the last digits depend
    out = script.succeed(name, '--evaluate', '--initmodel', 'run/mlp.model',
                         '--validation', 0, '--batchsize', 20).stdout
    entry, = results.log(script.cwd / 'run')
    assert out.splitlines()[-1] == (
        f'test  mean loss={entry["validation/main/loss"]:.12g}, '
        f'accuracy={entry["validation/main/accuracy"]:.12g}')


def test_initmodel(script):
    """What is of the net is taken from the file, what is of training not."""
    script.succeed('binary_net', *short.MLP, '--layers', 3, '--surrogate',
                   'swish-sign', '--epoch', 1, '--out', 'run')
    script.succeed('binary_net', '--dataset', 'digits', '--initmodel',
                   'run/mlp.model', '--epoch', 1, '--dropout-hidden', .1,
                   '--no-plot', '--out', 'next')
    arguments = results.attributes(
        script.cwd / 'next' / 'mlp.model')['net_args']
    assert (arguments['n_units'], arguments['n_layers']) == (8, 3)
    assert (arguments['surrogate'], arguments['dropout_hidden']) == ('ste', .1)
    scratch, = results.log(script.cwd / 'run')
    entry, = results.log(script.cwd / 'next')
    assert entry['main/loss'] < scratch['main/loss']


@pytest.mark.parametrize('name,options,argument', [
    ('resnet20', ('--weights', 'float', 'binary'), 'binary_weights'),
    ('cifar10_fast', ('--weights', 'float', 'binary'), 'binary_weights'),
    ('cnv', ('--w-bits', 32, 1), 'w_bits')])
def test_two_steps(script, made, name, options, argument):
    """Float weights behind binary activations, then binary weights."""
    small = (name, *short.options(find.get(name), made), '--no-plot',
             '--dry-run')
    option, first, second = options
    script.succeed(*small, option, first, '--out', 'step1')
    start = '--initmodel', 'step1/mlp.model'
    # What is not given is the file's.
    script.succeed(*small, *start, '--out', 'same')
    script.succeed(*small, *start, option, second, '--out', 'step2')
    arguments = [
        results.attributes(script.cwd / out / 'mlp.model')['net_args']
        for out in ('step1', 'same', 'step2')]
    values = {'float': False, 'binary': True}
    assert [one[argument] for one in arguments] == [
        values.get(value, value) for value in (first, first, second)]


def test_model_of_another_net(script):
    script.succeed('binary_net', *short.MLP, '--dry-run', '--out', 'run')
    for name in 'quantized_net', 'lenet5', 'nin':
        line = script.refuse(name, '--initmodel', 'run/mlp.model')
        assert 'run/mlp.model' in line
        assert "'BinaryMLP', not " in line
    # Settings of the net that are not those of the file
    for option, given, saved in (
            ('--unit', '9', '8'), ('--layers', '3', '2'),
            ('--input', 'signed', 'unit'), ('--loss', 'squared-hinge', '')):
        line = script.refuse('binary_net', '--evaluate', '-m',
                             'run/mlp.model', option, given)
        assert f'{option} is {given}' in line
        assert saved in line
    for attribute, value in (
            ('net_args', 5), ('net_args', {'n_layers': 999}),
            ('net_args', {'n_layers': 10 ** 9}),
            ('net_args', {'n_units': 10 ** 9}),
            ('net_args', {'n_units': 'x'}), ('net_args', {'n_units': True})):
        with h5py.File(script.cwd / 'run' / 'mlp.model', 'r+') as f:
            f.attrs[attribute] = json.dumps(value)
        script.refuse('binary_net', '-m', 'run/mlp.model', *short.MLP[:2])


@pytest.mark.slow
def test_teacher(script, tmp_path):
    """A float net's scores are learned; the run goes on with it alone."""
    script.succeed('binary_net', '--net', 'FloatMLP', *short.RESUMED, '--unit',
                   64, '--epoch', 5, '--out', 'reproductions/float_mlp/seed-0')
    teacher = tmp_path / 'reproductions' / 'float_mlp' / 'seed-0' / 'mlp.model'
    options = (*short.RESUMED, '--unit', 32, '--teacher-weight', 1, '--out',
               'run')
    script.succeed('binary_net', *options, '--epoch', 5, '--teacher',
                   'float_mlp')
    log = json.loads((tmp_path / 'run' / 'log').read_text())
    assert log[-1]['main/loss'] < .7 * log[0]['main/loss']
    # No label was seen.
    assert log[-1]['main/accuracy'] > .8
    with h5py.File(tmp_path / 'run' / 'mlp.model') as f:
        assert json.loads(f.attrs['teacher']) == str(teacher)
        assert set(f) == {'predictor'}
    go_on = 'binary_net', '--resume', 'auto', '--out', 'run', '--epoch', 6
    other = scripts.Call(tmp_path, 'train.py')
    other.succeed('binary_net', *short.MLP, '--dry-run', '--out', 'other')
    line = script.refuse(*go_on, '--teacher', 'other/mlp.model')
    assert str(teacher) in line and 'other/mlp.model' in line
    line = scripts.Call(tmp_path).refuse(
        '--resume', 'auto', '--out', 'run', '--dataset', 'digits', '--unit',
        32)
    assert '--teacher' in line
    teacher.rename(tmp_path / 'moved.model')
    assert f'cannot read {teacher}' in script.refuse(*go_on)
    script.succeed(*go_on, '--teacher', 'moved.model')


def test_teacher_refused(script, trained):
    model = trained.out / 'mlp.model'
    for options, *words in (
            (['--teacher', 'none'], 'cannot read ', 'none: No such file'),
            (['--teacher', 'lenet5'], 'not trained',
             './reproduce.py lenet5 --seeds 1'),
            (['--teacher', model, '--input', 'signed'],
             'is of --input unit, but the net is of signed'),
            (['--teacher', model, '--teacher-weight', 0], 'not in (0, 1]'),
            (['--teacher', model, '--teacher-weight', 1.5], 'not in (0, 1]'),
            (['--teacher', model, '--temperature', 0], 'not above 0'),
            (['--temperature', 3], '--teacher MODEL')):
        line = script.refuse('binary_net', *short.MLP, *options)
        for word in words:
            assert word in line
