"""What a measurement ran on."""
import functools
import importlib.metadata
import os
import platform
import subprocess

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def describe():
    """Returns the machine and the versions, for the results of a run.

    Returns:
        dict: ``cpu``, ``cores``, ``threads`` (``OMP_NUM_THREADS`` or the
        cores), ``system``, ``python``, the versions of the packages that the
        arithmetic depends on, and ``commit``, that of this code, or ``None``
        outside of a repository.
    """
    return {'cpu': _cpu(), 'cores': os.cpu_count(),
            'threads': int(os.environ.get('OMP_NUM_THREADS')
                           or os.cpu_count()),
            'system': platform.system(), 'python': platform.python_version(),
            **_versions(), 'commit': _commit()}


@functools.cache
def _versions():
    versions = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata['Name']
        if name in ('chainer', 'numpy', 'numba', 'torch') or (
                name or '').startswith('cupy'):
            versions[name] = distribution.version
    return dict(sorted(versions.items()))


@functools.cache
def _commit():
    if not os.path.exists(os.path.join(_ROOT, '.git')):
        return None  # not that of a repository around it
    try:
        commit = _git('rev-parse', '--short=12', 'HEAD')
        # What measurements write down does not change what is measured.
        is_changed = _git('diff', '--name-only', 'HEAD', '--', '.',
                          ':!benchmarks/results', ':!docs/figures')
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + '-dirty' * bool(is_changed)


def _git(*words):
    return subprocess.run(
        ['git', '-C', _ROOT, *words], check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()


def _cpu(path='/proc/cpuinfo'):
    found = {}
    try:
        with open(path) as f:
            for line in f:
                key, _, value = line.partition(':')
                found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = found.get('model name')
    if not name:
        return platform.processor() or platform.machine()
    # A virtual machine may hide the model: all of AMD's are AMD EPYC then.
    is_amd = found.get('vendor_id') == 'AuthenticAMD'
    return f'{name}, family {found.get("cpu family")}' if is_amd else name
