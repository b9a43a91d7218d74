"""Going on with a run."""
import dataclasses
import re
import shutil

import pytest

from bnn.training.command_line import config as config_module
from configs import best
from tests.helpers import results
from tests.helpers import scripts
from tests.helpers import short


@pytest.fixture(scope='module')
def cosine(tmp_path_factory):
    """A snapshot of a run after its first epoch; read only."""
    script = scripts.Call(tmp_path_factory.mktemp('cosine'), 'train.py')
    script.succeed(
        'binary_net', *short.MLP, '--epoch', 2, '--lr-schedule', 'cosine',
        '--lr', .01, '--dropout-hidden', .1, '--validation', 200, '--out',
        'run')
    return script.cwd / 'run' / 'snapshot_iter_62'


def test_resume_with_other_settings(script, cosine):
    for option, ours, theirs in (
            ('--lr', '0.5', '0.01'),
            ('--net', 'FloatMLP', 'BinaryMLP')):
        line = script.refuse('binary_net', '--resume', cosine, option, ours)
        assert re.search(
            rf'{option} is {ours}, .*{cosine}.*made with {theirs};', line)
    # Any fixed setting is refused: tests/bnn/training/files/test_resume.py
    assert {'lr_schedule', 'label_smoothing', 'adversarial', 'dropout_hidden',
            'surrogate', 'binarize', 'validation', 'layers', 'warmup'} <= set(
                config_module.names('fixed'))
    line = script.refuse('best', '--resume', cosine)
    assert "of the configuration 'binary_net', not best" in line
    line = script.refuse('binary_net', '--resume', cosine, '--epoch', 5)
    for word in '--epoch is 5', 'made with 2', 'cosine', str(cosine):
        assert word in line


def test_resume_with_the_same_settings(script, cosine):
    out = script.succeed('binary_net', '--resume', cosine, '--out', 'again',
                         '--lr', .01, '--epoch', 2, '--no-plot').stdout
    assert 'epoch 2' in out
    results.assert_same_run(script.cwd / 'again', cosine.parent)


@pytest.mark.parametrize('name,options', [
    ('binary_weight_mlp', [
        *short.RESUMED, '--layers', 1, '--binarize', 'stochastic',
        '--lr-schedule', 'cosine', '--warmup', 1, '--validation', 200,
        '--epoch', 2]),
    ('binary_net', [
        *short.RESUMED, '--optimizer', 'bop', '--lr-schedule', 'exponential',
        '--precise-bn', '--epoch', 2]),
    ('binary_net', [
        *short.RESUMED, '--adversarial', .05, '--label-smoothing', .1,
        '--augment', 'affine', '--dropout-input', .1, '--epoch', 2]),
    pytest.param('shallow_convnet', [
        '--augment', 'crop-flip', '--no-plot', '--epoch', 2, '--batchsize',
        20, '--allow-modified', '--optimizer', 'momentum'],
        marks=pytest.mark.slow)],
    ids=['stochastic', 'bop', 'adversarial', 'shallow'])
def test_resume_is_exact(script, made, name, options):
    """From the middle of either epoch, and where one ends."""
    if name == 'shallow_convnet':
        options = ['--data-dir', made / 'cifar10', *options]
    script.succeed(name, *options, '--out', 'whole', '--snapshot-every', 1,
                   '--keep-snapshots', 999)
    whole = script.cwd / 'whole'
    n = results.log(whole)[-1]['iteration']
    for at in n // 4, results.log(whole)[0]['iteration'], 3 * n // 4:
        out = script.cwd / f'from-{at}'
        result = script.succeed(
            name, '--resume', f'whole/snapshot_iter_{at}', '--out', out,
            '--no-plot')
        assert f'go on from whole/snapshot_iter_{at}' in result.stderr
        results.assert_same_run(out, whole)
        ours, theirs = (results.attributes(folder / 'mlp.model')
                        for folder in (out, whole))
        assert ours == theirs
        shutil.rmtree(out)


def test_longer_run_takes_the_steps_up_again(script, monkeypatch):
    monkeypatch.setattr(best, 'CONFIG', dataclasses.replace(
        best.CONFIG, lr_schedule='step', lr_steps=[1, 2]))
    options = 'best', '--no-plot', '--out', 'run'
    script.succeed(*options, *short.RESUMED, '--epoch', 1)
    script.succeed(*options, '--resume', 'auto', '--epoch', 3)
    assert [entry['lr'] for entry in results.log(script.cwd / 'run')] == (
        pytest.approx([.01, .001, .0001]))
