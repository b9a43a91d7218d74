"""What a training iteration does beside the net, on a GPU.

The batch is gathered from images that are there, what was measured is added
up, and the iteration counts itself, without a word from the host.
"""
import numpy

from bnn.kernels import gpu_launch

_THREADS = 128

SOURCE = r'''
template <typename T>
__device__ void copy(const void *from, void *to, long long n_bytes) {
    const T *x = static_cast<const T *>(from);
    T *y = static_cast<T *>(to);
    for (long long i = threadIdx.x; i < n_bytes / static_cast<int>(sizeof(T));
         i += blockDim.x) {
        y[i] = x[i];
    }
}

// A block copies one image.
extern "C" __global__ void gather(
        const unsigned char *images, const int *labels, const int *order,
        const long long *position, unsigned char *x, int *t,
        long long n_bytes) {
    const long long i = order[*position + blockIdx.x];
    const unsigned char *from = images + i * n_bytes;
    unsigned char *to = x + blockIdx.x * n_bytes;
    if (n_bytes % 4 == 0) {
        copy<unsigned int>(from, to, n_bytes);
    } else {
        copy<unsigned char>(from, to, n_bytes);
    }
    if (threadIdx.x == 0) {
        t[blockIdx.x] = labels[i];
    }
}

// A block makes one image, of what a pixel means in each channel.
extern "C" __global__ void gather_scaled(
        const unsigned char *images, const int *labels, const int *order,
        const long long *position, const float *table, float *x, int *t,
        int n_channels, int n_pixels) {
    const long long i = order[*position + blockIdx.x];
    const long long size = static_cast<long long>(n_channels) * n_pixels;
    const unsigned char *from = images + i * size;
    float *to = x + blockIdx.x * size;
    for (int c = 0; c < n_channels; ++c) {
        for (int j = threadIdx.x; j < n_pixels; j += blockDim.x) {
            const long long k = static_cast<long long>(c) * n_pixels + j;
            to[k] = table[256 * c + from[k]];
        }
    }
    if (threadIdx.x == 0) {
        t[blockIdx.x] = labels[i];
    }
}

extern "C" __global__ void add_float32(
        const float *value, double *sums, int k) {
    sums[k] += static_cast<double>(*value);
}

extern "C" __global__ void add_float64(
        const double *value, double *sums, int k) {
    sums[k] += *value;
}

extern "C" __global__ void advance(
        long long *position, unsigned long long *iteration, int batch) {
    *position += batch;
    ++*iteration;
}
'''


def gather(images, labels, order, position, n):
    """Gathers a batch of images and labels.

    Args:
        images (cupy.ndarray): uint8 (examples, ...), C-contiguous.
        labels (cupy.ndarray): int32 (examples,).
        order (cupy.ndarray): int32, indices of examples.
        position (cupy.ndarray): int64 (1,), where in ``order`` the batch
            begins.
        n (int): Examples in the batch.

    Returns:
        tuple: uint8 (n, ...) and int32 (n,), new arrays.
    """
    xp = gpu_launch.array_module(images)
    x = xp.empty((n, *images.shape[1:]), numpy.uint8)
    t = xp.empty(n, numpy.int32)
    gpu_launch.launch(
        SOURCE, 'gather', n, _THREADS, images, labels, order, position, x, t,
        numpy.int64(images[0].size))
    return x, t


def gather_scaled(images, labels, order, position, n, table):
    """Gathers a batch of images and makes of them what a net sees.

    Args:
        images (cupy.ndarray): uint8 (examples, channels, h, w), C-contiguous.
        labels, order, position, n: See :func:`gather`.
        table (cupy.ndarray): float32 (channels, 256), the value of a pixel.

    Returns:
        tuple: float32 (n, channels, h, w) and int32 (n,), new arrays.
    """
    xp = gpu_launch.array_module(images)
    x = xp.empty((n, *images.shape[1:]), numpy.float32)
    t = xp.empty(n, numpy.int32)
    gpu_launch.launch(
        SOURCE, 'gather_scaled', n, _THREADS, images, labels, order, position,
        table, x, t, numpy.int32(images.shape[1]),
        numpy.int32(images[0, 0].size))
    return x, t


def add(value, sums, k):
    """Adds a scalar to one of several sums, in float64.

    Args:
        value (cupy.ndarray): One number, of any dtype.
        sums (cupy.ndarray): float64 (n,), changed.
        k (int): Which of them.
    """
    if value.dtype not in (numpy.float32, numpy.float64):
        value = value.astype(numpy.float64)
    gpu_launch.launch(
        SOURCE, 'add_%s' % value.dtype, 1, 1, value, sums, numpy.int32(k))


def advance(position, state, n):
    """Counts an iteration.

    Args:
        position (cupy.ndarray): int64 (1,), which grows by ``n``.
        state (cupy.ndarray): uint64 (2,), of a
            :class:`~bnn.kernels.gpu_random.Source`, whose iteration grows
            by 1.
        n (int): Examples in a batch.
    """
    gpu_launch.launch(
        SOURCE, 'advance', 1, 1, position, state[1:], numpy.int32(n))
