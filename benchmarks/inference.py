#!/usr/bin/env python3
"""Time of a prediction: the packed net beside the peers, in one run.

The net 784-1000-1000-10, with random signs as weights or trained (--model),
on uint8 images like MNIST's: packed (bnn.deploy), in Chainer, in PyTorch
(float32, eager and compiled), in onnxruntime (float32 and int8), and the C
program, each with one thread and with more, batch by batch.  They take turns,
each a process of its own that sleeps in between.  PyTorch and onnxruntime are
given their fastest form, see inference_nets.py.  Three things apart:

  net      from uint8 images to classes, the Python call included
  packing  a product of signs, n x 1000 x 1000, from floats: bits, or int8,
           are made of the operand first
  kernel   the product alone, both operands ready

    benchmarks/inference.py --torch-python ~/torch/bin/python
    benchmarks/inference.py --model mlp.model --c-dir DIR
"""
import argparse
import os
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing

JOBS = {'net': 'end to end', 'packing': 'kernel with packing',
        'kernel': 'kernel alone'}
OURS = 'packed'
# Name: program under peers/, its options; --torch-python runs PyTorch's
CONTENDERS = {
    OURS: ('infer_ours.py', '--of=packed'),
    'Chainer': ('infer_ours.py', '--of=chainer'),
    'PyTorch, eager': ('infer_torch.py',),
    'PyTorch, torch.compile': ('infer_torch.py', '--compile'),
    'onnxruntime, as exported': ('infer_onnx.py', '--net=net'),
    'onnxruntime, float32': (
        'infer_onnx.py', '--net=folded', '--kernels=float32'),
    'onnxruntime, int8 dynamic': ('infer_onnx.py', '--net=dynamic'),
    'onnxruntime, int8 static': ('infer_onnx.py', '--net=static'),
    'onnxruntime, int8 by hand': (
        'infer_onnx.py', '--net=integers', '--kernels=int8')}
C_CONTENDERS = {
    'C, -O3 -march=native': '-O3 -march=native', 'C, -O2': '-O2'}


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--unit', type=timing.positive, default=1000,
                        metavar='N', help='units in each hidden layer')
    parser.add_argument('--layers', type=timing.positive, default=2,
                        metavar='N', help='hidden layers')
    parser.add_argument('--model', metavar='FILE',
                        help='a trained net, BinaryMLP, instead')
    parser.add_argument('--batch', type=timing.positive, nargs='+',
                        default=[1, 100, 10000], metavar='N',
                        help='batch sizes')
    parser.add_argument('--threads', type=timing.positive, nargs='+',
                        default=sorted({1, timing.cores()}), metavar='N',
                        help='threads of each (default: 1, and the cores)')
    parser.add_argument('--jobs', nargs='+', choices=list(JOBS),
                        default=list(JOBS), help='what to time')
    parser.add_argument('--only', nargs='+', metavar='NAME', help=(
        'contenders to measure beside ours: parts of their names'))
    parser.add_argument('--rounds', type=timing.positive, default=9,
                        metavar='N', help='turns of each')
    parser.add_argument('--least', type=float, default=.1, metavar='SECONDS',
                        help='how long a turn is at least')
    parser.add_argument('--torch-python', default=sys.executable,
                        metavar='FILE', help='a Python that has PyTorch')
    parser.add_argument('--c-dir', default='', metavar='DIR', help=(
        'what export.py --to c wrote of --model'))
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'inference.json'))
    return parser


def start(args, folder):
    """Starts the contenders.

    Returns:
        list of timing.Contender: With the attribute ``n_threads``.
    """
    wanted = [
        (name, n, script, options) for n in args.threads
        for name, (script, *options) in CONTENDERS.items()] + [
        (name, 1, 'infer_c.py', ['--c-dir', args.c_dir, '--flags=' + flags])
        for name, flags in C_CONTENDERS.items()]
    found = []
    for name, n, script, options in wanted:
        if name != OURS and args.only and not any(
                part.lower() in name.lower() for part in args.only):
            continue
        one = timing.Contender(
            name, script, '--files', folder, *options, threads=n,
            python=args.torch_python if 'torch' in script else sys.executable)
        one.n_threads = n
        found.append(one)
    return found


def measure(contenders, job, batch, args):
    """Lets contenders take turns at a job.

    Returns:
        list of dict: What is written of each.
    """
    able = [one for one in contenders
            if not one.unavailable and job in one.facts['jobs']]
    counts, classes = {}, {}
    for one in able:
        seconds = one.turn(1, 1, job=job, batch=batch)[0]
        counts[one] = int(min(1000, max(1, args.least / seconds)))
        classes[one] = one.replies[-1].get('classes')
        one.rounds = []
    for i in range(args.rounds):
        for one in able[::-1 if i % 2 else 1]:
            time.sleep(timing.PAUSE)
            one.rounds.append(one.turn(
                counts[one], 2 if counts[one] > 1 else 1, job=job,
                batch=batch))
    ours = {one.n_threads: one for one in able if one.name == OURS}
    return [{
        'job': job, 'batch': batch, 'name': one.name,
        'threads': one.n_threads, 'seconds': one.median,
        'round_medians': one.medians, 'images_per_second': batch / one.median,
        'by_packed': one.ratio(ours[one.n_threads]) if (
            one.n_threads in ours) else None,
        'peak_bytes': one.replies[-1]['peak_bytes'],
        **_differing(
            one, classes, next(iter(ours.values()), None), args)}
        for one in able]


def _differing(one, classes, ours, args):
    """Returns how many images are of another class than packed ones."""
    if classes[one] is None or ours is None or (
            not args.model and 'flags' in one.facts):  # C of another net
        return {}
    return {'differing': sum(a != b for a, b in zip(
        classes[one], classes[ours], strict=True))}


def report(args, rows, contenders):
    """Prints the tables."""
    for job in args.jobs:
        for batch in args.batch:
            some = [row for row in rows
                    if (row['job'], row['batch']) == (job, batch)]
            unit = 'images/s' if job == 'net' else 'rows/s'
            print('\n%s, batch %d\n' % (JOBS[job], batch))
            timing.print_table(
                ['', 'threads', 'microseconds', 'least', 'most', unit,
                 'by packed', *(['differ'] if job == 'net' else [])],
                [[row['name'], str(row['threads']), *(
                    '%.1f' % (1e6 * one) for one in (
                        row['seconds'], min(row['round_medians']),
                        max(row['round_medians']))),
                  format(round(row['images_per_second']), ','),
                  '-' if row['by_packed'] is None
                  else '%.2f' % row['by_packed'],
                  *([str(row.get('differing', '-'))] if job == 'net' else [])]
                 for row in some])
    print('\nmemory\n')
    timing.print_table(
        ['', 'threads', 'model bytes', 'loaded MB', *(
            'peak MB, batch %d' % batch for batch in args.batch)],
        [[one.name, str(one.n_threads),
          format(one.facts['model_bytes'], ','),
          '%.0f' % (one.facts['loaded_bytes'] / 1e6),
          *('%.0f' % (row['peak_bytes'] / 1e6) for row in rows
            if row['job'] == 'net' and (row['name'], row['threads']) == (
                one.name, one.n_threads))]
         for one in contenders if not one.unavailable])
    for one in contenders:
        if one.unavailable:
            print('\nnot measured: %s, %d threads: %s' % (
                one.name, one.n_threads, one.unavailable))


def main():
    args = make_parser().parse_args()
    # After the threads are set: this process makes the nets
    timing.use_threads(os.environ, 1)
    args.batch.sort()  # the peak of the memory only rises
    import inference_nets
    with tempfile.TemporaryDirectory() as folder:
        sizes = inference_nets.write(
            folder, args.unit, args.layers, max(args.batch), args.model)
        contenders = start(args, folder)
        rows = []
        for job in JOBS:
            for batch in args.batch if job in args.jobs else ():
                print('%s, batch %d ...' % (JOBS[job], batch),
                      file=sys.stderr)
                rows += measure(contenders, job, batch, args)
        for one in contenders:
            if not one.unavailable:
                one.close()
    print('%s, medians of %d turns' % ('-'.join(map(
        str, sizes)), args.rounds))
    report(args, rows, contenders)
    timing.save(args.out, {
        'settings': {name: getattr(args, name) for name in (
            'batch', 'threads', 'rounds', 'least')}, 'sizes': sizes,
        'contenders': [
            {'name': one.name, 'threads': one.n_threads,
             **({'unavailable': one.unavailable} if one.unavailable
                else one.facts)} for one in contenders],
        'rows': rows}, max(args.threads))


if __name__ == '__main__':
    from bnn.training.command_line import script
    script.run(main)
