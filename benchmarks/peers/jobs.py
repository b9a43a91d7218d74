"""What the contenders of inference.py share: jobs that are asked for."""
import os
import resource
import sys
import time


def add_files(parser):
    """Adds the option that names the folder of the nets."""
    parser.add_argument('--files', required=True, metavar='DIR',
                        help='folder that inference.py filled')


def threads():
    """Returns how many threads a contender is to use."""
    return int(os.environ['OMP_NUM_THREADS'])


def load(args, *names):
    """Loads arrays that :mod:`inference_nets` saved."""
    import numpy
    return [numpy.load(os.path.join(args.files, name + '.npy'))
            for name in names]


def folded(args):
    """Loads the net as matrices and thresholds.

    Returns:
        list of tuple: Of each layer float32 weights (n_out, n_in) and
        thresholds (n_out,); of the last one weights, scale and offset.
    """
    import numpy
    with numpy.load(os.path.join(args.files, 'folded.npz')) as f:
        arrays = dict(f)
    n = max(int(name[1:]) for name in arrays if name[0] == 'W')
    return [(arrays['W%d' % i], arrays['T%d' % i]) for i in range(n)] + [
        (arrays['W%d' % n], arrays['scale'], arrays['offset'])]


def memory():
    """Returns the bytes that this process occupies, and the most so far."""
    try:
        with open('/proc/self/status') as f:
            lines = dict(line.split(':', 1) for line in f)
        return tuple(1024 * int(lines[name].split()[0])
                     for name in ('VmRSS', 'VmHWM'))
    except (OSError, KeyError):
        pass
    # On Linux this would be that of the process which started this one, if
    # that was larger.
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (size if sys.platform == 'darwin' else size * 1024,) * 2


def serve(channel, jobs, **facts):
    """Runs jobs as they are asked for.

    Args:
        channel (timing.Channel): From which they come.
        jobs (dict): Names to functions that take a batch size and return a
            function without arguments, which computes a batch; ``'net'``
            gives the classes.
        facts: What goes to the results.
    """
    channel.ready(jobs=list(jobs), threads=threads(),
                  loaded_bytes=memory()[0], **facts)
    current, step = None, None
    while True:
        request = channel.request()
        more = {}
        job = request['job'], request['batch']
        if job != current:
            current, step = None, None  # its arrays go before others come
            current, step = job, jobs[job[0]](job[1])
            found = step()
            if job[0] == 'net':
                more['classes'] = [int(one) for one in found]
            del found
        for _ in range(request['warmup']):
            step()
        seconds = []
        for _ in range(request['iterations']):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        channel.reply(seconds=seconds, peak_bytes=memory()[1], **more)
