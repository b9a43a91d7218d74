"""What a measurement ran on."""
import importlib.metadata
import os
import platform


def describe():
    """Returns the machine and the versions, for the results of a run.

    Returns:
        dict: ``cpu``, ``cores``, ``threads`` (``OMP_NUM_THREADS`` or the
        cores), ``system``, ``python``, and the versions of the packages that
        the arithmetic depends on.
    """
    versions = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata['Name']
        if name in ('chainer', 'numpy', 'numba', 'torch') or (
                name or '').startswith('cupy'):
            versions[name] = distribution.version
    return {'cpu': _cpu(), 'cores': os.cpu_count(),
            'threads': int(os.environ.get('OMP_NUM_THREADS')
                           or os.cpu_count()),
            'system': platform.system(), 'python': platform.python_version(),
            **dict(sorted(versions.items()))}


def _cpu():
    try:
        with open('/proc/cpuinfo') as f:
            for line in f:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
