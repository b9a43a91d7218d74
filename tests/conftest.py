"""Fixtures of the scripts' tests; tests on a GPU only where there is one."""
import numpy
import pytest

from tests.helpers import devices
from tests.helpers import scripts


def pytest_configure(config):
    # What chainer.testing puts on the variants of inject_backend_tests
    for name in 'cudnn', 'ideep', 'chainerx':
        config.addinivalue_line('markers', f'{name}: set by chainer.testing')


def pytest_collection_modifyitems(config, items):
    if devices.has_gpu():
        return
    on_gpu = [item for item in items if item.get_closest_marker('gpu')
              or item.get_closest_marker('cudnn')]
    config.hook.pytest_deselected(items=on_gpu)
    items[:] = [item for item in items if item not in on_gpu]


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers in each run of a test, alone or among others."""
    numpy.random.seed(0)


@pytest.fixture
def trainer(tmp_path):
    """A :class:`~tests.helpers.scripts.Process` in a folder of the test."""
    return scripts.Process(tmp_path)


@pytest.fixture
def script(tmp_path):
    """A :class:`~tests.helpers.scripts.Call` in a folder of the test."""
    return scripts.Call(tmp_path)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A finished run of two epochs, to look at or to copy; read only.

    Its results are in ``out``, its ``result`` is a CompletedProcess.
    """
    script = scripts.Call(tmp_path_factory.mktemp('trained'))
    script.result = script.succeed(
        *script.SMALL, '--plot', '--epoch', 2, '--out', 'run')
    script.out = script.cwd / 'run'
    return script
