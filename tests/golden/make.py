"""Makes the fixtures of tests/test_golden.py with the code as it is.

    python -m tests.golden.make

A minute or so.  They are there to stay: make them anew only when results
have to change, and say in the commit why.
"""
import hashlib
import json
import pathlib
import shutil
import tempfile

from tests.golden import project
from tests.golden import training

FOLDER = pathlib.Path(__file__).resolve().parent


def write_json(name, **values):
    (FOLDER / name).write_text(json.dumps(
        {'machine': training.machine(), **values}, indent=1) + '\n')


def make_runs(temporary):
    """Writes what the training scripts print, log and compute at first."""
    logs, steps = {}, {}
    for name, command in project.RUNS.items():
        folder = temporary / name
        folder.mkdir()
        result = training.run(folder, *command)
        steps[name] = result['losses']
        # A table is padded by the width of its numbers: its head is enough.
        n_lines = 1 if result['stdout'][0].startswith('epoch ') else None
        logs[name] = {'log': result['log'],
                      'stdout': result['stdout'][:n_lines]}
        print(f'{name}: losses {result["losses"]}')
    write_json('logs.json', runs=logs)
    write_json('steps.json', runs=steps)


def make_nets():
    """Writes the digests of packed nets."""
    nets = {}
    for name in project.NETS:
        *_, file = project.make_net(name)
        nets[name] = hashlib.sha256(file).hexdigest()
        print(f'{name}: {len(file)} bytes packed')
    write_json('nets.json', nets=nets)


def make_models(temporary):
    """Writes two trained models, packed too, and how good they are."""
    models = {}
    for name, command in project.MODELS.items():
        folder = temporary / name
        folder.mkdir()
        log = training.run(folder, *command)['log']
        path = FOLDER / f'{name}.model'
        shutil.copyfile(folder / 'out' / 'mlp.model', path)
        *_, file = project.load_model(path)
        path.with_suffix('.bnn').write_bytes(file)
        models[name] = {
            'test_accuracy': log[-1]['validation/main/accuracy'],
            'packed_sha256': hashlib.sha256(file).hexdigest()}
        print(f'{name}: {models[name]}')
    write_json('models.json', models=models)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        make_runs(pathlib.Path(temporary))
        make_models(pathlib.Path(temporary))
    make_nets()


if __name__ == '__main__':
    main()
