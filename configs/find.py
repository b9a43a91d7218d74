"""The configurations by their names."""
import importlib
import pkgutil

import configs
from bnn import errors
from bnn.training.command_line import config


def names() -> list[str]:
    """Lists the configurations, in the order of the alphabet."""
    return sorted(module.name for module in pkgutil.iter_modules(
        configs.__path__) if module.name != 'find')


def get(name: str) -> config.Config:
    """Returns a configuration.

    Args:
        name: Its name, that of its file.

    Raises:
        ~bnn.errors.UserError: If there is none of that name.
    """
    if name not in names():
        raise errors.UserError(f'no configuration {name!r}; there are: '
                               f'{", ".join(names())}')
    return importlib.import_module(f'configs.{name}').CONFIG
