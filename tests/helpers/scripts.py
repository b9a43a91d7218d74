"""Runs the scripts as their users do, in a folder without data or network."""
import contextlib
import importlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile

import chainer
import pytest

from bnn.training.command_line import script as script_module
from tests.helpers import results

ROOT = pathlib.Path(__file__).resolve().parents[2]

# 15 iterations in the first epoch, 14 in the second
SMALL = ('--dataset', 'digits', '--unit', '16', '--batchsize', '100',
         '--no-plot')
# Long enough to be interrupted: 72 iterations an epoch
LONG = ('--dataset', 'digits', '--unit', '32', '--batchsize', '20',
        '--epoch', '3', '--no-plot')


class Process:
    """A script in a process of its own.

    Args:
        cwd (pathlib.Path): The folder in which it runs.
        script (str): Its name.

    Attributes:
        env (dict): Its environment.
    """

    SMALL, LONG = SMALL, LONG

    def __init__(self, cwd, script='train_mnist.py'):
        self.cwd = cwd
        self.script = ROOT / script
        self.env = {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'OPENBLAS_NUM_THREADS': '1',
            'COLUMNS': '80',
            'CHAINER_DATASET_ROOT': str(cwd / 'no-data'),
            # The environment's python3, for commands run as they are printed
            'PATH': os.pathsep.join(
                [os.path.dirname(sys.executable), os.environ['PATH']]),
            # Nothing listens there: as good as a machine without network
            'https_proxy': 'http://127.0.0.1:9',
        }
        for name in 'HTTPS_PROXY', 'ALL_PROXY', 'all_proxy', 'no_proxy':
            self.env.pop(name, None)

    def words(self, *options):
        """Returns the command."""
        return [sys.executable, '-W', 'error', str(self.script),
                *map(str, options)]

    def start(self, *options, **kwargs):
        """Starts it; returns a ``subprocess.Popen``."""
        return subprocess.Popen(
            self.words(*options),
            **{'cwd': self.cwd, 'env': self.env, 'text': True,
               'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE,
               'stderr': subprocess.PIPE, **kwargs})

    def run(self, *options, **kwargs):
        """Runs it to its end; returns a ``subprocess.CompletedProcess``."""
        with self.start(*options, **kwargs) as process:
            try:
                out, err = process.communicate(timeout=300)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(
            process.args, process.returncode, out, err)

    def succeed(self, *options, **kwargs):
        """Runs it to a good end."""
        result = self.run(*options, **kwargs)
        assert result.returncode == 0, result.stderr
        return result

    def fail(self, *options, **kwargs):
        """Runs it to an error of one line, which is returned.

        No file may be another than before.
        """
        before = results.contents(self.cwd)
        result = self.run(*options, **kwargs)
        line = results.error_line(result, self.script.name)
        assert results.contents(self.cwd) == before
        self.header = result.stderr.splitlines()[:-1]
        return line

    def refuse(self, *options, **kwargs):
        """As :meth:`fail`, before a run has begun: the line stands alone."""
        line = self.fail(*options, **kwargs)
        assert self.header == []
        return line


class Call(Process):
    """A script whose ``main`` is called in this process.

    All is as in a process of its own, but for two seconds of imports and the
    number of threads.
    """

    def run(self, *options, stdout=None, stderr=None):
        main = importlib.import_module(self.script.stem).main
        out, err = stdout or io.StringIO(), stderr or io.StringIO()
        words = [str(self.script), *map(str, options)]
        with (pytest.MonkeyPatch.context() as patch,
              contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
              pytest.raises(SystemExit) as end):
            patch.chdir(self.cwd)
            patch.setattr(sys, 'argv', words)
            # A run sets it for its process.
            patch.setattr(chainer.global_config, 'precision', 'float32',
                          raising=False)
            patch.setattr(tempfile, 'tempdir', None)  # TMPDIR counts
            for name in os.environ.keys() - self.env.keys():
                patch.delenv(name)
            for name, value in self.env.items():
                patch.setenv(name, value)
            script_module.run(main)
        status = end.value.code
        if isinstance(status, str):  # as Python ends
            err.write(status + '\n')
            status = 1
        return subprocess.CompletedProcess(
            words, status or 0, None if stdout else out.getvalue(),
            None if stderr else err.getvalue())
