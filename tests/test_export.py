"""export.py: from a model file to a packed net."""
import errno
import itertools
import json
import pathlib
import sys

import chainer.links as L
import h5py
import numpy
import pytest

import export
import net
from bnn import data as datasets
from bnn import deploy
from bnn import errors
from bnn.training.files import atomic
from bnn.training.files import model_file
from tests.helpers import scripts
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import lenet5


@pytest.fixture
def write_model(tmp_path, monkeypatch):
    """A function that writes a model file as a training does."""
    monkeypatch.chdir(tmp_path)

    def write(predictor, net_args, **attributes):
        attributes = {
            'net_class': type(predictor).__name__, 'net_args': net_args,
            'net': 'x', 'dataset': 'digits', 'input': 'unit',
            'class_names': list('0123456789'), **attributes}
        model_file.save('mlp.model', L.Classifier(predictor), {
            name: value for name, value in attributes.items()
            if value is not None})
        return 'mlp.model'
    return write


@pytest.fixture
def binary_model(write_model):
    return write_model(net.BinaryMLP(20), {'n_units': 20})


def test_of_a_training(trained, capsys, tmp_path):
    out = str(tmp_path / 'net.bnn')
    assert export.main([
        str(trained.out / 'mlp.model'), '--to', 'packed', '-o', out]) == 0
    printed = capsys.readouterr().out
    attributes = model_file.read_attributes(str(trained.out / 'mlp.model'))
    accuracy = attributes['test_accuracy']
    assert (f'accuracy {accuracy:.4f} in Chainer, {accuracy:.4f} packed; '
            'predictions that differ: 0\n') in printed
    lines = printed.splitlines()
    assert lines[0].split() == [
        'layer', 'weights', 'operand', 'to', 'result', 'bits', 'float',
        'bytes', 'packed', 'bytes']
    assert [line.split()[0] for line in lines[1:5]] == [
        'l1', 'l2', 'l3', 'total']
    found = deploy.load(out)
    assert found.packed.facts['dataset'] == 'digits'
    assert found.class_names == tuple('0123456789')
    data = datasets.load('digits')
    assert (found.predict(data.test_images) == data.test_labels).mean() == (
        pytest.approx(attributes['test_accuracy']))


@pytest.mark.parametrize('make, net_args, kind', [
    (quantized_mlp.QuantizedMLP,
     {'n_units': 9, 'w_bits': 2, 'a_bits': 3}, 'signed'),
    (binary_weight_mlp.BinaryWeightMLP, {'n_units': 9}, 'standard'),
    pytest.param(lenet5.LeNet5, {'n_out': 10}, 'standard',
                 marks=pytest.mark.slow),
    (net.BinaryMLP, {'n_units': 9}, 'binary')])
def test_other_nets(make, net_args, kind, write_model, capsys):
    path = write_model(make(**net_args), net_args, input=kind)
    assert export.main([path]) == 0  # 1 if a difference has no tie
    assert 'in Chainer' in capsys.readouterr().out
    assert deploy.load('mlp.bnn').packed.rescale.kind == kind


@pytest.mark.slow
def test_int8_ends(write_model, capsys):
    path = write_model(lenet5.LeNet5(), {}, input='standard')
    assert export.main([path, '--int8-ends']) == 0
    assert 'packed; predictions that differ' in capsys.readouterr().out
    products = deploy.load('mlp.bnn').packed.products
    assert [one.weights.bits for one in products] == [8, 1, 1, 8]


def test_names_of_other_classes(write_model):
    path = write_model(net.BinaryMLP(20), {'n_units': 20},
                       class_names=['cat', 'dog'])
    with pytest.raises(errors.UserError, match='10 scores .* 2 classes'):
        export.main([path, '--no-check'])
    assert not pathlib.Path('mlp.bnn').exists()


def test_nan(write_model):
    predictor = net.BinaryMLP(20)
    predictor.b2.gamma.array[3] = numpy.nan
    path = write_model(predictor, {'n_units': 20})
    with pytest.raises(errors.UserError,
                       match='b2 cannot be packed: its gamma is NaN'):
        export.main([path])


def test_script(tmp_path, binary_model):
    out = scripts.Process(tmp_path, 'export.py').succeed(
        binary_model, '--to', 'packed', '-o', 'a.bnn').stdout
    assert 'a.bnn: ' in out and 'predictions that differ: 0' in out


@pytest.mark.parametrize('kind, words', [
    ('packed', "predict.py 'a b' PICTURE"),
    ('web', "open 'a b' in a browser"), ('onnx', "load 'a b' in onnxruntime"),
    ('c', "make -C 'a b' && 'a b'/bnn IMAGE.pgm")])
def test_what_comes_next(binary_model, capsys, kind, words):
    assert export.main(
        [binary_model, '--to', kind, '-o', 'a b', '--no-check']) == 0
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('to predict: ') and words in line


@pytest.mark.parametrize('channels, name', [(1, 'pgm'), (3, 'ppm')])
def test_picture_of_a_c_net(tmp_path, monkeypatch, channels, name):
    """The suffix that the program takes."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path('mine.py').write_text(
        'import chainer, bst\nfrom link_binary_linear import BinaryLinear\n'
        'def make():\n    return chainer.Sequential('
        'BinaryLinear(None, 8), bst.bst, BinaryLinear(8, 2))')
    script = scripts.Call(tmp_path, 'export.py')
    assert script.succeed(
        'mine.py:make', '--example', f'{channels},4,4', '--to', 'c'
        ).stderr.endswith(f'IMAGE.{name}\n')


@pytest.mark.parametrize('kind', ('web', 'c'))
def test_of_a_packed_net(binary_model, capsys, kind):
    """It gives what its model gives."""
    def written(path):
        path = pathlib.Path(path)
        return [file.read_bytes() for file in (
            sorted(path.iterdir()) if path.is_dir() else [path])]

    assert export.main([binary_model, '-o', 'net.nbin']) == 0
    assert export.main([binary_model, '--to', kind, '-o', 'a']) == 0
    table = capsys.readouterr().out.splitlines()[0]
    assert not export.main(['net.nbin', '--to', kind, '-o', 'b'])
    out, err = capsys.readouterr()
    assert out.startswith(table)
    assert err.startswith('to predict:')
    assert written('a') == written('b')


def test_of_a_shipped_net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export.main(['best', '--to', 'web'])
    export.main(['best', '--summary', '--to', 'c'])
    export.main(['best', '--summary'])
    assert [path.name for path in tmp_path.iterdir()] == ['best.html']
    for words, message in (
            (['--to', 'onnx'], 'best is packed already: --to web or c;'),
            (['--to', 'web', '--card'], '^--card is of a model, and best is'),
            (['--to', 'c', '--example', '1,28,28'], '^--example is of')):
        with pytest.raises(errors.UserError, match=message):
            export.main(['best', *words])
    for name, message in (('none.bnn', 'cannot read none.bnn'),
                          ('none', '^none: .* there are: best, ')):
        with pytest.raises(errors.UserError, match=message):
            export.main([name, '--to', 'c'])


def test_a_packed_net_stays(binary_model):
    assert export.main([binary_model, '-o', 'net.bnn']) == 0
    before = pathlib.Path('net.bnn').read_bytes()
    with pytest.raises(errors.UserError, match='is the model itself'):
        export.main(['net.bnn', '--to', 'web', '-o', './net.bnn'])
    assert pathlib.Path('net.bnn').read_bytes() == before


def test_script_refuses(tmp_path):
    script = scripts.Call(tmp_path, 'export.py')
    (script.cwd / 'text.model').write_text('no model')
    for words in ['text.model'], ['--to', 'x', 'text.model']:
        line = script.refuse(*words)
        assert line.startswith('export.py: error: ')


def test_cannot_write(binary_model):
    with pytest.raises(errors.UserError, match='cannot write'):
        export.main([binary_model, '-o', 'none/x.bnn', '--no-check'])


def test_card_leaves_other_files_alone(trained, tmp_path):
    script = scripts.Call(tmp_path, 'export.py')
    words = str(trained.out / 'mlp.model'), '--card', '-o'
    (tmp_path / 'net.md').write_text('mine')
    assert 'net.md, which is no card' in script.refuse(*words, 'net.bnn')
    assert 'both.md is where --card writes' in script.refuse(
        *words, 'both.md')
    (tmp_path / 'net.md').unlink()
    for _ in range(2):  # its own card is replaced
        script.succeed(*words, 'net.bnn')
    assert (tmp_path / 'net.md').read_text().startswith('# net\n')


def test_the_model_stays(binary_model):
    before = pathlib.Path(binary_model).read_bytes()
    pathlib.Path('link').symlink_to(binary_model)
    for kind, out in itertools.product(('packed', 'web', 'c'), (
            binary_model, './' + binary_model, 'link')):
        with pytest.raises(errors.UserError, match='is the model itself'):
            export.main([binary_model, '--to', kind, '-o', out, '--no-check'])
    assert pathlib.Path(binary_model).read_bytes() == before


def test_c_after_a_full_disk(binary_model, monkeypatch, tmp_path):
    words = [binary_model, '--to', 'c', '--no-check', '-o', 'c']
    write, opened = atomic.write, []

    def fail(path):
        opened.append(path)
        if len(opened) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return write(path)

    monkeypatch.setattr(atomic, 'write', fail)
    with pytest.raises(OSError):
        export.main(words)
    assert len(list((tmp_path / 'c').iterdir())) == 1
    export.main(words)
    assert (tmp_path / 'c' / 'main.c').exists()


def test_c_leaves_other_files_alone(binary_model, tmp_path):
    words = [binary_model, '--to', 'c', '--no-check', '-o']
    (tmp_path / 'Makefile').write_text('mine')
    with pytest.raises(errors.UserError, match='has a Makefile that is not'):
        export.main([*words, '.'])
    assert (tmp_path / 'Makefile').read_text() == 'mine'
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'Makefile', 'mlp.model']
    with pytest.raises(errors.UserError, match='Makefile is not a folder'):
        export.main([*words, 'Makefile'])
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c' / 'notes').touch()
    for _ in range(2):  # its own files are replaced
        export.main([*words, 'c'])
    assert (tmp_path / 'c' / 'bnn_net.c').exists()


def test_foreign_model(tmp_path):
    path = str(tmp_path / 'x.model')
    with h5py.File(path, 'w') as f:
        f['a'] = [1, 2]
    with pytest.raises(errors.UserError, match='does not say'):
        export.main([path])


def test_own_net_of_data_without_a_size(capsys):
    with pytest.raises(SystemExit):
        export.main(['net.py:BinaryMLP', '--example', '1,28,28',
                     '--dataset', 'pictures'])
    assert "invalid choice: 'pictures'" in capsys.readouterr().err


def test_tie_is_explained(write_model, capsys, monkeypatch):
    """Two units within rounding of 0, which float32 turns."""
    predictor = deep_binary_mlp.DeepBinaryMLP(1, n_layers=1)
    predictor.l1.W.array[...] = 1
    b1 = predictor.b1
    # The sum of the pixels of a test image, just above it in float32
    data = datasets.load('digits')
    mean = float(data.test_images[0].sum()) / 255
    b1.avg_mean[...] = numpy.nextafter(numpy.float32(mean), numpy.float32(0))
    if float(b1.avg_mean[0]) > mean:
        b1.avg_mean[...] = numpy.nextafter(b1.avg_mean, numpy.float32(0))
    predictor.l2.W.array[...] = numpy.where(
        numpy.arange(10) == 3, 1, -1)[:, None]
    path = write_model(predictor, {'n_units': 1, 'n_layers': 1})
    trained = export.trained_module.load(path)
    scale = type(trained).scale
    # Chainer rounds the sum the other way.
    monkeypatch.setattr(type(trained), 'scale', lambda self, x: (
        scale(self, x) * numpy.float32(1 - 1e-6)))
    assert export.main([path]) == 0
    lines = capsys.readouterr().out.splitlines()
    differing = int(lines[-1].split(': ')[-1]) if lines[-1].endswith(
        'differ: 0') else len(lines) - 1
    explained = [line for line in lines if line.startswith('image 0, ')]
    assert differing and len(explained) == 1
    assert 'b1, unit 0: ' in explained[0]
    assert 'from its threshold in float64' in explained[0]


def test_wrong_packing_is_found(binary_model, capsys, monkeypatch):
    load = export.run.Net

    class Wrong(load):
        def scores(self, images):
            return -super().scores(images)

    monkeypatch.setattr(export.run, 'Net', Wrong)
    assert export.main([binary_model]) == 1
    assert 'no tie explains it' in capsys.readouterr().out


def test_facts_are_json(binary_model, capsys):
    export.main([binary_model, '--no-check'])
    facts = deploy.load('mlp.bnn').packed.facts
    assert json.loads(json.dumps(facts)) == facts
    assert sys.getsizeof(facts) < 10000
