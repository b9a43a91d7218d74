#!/usr/bin/env python3
"""The C net of a trained model: predictions, speed, flash and RAM.

Exports the model as export.py --to c does, compiles it in several ways,
compares all test images with the packed net in Python, and measures one image
at a time on one thread, in turns with a plain float loop of the shapes
784-1000-1000-10 (peers/float_loop.c).

    benchmarks/c_inference.py result/latest/mlp.model
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import numpy

from bnn import data as datasets
from bnn import machine
from bnn.deploy import int8
from bnn.deploy import pack
from bnn.deploy import run
from bnn.deploy.c import folder as c_folder
from bnn.training.reports import agreement
from bnn.training.command_line import script
from bnn.training.files import atomic
from bnn.training.reports import summary
from zoo import trained as trained_module

FLAGS = (
    ('-O3 -march=native', ''), ('-O3 -march=native', '64-bit words'),
    ('-O2', 'portable popcount'), ('-O2', 'portable popcount, 64-bit words'))
_DEFINES = {'64-bit words': '-DBNN_WORD_BITS=64',
            'portable popcount': '-DBNN_BUILTIN_POPCOUNT=0'}
_ROUNDS = 5


def build(folder, compiler, flags, words):
    """Compiles the net and returns the program."""
    defines = [_DEFINES[word] for word in words.split(', ') if word]
    subprocess.run(
        ['make', '-s', '-B', 'CC=' + compiler,
         'CFLAGS=' + ' '.join([flags, *defines])], cwd=folder, check=True)
    name = '-'.join([compiler, flags, words]).replace(' ', '')
    return shutil.move(os.path.join(folder, 'bnn'),
                       os.path.join(folder, name))


def microseconds(*command):
    """Runs a program that prints its time, and returns it."""
    out = subprocess.run(command, check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return float(out.split()[0])


def export(args, folder):
    """Writes the C net and images; returns it and what Python predicts."""
    trained = trained_module.load(args.model)
    data = datasets.load(trained.dataset, args.data_dir)
    found, rescale = trained.operations(), trained.rescale
    if args.int8_ends:
        found, rescale = int8.quantize_ends(found, rescale, agreement.pixels(
            trained, data.train_images, range(500))[0])
    net = pack.pack(
        found, trained.input_shape, rescale, trained.class_names,
        trained.facts, pad_pixels=args.int8_ends)
    c_net = c_folder.export(net)
    c_folder.write(c_net, folder, atomic.write)
    x = agreement.pixels(trained, data.test_images,
                         range(len(data.test_labels)))[0]
    for name, some in (('all.bin', x), ('some.bin', x[:200]),
                       ('images.bin', x[:20])):
        pathlib.Path(folder, name).write_bytes(
            numpy.ascontiguousarray(some).tobytes())
    return c_net, run.Net(net).predict(x)


def on_cortex_m4(folder, expected):
    """Prints the size of the Cortex-M4 program, and what it predicts."""
    if not shutil.which('arm-none-eabi-gcc'):
        print('arm-none-eabi-gcc is not installed')
        return
    out = subprocess.run(
        ['make', '-s', 'arm', 'FLASH=4M', 'RAM=4M'], cwd=folder, check=True,
        text=True, stdout=subprocess.PIPE).stdout
    text, data, bss = map(int, out.splitlines()[1].split()[:3])
    line = 'Cortex-M4, -O2: %s bytes of flash, %s of RAM' % (
        format(text + data, ','), format(data + bss, ','))
    if shutil.which('qemu-system-arm'):
        *classes, _, stack = subprocess.run(
            ['make', '-s', 'qemu'], cwd=folder, check=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.split()
        line += ' and %s of stack; in qemu %d of %d predictions differ' % (
            format(int(stack), ','), (
                numpy.array(classes, int) != expected[:len(classes)]).sum(),
            len(classes))
    print(line)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('model', help='mlp.model of a training')
    parser.add_argument('--int8-ends', action='store_true')
    parser.add_argument('--data-dir')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        c_net, expected = export(args, folder)
        print(summary.table(c_net.rows))
        programs = {}
        for compiler in filter(shutil.which, ('gcc', 'clang')):
            for flags, words in FLAGS:
                programs[compiler, flags, words] = [
                    build(folder, compiler, flags, words), '--time',
                    os.path.join(folder, 'some.bin')]
            for flags in dict(FLAGS):
                loop = os.path.join(folder, 'loop-%s%s' % (
                    compiler, flags.replace(' ', '')))
                subprocess.run(
                    [compiler, '-std=c99', *flags.split(), '-o', loop,
                     str(FOLDER / 'peers' / 'float_loop.c')], check=True)
                programs[compiler, flags, 'float loop'] = [loop]
        rounds = [{key: microseconds(*command)
                   for key, command in programs.items()}
                  for _ in range(_ROUNDS)]
        best = {key: min(one[key] for one in rounds) for key in programs}
        rows = []
        for key, (path, *options) in programs.items():
            row = {'compiler': key[0], 'flags': key[1], 'program': key[2],
                   'us an image': '%.1f' % best[key],
                   'times faster than the float loop': '%.0f' % (
                       best[(*key[:2], 'float loop')] / best[key]),
                   'differing predictions': ''}
            if options:
                classes = subprocess.run(
                    [path, '--raw', os.path.join(folder, 'all.bin')],
                    check=True, stdout=subprocess.PIPE).stdout.split()
                row['differing predictions'] = '%d of %d' % (
                    (numpy.array(classes, int) != expected).sum(),
                    len(expected))
            rows.append(row)
        print(summary.table(rows))
        on_cortex_m4(folder, expected)
        print('%s, one thread' % machine.describe()['cpu'])


if __name__ == '__main__':
    script.run(main)
