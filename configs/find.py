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
        ~bnn.errors.UserError: If there is none of that name, or its file is
            wrong.
    """
    if name not in names():
        raise errors.UserError(f'no configuration {name!r}; there are: '
                               f'{", ".join(names())}')
    file = f'configs/{name}.py'
    try:
        found = importlib.import_module(f'configs.{name}').CONFIG
    except Exception as e:  # The file is the user's.
        raise errors.UserError(
            f'{file}: {type(e).__name__}: {errors.one_line(e)}') from e
    if found.name != name:
        raise errors.UserError(
            f'{file} has name={found.name!r}; its name is that of the file')
    for field in config.SETTINGS:
        config.check(field, getattr(found, field), file)
    return found
