"""One field of a configuration: its default, its help and its check."""
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


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError(f'{value} is less than 1')
    return value


def side(text: str) -> int:
    """Height and width of an image, of a size that a net can take."""
    value = int(text)
    if not 1 <= value <= 1024:
        raise ValueError(f'{value} is not in [1, 1024]')
    return value


def not_negative(text: str) -> int:
    """An integer from 0 up."""
    value = int(text)
    if value < 0:
        raise ValueError(f'{value} is less than 0')
    return value


def seed(text: str) -> int:
    """An integer that NumPy takes for a seed."""
    value = int(text)
    if not 0 <= value < 2 ** 32:
        raise ValueError(f'{value} is not in [0, 2^32)')
    return value


def positive_float(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(f'{text} is not above 0')
    return value


def not_negative_float(text: str) -> float:
    """A finite number from 0 up."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f'{text} is less than 0')
    return value


def weight(text: str) -> float:
    """A number in (0, 1]."""
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(f'{text} is not in (0, 1]')
    return value


def ratio(text: str) -> float:
    """A number in [0, 1)."""
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError(f'{text} is not in [0, 1)')
    return value
