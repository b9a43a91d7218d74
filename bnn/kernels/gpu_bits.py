"""Packed signs on CuPy arrays; documented in :mod:`bnn.kernels`."""
import functools

import cupy
import numpy

_WORDS = 8  # that a warp packs

# Behind "typedef float T;".  Float16 comes as its bits: a number that is not
# NaN is >= 0 without the bit of its sign, or as -0.
_PACK = r'''
__device__ bool reaches_zero(float x) { return x >= 0; }
__device__ bool reaches_zero(double x) { return x >= 0; }
__device__ bool reaches_zero(unsigned short x) {
    return x <= 0x7c00 || x == 0x8000;
}

// A warp reads 32 numbers side by side and has their word by a ballot; its
// lane w keeps word w, so that the words are written side by side too.
extern "C" __global__ void bnn_pack(
        const T *x, unsigned int *bits, long long k, long long row_words,
        long long n_words) {
    const int lane = threadIdx.x % 32;
    const long long first = (
        static_cast<long long>(blockIdx.x) * (blockDim.x / 32)
        + threadIdx.x / 32) * WORDS;
    unsigned int mine = 0;
    #pragma unroll
    for (int w = 0; w < WORDS; ++w) {
        const long long word = first + w;
        const long long row = word / row_words;
        const long long at = word % row_words * 32 + lane;
        const bool yes = word < n_words && at < k
            && reaches_zero(x[row * k + at]);
        const unsigned int all = __ballot_sync(0xffffffffu, yes);
        if (lane == w) mine = all;
    }
    if (lane < WORDS && first + lane < n_words) bits[first + lane] = mine;
}
'''

# A block has 64 x 64 results, a thread 4 x 4 of them; 16 words of 64 rows of
# either side lie in shared memory, the words of a column side by side.
_XNOR = r'''
const int TILE = 64, DEPTH = 16, PITCH = TILE + 4;

__device__ void load(unsigned int (*tile)[PITCH], const unsigned int *rows,
                     long long first_row, long long n_rows, int first_word,
                     int n_words) {
    #pragma unroll
    for (int at = threadIdx.x; at < TILE * DEPTH; at += 256) {
        const long long row = first_row + at / DEPTH;
        const int word = first_word + at % DEPTH;
        tile[at % DEPTH][at / DEPTH] = row < n_rows && word < n_words
            ? rows[row * n_words + word] : 0;  // 0 xor 0 counts nothing
    }
}

extern "C" __global__ void __launch_bounds__(256) bnn_xnor_product(
        const unsigned int *a, const unsigned int *b, float *y, long long m,
        long long n, int n_words, int k) {
    __shared__ uint4 left[DEPTH][PITCH / 4], right[DEPTH][PITCH / 4];
    const int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
    const long long first_row = static_cast<long long>(blockIdx.x) * TILE;
    const long long first_column = static_cast<long long>(blockIdx.y) * TILE;
    int count[4][4] = {};
    for (int word = 0; word < n_words; word += DEPTH) {
        load(reinterpret_cast<unsigned int (*)[PITCH]>(left), a, first_row, m,
             word, n_words);
        load(reinterpret_cast<unsigned int (*)[PITCH]>(right), b,
             first_column, n, word, n_words);
        __syncthreads();
        #pragma unroll
        for (int w = 0; w < DEPTH; ++w) {
            const uint4 p = left[w][row / 4], q = right[w][column / 4];
            const unsigned int ps[] = {p.x, p.y, p.z, p.w};
            const unsigned int qs[] = {q.x, q.y, q.z, q.w};
            #pragma unroll
            for (int i = 0; i < 4; ++i) {
                #pragma unroll
                for (int j = 0; j < 4; ++j) {
                    count[i][j] += __popc(ps[i] ^ qs[j]);
                }
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
            if (first_row + row + i < m && first_column + column + j < n) {
                y[(first_row + row + i) * n + first_column + column + j] =
                    k - 2 * count[i][j];
            }
        }
    }
}
'''


@functools.lru_cache(None)
def _pack_kernel(dtype):
    return cupy.RawKernel('typedef %s T;\nconst int WORDS = %d;\n%s' % (
        {'e': 'unsigned short', 'f': 'float', 'd': 'double'}[dtype], _WORDS,
        _PACK), 'bnn_pack')


@functools.lru_cache(None)
def _xnor_kernel():
    return cupy.RawKernel(_XNOR, 'bnn_xnor_product')


def pack(x):
    x = cupy.ascontiguousarray(x)
    k = x.shape[-1]
    bits = cupy.empty((*x.shape[:-1], -(-k // 32)), numpy.uint32)
    if bits.size:
        _pack_kernel(x.dtype.char)(
            (-(-bits.size // (8 * _WORDS)),), (256,),
            (x, bits, numpy.int64(k), numpy.int64(bits.shape[-1]),
             numpy.int64(bits.size)))
    return bits


def xnor_product(a, b, k):
    a, b = map(cupy.ascontiguousarray, (a, b))
    y = cupy.empty((len(a), len(b)), numpy.float32)
    if y.size:
        _xnor_kernel()(
            (-(-len(a) // 64), -(-len(b) // 64)), (256,),
            (a, b, y, numpy.int64(len(a)), numpy.int64(len(b)),
             numpy.int32(a.shape[1]), numpy.int32(k)))
    return y
