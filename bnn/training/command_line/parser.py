"""The command line of a configuration, which complains in one line."""
import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from bnn.training.command_line import config as config_module
from bnn.training.command_line import script


def parse(base: config_module.Config, parser: script.Parser,
          only: Sequence[str] | None = None,
          argv: Sequence[str] | None = None,
          datasets: Sequence[str] | None = None) -> config_module.Config:
    """Parses the command line over a configuration.

    Args:
        base: The configuration whose fields the options override.
        parser: A parser, which gets the options.
        only: The fields that there are options of; all by default.
        argv: The arguments; the program's own by default.
        datasets: Those that the program takes; all by default.

    Returns:
        The configuration, with the options that were given in ``given``.
    """
    groups = {}
    for name in only or config_module.SETTINGS:
        one = config_module.SETTINGS[name]
        if one.group not in groups:
            groups[one.group] = parser.add_argument_group(one.group)
        if name == 'dataset' and datasets is not None:
            one = dataclasses.replace(one, choices=tuple(datasets))
        _add(groups[one.group], name, one, getattr(base, name))
    if only is None:
        parser.add_data(groups['data'])
    args = parser.parse_args(argv)
    parser.expand_data(args, _NOT_GIVEN)
    found = vars(args)
    given = {name: value for name, value in found.items()
             if name in config_module.SETTINGS and value is not _NOT_GIVEN}
    if given.get('data_dir') is not None:  # for runs that go on elsewhere
        given['data_dir'] = os.path.abspath(given['data_dir'])
    return dataclasses.replace(base, **given, given=given)


# Stands for an option that was not given.
_NOT_GIVEN = object()


def _add(group, name, one, default):
    flags = config_module.flag(name), *one.flags
    words = one.help
    start, mark, _ = words.partition(' (default: ')
    if default is not None and default is not False and (
            not mark or default != config_module.DEFAULTS[name]):
        words = f'{start} (default: {default})'
    words = words.replace('%', '%%')
    kwargs = {'dest': name, 'default': _NOT_GIVEN, 'help': words}
    if one.convert is None and default is False:
        kwargs['action'] = 'store_true'
    elif one.convert is None:
        kwargs['action'] = argparse.BooleanOptionalAction
    else:
        kwargs.update(type=one.convert, metavar=one.metavar)
        if one.choices:
            kwargs['choices'] = one.choices
        if one.several:
            kwargs['nargs'] = '+'
    group.add_argument(*flags, **kwargs)


def command(config: config_module.Config, *positional: str,
            **changes: Any) -> str:
    """Returns the command line that makes a run, changed somewhat.

    Args:
        config: What :func:`parse` returned.
        positional: Words that stand first.
        changes: Options to set, or with ``None`` to leave out.

    Returns:
        To be pasted into a shell.
    """
    words = [script.path(os.path.basename(sys.argv[0])), *positional]
    for name, value in {**config.given, **changes}.items():
        flag = config_module.flag(name)
        if isinstance(value, bool):
            words.append(flag if value else '--no-' + flag[2:])
        elif isinstance(value, list):
            words += [flag, *map(str, value)]
        elif value is not None:
            # Joined, since a value may begin with a dash.
            words.append(f'{flag}={value}')
    return shlex.join(words)
