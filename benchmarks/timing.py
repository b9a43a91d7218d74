"""How every benchmark times, and how it writes its results.

What is compared is a dict of names to callables; each call is a turn and
returns seconds.  :func:`take_turns` lets them take turns and :func:`rows`
makes the rows of a table of it.  A turn is one of these:

- :class:`Calls`: calls of a function of this process;
- :class:`Peer`: iterations of a program of its own under ``peers/``, so that
  the threads of one library do not disturb another's.  The program sleeps
  while others have their turn, and talks through a :class:`Channel`;
- a function that runs a whole program and returns its time.

Only the standard library is imported at first: the Python of a peer may have
no other package.
"""
import argparse
import datetime
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
sys.path.insert(0, ROOT)
# Seconds.  Threads of OpenBLAS and OpenMP look for work for a shorter time
# than that before they sleep.
PAUSE = .15
# Flags of /proc/cpuinfo that decide how fast products are
UNITS = {'avx2': 'AVX2', 'avx512f': 'AVX-512', 'avx512_vnni': 'VNNI',
         'avx512_vpopcntdq': 'VPOPCNTDQ', 'avx512_bf16': 'AVX512-BF16',
         'amx_tile': 'AMX', 'asimddp': 'NEON dot product'}


def cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def environment(threads: int) -> dict:
    """Returns the environment of a program that is to use some threads.

    How threads wait is left to each program: PyTorch takes twice as long
    where OMP_WAIT_POLICY=PASSIVE is forced upon it.  Threads of OpenBLAS that
    have no work would keep a core from Numba's for a tenth of a second, so
    they are told to look for work for 2^16 clock cycles only.
    """
    waiting = 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'
    return {
        **{name: value for name, value in os.environ.items()
           if name not in waiting},
        **dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS',
                         'MKL_NUM_THREADS', 'NUMBA_NUM_THREADS'),
                        str(threads)),
        'OPENBLAS_THREAD_TIMEOUT': '16'}


def positive(text: str) -> int:
    """Converts an argument to an integer from 1."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def parser(description: str, rounds: int = 7) -> argparse.ArgumentParser:
    """Makes a parser with the options that all benchmarks have."""
    made = argparse.ArgumentParser(
        description=description, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--rounds', type=positive, default=rounds, metavar='N',
                      help=f'turns of each (default: {rounds})')
    made.add_argument('--record', action='store_true', help=(
        'write the tables into benchmarks/results/, too'))
    return made


def add_peers(made: argparse.ArgumentParser) -> None:
    """Adds the options of benchmarks with peers to their parser."""
    made.add_argument('--threads', type=positive, default=cores(),
                      metavar='N', help='of each (default: the cores)')
    made.add_argument('--seconds', type=float, default=.3, metavar='S',
                      help='length of a turn (default: 0.3)')


def add_torch(made: argparse.ArgumentParser) -> None:
    """Adds the option that names a Python with PyTorch to a parser."""
    made.add_argument('--torch-python', default=sys.executable,
                      metavar='FILE', help='a Python that has PyTorch')


def images(n: int, shape: tuple = (1, 28, 28), n_classes: int = 10) -> tuple:
    """Makes images of classes that can be learned, mostly background.

    Returns:
        uint8 (n, *shape) and int32 labels (n,).
    """
    import numpy
    random = numpy.random.RandomState(0)
    labels = random.randint(0, n_classes, n).astype(numpy.int32)
    ink = (random.uniform(size=(n_classes, *shape)) < .2).astype(numpy.uint8)
    pixels = random.randint(128, 256, (n, *shape), numpy.uint8)
    pixels *= ink[labels]
    return pixels, labels


class Calls:
    """Calls of a function, as a turn of about some seconds."""

    def __init__(self, function, seconds: float = .02) -> None:
        self._function = function
        function()  # compiles it
        start = time.perf_counter()
        function()
        self._n = max(1, int(seconds / (time.perf_counter() - start)))

    def __call__(self) -> float:
        """Returns the seconds of a call, the mean of a turn."""
        if self._n > 1:  # The others have used the caches.
            self._function()
        start = time.perf_counter()
        for _ in range(self._n):
            self._function()
        return (time.perf_counter() - start) / self._n


class Peer:
    """Iterations of a program of its own, as a turn.

    Args:
        script: A file under ``peers/``, which finds this module by its name.
        words: Its arguments.
        threads: Threads of each library.
        python: The Python that runs it.

    Attributes:
        facts (dict): What it says of itself.
        unavailable (str or None): Why it cannot run.
        replies (list of dict): What it said at each turn.
    """

    def __init__(self, script: str, *words, threads: int,
                 python: str = sys.executable) -> None:
        self.facts, self.unavailable, self.replies = {}, None, []
        self._errors = tempfile.TemporaryFile('w+')
        env = environment(threads)
        env['PYTHONPATH'] = os.pathsep.join(
            filter(None, (FOLDER, env.get('PYTHONPATH'))))
        try:
            self._process = subprocess.Popen(
                [python, os.path.join(FOLDER, 'peers', script),
                 *map(str, words)], env=env, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors)
        except OSError as e:
            self._process, self.unavailable = None, e.strerror
            return
        self.facts = self._read()
        self.unavailable = self.facts.pop('unavailable', None)

    def prepare(self, seconds: float, **request) -> dict:
        """Says how long a turn is, and what the program is asked for.

        Returns:
            dict: Its reply to one iteration.
        """
        self._request = {**request, 'iterations': 1, 'warmup': 2}
        self()
        reply = self.replies.pop()
        self._request['iterations'] = min(1000, max(
            1, int(seconds / reply['seconds'])))
        if self._request['iterations'] == 1:  # Long ones are warm.
            self._request['warmup'] = 0
        return reply

    def __call__(self) -> float:
        """Returns the seconds of an iteration, the median of a turn."""
        self._process.stdin.write(json.dumps(self._request) + '\n')
        self._process.stdin.flush()
        self.replies.append(self._read())
        return self.replies[-1]['seconds']

    def _read(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read()
        self.close()
        words = shlex.join(map(str, self._process.args))
        raise RuntimeError(f'{words} ended, status {status}:\n{errors}')

    def close(self) -> None:
        """Ends the program."""
        self._errors.close()
        if self._process is not None:
            self._process.communicate()


class Channel:
    """The side of a peer: requests from standard input, replies.

    Standard output is for the replies alone; what the program itself prints
    goes to standard error.
    """

    def __init__(self):
        self._out = os.fdopen(os.dup(1), 'w')
        os.dup2(2, 1)

    def reply(self, **values) -> None:
        """Answers; the first answer is what the peer says of itself."""
        self._out.write(json.dumps(values) + '\n')
        self._out.flush()

    def unavailable(self, reason: str) -> None:
        """Says that there will be no iterations, and ends the process."""
        self.reply(unavailable=reason)
        sys.exit()

    def request(self) -> dict:
        """Returns the next request; ends the process after the last one."""
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        return json.loads(line)

    def serve(self, make, **facts) -> None:
        """Runs iterations as they are asked for.

        Args:
            make: Takes what a request says beside the iterations; returns an
                iteration, a function without arguments, and more for the
                reply.
            facts: What the peer says of itself.
        """
        self.reply(**facts)
        wanted = None
        while True:
            request = self.request()
            n, warmup = request.pop('iterations'), request.pop('warmup')
            if request != wanted:
                step = None  # Its arrays go before others come.
                (step, more), wanted = make(**request), request
            for _ in range(warmup):
                step()
            seconds = []
            for _ in range(n):
                start = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start)
            self.reply(seconds=statistics.median(seconds), **more)


def take_turns(contenders: dict, rounds: int) -> dict:
    """Lets contenders take turns; the order is reversed each round.

    Args:
        contenders: Names to callables that return the seconds of a turn.
        rounds: Turns of each.

    Returns:
        dict: Names to lists of seconds, one for each round.
    """
    seconds = {name: [] for name in contenders}
    for i in range(rounds):
        for name in list(contenders)[::-1 if i % 2 else 1]:
            time.sleep(PAUSE)
            seconds[name].append(contenders[name]())
    return seconds


def ratio(ours: list, theirs: list) -> float:
    """Returns our time by theirs: the median of the ratios of the rounds."""
    return statistics.median(
        a / b for a, b in zip(ours, theirs, strict=True))


def rows(seconds: dict, scale: float = 1e3, digits: int = 2) -> dict:
    """Makes the cells of a table of what :func:`take_turns` returned.

    Returns:
        dict: Names to median, least and most of the rounds, and the ratio of
        the first contender, which is ours, to it.
    """
    ours = next(iter(seconds.values()))
    return {name: [
        *(f'{scale * f(values):.{digits}f}'
          for f in (statistics.median, min, max)),
        f'{ratio(ours, values):.3g}'] for name, values in seconds.items()}


#: The header of the cells of :func:`rows`, behind the unit
HEADER = 'least', 'most', 'ours by it'


def table(header: list, lines: list) -> str:
    """Returns a table in Markdown; all but the first column stand right."""
    lines = [[str(cell) for cell in line] for line in [header, *lines]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    made = ['| ' + ' | '.join(
        (str.rjust if j else str.ljust)(cell, width) for j, (cell, width)
        in enumerate(zip(line, widths, strict=True))) + ' |'
        for line in lines]
    made.insert(1, '|' + '|'.join('-' * (width + 1) + '-:'[j > 0] for j, width
                                  in enumerate(widths)) + '|')
    return '\n'.join(made)


def report(args: argparse.Namespace, title: str, parts: list, threads: int,
           versions: dict | None = None) -> None:
    """Prints tables and lines with what they were measured on.

    With ``--record`` they become a section of ``results/SCRIPT.md``.  It
    replaces the section of the same title and processor.
    """
    from bnn import machine
    facts = machine.describe()
    words = [word if not word.startswith('/') else 'PATH'
             for word in sys.argv[1:] if word != '--record']
    name = os.path.basename(sys.argv[0])
    packages = {
        one: facts[one] for one in ('python', 'chainer', 'numpy', 'numba')
        if one in facts} | (versions or {})
    busy = _others()
    about = [
        f'`{shlex.join([f"benchmarks/{name}", *words])}`, '
        f'{datetime.date.today()}, commit {facts["commit"]}',
        f'{threads} threads on {cores()} cores; ' + ', '.join(
            f'{one} {version}' for one, version in packages.items()),
        'other programs used ' + (
            'an unknown number of cores' if busy is None
            else f'{busy:.2f} cores')]
    heading = f'## {title}, {processor(facts["cpu"])}'
    text = '\n\n'.join([heading, '  \n'.join(about), *parts])
    print(text)
    if args.record:
        path = os.path.join(
            FOLDER, 'results', name.removesuffix('.py') + '.md')
        try:
            with open(path) as f:
                found = f.read()
        except FileNotFoundError:
            found = f'# Results of {name}\n'
        top, *sections = re.split(r'^(?=## )', found, flags=re.MULTILINE)
        sections = [one for one in sections
                    if one.splitlines()[0] != heading] + [text + '\n']
        with open(path, 'w') as f:
            f.write('\n\n'.join(one.strip() for one in [top, *sections])
                    + '\n')


def processor(name: str) -> str:
    """Returns a processor's name with the units that multiply."""
    found = []
    try:
        with open('/proc/cpuinfo') as f:
            flags = next((line for line in f if line.startswith(
                ('flags', 'Features'))), '').split()
        found = [words for flag, words in UNITS.items() if flag in flags]
    except OSError:
        pass
    return name + (f' ({", ".join(found)})' if found else '')


def _busy():
    """Returns the seconds that all cores, and those of ours, were busy."""
    try:
        with open('/proc/stat') as f:
            ticks = list(map(int, f.readline().split()[1:9]))
    except OSError:
        return None
    # user, nice, system, interrupts, and what another machine took
    busy = sum(ticks[:3] + ticks[5:]) / os.sysconf('SC_CLK_TCK')
    return time.perf_counter(), busy, sum(os.times()[:4])


_AT_START = _busy()


def _others():
    """Returns how many cores other programs used since the start."""
    if _AT_START is None:
        return None
    elapsed, busy, ours = (
        now - before for now, before in zip(_busy(), _AT_START, strict=True))
    return max(0., (busy - ours) / elapsed)
