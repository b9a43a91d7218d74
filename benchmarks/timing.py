"""What the benchmarks share: contenders, turns, tables, results.

Each contender is a process of its own, so that the threads of one BLAS do not
disturb another's.  It runs iterations when it is asked to and sleeps in
between.  Only the standard library is imported at first: the Python of a peer
may have nothing else.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
# Seconds; threads of OpenBLAS and OpenMP look for more work for less than
# that before they sleep
PAUSE = 0.15
_THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS',
            'NUMBA_NUM_THREADS')
# What bnn.kernels, or who runs the benchmark, may have set
_WAITING = 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'


def cores():
    """Returns how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def use_threads(environ, n):
    """Sets the number of threads of every library.

    How threads wait is left to each program: PyTorch takes twice as long
    where OMP_WAIT_POLICY=PASSIVE is forced upon it.  Those of a contender
    that is not asked are asleep after :data:`PAUSE` all the same.  Those of
    OpenBLAS that have no work would keep a core from Numba's for a tenth of a
    second: they are told to look for some for 2^16 clock cycles only.

    Args:
        environ (dict): The environment to change, before they are loaded.
        n (int): Threads.
    """
    environ.update(dict.fromkeys(_THREADS, str(n)))
    environ['OPENBLAS_THREAD_TIMEOUT'] = '16'
    for name in _WAITING:
        environ.pop(name, None)


def _busy():
    """Returns the seconds that all cores, and those of ours, were busy."""
    try:
        with open('/proc/stat') as f:
            ticks = list(map(int, f.readline().split()[1:9]))
    except OSError:
        return None
    # user, nice, system, interrupts; what another machine stole too
    busy = sum(ticks[:3] + ticks[5:]) / os.sysconf('SC_CLK_TCK')
    times = os.times()
    return time.perf_counter(), busy, sum(times[:4])


_AT_START = _busy()


def others():
    """Returns how many cores other programs used since the start.

    Ended contenders are ours.

    Returns:
        float or None: Cores; ``None`` where the system does not tell.
    """
    if _AT_START is None:
        return None
    elapsed, busy, ours = (
        now - before for now, before in zip(_busy(), _AT_START))
    return max(0., (busy - ours) / elapsed)


def images(n, seed=0):
    """Makes images like MNIST's, of classes that can be learned.

    Args:
        n (int): How many.
        seed (int): Seed of the random numbers.

    Returns:
        tuple: uint8 (n, 1, 28, 28), mostly background as MNIST's, and int32
        labels (n,).
    """
    import numpy
    random = numpy.random.RandomState(seed)
    labels = random.randint(0, 10, n).astype(numpy.int32)
    ink = (random.uniform(size=(10, 784)) < 0.2).astype(numpy.uint8)
    pixels = random.randint(128, 256, (n, 784), numpy.uint8)
    pixels *= ink[labels]
    return pixels.reshape(-1, 1, 28, 28), labels


class Channel(object):

    """The side of a contender: requests from standard input, replies.

    Standard output is for the replies alone; what the program itself prints
    goes to standard error.
    """

    def __init__(self):
        self._out = os.fdopen(os.dup(1), 'w')
        os.dup2(2, 1)

    def ready(self, **facts):
        """Says that iterations can be run; ``facts`` go to the results."""
        self.reply(ready=facts)

    def unavailable(self, reason):
        """Says that there will be none, and ends the process."""
        self.reply(unavailable=reason)
        sys.exit()

    def reply(self, **values):
        self._out.write(json.dumps(values) + '\n')
        self._out.flush()

    def request(self):
        """Returns the next request, a dict; ends the process after the last.

        Raises:
            SystemExit: There is no other.
        """
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        return json.loads(line)

    def serve(self, step, synchronize=None):
        """Runs iterations as they are asked for.

        Args:
            step (callable): One iteration.
            synchronize (callable or None): Waits for a GPU, whose iterations
                are timed together.
        """
        while True:
            request = self.request()
            for _ in range(request['warmup']):
                step()
            seconds = []
            if synchronize is not None:
                synchronize()
                start = time.perf_counter()
                for _ in range(request['iterations']):
                    value = step()
                synchronize()
                seconds.append(
                    (time.perf_counter() - start) / request['iterations'])
            else:
                for _ in range(request['iterations']):
                    start = time.perf_counter()
                    value = step()
                    seconds.append(time.perf_counter() - start)
            self.reply(seconds=seconds, **(
                {} if value is None else {'loss': float(value)}))


class Contender(object):

    """A process that runs iterations when it is asked to.

    Args:
        name (str): What the table calls it.
        script (str): Its program, a file under ``peers/``.
        options: Its options.
        threads (int): Threads of each library.
        python (str): The Python that runs it.

    Attributes:
        name (str): See above.
        facts (dict): What it says of itself.
        unavailable (str or None): Why it cannot run.
        rounds (list of list of float): The seconds of the iterations of each
            turn.
        replies (list of dict): What else it said at each turn.
    """

    def __init__(self, name, script, *options, threads, python=sys.executable):
        self.name = name
        self.facts, self.unavailable = {}, None
        self.rounds, self.replies = [], []
        environ = dict(os.environ)
        use_threads(environ, threads)
        self._errors = tempfile.TemporaryFile('w+')
        try:
            self._process = subprocess.Popen(
                [python, os.path.join(FOLDER, 'peers', script),
                 *map(str, options)], env=environ, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors)
        except OSError as e:
            self._errors.close()
            self.unavailable = e.strerror
            return
        reply = self._read()
        self.unavailable = reply.get('unavailable')
        self.facts = reply.get('ready', {})
        if self.unavailable:
            self.close()

    def _read(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read()
        self.close()
        raise RuntimeError(
            '%s ended, status %d:\n%s' % (self.name, status, errors))

    def turn(self, iterations, warmup=2, **more):
        """Runs iterations.

        Args:
            iterations (int): How many to time.
            warmup (int): How many before them, untimed.
            more: What else the contender is told.

        Returns:
            list of float: Seconds.
        """
        self._process.stdin.write(json.dumps(
            {'iterations': iterations, 'warmup': warmup, **more}) + '\n')
        self._process.stdin.flush()
        reply = self._read()
        self.replies.append(reply)
        return reply.pop('seconds')

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    @property
    def medians(self):
        """list of float: Of each round, seconds."""
        return [statistics.median(seconds) for seconds in self.rounds]

    @property
    def median(self):
        """float: Of the medians of the rounds, seconds."""
        return statistics.median(self.medians)

    def ratio(self, other):
        """Returns by how much it takes longer than another.

        The median of the rounds' ratios: a slow minute of the machine meets
        both.
        """
        return statistics.median(
            a / b for a, b in zip(self.medians, other.medians))


def interleave(contenders, rounds, iterations, warmup=2):
    """Lets contenders take turns.

    Args:
        contenders (list of Contender): Those that can run.
        rounds (int): How many turns each has; the order is reversed from one
            to the next.
        iterations (int): Iterations in a turn.
        warmup (int): Iterations before them, untimed.
    """
    for i in range(rounds):
        for contender in contenders[::-1 if i % 2 else 1]:
            time.sleep(PAUSE)
            contender.rounds.append(contender.turn(iterations, warmup))


def time_in_turns(functions, rounds, least=0.01):
    """Times functions of this process in turns.

    Args:
        functions (dict): Names to callables without arguments.
        rounds (int): How many turns each has.
        least (float): How long a turn is at least, seconds.

    Returns:
        dict: Names to the medians over the rounds of the seconds of a call.
    """
    counts = {}
    for name, function in functions.items():
        function()  # compiles it
        start = time.perf_counter()
        function()
        counts[name] = max(1, int(least / (time.perf_counter() - start)))
    seconds = {name: [] for name in functions}
    for i in range(rounds):
        for name in list(functions)[::-1 if i % 2 else 1]:
            function = functions[name]
            if counts[name] > 1:  # after the others, which used the cache
                function()
            start = time.perf_counter()
            for _ in range(counts[name]):
                function()
            seconds[name].append(
                (time.perf_counter() - start) / counts[name])
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_table(header, rows):
    """Prints a table in Markdown, padded; all but the first column right.

    Args:
        header (list of str): Names of the columns.
        rows (list of list of str): The rows.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    for i, row in enumerate([header, *rows]):
        print('| %s |' % ' | '.join(
            (str.rjust if j else str.ljust)(cell, width)
            for j, (cell, width) in enumerate(zip(row, widths))))
        if not i:
            print('|%s|' % '|'.join(
                '-' * (width + 1) + (':' if j else '-')
                for j, width in enumerate(widths)))


def save(path, result, threads):
    """Writes results, with the machine, what it did beside, and versions.

    The last line that is printed says how busy other programs were: what was
    measured beside them is no result.

    Args:
        path (str): The file.
        result (dict): The results.
        threads (int): Threads of each library.
    """
    from bnn import machine
    busy = others()
    print('\nother programs used %s' % (
        'an unknown number of cores' if busy is None else
        '%.2f of %d cores' % (busy, cores())))
    with open(path, 'w') as f:
        json.dump({**result, 'machine': {
            **machine.describe(), 'threads': threads,
            'cores_used_by_others': busy}}, f, indent=1)
        f.write('\n')


def positive(text):
    """An integer from 1, for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def add_net(parser):
    """Adds the options of the net to a parser of a contender."""
    parser.add_argument('--unit', type=positive, default=1000, metavar='N',
                        help='units in each hidden layer')
    parser.add_argument('--layers', type=positive, default=2, metavar='N',
                        help='hidden layers')
    parser.add_argument('--batchsize', type=positive, default=100,
                        metavar='N', help='images in a batch')
    parser.add_argument('--images', type=positive, default=60000,
                        metavar='N', help='images in the synthetic data')
    parser.add_argument('--gpu', type=int, default=-1, metavar='ID',
                        help='GPU, 0 for the first; -1 for the CPU')


def net_options(args, **changes):
    """Returns the options of :func:`add_net` as words."""
    values = {name: changes.get(name, getattr(args, name)) for name in (
        'unit', 'layers', 'batchsize', 'images', 'gpu')}
    # An epoch has several iterations; its last one is not timed.
    values['images'] = max(values['images'], 4 * values['batchsize'])
    return ['--%s=%d' % item for item in values.items()]


def sizes(args):
    """Returns the widths of the net from the pixels to the classes."""
    return [784] + [args.unit] * args.layers + [10]
