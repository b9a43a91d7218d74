"""The environment of a script, before anything is imported.

Standard library only: a script imports this first.
"""
import importlib.util
import os
import shlex
import sys

# NumPy's OpenBLAS lets its threads spin for about 25 ms after a product, 2^26
# cycles, on the cores that Numba's threads want; this is 2^16.  It reads this
# when it is loaded, and bnn.kernels goes by it.
if 'numpy' not in sys.modules:
    os.environ.setdefault('OPENBLAS_THREAD_TIMEOUT', '16')


def check(script, *packages):
    """Ends the program with one line if a package is not installed.

    Under ``mpiexec`` the other ranks end too, also where what the script
    imports next fails on this one.

    Args:
        script (str): ``__file__`` of the script, in the root of the project
            or in the installed package.
        packages (str): What it needs, if not Chainer and Numba.

    Raises:
        SystemExit: With the command that activates or makes the environment,
            or installs the package where there is no Makefile.
    """
    # Neither needs a package.
    from bnn import memory
    from bnn.training.ranks import launcher
    memory.keep()
    launcher.watch_imports()
    package = next((
        package for package in packages or ('Chainer', 'Numba')
        if importlib.util.find_spec(package.lower()) is None), None)
    if package is None:
        return
    root = os.path.dirname(os.path.abspath(script))
    activate = os.path.join(root, '.venv', 'bin', 'activate')
    command = f'. {shlex.quote(activate)}'
    if not os.path.exists(os.path.join(root, 'Makefile')):  # installed by pip
        command = (f'{shlex.quote(sys.executable)} -m pip install '
                   f'{package.lower()}')
    elif not os.path.exists(activate):
        command = f'make -C {shlex.quote(root)} setup && {command}'
    launcher.leave_early(
        f'{os.path.basename(script)}: {package} is not installed in '
        f'{sys.executable}; run: {command}')
