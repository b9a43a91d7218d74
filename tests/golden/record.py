"""Runs a training script and keeps the losses of its first iterations.

    python record.py LOSSES.json SCRIPT OPTION ...

Of the script it takes only that a :class:`chainer.training.Trainer` runs.
"""
import json
import os
import pathlib
import runpy
import sys

import chainer

N = 3


def main(path, script, *options):
    losses = []

    def record(trainer):
        if len(losses) < N:
            losses.append(float(chainer.as_array(
                trainer.observation['main/loss'])))
            pathlib.Path(path).write_text(json.dumps(losses))

    def run(trainer, *args, **kwargs):
        trainer.extend(record, name='golden', trigger=(1, 'iteration'),
                       priority=10 ** 6)
        return original(trainer, *args, **kwargs)

    original = chainer.training.Trainer.run
    chainer.training.Trainer.run = run
    sys.argv = [script, *options]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name='__main__')


if __name__ == '__main__':
    main(*sys.argv[1:])
