import platform
import subprocess
import sys

import pytest

FAULTS = '''
import resource, sys
import numpy
from bnn.training import memory
if sys.argv[1] == 'keep':
    memory.keep()
for i in range(40):
    if i == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.ones(1 << 23)  # 64 MB, 16384 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='not glibc')
def test_pages_are_kept(pytestconfig):
    faults, kept = (int(subprocess.run(
        [sys.executable, '-c', FAULTS, word], capture_output=True, text=True,
        check=True, cwd=pytestconfig.rootpath).stdout)
        for word in ('give-back', 'keep'))
    assert kept < faults / 10
