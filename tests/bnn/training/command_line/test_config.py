"""The configuration: its fields, and settings that contradict others."""
import dataclasses

import pytest

from bnn import errors
from bnn.training.command_line import config as config_module

Config = config_module.Config


def configure(**given):
    return Config(**given, given=given)


def refusal(**given):
    with pytest.raises(errors.UserError) as e:
        configure(**given).check()
    assert '\n' not in str(e.value)
    return str(e.value)


def test_every_field_is_declared():
    """Each setting has a help, a group, and a default that it allows."""
    plain = {'name', 'title', 'notes', 'published', 'given',
             'teacher_digest'}
    fields = {field.name for field in dataclasses.fields(Config)}
    assert fields == {*config_module.SETTINGS, *plain}
    for name, one in config_module.SETTINGS.items():
        assert one.help
        assert one.group in ('data', 'net', 'learning', 'run')
        assert one.kept in ('fixed', 'carried', 'free')
        default = config_module.DEFAULTS[name]
        assert one.check(default, default) == default
        if one.choices and default is not None:
            assert default in one.choices
    Config().check()


def test_names():
    names = config_module.names
    assert {*names('fixed'), *names('carried'), *names('free')} == set(
        config_module.SETTINGS)
    assert names('carried') == [
        'data_dir', 'allow_modified', 'epoch', 'teacher', 'keep_snapshots']
    assert config_module.flag('test_statistics') == '--test-statistics'


def test_n_epochs():
    for epoch, dry_run, expected in (
            (20, False, 20), (20, True, 2), (1, True, 1)):
        assert Config(epoch=epoch, dry_run=dry_run).n_epochs == expected


def test_rate():
    for optimizer, rate in (('adam', 1e-3), ('sgd', 1e-2),
                            ('momentum', 1e-2), ('bop', 1e-3)):
        assert Config(optimizer=optimizer).rate == rate
        assert Config(optimizer=optimizer, lr=.5).rate == .5


def test_schedule():
    config = Config(lr=1., epoch=4, lr_schedule='exponential', lr_final=.25)
    assert [config.schedule(e) for e in (0, 2, 4)] == [1, .5, .25]
    steps = {'lr': 1., 'lr_schedule': 'step', 'lr_steps': [2, 6]}
    config = Config(**steps, epoch=8)
    assert [config.schedule(e) for e in (1, 2, 6)] == pytest.approx(
        [1, .1, .01])
    # A shorter run has fewer of the configuration's steps, or none.
    assert [Config(**steps, epoch=4).schedule(e) for e in (1, 3)] == [1, .1]
    assert Config(**steps, epoch=2).schedule(1) == 1
    # Those of the command line it has to have.
    config = Config(**steps, epoch=4, given={'lr_steps': [2, 6]})
    with pytest.raises(errors.UserError, match='--lr-steps 6'):
        config.schedule(0)
    # Other schedules have no steps.
    assert Config(lr=1., lr_steps=[2], epoch=8).schedule(5) == 1


def test_refused_together():
    for given, *words in (
            ({'evaluate': True}, '--evaluate', '--initmodel'),
            ({'resume': 'auto', 'initmodel': 'm'}, '--resume',
             '--initmodel'),
            ({'label_smoothing': .1, 'loss': 'squared-hinge'},
             '--label-smoothing 0.1', '--loss softmax', 'squared-hinge'),
            ({'adversarial': .1, 'input': 'binary'}, '--adversarial 0.1',
             '--input binary'),
            ({'input': 'whitened'}, '--input whitened', '--dataset cifar10',
             'not mnist'),
            ({'input': 'whitened', 'dataset': 'cifar10', 'augment': 'affine'},
             '--augment affine', '--input whitened'),
            ({'evaluate': True, 'initmodel': 'm', 'teacher': 't'},
             '--teacher t', '--evaluate'),
            ({'temperature': 2.}, '--temperature 2.0', '--teacher MODEL'),
            ({'teacher_weight': .5}, '--teacher-weight 0.5',
             '--teacher MODEL'),
            ({'precise_bn': True, 'test_statistics': 'batch'},
             '--precise-bn', '--test-statistics batch'),
            ({'precise_bn': True, 'batch_norm': False}, '--precise-bn',
             '--no-batch-norm'),
            ({'test_statistics': 'batch', 'batch_norm': False},
             '--test-statistics', '--no-batch-norm'),
            ({'lr_final': .5, 'lr_schedule': 'cosine'}, '--lr-final 0.5',
             '--lr 0.001'),
            ({'optimizer': 'bop', 'lr_scale': 'glorot'},
             '--lr-scale glorot', '--optimizer bop'),
            ({'optimizer': 'bop', 'weight_decay': .1}, '--weight-decay 0.1',
             '--optimizer bop', '--weight-decay 0'),
            ({'optimizer': 'bop', 'binarize': 'stochastic'},
             '--binarize stochastic', '--optimizer bop'),
            ({'augment': 'random-crop'}, '--augment random-crop',
             '--dataset mnist'),
            ({'augment': 'shift', 'dataset': 'imagenet'}, '--augment shift',
             '--dataset imagenet'),
            ({'augment': 'random-crop', 'dataset': 'pictures'},
             '--augment random-crop', 'not --dataset pictures', 'crop-flip'),
            ({'input': 'whitened', 'dataset': 'pictures'},
             '--input whitened', 'not pictures'),
            ({'size': 28}, '--size 28', '--data DIR'),
            ({'grey': True, 'dataset': 'cifar10'}, '--grey', '--data DIR'),
            ({'test_draws': 3, 'binarize': 'stochastic'}, '--test-draws 3',
             '--test-weights mean', 'not real'),
            ({'communicator': 'naive'}, '--communicator naive',
             '--distributed'),
            ({'multi_node_bn': True}, '--multi-node-bn', '--distributed'),
            ({'bop_threshold': .1}, '--bop-threshold', '--optimizer bop',
             'not adam'),
            ({'bop_adaptivity': .1}, '--bop-adaptivity'),
            ({'lr_steps': [3]}, '--lr-steps', '--lr-schedule step',
             'not constant'),
            ({'lr_decay': .5, 'lr_schedule': 'cosine'}, '--lr-decay',
             'not cosine'),
            ({'lr_final': 0., 'lr_schedule': 'step', 'lr_steps': [3]},
             '--lr-final', 'exponential or cosine', 'not step'),
            *(({name: value, 'evaluate': True, 'initmodel': 'm'},
               config_module.flag(name), '--evaluate') for name, value in (
                   ('adversarial', .1), ('label_smoothing', .1),
                   ('precise_bn', True)))):
        line = refusal(**given)
        for word in words:
            assert word in line, (given, line)


def test_defaults_of_drawn_weights():
    def settings(**given):
        config = Config(**given)
        return (config.first_weights, config.rate_scale,
                config.tested_weights)

    assert settings() == ('normal', 'none', 'signs')
    assert settings(binarize='stochastic') == ('uniform', 'glorot', 'real')
    assert settings(
        binarize='stochastic', weight_init='normal', lr_scale='none',
        test_weights='mean') == ('normal', 'none', 'mean')


def test_not_refused():
    """What a configuration has and the options make useless is no error."""
    for settings, given in (
            ({'lr_steps': [3]}, {}),
            ({'adversarial': .1}, {'evaluate': True, 'initmodel': 'm'}),
            ({'bop_threshold': .1}, {'optimizer': 'adam'}),
            ({}, {'lr_final': 0., 'lr_schedule': 'cosine'}),
            ({}, {'augment': 'center-crop', 'dataset': 'imagenet'})):
        Config(**settings, **given, given=given).check()


def test_picture_shape():
    assert Config(size=28).picture_shape == (3, 28, 28)
    assert Config(size=1, grey=True).picture_shape == (1, 1, 1)


def test_values_of_files():
    assert config_module.check('unit', 7, 'a/b') == 7
    for name, value in (('unit', 0), ('dataset', 'x' * 500), ('seed', None)):
        with pytest.raises(errors.UserError) as e:
            config_module.check(name, value, 'a/b')
        line = str(e.value)
        assert line.startswith('a/b is damaged')
        assert config_module.flag(name) in line
        assert len(line) < 200 and '\n' not in line
