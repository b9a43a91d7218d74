"""How what was run stands to what was published."""
import json
import os
import statistics
import sys

from bnn import errors
from bnn.reproduction import published
from bnn.training.files import atomic

SEEDS = 3
MARKS = '<!-- reproduce.py --report -->', '<!-- end of report -->'


def standing(experiment, result):
    """Returns what the runs of an experiment come to.

    Args:
        experiment (~bnn.reproduction.experiments.Experiment): It.
        result (dict): ``experiment``, its name, and ``runs``, of which each
            has ``dataset``, ``dry_run``, ``validation``, ``epochs``,
            ``test_accuracy``, where it is known ``test_accuracy_top5``, and
            ``log``.

    Returns:
        dict: For texts: ``published``, ``reach``, ``mean``, ``min``, ``max``,
        ``seeds``, ``epochs``, ``outcome``, and ``best``, the mean over the
        seeds of the best epoch on the test set, or ``None`` where the
        published number was not chosen so.  ``top5`` are words for our
        accuracy of five guesses, if any.
    """
    row = published.result(result['experiment'])
    runs = result['runs']
    ours = [run['test_accuracy'] for run in runs]
    epochs = sorted({run['epochs'] for run in runs})
    mean = statistics.mean(ours)
    best = None
    if row['by'] == 'best epoch on test' and not runs[0]['validation']:
        best = statistics.mean(
            max(entry['validation/main/accuracy'] for entry in run['log'])
            for run in runs)
    if runs[0]['dry_run']:
        outcome = 'no result: a dry run'
    elif runs[0]['dataset'] != experiment.dataset:
        outcome = 'no result: on %s' % runs[0]['dataset']
    else:
        reach = float(row['reach'])
        outcome = 'reached' if mean >= reach else 'not reached'
        if best is not None:
            outcome += ' by the last epoch, %s by the best on the test set' % (
                'reached' if best >= reach else 'not')
        if epochs != [experiment.epochs]:
            outcome += ', with other epochs'
        if len(runs) < SEEDS:
            outcome += ', with %d of %d seeds' % (len(runs), SEEDS)
    top5 = [run['test_accuracy_top5'] for run in runs
            if run.get('test_accuracy_top5') is not None]
    return {'published': (row['accuracy'] or 'none') + (
                '; top-5 ' + row['top5'] if row['top5'] else ''),
            'top5': '; top-5 %.4f' % statistics.mean(top5) if top5 else '',
            'reach': row['reach'],
            'mean': mean, 'min': min(ours), 'max': max(ours), 'best': best,
            'seeds': len(ours), 'outcome': outcome, 'epochs': '%s of %d' % (
                ' to '.join(map(str, (epochs[0], epochs[-1])[:len(epochs)])),
                experiment.epochs)}


def verdict(experiment, result):
    """Returns one line: published, ours, reached or not."""
    stands = standing(experiment, result)
    line = ('published %(published)s, ours %(mean).4f (%(seeds)d seeds, '
            '%(min).4f to %(max).4f, %(epochs)s epochs)%(top5)s' % stands)
    if stands['best'] is not None:
        line += (', %(best).4f at the best epoch on the test set, as the '
                 'published one was chosen' % stands)
    line += ', to reach %(reach)s: %(outcome)s' % stands
    curve = published.curve(result['experiment'])
    if curve:
        line += ('; largest difference of the train loss from the published '
                 'curve %.4f' % max(
                     abs(entry['main/loss'] - theirs['train_loss'])
                     for run in result['runs']
                     for entry, theirs in zip(
                         run['log'], curve, strict=False)))
    return line


def results(experiments, folder):
    """Reads what was run.

    Args:
        experiments (dict): Names to experiments.
        folder (str): Where each has a folder.

    Returns:
        dict: Names to results; a damaged one is left out, after a warning.
    """
    found = {}
    for name, experiment in experiments.items():
        path = os.path.join(folder, name, 'result.json')
        if os.path.exists(path):
            try:
                with open(path) as f:
                    found[name] = json.load(f)
                standing(experiment, found[name])
            except (ValueError, KeyError, TypeError) as e:
                found.pop(name, None)
                print('warning: %s is damaged (%s); left out'
                      % (path, ' '.join(str(e).split())), file=sys.stderr)
    return found


def table(experiments, folder):
    """Returns the table of what was run, in Markdown; as :func:`results`."""
    lines = ['| experiment | published | ours: mean (range) | seeds | epochs '
             '| to reach | |', '|---|---|---|---|---|---|---|']
    for name, result in results(experiments, folder).items():
        stands = standing(experiments[name], result)
        best = '' if stands['best'] is None else '; best epoch %.4f' % (
            stands['best'])
        lines.append(
            '| `./reproduce.py %s`<br>%s | %%(published)s | %%(mean).4f '
            '(%%(min).4f to %%(max).4f)%%(top5)s%s | %%(seeds)d | '
            '%%(epochs)s | %%(reach)s | %%(outcome)s |' % (
                name, experiments[name].title, best) % stands)
    return '\n'.join(lines)


def write(text, path):
    """Puts a text between the two marks in a file.

    Args:
        text (str): The text.
        path (str): The file.

    Raises:
        ~bnn.errors.UserError: If the file or its marks are not there.
    """
    try:
        with open(path) as f:
            old = f.read()
    except OSError as e:
        raise errors.UserError(
            'cannot read %s: %s' % (path, e.strerror)) from e
    if (any(old.count(mark) != 1 for mark in MARKS)
            or old.index(MARKS[0]) > old.index(MARKS[1])):
        raise errors.UserError(
            '%s has not the two lines %s and %s that the table goes between'
            % (path, *MARKS))
    before, rest = old.split(MARKS[0])
    after = rest.split(MARKS[1])[-1]
    with atomic.write(path) as f:
        f.write('\n'.join([before + MARKS[0], text, MARKS[1] + after])
                .encode())
