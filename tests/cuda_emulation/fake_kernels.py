"""Kernels as CuPy's, and as strict as those, that run on the CPU."""
import numpy

from cuda_emulation import compiling
from cuda_emulation import fake_cupy

_HEADER = '#include "elementwise.h"\n'
_TYPES = {'float16': 'float16', 'float32': 'float', 'float64': 'double',
          'int8': 'signed char', 'uint8': 'unsigned char', 'int32': 'int',
          'uint32': 'unsigned int', 'int64': 'long long'}


def _run(source, name, grid, block, args):
    if fake_cupy.recorded is not None:
        fake_cupy.recorded.append(source)
        return
    compiling.launch(source, name, grid, block, [
        fake_cupy.unwrap(one) for one in args])
    _check_guards(name, args)


def _check_guards(name, args):
    for one in args:
        memory = getattr(one, '_memory', None)
        if memory is not None:
            assert (memory[:fake_cupy.GUARD] == fake_cupy.RUBBISH).all(), (
                '%s writes before an array' % name)
            assert (memory[-fake_cupy.GUARD:] == fake_cupy.RUBBISH).all(), (
                '%s writes behind an array' % name)


class RawKernel(object):
    """As cupy.RawKernel."""

    def __init__(self, code, name, options=()):
        assert isinstance(options, tuple)
        assert name in compiling.kernels_of(code)
        self._code, self._name = code, name

    def __call__(self, grid, block, args):
        assert isinstance(grid, tuple) and isinstance(block, tuple)
        for one in args:
            assert (not isinstance(one, fake_cupy.ndarray)
                    or one.flags.c_contiguous)
        _run(self._code, self._name, grid, block, args)


class ElementwiseKernel(object):
    """As cupy.ElementwiseKernel."""

    def __init__(self, in_params, out_params, operation, name):
        self.params = [(words[-2], words[-1], 'raw' in words[:-2])
                       for words in map(str.split, ','.join(
                           [in_params, out_params]).split(','))]
        self.n_in = in_params.count(',') + 1
        self.operation, self.name = operation, name
        assert 'i' not in [one[1] for one in self.params]

    def source(self, dtypes, arrays):
        """Returns the code for types of T, U ... and for what is an array."""
        names = {kind: _TYPES[numpy.dtype(dtypes.get(kind, kind)).name]
                 for kind, _, _ in self.params}
        declared, loads = [], []
        for i, (kind, name, raw) in enumerate(self.params):
            const = 'const ' if i < self.n_in else ''
            if name not in arrays:
                declared.append('const %s %s' % (names[kind], name))
                continue
            declared.append('const CArray<%s%s> %s%s' % (
                const, names[kind], '' if raw else '_raw_', name))
            if not raw:
                loads.append('%s%s &%s = _raw_%s[_ind.get()];' % (
                    const, names[kind], name, name))
        return _HEADER + '%s\nextern "C" __global__ void %s(%s) {\n' % (
            '\n'.join('typedef %s %s;' % (names[kind], kind)
                      for kind in dtypes), self.name, ', '.join(
                          [*declared, 'CIndexer _ind'])) + (
            'CUPY_FOR(i, _ind.size()) {\n_ind.set(i);\n%s\n%s;\n}\n}\n' % (
                '\n'.join(loads), self.operation))

    def __call__(self, *args, size=None):
        assert len(args) in (self.n_in, len(self.params)), self.name
        dtypes, shapes = {}, []
        # As CuPy: the results decide first.
        for (kind, name, raw), one in sorted(
                zip(self.params, args),  # noqa: B905
                key=lambda pair: self.params.index(pair[0]) < self.n_in):
            if isinstance(one, fake_cupy.ndarray):
                if len(kind) == 1:
                    assert dtypes.setdefault(kind, one.dtype) == one.dtype, (
                        'types of %s: %s' % (self.name, name))
                else:
                    assert one.dtype == kind, (self.name, name)
                if not raw:
                    shapes.append(one.shape)
            else:
                assert isinstance(one, (int, float, numpy.generic)), type(one)
                assert self.params.index((kind, name, raw)) < self.n_in
        assert (size is None) == bool(shapes), 'the size is undecided'
        shape = numpy.broadcast_shapes(*shapes) if shapes else (size,)
        types_of = [numpy.dtype(dtypes.get(kind, kind))
                    for kind, _, _ in self.params]
        args = [*args, *(fake_cupy.empty(shape, dtype)
                         for dtype in types_of[len(args):])]
        results = args[self.n_in:]
        for (_, _, raw), one in zip(
                self.params[self.n_in:], results, strict=True):
            assert raw or one.shape == shape, 'a result would be broadcast'
        if 0 not in shape:
            self._launch(args, dtypes, types_of, shape)
        return results[0] if len(results) == 1 else tuple(results)

    def _launch(self, args, dtypes, types_of, shape):
        values = []
        for (_, _, raw), one, dtype in zip(
                self.params, args, types_of, strict=True):
            if isinstance(one, fake_cupy.ndarray):
                x = one._array if raw else numpy.broadcast_to(
                    one._array, shape)
                x = compiling.Array(
                    x.ctypes.data, x.ndim, (*x.shape, *[1] * (8 - x.ndim)),
                    (*x.strides, *[0] * (8 - x.ndim)))
            else:
                x = dtype.type(one)
                if dtype == numpy.float16:
                    x = x.view(numpy.uint16)  # a class in C++
            values.append(x)
        values.append(compiling.Indexer(int(numpy.prod(shape)), 0))
        arrays = {name for (_, name, _), one in zip(
            self.params, args, strict=True)
            if isinstance(one, fake_cupy.ndarray)}
        source = self.source(dtypes, arrays)
        _run(source, self.name, (1,), (1,), values)
        _check_guards(self.name, args)
