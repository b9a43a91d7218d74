"""Snapshots: a round trip, damage of every kind, another net."""
import errno
import io
import json
import os
import pickle
import types
import warnings
import zipfile

import chainer
import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz
from chainer.training import extensions

from bnn import errors
from bnn.training.files import resume
from bnn.training.files import snapshots
from bnn.training.reports import log
from tests.helpers import small_runs

SETTINGS = {'seed': 0, 'batchsize': 5, 'dataset': None}


class Nothing(chainer.training.Extension):
    """Its state is None at first."""

    name = 'Nothing'
    value = None

    def trigger(self, trainer):
        return False

    def serialize(self, serializer):
        self.value = serializer('value', self.value)


def make_trainer(out, extend=True, **kwargs):
    trainer = small_runs.make(out, test=False, **kwargs)
    trainer._start_at = 0.  # Chainer serializes started trainers only
    if extend:
        trainer.extend(Nothing())
        trainer.extend(snapshots.RandomState(0, small_runs.CPU))
        trainer.extend(log.LogReport())
    return trainer


def state(trainer):
    return {name: numpy.array(value)
            for name, value in npz.serialize(trainer).items()}


def assert_same_state(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if not name.endswith('elapsed_time'):
            numpy.testing.assert_array_equal(actual[name], value, name)


def save(trainer, out, name='snapshot_iter_1', settings=SETTINGS):
    snapshots.Writer(settings)(name, str(out), npz.serialize(trainer))
    return os.path.join(str(out), name)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A snapshot in the middle of the second epoch and its trainer."""
    out = tmp_path_factory.mktemp('saved')
    numpy.random.seed(1)
    trainer = make_trainer(out)
    for _ in range(6):
        trainer.updater.update()
    return save(trainer, out), trainer, state(trainer)


def restore(path, trainer):
    snapshots.restore(
        resume.Snapshot(path, *snapshots.read(path)), trainer)


def error(path):
    with pytest.raises(errors.UserError) as e:
        snapshots.read(str(path))
    line = str(e.value)
    assert str(path) in line
    assert '\n' not in line
    return line


class TestRoundTrip:

    def test_state(self, saved, tmp_path):
        path, _, expected = saved
        numpy.random.seed(2)
        trainer = make_trainer(tmp_path)
        trainer.get_extension('Nothing').value = 3
        restore(path, trainer)
        assert trainer.updater.iteration == 6
        assert trainer.updater.epoch == 1
        assert trainer.get_extension('Nothing').value is None
        assert_same_state(state(trainer), expected)

    def test_settings(self, saved):
        arrays, settings = snapshots.read(saved[0])
        assert settings == SETTINGS
        assert 'settings' not in arrays
        assert all(isinstance(a, numpy.ndarray) and a.dtype != object
                   for a in arrays.values())

    def test_goes_on_exactly(self, tmp_path):
        numpy.random.seed(3)
        whole = make_trainer(tmp_path / 'a')
        paths = []

        @chainer.training.make_extension(trigger=(3, 'iteration'))
        def write(trainer):
            paths.append(save(trainer, tmp_path,
                              f'snapshot_iter_{len(paths)}'))

        whole.extend(write, name='write')
        whole.run()
        other = make_trainer(tmp_path / 'b')
        other.extend(lambda trainer: None, name='write',
                     trigger=(3, 'iteration'))
        numpy.random.seed(4)
        restore(paths[0], other)
        other.run()
        actual, expected = state(other), state(whole)
        log = [n for n in actual if n.endswith('LogReport/log')]
        for name in log:
            for a, e in zip(json.loads(str(actual.pop(name))),
                            json.loads(str(expected.pop(name))),
                            strict=True):
                a.pop('elapsed_time')
                e.pop('elapsed_time')
                assert a == e
        assert log
        assert_same_state(actual, expected)

    def test_by_the_extension(self, tmp_path):
        trainer = make_trainer(tmp_path)
        trainer.extend(
            extensions.snapshot(writer=snapshots.Writer(SETTINGS),
                                n_retains=2),
            trigger=snapshots.Trigger(1))
        trainer.run()
        assert [os.path.basename(p) for p in snapshots.find(str(tmp_path))
                ] == ['snapshot_iter_8', 'snapshot_iter_7']
        assert not [n for n in os.listdir(tmp_path) if 'tmp' in n]

    def test_more_extensions_than_were_saved(self, saved, tmp_path):
        trainer = make_trainer(tmp_path)
        trainer.extend(lambda t: None, name='later', trigger=(1, 'epoch'))
        restore(saved[0], trainer)
        assert trainer.updater.iteration == 6


class TestRandomState:

    def test_stream(self, tmp_path):
        path = str(tmp_path / 'state.npz')
        extension = snapshots.RandomState(0, small_runs.CPU)

        def draw():
            return [numpy.random.randn(3), numpy.random.rand(700),
                    numpy.random.permutation(10), numpy.random.randn(1)]

        for n in 0, 1, 2, 623, 624, 1000:
            numpy.random.seed(7)
            numpy.random.rand(n)
            numpy.random.randn(n % 2)  # keeps a second normal number
            npz.save_npz(path, extension)
            expected = draw()
            numpy.random.seed(8)
            numpy.random.randn(1)
            npz.load_npz(path, extension)
            for a, e in zip(draw(), expected, strict=True):
                numpy.testing.assert_array_equal(a, e)

    def test_saving_does_not_draw(self):
        numpy.random.seed(7)
        expected = numpy.random.rand(3)
        numpy.random.seed(7)
        npz.serialize(snapshots.RandomState(0, small_runs.CPU))
        numpy.testing.assert_array_equal(numpy.random.rand(3), expected)

    def test_seeds_of_a_gpu(self):
        """They follow from the run's seed and the iteration alone."""
        seeds = []
        device = types.SimpleNamespace(xp=types.SimpleNamespace(
            random=types.SimpleNamespace(seed=seeds.append)))

        def trainer_at(iteration):
            return types.SimpleNamespace(
                updater=types.SimpleNamespace(iteration=iteration))

        for seed in 0, 1, 2 ** 32 - 1:
            extension = snapshots.RandomState(seed, device)
            extension.initialize(trainer_at(0))
            for iteration in 1, 2, 10 ** 6:
                extension(trainer_at(iteration))
        assert len(set(seeds)) == 12
        assert all(0 <= seed < 2 ** 32 for seed in seeds)
        snapshots.RandomState(1, device).initialize(trainer_at(2))
        assert seeds[-1] == seeds[6]


def test_trigger(tmp_path):
    for n, expected in (
            (None, [4, 8]), (3, [3, 4, 6, 8]), (1, list(range(1, 9)))):
        trainer = make_trainer(tmp_path, extend=False)
        fired = []
        trainer.extend(
            lambda t, fired=fired: fired.append(t.updater.iteration),
            name='x', trigger=snapshots.Trigger(n))
        trainer.run()
        assert fired == expected


def test_find(tmp_path):
    for name in ('snapshot_iter_9', 'snapshot_iter_10', 'snapshot_iter_100',
                 'snapshot_iter_', 'snapshot_iter_x', 'snapshot_iter_7.tmp',
                 '.snapshot_iter_11.tmp', 'asnapshot_iter_5', 'log'):
        (tmp_path / name).touch()
    assert snapshots.find(str(tmp_path)) == [
        str(tmp_path / f'snapshot_iter_{n}') for n in (100, 10, 9)]


def test_find_in_nothing(tmp_path):
    assert snapshots.find(str(tmp_path)) == []
    assert snapshots.find(str(tmp_path / 'missing')) == []


def test_describe_last(saved, tmp_path):
    folder = str(tmp_path)
    assert snapshots.describe_last(folder) == 'there is no snapshot yet'
    with open(saved[0], 'rb') as f:
        whole = f.read()
    (tmp_path / 'snapshot_iter_9').write_bytes(whole)
    (tmp_path / 'snapshot_iter_10').write_bytes(whole[:-100])
    assert snapshots.describe_last(folder).endswith('snapshot_iter_9')


class TestReadErrors:

    def test_missing(self, tmp_path):
        assert 'No such file' in error(tmp_path / 'none')

    def test_directory(self, tmp_path):
        assert 'directory' in error(tmp_path)

    def test_truncated(self, saved, tmp_path):
        with open(saved[0], 'rb') as f:
            whole = f.read()
        path = tmp_path / 'truncated'
        n = len(whole)
        for length in (0, 1, 2, 4, 8, 22, 30, 100, n // 4, n // 2,
                       3 * n // 4, n - 100, n - 22, n - 1):
            path.write_bytes(whole[:length])
            error(path)

    @pytest.mark.slow
    def test_bit_flips(self, saved, tmp_path):
        expected, settings = snapshots.read(saved[0])
        with open(saved[0], 'rb') as f:
            whole = bytearray(f.read())
        path = tmp_path / 'flipped'
        wrong = []
        positions = numpy.linspace(0, len(whole) - 1, 200).astype(int)
        with zipfile.ZipFile(saved[0]) as archive:
            headers = [i.header_offset for i in archive.infolist()][::6]
        # All of some headers: the .npy one says how much data is read.
        positions = [*positions, *(
            h + i for h in headers[:3] for i in range(0, 160))]
        for k, position in enumerate(positions):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << k % 8
            path.write_bytes(flipped)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    arrays, s = snapshots.read(str(path))
            except errors.UserError:
                continue
            except Exception as e:
                wrong.append((position, k % 8, repr(e)))
                continue
            if not (s == settings and arrays.keys() == expected.keys()
                    and all(arrays[n].dtype == expected[n].dtype
                            and numpy.array_equal(arrays[n], expected[n])
                            for n in expected if n in arrays
                            and expected[n].dtype.kind != 'V')):
                wrong.append((position, k % 8, 'other content'))
        assert not wrong

    @pytest.mark.slow
    def test_bit_flips_before_a_large_array(self, tmp_path):
        path = tmp_path / 'x'
        data = numpy.arange(3000, dtype=numpy.float32)
        numpy.savez(tmp_path / 'x.npz', data=data, settings='{}')
        whole = (tmp_path / 'x.npz').read_bytes()
        wrong = []
        for position in range(whole.index(data.tobytes()[:64])):
            for bit in (0, 2, 5):
                flipped = bytearray(whole)
                flipped[position] ^= 1 << bit
                path.write_bytes(flipped)
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter('ignore')
                        arrays, _ = snapshots.read(str(path))
                except errors.UserError:
                    continue
                except Exception as e:
                    wrong.append((position, bit, type(e).__name__))
                    continue
                if not numpy.array_equal(arrays.get('data'), data):
                    wrong.append((position, bit, 'other content'))
        assert not wrong

    def test_hostile_header(self, tmp_path):
        # The checksum is right, so that it does not help.
        path = tmp_path / 'x'
        for header in (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)",
                "{'descr': '<f4', 'shape': (", '(' * 500, "'", '\0', '',
                'x' * 9,
                "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }"
                ):
            for version in 1, 2, 3:
                content = (
                    b'\x93NUMPY' + bytes([version, 0])
                    + len(header).to_bytes(2 if version == 1 else 4, 'little')
                    + header.encode() + bytes(12))
                with zipfile.ZipFile(path, 'w') as archive:
                    archive.writestr('x.npy', content)
                error(path)

    def test_shortened_shape(self, tmp_path):
        # NumPy reads what the header says, so that the end of a large array
        # is not reached, where zipfile compares the checksum.
        path = save(make_trainer(tmp_path, n_units=4000), tmp_path)
        with open(path, 'rb') as f:
            whole = f.read()
        assert b"'shape': (4000, 3), " in whole
        with open(path, 'wb') as f:
            f.write(whole.replace(
                b"'shape': (4000, 3), ", b"'shape': (2000, 3), ", 1))
        error(path)

    def test_hostile_pickle(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / 'executed'),)

        array = numpy.empty((), object)
        array[()] = Hostile()
        path = tmp_path / 'hostile'
        with open(path, 'wb') as f:
            numpy.savez(f, x=array, settings=json.dumps({}))
        error(path)
        path.write_bytes(pickle.dumps(Hostile()))
        error(path)
        with zipfile.ZipFile(path, 'w') as z:
            z.writestr('settings', pickle.dumps(Hostile()))
        error(path)
        assert not (tmp_path / 'executed').exists()

    def test_no_settings(self, tmp_path):
        path = tmp_path / 'other.npz'
        numpy.savez(path, x=numpy.zeros(3))
        assert 'it has no settings' in error(path)

    def test_wrong_settings(self, tmp_path):
        path = tmp_path / 'other.npz'
        for settings in ('no json', '[1]', '3', numpy.zeros(3), '{' * 10,
                         '[' * 100000):
            numpy.savez(path, settings=settings)
            error(path)

    def test_model_file(self, tmp_path):
        path = tmp_path / 'mlp.state'
        chainer.serializers.save_hdf5(str(path), L.Linear(3, 2))
        line = error(path)
        assert '--resume auto' in line
        assert '--initmodel' in line

    def test_npy(self, tmp_path):
        path = tmp_path / 'x.npy'
        numpy.save(path, numpy.zeros(3))
        assert 'is not a snapshot' in error(path)

    def test_text(self, tmp_path):
        path = tmp_path / 'x'
        path.write_text('PK but not really\n' * 30)
        error(path)

    def test_zip_bomb_of_a_shape(self, tmp_path):
        data = io.BytesIO()
        numpy.lib.format.write_array_header_1_0(data, {
            'descr': '<f8', 'fortran_order': False, 'shape': (10 ** 15,)})
        path = tmp_path / 'large'
        with zipfile.ZipFile(path, 'w') as z:
            z.writestr('x.npy', data.getvalue())
        error(path)


class TestRestoreErrors:

    def check(self, path, arrays, trainer):
        """The error, and whether the trainer is as it was before."""
        before = state(trainer)
        with pytest.raises(errors.UserError) as e:
            snapshots.restore(resume.Snapshot(path, arrays, {}), trainer)
        assert path in str(e.value)
        assert '\n' not in str(e.value)
        after = state(trainer)
        return str(e.value), all(
            numpy.array_equal(before[n], after[n]) for n in before
            if n.startswith('updater/model'))

    def test_other_size(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        line, unchanged = self.check(
            saved[0], arrays, make_trainer(tmp_path, n_units=5))
        # Which parameter: Chainer goes through a set.
        assert 'updater/model:main/predictor/' in line
        theirs, ours = line.split('has the shape ')[1].split(', here')
        assert '4' in theirs
        assert '5' in ours
        assert unchanged

    def test_missing_parameter(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        name = 'updater/model:main/predictor/l2/W'
        del arrays[name]
        line, unchanged = self.check(saved[0], arrays, make_trainer(tmp_path))
        assert 'it has no ' + name in line
        assert unchanged

    def test_broadcast_shape(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        name = 'updater/model:main/predictor/l1/W'
        arrays[name] = arrays[name][:1]
        line, unchanged = self.check(saved[0], arrays, make_trainer(tmp_path))
        assert name in line
        assert unchanged

    def test_other_amount_of_data(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        line, unchanged = self.check(
            saved[0], arrays, make_trainer(tmp_path, n_data=21))
        assert 'iterator:main' in line
        assert unchanged

    def test_moment_of_wrong_shape(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        name, = (n for n in arrays if 'optimizer' in n
                 and n.endswith('predictor/l1/W/m'))
        arrays[name] = arrays[name][:1]
        line, _ = self.check(saved[0], arrays, make_trainer(tmp_path))
        assert '(1, 3)' in line
        assert '(4, 3)' in line

    def test_words_for_numbers(self, saved, tmp_path):
        arrays, _ = snapshots.read(saved[0])
        name = 'updater/model:main/predictor/l1/W'
        arrays[name] = numpy.full(arrays[name].shape, 'x')
        self.check(saved[0], arrays, make_trainer(tmp_path))

    def test_snapshot_of_no_trainer(self, tmp_path):
        self.check('x', {}, make_trainer(tmp_path))


class TestWriterErrors:

    def test_not_finite(self, tmp_path):
        trainer = make_trainer(tmp_path)
        first = save(trainer, tmp_path)
        W = trainer.updater.get_optimizer('main').target.predictor.l2.W
        for value in numpy.nan, numpy.inf, -numpy.inf:
            W.array[0, 1] = value
            with pytest.raises(errors.UserError) as e:
                save(trainer, tmp_path, 'snapshot_iter_2')
            assert 'predictor/l2/W' in str(e.value)
            assert first in str(e.value)
            assert os.listdir(tmp_path) == ['snapshot_iter_1']

    def test_one_process_writes(self, tmp_path):
        trainer = make_trainer(tmp_path)
        snapshots.Writer(SETTINGS, is_first=False)(
            'snapshot_iter_1', str(tmp_path), npz.serialize(trainer))
        assert os.listdir(tmp_path) == []

    def test_full_disk(self, tmp_path, monkeypatch):
        trainer = make_trainer(tmp_path)
        first = save(trainer, tmp_path)

        def fsync(fd):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, 'fsync', fsync)
        with pytest.raises(errors.UserError, match='No space left'):
            save(trainer, tmp_path, 'snapshot_iter_2')
        assert os.listdir(tmp_path) == ['snapshot_iter_1']
        snapshots.read(first)
