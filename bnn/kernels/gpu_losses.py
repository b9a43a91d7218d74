"""Loss and accuracy of a batch in one launch each, on a GPU.

Chainer's take about twenty and five, as long as the rest of a small net.
"""
import numpy

from bnn.kernels import gpu_launch

_THREADS = 32
_N_DONE = {}

SOURCE = r'''
// Combines what 32 threads have, in the same order each time.
#define REDUCE(values, combine) \
    for (int width = 16; width > 0; width /= 2) { \
        __syncthreads(); \
        if (threadIdx.x < width) { \
            const int i = threadIdx.x, j = i + width; \
            combine; \
        } \
    } \
    __syncthreads();

// A block has a row; the last one adds them up.
template <typename T>
__device__ void cross_entropy(
        const T *scores, const int *labels, T *softmax, volatile double *rows,
        T *results, unsigned int *n_done, int n_classes, double smoothing) {
    __shared__ double values[32];
    __shared__ double counts[32];
    __shared__ bool is_last;
    const long long row = blockIdx.x;
    const T *x = scores + row * n_classes;
    T largest = x[0];
    for (int i = threadIdx.x; i < n_classes; i += blockDim.x) {
        largest = x[i] > largest ? x[i] : largest;
    }
    values[threadIdx.x] = static_cast<double>(largest);
    REDUCE(values, values[i] = values[j] > values[i] ? values[j] : values[i])
    largest = static_cast<T>(values[0]);
    __syncthreads();
    double sum = 0;
    for (int i = threadIdx.x; i < n_classes; i += blockDim.x) {
        sum += static_cast<double>(exp(x[i] - largest));
    }
    values[threadIdx.x] = sum;
    REDUCE(values, values[i] += values[j])
    const T log_sum = static_cast<T>(log(values[0]));
    for (int i = threadIdx.x; i < n_classes; i += blockDim.x) {
        softmax[row * n_classes + i] = exp(x[i] - largest - log_sum);
    }
    // What a target that all classes share adds to the loss
    double shared = 0;
    const int label = labels[row];
    if (smoothing > 0 && label >= 0) {
        double distance = 0;
        for (int i = threadIdx.x; i < n_classes; i += blockDim.x) {
            distance += static_cast<double>(x[label] - x[i]);
        }
        __syncthreads();  // All have read the sum.
        values[threadIdx.x] = distance;
        REDUCE(values, values[i] += values[j])
        shared = smoothing * values[0] / n_classes;
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        rows[row] = label < 0 ? 0. : shared + static_cast<double>(
            log_sum - (x[label] - largest));
        __threadfence();
        is_last = atomicAdd(n_done, 1u) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (!is_last) {
        return;
    }
    double total = 0, count = 0;
    for (int i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        total += rows[i];
        count += labels[i] >= 0;
    }
    values[threadIdx.x] = total;
    counts[threadIdx.x] = count;
    REDUCE(values, values[i] += values[j]; counts[i] += counts[j])
    if (threadIdx.x == 0) {
        const double share = 1. / (counts[0] > 1 ? counts[0] : 1.);
        results[0] = static_cast<T>(values[0] * share);
        results[1] = static_cast<T>(share);
        *n_done = 0;
    }
}

template <typename T>
__device__ void gradient(
        const T *softmax, const int *labels, const T *results, const T *gloss,
        T *gx, int n_classes, long long n, double smoothing) {
    const long long k
        = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (k < n) {
        const int label = labels[k / n_classes];
        const T hit = T((k % n_classes == label) * (1 - smoothing)
                        + smoothing / n_classes);
        gx[k] = label < 0 ? T(0) : *gloss * results[1] * (softmax[k] - hit);
    }
}

template <typename T>
__device__ void accuracy(
        const T *scores, const int *labels, double *result,
        unsigned int *n_done, int n_classes) {
    __shared__ T values[32];
    __shared__ int places[32];
    const T *x = scores + static_cast<long long>(blockIdx.x) * n_classes;
    // Of equal scores the first one counts.
    int place = threadIdx.x < n_classes ? threadIdx.x : 0;
    for (int i = place; i < n_classes; i += blockDim.x) {
        place = x[i] > x[place] ? i : place;
    }
    values[threadIdx.x] = x[place];
    places[threadIdx.x] = place;
    REDUCE(values, if (values[j] > values[i] || (
            values[j] == values[i] && places[j] < places[i])) {
        values[i] = values[j];
        places[i] = places[j];
    })
    if (threadIdx.x == 0) {
        const bool is_hit = places[0] == labels[blockIdx.x];
        atomicAdd(n_done + 1, is_hit ? 1u : 0u);
        __threadfence();
        if (atomicAdd(n_done, 1u) == gridDim.x - 1) {
            __threadfence();
            *result = static_cast<double>(atomicAdd(n_done + 1, 0u))
                / gridDim.x;
            n_done[0] = n_done[1] = 0;
        }
    }
}

#define KERNELS(T, suffix) \
extern "C" __global__ void cross_entropy_##suffix( \
        const T *scores, const int *labels, T *softmax, double *rows, \
        T *results, unsigned int *n_done, int n_classes, \
        double smoothing) { \
    cross_entropy(scores, labels, softmax, rows, results, n_done, \
                  n_classes, smoothing); \
} \
extern "C" __global__ void gradient_##suffix( \
        const T *softmax, const int *labels, const T *results, \
        const T *gloss, T *gx, int n_classes, long long n, \
        double smoothing) { \
    gradient(softmax, labels, results, gloss, gx, n_classes, n, \
             smoothing); \
} \
extern "C" __global__ void accuracy_##suffix( \
        const T *scores, const int *labels, double *result, \
        unsigned int *n_done, int n_classes) { \
    accuracy(scores, labels, result, n_done, n_classes); \
}
KERNELS(float, float32)
KERNELS(double, float64)
'''


def takes(scores, labels):
    """Tells whether the functions here are for these arrays.

    Args:
        scores (array): What a net returned.
        labels (array): The classes.

    Returns:
        bool: Whether they are on a GPU and as :func:`cross_entropy` has them.
    """
    return not isinstance(scores, numpy.ndarray) and (
        scores.ndim == 2 and scores.size > 0 and labels.ndim == 1
        and scores.dtype in (numpy.float32, numpy.float64)
        and labels.dtype == numpy.int32 and scores.flags.c_contiguous
        and labels.flags.c_contiguous)


def _counters(scores):
    # They count from 0 to 0 in each launch.
    xp = gpu_launch.array_module(scores)
    device = None if xp is numpy else scores.device.id
    if device not in _N_DONE:
        _N_DONE[device] = xp.zeros(2, numpy.uint32)
    return _N_DONE[device]


def cross_entropy(scores, labels, smoothing=0.):
    r"""Softmax cross entropy, the mean over the rows whose label is not -1.

    A row has :math:`-\sum_k q_k \log p_k` of its softmax :math:`p`, where
    :math:`q_k` is :math:`[k = t] (1 - \epsilon) + \epsilon / K`, that is
    :math:`-\log p_t + \epsilon \frac{1}{K} \sum_k (y_t - y_k)`.

    Args:
        scores (cupy.ndarray): (n, classes), float32 or 64, C-contiguous.
        labels (cupy.ndarray): int32 (n,), C-contiguous; -1 leaves a row out.
        smoothing (float): :math:`\epsilon`.

    Returns:
        tuple: The softmax, of the shape of ``scores``, and (2,) with the loss
        and the share of a row in it.
    """
    xp = gpu_launch.array_module(scores)
    softmax = xp.empty_like(scores)
    results = xp.empty(2, scores.dtype)
    gpu_launch.launch(
        SOURCE, 'cross_entropy_%s' % scores.dtype, len(scores), _THREADS,
        scores, labels, softmax, xp.empty(len(scores), numpy.float64),
        results, _counters(scores), numpy.int32(scores.shape[1]),
        numpy.float64(smoothing))
    return softmax, results


def cross_entropy_gradient(softmax, labels, results, gloss, smoothing=0.):
    """Gradient of :func:`cross_entropy`.

    Args:
        softmax, results (cupy.ndarray): What it returned.
        labels (cupy.ndarray): What it took.
        gloss (cupy.ndarray): Gradient of the loss, a scalar of the dtype of
            the scores.
        smoothing (float): As for it.

    Returns:
        cupy.ndarray: Gradient of the scores.
    """
    gx = gpu_launch.array_module(softmax).empty_like(softmax)
    n_threads = 128
    gpu_launch.launch(
        SOURCE, 'gradient_%s' % softmax.dtype, -(-gx.size // n_threads),
        n_threads, softmax, labels, results, gloss, gx,
        numpy.int32(gx.shape[1]), numpy.int64(gx.size),
        numpy.float64(smoothing))
    return gx


def accuracy(scores, labels):
    """Share of the rows whose largest score is at the label.

    Args:
        scores, labels (cupy.ndarray): See :func:`cross_entropy`.

    Returns:
        cupy.ndarray: A float64 scalar.
    """
    result = gpu_launch.array_module(scores).empty((), numpy.float64)
    gpu_launch.launch(
        SOURCE, 'accuracy_%s' % scores.dtype, len(scores), _THREADS, scores,
        labels, result, _counters(scores), numpy.int32(scores.shape[1]))
    return result
