"""Our results beside the published ones: verdicts, and the table.

What was run stands in ``reproductions/``; a row for each experiment is kept
in ``benchmarks/results/accuracy.csv``, so that the table does not need all
runs to be at hand.
"""
import csv
import dataclasses
import json
import os
import statistics
import sys
from typing import Any

from bnn import errors
from bnn.training.command_line import config as config_module
from bnn.training.files import atomic

SEEDS = 3
MARKS = '<!-- reproduce.py --report -->', '<!-- end of report -->'
_ROOT = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
KEPT = os.path.join(_ROOT, 'benchmarks', 'results', 'accuracy.csv')
#: The published curves, a table for each configuration that has one
CURVES = os.path.join(_ROOT, 'published')


@dataclasses.dataclass(frozen=True)
class Row:
    """What the runs of a configuration came to.

    Attributes:
        name: The configuration.
        mean, least, largest: Test accuracy over the seeds, with the running
            statistics, at the last epoch or the best on validation.
        seeds: How many.
        epochs: Epochs of the shortest run.
        seconds: Mean wall time of a run; 0 where it was not kept.
        best: Mean of the best epoch on the test set, where the published
            number was chosen so; else 0.
        top5: Mean share of top-5 hits, where there is one; else 0.
        processor: What it ran on.
        commit: The code that ran.
    """

    name: str
    mean: float
    least: float
    largest: float
    seeds: int
    epochs: int
    seconds: float = 0.
    best: float = 0.
    top5: float = 0.
    processor: str = ''
    commit: str = ''


def row(config: config_module.Config, result: dict[str, Any]) -> Row:
    """Sums up the runs of a configuration.

    Args:
        config: The configuration.
        result: ``runs``, each with ``validation``, ``epochs``, ``seconds``,
            ``test_accuracy``, ``log``, ``machine`` and where it is known
            ``test_accuracy_top5``.
    """
    runs = result['runs']
    ours = [run['test_accuracy'] for run in runs]
    best = 0.
    if (config.published is not None
            and config.published.epoch == 'best on test'
            and not runs[0]['validation']):
        best = statistics.mean(
            max(entry['validation/main/accuracy'] for entry in run['log'])
            for run in runs)
    top5 = [run['test_accuracy_top5'] for run in runs
            if run.get('test_accuracy_top5') is not None]
    machine = runs[-1].get('machine') or {}
    return Row(
        config.name, statistics.mean(ours), min(ours), max(ours), len(ours),
        min(run['epochs'] for run in runs),
        statistics.mean(run['seconds'] for run in runs), best,
        statistics.mean(top5) if top5 else 0., machine.get('cpu', ''),
        machine.get('commit') or '')


def outcome(config: config_module.Config, ours: Row) -> str:
    """Says in words whether the published accuracy was reached."""
    reach = (config.published.reach or config.published.accuracy
             if config.published else None)
    if reach is None:
        return 'no number to reach'
    words = 'reached' if ours.mean >= reach else 'not reached'
    if ours.best:
        words += ' by the last epoch, ' + (
            'reached' if ours.best >= reach else 'not'
        ) + ' by the best on the test set'
    if ours.epochs != config.epoch:
        words += ', with other epochs'
    if ours.seeds < SEEDS:
        words += f', with {ours.seeds} of {SEEDS} seeds'
    return words


def verdict(config: config_module.Config, result: dict[str, Any]) -> str:
    """Returns one line: published, ours, reached or not.

    Args:
        config: The configuration.
        result: See :func:`row`.
    """
    run = result['runs'][0]
    if run['dry_run'] or run['dataset'] != config.dataset:
        return 'no result: ' + ('a dry run' if run['dry_run'] else
                                f'on {run["dataset"]}')
    ours = row(config, result)
    line = (f'published {_published(config)}, ours {ours.mean:.4f} '
            f'({ours.seeds} seeds, {ours.least:.4f} to {ours.largest:.4f}, '
            f'{ours.epochs} of {config.epoch} epochs)')
    if ours.top5:
        line += f'; top-5 {ours.top5:.4f}'
    if ours.best:
        line += (f', {ours.best:.4f} at the best epoch on the test set, as '
                 'the published one was chosen')
    line += f': {outcome(config, ours)}'
    curve = published_curve(config.name)
    if curve:
        difference = max(
            abs(entry['main/loss'] - theirs['train_loss'])
            for run in result['runs']
            for entry, theirs in zip(run['log'], curve, strict=False))
        line += ('; largest difference of the train loss from the published '
                 f'curve {difference:.4f}')
    return line


def read(configs: dict[str, config_module.Config], folder: str
         ) -> dict[str, dict[str, Any]]:
    """Reads what was run.

    Args:
        configs: Names to configurations.
        folder: Where each has a folder.

    Returns:
        Names to results; a damaged one is left out, after a warning.
    """
    found = {}
    for name, config in configs.items():
        path = os.path.join(folder, name, 'result.json')
        if os.path.exists(path):
            try:
                with open(path) as f:
                    found[name] = json.load(f)
                verdict(config, found[name])
            except (ValueError, KeyError, TypeError, IndexError) as e:
                found.pop(name, None)
                print(f'warning: {path} is damaged '
                      f'({errors.one_line(e)}); left out',
                      file=sys.stderr)
    return found


def kept() -> dict[str, Row]:
    """Reads the rows that are kept, names to rows."""
    if not os.path.exists(KEPT):
        return {}
    kinds = {field.name: field.type for field in dataclasses.fields(Row)}
    with open(KEPT, newline='') as f:
        return {line['name']: Row(**{
            name: kinds[name](value) for name, value in line.items()})
            for line in csv.DictReader(f)}


def collect(configs: dict[str, config_module.Config], folder: str,
            ) -> dict[str, Row]:
    """Puts what was run beside the rows that are kept.

    A row of fewer seeds or epochs than the one that is kept, as of a short
    try, is left out with a warning.

    Args:
        configs: Names to configurations.
        folder: Where each has a folder.

    Returns:
        Names to rows, in the order of the configurations.
    """
    rows = kept()
    for name, result in read(configs, folder).items():
        if verdict(configs[name], result).startswith('no result'):
            continue
        ours, theirs = row(configs[name], result), rows.get(name)
        if theirs is not None and (ours.seeds < theirs.seeds
                                   or ours.epochs < theirs.epochs):
            print(f'warning: {os.path.join(folder, name)} has {ours.seeds} '
                  f'seeds of {ours.epochs} epochs, and the row that is kept '
                  f'{theirs.seeds} of {theirs.epochs}; to replace it, remove '
                  f'it from {os.path.relpath(KEPT)}', file=sys.stderr)
            continue
        rows[name] = ours
    return {name: rows[name] for name in configs if name in rows}


def keep(rows: dict[str, Row]) -> None:
    """Writes the rows that are kept, names to rows, into a table."""
    names = [field.name for field in dataclasses.fields(Row)]
    with atomic.write(KEPT) as f:
        f.write('\n'.join([','.join(names), *(
            ','.join(_word(getattr(one, name)) for name in names)
            for one in rows.values())]).encode() + b'\n')


def table(configs: dict[str, config_module.Config], rows: dict[str, Row]
          ) -> str:
    """Returns the table of the README, in Markdown."""
    lines = ['| command | epochs | time a run | accuracy, mean (range), seeds '
             '| published | |', '|---|---|---|---|---|---|']
    for name, one in rows.items():
        config = configs[name]
        ours = f'{one.mean:.4f}'
        if one.seeds > 1:
            ours += f' ({one.least:.4f} to {one.largest:.4f})'
        ours += f', {one.seeds}'
        if one.best:
            ours += f'; best epoch {one.best:.4f}'
        epochs = (f'{one.epochs}' if one.epochs == config.epoch else
                  f'{one.epochs} of {config.epoch}')
        lines.append(
            f'| `./reproduce.py {name}` | {epochs} | {_time(one.seconds)} '
            f'| {ours} | {_published(config)} | {outcome(config, one)} |')
    return '\n'.join(lines)


def write(text: str, path: str) -> None:
    """Puts a text between the two marks in a file.

    Args:
        text: The text.
        path: The file.

    Raises:
        ~bnn.errors.UserError: If the file or its marks are not there.
    """
    with errors.reading(path), open(path, 'rb') as f:
        old = f.read().decode(errors='surrogateescape')
    if (any(old.count(mark) != 1 for mark in MARKS)
            or old.index(MARKS[0]) > old.index(MARKS[1])):
        raise errors.UserError(
            f'{path} has not the two lines {MARKS[0]} and {MARKS[1]} that '
            'the table goes between')
    before, rest = old.split(MARKS[0])
    after = rest.split(MARKS[1])[-1]
    with atomic.write(path) as f:
        f.write('\n'.join([before + MARKS[0], text, MARKS[1] + after])
                .encode(errors='surrogateescape'))


def _published(config):
    published = config.published
    if published is None:
        return 'none'
    words = ('none' if published.accuracy is None else
             f'{published.accuracy:.4f}')
    if published.top5:
        words += f'; top-5 {published.top5:.4f}'
    if published.reach:
        words += f'; to reach {published.reach:.4f}'
    return words


def _time(seconds):
    if not seconds:
        return 'not kept'
    if seconds < 3600:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'


def _word(value):
    if isinstance(value, float):
        return f'{value:.6g}'
    return str(value).replace(',', '')


def published_curve(name: str) -> list[dict[str, float]]:
    """Reads the epochs of a published experiment.

    Args:
        name: The configuration.

    Returns:
        ``epoch``, ``train_loss``, ``train_accuracy``, ``test_loss``,
        ``test_accuracy`` of each epoch; empty if none were published.
    """
    path = os.path.join(CURVES, name + '.csv')
    if not os.path.exists(path):
        return []
    with open(path, newline='') as f:
        # Lines that begin with # are comments.
        return [{key: float(value) for key, value in row.items()}
                for row in csv.DictReader(
                    line for line in f if not line.startswith('#'))]
