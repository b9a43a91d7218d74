"""The commit and the processor that a result names."""
import platform
import subprocess

from bnn import machine


def test_commit(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(['git', '-C', tmp_path, '-c', 'user.name=x', '-c',
                        'user.email=x@x', *words], check=True,
                       stdout=subprocess.DEVNULL)

    monkeypatch.setattr(machine, '_ROOT', str(tmp_path))
    commit = machine._commit.__wrapped__
    assert commit() is None  # no repository
    results, code = tmp_path / 'benchmarks' / 'results', tmp_path / 'x.py'
    results.mkdir(parents=True)
    for path in code, results / 'x.md':
        path.write_text('1')
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'x')
    clean = commit()
    assert len(clean) == 12
    (results / 'x.md').write_text('2')  # what was measured
    assert commit() == clean
    code.write_text('2')
    assert commit() == clean + '-dirty'


def test_processor(tmp_path):
    """Of AMD's the family too: they may all be called alike."""
    path = tmp_path / 'cpuinfo'
    for lines, name in (
            ('vendor_id\t: AuthenticAMD\ncpu family\t: 26\n'
             'model name\t: AMD EPYC\n', 'AMD EPYC, family 26'),
            ('vendor_id\t: GenuineIntel\ncpu family\t: 6\n'
             'model name\t: Intel Xeon\n', 'Intel Xeon'),
            ('BogoMIPS\t: 50.00\n', None)):  # ARM's have no name
        path.write_text('processor\t: 0\n' + lines + 'flags\t: a b\n')
        assert machine._cpu(path) == (
            name or platform.processor() or platform.machine())
