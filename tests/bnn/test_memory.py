"""The memory of the process: what is freed stays, and a limit."""
import platform
import subprocess
import sys

import numpy
import pytest

from bnn import memory

FAULTS = '''
import resource, sys
import numpy
from bnn import memory
if sys.argv[1] == 'keep':
    memory.keep()
for i in range(40):
    if i == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.ones(1 << 23)  # 64 MB, 16384 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='not glibc')
def test_pages_are_kept(pytestconfig):
    faults, kept = (int(subprocess.run(
        [sys.executable, '-c', FAULTS, word], capture_output=True, text=True,
        check=True, cwd=pytestconfig.rootpath).stdout)
        for word in ('give-back', 'keep'))
    assert kept < faults / 10


@pytest.mark.skipif(not sys.platform.startswith('linux'),
                    reason='no /proc/self/statm')
def test_limit():
    for _ in range(2):
        # More than the C library asks for ahead after memory.keep()
        with pytest.raises(MemoryError), memory.limited(1 << 29):
            numpy.empty(1 << 31, 'u1')
        with memory.limited(1 << 29):
            numpy.empty(1 << 20, 'u1')
    numpy.empty(1 << 31, 'u1')  # The limit holds within it alone.
