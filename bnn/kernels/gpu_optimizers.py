"""Updates of many parameters in one launch, on a GPU.

Each block updates a piece of one parameter.  Where the parameters are, how
large, their rates and the number of updates so far stand in tables on the
device, so that a captured launch (a CUDA graph) follows what changes there.
"""
import numpy

from bnn.kernels import gpu_launch

# Columns of the table of rates, for Adam; the others use those they have.
COLUMNS = 'rate', 'beta1', 'beta2', 'eps', 'eta', 'keep', 'low', 'high'
# Arrays of the state of a parameter, behind itself and its gradient
STATES = {'adam': ('m', 'v'), 'momentum_sgd': ('v',), 'sgd': ()}

_THREADS = 256
_PIECE = 8 * _THREADS

SOURCE = r'''
enum { RATE, BETA1, BETA2, EPS, ETA, KEEP, LOW, HIGH, N_COLUMNS };
enum { ADAM, MOMENTUM_SGD, SGD };

template <int RULE>
__device__ double rate_of(const double *row, long long t) {
    if (RULE != ADAM) {
        return row[RATE];
    }
    const double n = static_cast<double>(t);
    return row[RATE] * sqrt(1. - pow(row[BETA2], n))
        / (1. - pow(row[BETA1], n));
}

template <typename T, int RULE>
__device__ void update(
        const unsigned long long *addresses, const long long *sizes,
        const int *pieces, const double *rates, long long *steps,
        unsigned int *n_done, int n_tensors, int piece) {
    const int k = pieces[2 * blockIdx.x];
    const long long first
        = static_cast<long long>(pieces[2 * blockIdx.x + 1]) * piece;
    const long long last = first + piece < sizes[k] ? first + piece : sizes[k];
    const double *row = rates + k * N_COLUMNS;
    __shared__ double shared_rate;
    if (threadIdx.x == 0) {
        shared_rate = rate_of<RULE>(row, steps[k] + 1);
    }
    __syncthreads();
    T *x = reinterpret_cast<T *>(addresses[4 * k]);
    const T *grad = reinterpret_cast<const T *>(addresses[4 * k + 1]);
    T *m = reinterpret_cast<T *>(addresses[4 * k + 2]);
    T *v = reinterpret_cast<T *>(addresses[4 * k + 3]);
    const T rate = static_cast<T>(shared_rate);
    const T decay1 = static_cast<T>(RULE == ADAM ? 1. - row[BETA1]
                                    : row[BETA1]);
    const T decay2 = static_cast<T>(1. - row[BETA2]);
    const T eps = static_cast<T>(row[EPS]), eta = static_cast<T>(row[ETA]);
    const T keep = static_cast<T>(row[KEEP]);
    const T low = static_cast<T>(row[LOW]), high = static_cast<T>(row[HIGH]);
#pragma unroll 4
    for (long long i = first + threadIdx.x; i < last; i += blockDim.x) {
        const T g = grad[i];
        T y;
        if (RULE == ADAM) {
            const T new_m = m[i] + decay1 * (g - m[i]);
            const T new_v = v[i] + decay2 * (g * g - v[i]);
            m[i] = new_m;
            v[i] = new_v;
            y = keep * x[i] - eta * (rate / (sqrt(new_v) + eps) * new_m);
        } else if (RULE == MOMENTUM_SGD) {
            const T new_m = decay1 * m[i] - rate * g;
            m[i] = new_m;
            y = x[i] + new_m;
        } else {
            y = x[i] - rate * g;
        }
        // These comparisons leave NaN as it is.
        x[i] = y < low ? low : (y > high ? high : y);
    }
    // The last block counts the update, when all have read the number.
    if (threadIdx.x == 0) {
        __threadfence();
        if (atomicAdd(n_done, 1u) == gridDim.x - 1) {
            for (int i = 0; i < n_tensors; ++i) {
                ++steps[i];
            }
            *n_done = 0;
        }
    }
}

#define KERNEL(name, T, RULE) \
extern "C" __global__ void name( \
        const unsigned long long *addresses, const long long *sizes, \
        const int *pieces, const double *rates, long long *steps, \
        unsigned int *n_done, int n_tensors, int piece) { \
    update<T, RULE>(addresses, sizes, pieces, rates, steps, n_done, \
                    n_tensors, piece); \
}
KERNEL(adam_float32, float, ADAM)
KERNEL(adam_float64, double, ADAM)
KERNEL(momentum_sgd_float32, float, MOMENTUM_SGD)
KERNEL(momentum_sgd_float64, double, MOMENTUM_SGD)
KERNEL(sgd_float32, float, SGD)
KERNEL(sgd_float64, double, SGD)

// The values come with the launch: nothing has to be copied or waited for.
extern "C" __global__ void set_rates(
        double *rates, unsigned long long rows, int first, double a, double b,
        double c, double d, double e, double f, double g, double h) {
    if (rows >> threadIdx.x & 1) {
        double *row = rates + (first + threadIdx.x) * N_COLUMNS;
        row[0] = a; row[1] = b; row[2] = c; row[3] = d;
        row[4] = e; row[5] = f; row[6] = g; row[7] = h;
    }
}
'''


class MultiTensor(object):

    """The tables of an update of many parameters, and its launch.

    The formulas are those of :func:`bnn.kernels.adam`,
    :func:`bnn.kernels.momentum_sgd` and ``x - lr grad``, with the clip, in
    their order of operations.  :meth:`bind` and :meth:`set_steps` copy from
    the host, which must not happen while a graph is captured.

    Args:
        kind (str): ``'adam'``, ``'momentum_sgd'`` or ``'sgd'``.
        tensors (list of tuple): Of each parameter, the array, its gradient
            and what :data:`STATES` names: C-contiguous arrays of one shape
            and dtype, float32 or 64, the same for all parameters.
    """

    def __init__(self, kind, tensors):
        array = tensors[0][0]
        self._xp = gpu_launch.array_module(array)
        self._name = '%s_%s' % (kind, array.dtype)
        self._sizes = [tensor[0].size for tensor in tensors]
        pieces = [(k, i) for k, size in enumerate(self._sizes)
                  for i in range(-(-size // _PIECE))]
        n = len(tensors)
        empty = self._xp.empty
        self._n_pieces = len(pieces)
        self._pieces = empty((len(pieces), 2), numpy.int32)
        self._table = empty((n, 4), numpy.uint64)
        self._n_elements = empty(n, numpy.int64)
        self._rates = empty((n, len(COLUMNS)), numpy.float64)
        self._steps = empty(n, numpy.int64)
        self._n_done = empty(1, numpy.uint32)
        self._constants = [
            (self._pieces, numpy.array(pieces, numpy.int32)),
            (self._n_elements, numpy.array(self._sizes, numpy.int64)),
            (self._n_done, numpy.zeros(1, numpy.uint32))]
        self._rows = [None] * n
        self._addresses = None
        self.tensors = tensors  # alive as long as their addresses are used

    def bind(self, tensors=None):
        """Fills in where the arrays are.

        Args:
            tensors (list of tuple or None): Other arrays of the same sizes.
        """
        for ours, values in self._constants:
            gpu_launch.fill(ours, values)
        self._constants = []
        if tensors is not None:
            self.tensors = tensors
        addresses = _addresses(self.tensors)
        if addresses != self._addresses:
            self._addresses = addresses
            gpu_launch.fill(self._table, numpy.array(addresses, numpy.uint64))

    def fits(self, tensors):
        """Tells whether :meth:`bind` takes these arrays."""
        return [tensor[0].size for tensor in tensors] == self._sizes

    def set_steps(self, steps):
        """Sets the number of updates so far, an int for each parameter."""
        gpu_launch.fill(self._steps, numpy.array(steps, numpy.int64))

    def set_rates(self, rows):
        """Sets the rates, without a copy.

        Args:
            rows (list of tuple): Of each parameter, the floats that
                :data:`COLUMNS` names; the momentum stands in ``beta1``.
        """
        changed = {}
        for k, (row, before) in enumerate(zip(rows, self._rows)):
            if row != before:
                first = k // 64 * 64
                changed.setdefault((row, first), []).append(k - first)
        for (row, first), bits in changed.items():
            gpu_launch.launch(
                SOURCE, 'set_rates', 1, 64, self._rates,
                numpy.uint64(sum(1 << bit for bit in bits)),
                numpy.int32(first), *map(numpy.float64, row))
        self._rows = list(rows)

    def launch(self):
        """Queues the update, which counts itself on the device."""
        if self._n_pieces:
            gpu_launch.launch(
                SOURCE, self._name, self._n_pieces, _THREADS, self._table,
                self._n_elements, self._pieces, self._rates, self._steps,
                self._n_done, numpy.int32(len(self._sizes)),
                numpy.int32(_PIECE))


def _addresses(tensors):
    return [[*map(gpu_launch.address, tensor), *[0] * (4 - len(tensor))]
            for tensor in tensors]
