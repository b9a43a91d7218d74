"""What a finished run leaves behind."""
import contextlib
import os

from bnn import errors
from bnn.training import best
from bnn.training import data as data_module
from bnn.training import figures
from bnn.training import models
from bnn.training import reports
from bnn.training import statistics

# Images at once for the statistics of batch normalization
_LARGE_BATCH = 1000


def is_saved(trainer):
    """Tells whether the results of a finished run are in its folder.

    Args:
        trainer (~chainer.training.Trainer): The trainer, at its end.

    Returns:
        bool: By the file that is written last.
    """
    state = os.path.join(trainer.out, 'mlp.state')
    if not all(os.path.exists(path) for path in (
            state, os.path.join(trainer.out, 'mlp.model'))):
        return False
    try:
        attributes = models.read_attributes(state)
    except errors.UserError:
        return False
    return attributes.get('iteration') == trainer.updater.iteration


def save(run, trainer, data, tester, attributes):
    """Tests the model of a finished run and writes model, state and figures.

    With a validation part it is the model of the best epoch on that.

    All ranks test; the first one writes.

    Args:
        run (~bnn.training.session.Session): Its options and ranks.
        trainer (~chainer.training.Trainer): The trainer, at its end.
        data (~bnn.data.Dataset): The data.
        tester (~bnn.training.evaluator.Evaluator): Tests on the test set.
        attributes (dict): What the model's file is to say of the net.

    Raises:
        ~bnn.errors.UserError: If a file cannot be written.
    """
    args = run.args
    optimizer = trainer.updater.get_optimizer('main')
    model = optimizer.target
    log = trainer.get_extension('LogReport').log
    entry = log[-1]
    test = {name.removeprefix('validation/'): value
            for name, value in entry.items()
            if name.startswith('validation/main/')}
    if args.validation:
        entry = best.best(log)
        attributes['validation_accuracy'] = entry['validation/main/accuracy']
        trainer.get_extension('KeepBest').restore()
        reports.say(args, 'best epoch on the validation part: %d'
                    % entry['epoch'])
    if args.precise_bn:
        reports.say(args, 'compute the statistics of batch normalization '
                    'anew')
        statistics.recompute(
            model, data_module.one_pass(data, 'train', args, _LARGE_BATCH),
            run.device)
    if args.validation or args.precise_bn:
        test = tester.test()
        reports.say(args, reports.seed_line('test ', test, 'main/'),
                    otherwise=True)
    if not run.is_first:
        return
    reports.say(args, 'save the model')
    models.save(os.path.join(trainer.out, 'mlp.model'), model, {
        **attributes, 'epoch': entry['epoch'],
        'iteration': entry['iteration'],
        **{name.replace('main/', 'test_'): value
           for name, value in test.items()}})
    if args.plot:
        with (statistics.of_the_batch(model)
              if args.test_statistics == 'batch'
              else contextlib.nullcontext()):
            predictions = figures.predict(
                model.predictor, data_module.one_pass(data, 'test', args),
                run.device, data.test_images)
        figures.draw_page(
            os.path.join(trainer.out, 'figures.png'), log, model,
            data.test_images, data.test_labels, *predictions,
            data.class_names, 'validation' if args.validation else 'test')
    reports.say(args, 'save the optimizer')
    models.save(os.path.join(trainer.out, 'mlp.state'), optimizer,
                {'iteration': trainer.updater.iteration})
