"""One field of a configuration: its default, its help and its check."""
import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the command line and a file have to know of a field.

    Attributes:
        help: What it is, in words.
        group: The heading of ``--help`` under which it stands.
        convert: Makes a value of a word; raises ``ValueError`` with the
            reason. ``None`` for a switch, ``--name`` and ``--no-name``.
        choices: The values that there are, if they can be listed.
        several: Whether it is a list.
        flags: Other names on the command line.
        metavar: What stands for the value in ``--help``.
        kept: What a snapshot does with it. ``'fixed'``: it changes the
            mathematics, so a resumed run has the same one. ``'carried'``: a
            resumed run has the same one unless another is given. ``'free'``:
            it is of the single call.
    """

    help: str
    group: str
    convert: Callable[[str], Any] | None = str
    choices: tuple = ()
    several: bool = False
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    kept: str = 'fixed'

    def check(self, value: Any, default: Any) -> Any:
        """Checks a value that a file holds.

        Args:
            value: The value, as JSON or a configuration gives it.
            default: The default of the field.

        Returns:
            The value.

        Raises:
            ValueError: If the command line could not have given it.
        """
        if value is None:
            if default is not None:
                raise ValueError('a value is needed')
            return value
        if self.convert is None:
            if not isinstance(value, bool):
                raise ValueError('true or false is needed')
            return value
        if self.several != isinstance(value, (list, tuple)):
            raise ValueError('a list is needed' if self.several else
                             'one value is needed')
        for one in value if self.several else [value]:
            # True is no 1 here, and 'x' no number.
            if isinstance(one, bool) or self.convert(str(one)) != one:
                raise ValueError(f'{one!r} is no value of it')
            if self.choices and one not in self.choices:
                raise ValueError(f'{one!r} is none of '
                                 f'{", ".join(map(str, self.choices))}')
        return list(value) if self.several else value


def field(default: Any, help: str, group: str, **kwargs: Any) -> Any:
    """Declares a field; the arguments are those of :class:`Setting`."""
    return dataclasses.field(
        default=default,
        metadata={'setting': Setting(help, group, **kwargs)})


class _Refused(ValueError, argparse.ArgumentTypeError):
    """A value that is refused; argparse prints the reason."""


def _number(kind, words, is_valid, reason):
    def convert(text):
        value = kind(text)
        if not is_valid(value):
            raise _Refused(f'{text} {reason}')
        return value

    convert.__name__ = words  # which argparse names
    return convert


#: An integer of at least 1
positive = _number(int, 'integer', lambda n: n >= 1, 'is less than 1')
#: An integer from 0 up
not_negative = _number(int, 'integer', lambda n: n >= 0, 'is less than 0')
#: Height and width of an image, of a size that a net can take
side = _number(int, 'integer', lambda n: 1 <= n <= 1024, 'is not in [1, 1024]')
#: Layers of a net; a damaged file may name many more, each of which takes time
depth = _number(
    int, 'integer', lambda n: 1 <= n <= 1000, 'is not in [1, 1000]')
#: An integer that NumPy takes for a seed
seed = _number(
    int, 'integer', lambda n: 0 <= n < 2 ** 32, 'is not in [0, 2^32)')
#: A finite number above 0
positive_float = _number(
    float, 'number', lambda x: 0 < x < math.inf, 'is not above 0')
#: A finite number from 0 up
not_negative_float = _number(
    float, 'number', lambda x: 0 <= x < math.inf, 'is less than 0')
#: A number in (0, 1]
weight = _number(float, 'number', lambda x: 0 < x <= 1, 'is not in (0, 1]')
#: A number in [0, 1)
ratio = _number(float, 'number', lambda x: 0 <= x < 1, 'is not in [0, 1)')
