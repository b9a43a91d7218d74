// Batch normalization; see gpu_norm.py.  Before this stand T, float or double,
// and CHANNELS, the channels of a block: 8 of (n, channels), or 1.
const int THREADS = 512, LANES = THREADS / CHANNELS;

// What a thread sees of (n, channels, size): the positions of its channel in
// the order of memory, from first + lane on, LANES apart.
struct Walk {
    long long p, end, at, jump, wrap;
    int j, step, size;

    __device__ Walk(long long first, long long last, int c, int channels,
                    int size_) {
        size = size_;
        p = first + threadIdx.x / CHANNELS;
        end = last;
        j = p % size;
        at = (p / size * channels + c) * size + j;
        step = LANES % size;
        jump = static_cast<long long>(LANES / size) * channels * size + step;
        wrap = static_cast<long long>(channels - 1) * size;
    }

    __device__ void next() {
        p += LANES;
        at += jump;
        j += step;
        if (j >= size) {  // in the next image
            j -= size;
            at += wrap;
        }
    }
};

// The share of a block in m positions
__device__ long long border(long long m, int block) {
    return m * block / gridDim.y;
}

// Sums of all lanes of a channel, for each of its threads.
__device__ void reduce(double &a, double &b) {
    __shared__ double parts[2][THREADS / 32][CHANNELS];
    for (int distance = 16; distance >= CHANNELS; distance /= 2) {
        a += __shfl_xor_sync(0xffffffffu, a, distance);
        b += __shfl_xor_sync(0xffffffffu, b, distance);
    }
    const int lane = threadIdx.x % 32;
    if (lane < CHANNELS) {
        parts[0][threadIdx.x / 32][lane] = a;
        parts[1][threadIdx.x / 32][lane] = b;
    }
    __syncthreads();
    a = b = 0;
    for (int warp = 0; warp < THREADS / 32; ++warp) {
        a += parts[0][warp][threadIdx.x % CHANNELS];
        b += parts[1][warp][threadIdx.x % CHANNELS];
    }
}

// Sums that blocks left, (shares, 2, channels)
__device__ void collect(const double *sums, int shares, int c, int channels,
                        double &a, double &b) {
    for (int s = threadIdx.x / CHANNELS; s < shares; s += LANES) {
        a += sums[(2 * s) * channels + c];
        b += sums[(2 * s + 1) * channels + c];
    }
}

__device__ void leave(double *sums, int c, int channels, double a, double b) {
    if (c < channels && threadIdx.x < CHANNELS) {
        sums[(2 * blockIdx.y) * channels + c] = a;
        sums[(2 * blockIdx.y + 1) * channels + c] = b;
    }
}

__device__ int channel() {
    return blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
}

// Of the differences from a first value: no cancellation in the variance
__device__ void add_up(const T *x, Walk walk, double shift, double &total,
                       double &square) {
    #pragma unroll 4
    for (; walk.p < walk.end; walk.next()) {
        const double d = x[walk.at] - shift;
        total += d;
        square += d * d;
    }
}

extern "C" __global__ void bnn_norm_sums(
        const T *x, double *sums, long long m, int channels, int size) {
    const int c = channel();
    double total = 0, square = 0;
    if (c < channels) {
        add_up(x, Walk(border(m, blockIdx.y), border(m, blockIdx.y + 1), c,
                       channels, size),
               x[static_cast<long long>(c) * size], total, square);
    }
    reduce(total, square);
    leave(sums, c, channels, total, square);
}

__device__ void normalize(const T *x, T *y, Walk walk, T gamma, T beta,
                          T mean, T inv_std, int sign) {
    #pragma unroll 4
    for (; walk.p < walk.end; walk.next()) {
        const T value = gamma * ((x[walk.at] - mean) * inv_std) + beta;
        y[walk.at] = sign ? (value >= 0 ? T(1) : T(-1)) : value;
    }
}

extern "C" __global__ void bnn_norm(
        const T *x, T *y, const T *gamma, const T *beta, double eps, int sign,
        const double *sums, int shares, T *mean, T *var, T *inv_std,
        long long m, int channels, int size) {
    const int c = channel();
    const bool inside = c < channels;
    const double shift = inside ? x[static_cast<long long>(c) * size] : T(0);
    double total = 0, square = 0;
    if (inside && shares) {
        collect(sums, shares, c, channels, total, square);
    } else if (inside) {
        add_up(x, Walk(0, m, c, channels, size), shift, total, square);
    }
    reduce(total, square);
    const double average = total / m;
    double spread = square / m - average * average;
    spread = spread < 0 ? 0 : spread;  // NaN stays
    const T mu = shift + average, inverse = 1 / sqrt(spread + eps);
    if (!inside) return;
    if (!blockIdx.y && threadIdx.x < CHANNELS) {
        mean[c] = mu;
        var[c] = spread;
        inv_std[c] = inverse;
    }
    normalize(x, y, Walk(border(m, blockIdx.y), border(m, blockIdx.y + 1), c,
                         channels, size),
              gamma[c], beta[c], mu, inverse, sign);
}

extern "C" __global__ void bnn_norm_fixed(
        const T *x, T *y, const T *gamma, const T *beta, const T *mean,
        const T *inv_std, int sign, long long m, int channels, int size) {
    const int c = channel();
    if (c >= channels) return;
    normalize(x, y, Walk(border(m, blockIdx.y), border(m, blockIdx.y + 1), c,
                         channels, size),
              gamma[c], beta[c], mean[c], inv_std[c], sign);
}

// Straight through: where the input of the sign is in [-1, 1]
__device__ T passed(T gy, T x_hat, T gamma, T beta, int sign) {
    const T y = gamma * x_hat + beta;
    return !sign || (y >= -1 && y <= 1) ? gy : T(0);
}

__device__ void add_up_gradient(
        const T *x, const T *gy, Walk walk, T gamma, T beta, T mean,
        T inv_std, int sign, double &total, double &product) {
    #pragma unroll 4
    for (; walk.p < walk.end; walk.next()) {
        const T x_hat = (x[walk.at] - mean) * inv_std;
        const T g = passed(gy[walk.at], x_hat, gamma, beta, sign);
        total += g;
        product += static_cast<double>(g) * x_hat;
    }
}

extern "C" __global__ void bnn_norm_gradient_sums(
        const T *x, const T *gy, const T *gamma, const T *beta,
        const T *mean, const T *inv_std, int sign, double *sums, long long m,
        int channels, int size) {
    const int c = channel();
    double total = 0, product = 0;
    if (c < channels) {
        add_up_gradient(
            x, gy, Walk(border(m, blockIdx.y), border(m, blockIdx.y + 1), c,
                        channels, size),
            gamma[c], beta[c], mean[c], inv_std[c], sign, total, product);
    }
    reduce(total, product);
    leave(sums, c, channels, total, product);
}

extern "C" __global__ void bnn_norm_gradient(
        const T *x, const T *gy, T *gx, const T *gamma, const T *beta,
        const T *mean, const T *inv_std, int sign, const double *sums,
        int shares, T *ggamma, T *gbeta, T inv_m, long long m, int channels,
        int size) {
    const int c = channel();
    const bool inside = c < channels;
    const T g = inside ? gamma[c] : T(0), b = inside ? beta[c] : T(0);
    const T mu = inside ? mean[c] : T(0), inverse = inside ? inv_std[c] : T(0);
    double total = 0, product = 0;
    if (inside && shares) {
        collect(sums, shares, c, channels, total, product);
    } else if (inside) {
        add_up_gradient(x, gy, Walk(0, m, c, channels, size), g, b, mu,
                        inverse, sign, total, product);
    }
    reduce(total, product);
    if (!inside) return;
    const T of_gamma = product, of_beta = total;
    if (!blockIdx.y && threadIdx.x < CHANNELS) {
        ggamma[c] = of_gamma;
        gbeta[c] = of_beta;
    }
    const T scale = g * inverse;
    Walk walk(border(m, blockIdx.y), border(m, blockIdx.y + 1), c, channels,
              size);
    #pragma unroll 4
    for (; walk.p < walk.end; walk.next()) {
        const T x_hat = (x[walk.at] - mu) * inverse;
        gx[walk.at] = scale * (passed(gy[walk.at], x_hat, g, b, sign)
                               - (x_hat * of_gamma + of_beta) * inv_m);
    }
}
