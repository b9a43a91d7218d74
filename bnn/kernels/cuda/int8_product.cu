// Products of bytes and weights of a byte by the tensor cores; see
// gpu_perceptron.py.  Exact in int32.  Before this stand
//
// IS_UNSIGNED      whether the bytes of a are 0 to 255 or -128 to 127
// IS_FLOAT         whether the results are floats or signs, +1 and -1
// IS_CONVOLUTION   whether a holds rows, or images whose windows are rows
// ROW_TILES, COLUMN_TILES    16 x 8 results each, of a warp
// ROW_WARPS, COLUMN_WARPS    of a block
// BLOCKS                     that are to be on a processor at once
const int ROWS = 16 * ROW_TILES * ROW_WARPS;
const int COLUMNS = 8 * COLUMN_TILES * COLUMN_WARPS;
const int THREADS = 32 * ROW_WARPS * COLUMN_WARPS;
// 64 bytes of each row lie in shared memory, twice, and 16 unused ones behind
// them: so the 8 rows x 4 words that a warp reads at once come from 32 banks.
const int PITCH = 5;  // in 16 bytes
const int PIECES = 4 * (ROWS + COLUMNS);
const int EACH = (PIECES + THREADS - 1) / THREADS;

// c += a b for 16 x 32 bytes a and 32 x 8 bytes b; see the manual of PTX on
// what of them a thread has.
__device__ void multiply(int &c0, int &c1, int &c2, int &c3, unsigned a0,
                         unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                         unsigned b1) {
    if (IS_UNSIGNED) {
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+r"(c0), "+r"(c1), "+r"(c2), "+r"(c3)
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    } else {
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+r"(c0), "+r"(c1), "+r"(c2), "+r"(c3)
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
}

// Images (n, height, width, 16 pieces bytes) and the windows on them
struct Geometry {
    int height, width, out_height, out_width, kernel_height, kernel_width;
    int stride_y, stride_x, pad_y, pad_x, dilate_y, dilate_x, pieces;
    int outside;  // four bytes of what is outside the images
};

__device__ uint4 four(unsigned x) { return make_uint4(x, x, x, x); }

// Reads this thread's share of 64 bytes of each row.
struct Operands {
    const uint4 *a, *b;  // the first rows of this block; a convolution's a: all
    int n_rows, a_pitch, b_pitch;  // rows of a, and pitches in 16 bytes

    __device__ void read_weights(uint4 &piece, int row, int at) const {
        if (row < ROWS + COLUMNS) piece = b[(row - ROWS) * b_pitch + at];
    }

    // Rows, 0 outside
    __device__ void read(uint4 (&pieces)[EACH], int step) const {
        const int at = 4 * step + threadIdx.x % 4;
        #pragma unroll
        for (int e = 0; e < EACH; ++e) {
            const int row = (threadIdx.x + e * THREADS) / 4;
            pieces[e] = four(0);
            if (row >= ROWS) {
                read_weights(pieces[e], row, at);
            } else if (row < n_rows && at < a_pitch) {
                pieces[e] = a[row * a_pitch + at];
            }
        }
    }
};

// The windows that this thread reads: their corners
struct Windows {
    int y[EACH], x[EACH], image[EACH];  // image: its first pixel

    __device__ Windows(const Geometry &g, long long first_row) {
        #pragma unroll
        for (int e = 0; e < EACH; ++e) {
            const long long row = first_row
                + (threadIdx.x + e * THREADS) / 4;
            const int column = row % g.out_width;
            const long long line = row / g.out_width;
            y[e] = line % g.out_height * g.stride_y - g.pad_y;
            x[e] = column * g.stride_x - g.pad_x;
            image[e] = line / g.out_height * g.height * g.width;
        }
    }

    __device__ void read(uint4 (&pieces)[EACH], int step, const Geometry &g,
                         const Operands &operands) const {
        const int at = 4 * step + threadIdx.x % 4;
        const int tap = at / g.pieces, piece = at % g.pieces;
        const int dy = tap / g.kernel_width * g.dilate_y;
        const int dx = tap % g.kernel_width * g.dilate_x;
        const bool is_tap = tap < g.kernel_height * g.kernel_width;
        #pragma unroll
        for (int e = 0; e < EACH; ++e) {
            const int row = (threadIdx.x + e * THREADS) / 4;
            const int v = y[e] + dy, u = x[e] + dx;
            pieces[e] = four(0);
            if (row >= ROWS) {
                operands.read_weights(pieces[e], row, at);
            } else if (row < operands.n_rows && is_tap) {
                pieces[e] = v >= 0 && v < g.height && u >= 0 && u < g.width
                    ? operands.a[static_cast<long long>(
                        image[e] + v * g.width + u) * g.pieces + piece]
                    : four(g.outside);
            }
        }
    }
};

__device__ void read(uint4 (&pieces)[EACH], int step,
                     const Operands &operands, const Windows &windows,
                     const Geometry &g) {
    if (IS_CONVOLUTION) {
        windows.read(pieces, step, g, operands);
    } else {
        operands.read(pieces, step);
    }
}

__device__ void keep(const uint4 (&pieces)[EACH], uint4 *tile) {
    #pragma unroll
    for (int e = 0; e < EACH; ++e) {
        const int at = threadIdx.x + e * THREADS;
        if (at < PIECES) tile[at / 4 * PITCH + at % 4] = pieces[e];
    }
}

// a is (m, 16 a_pitch bytes), or images with m windows; b holds as many rows as
// the blocks have columns and 64 bytes for each step, 0 behind the last weight.
//
// Signs: +1 where the sum is >= thresholds[column], in bytes, (m, pitch),
// pitch even.  Floats: sum scale[column] + offset[column], (m, pitch).
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
bnn_int8_product(
        const uint4 *a, const uint4 *b, const int *thresholds,
        const float *scale, const float *offset, const Geometry *geometry,
        void *result, long long m, int n, int steps, int a_pitch,
        int pitch) {
    __shared__ uint4 tiles[2][(ROWS + COLUMNS) * PITCH];
    const long long first_row = static_cast<long long>(blockIdx.x) * ROWS;
    const int first_column = blockIdx.y * COLUMNS;
    const int n_rows = m - first_row < ROWS ? m - first_row : ROWS;
    const Operands operands = {
        IS_CONVOLUTION ? a : a + first_row * a_pitch,
        b + static_cast<long long>(first_column) * 4 * steps,
        n_rows, a_pitch, 4 * steps};
    const int group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    const int warp_row = threadIdx.x / 32 % ROW_WARPS * (16 * ROW_TILES);
    const int warp_column = threadIdx.x / 32 / ROW_WARPS * (8 * COLUMN_TILES);
    int sums[ROW_TILES][COLUMN_TILES][4] = {};

    const Geometry g = IS_CONVOLUTION ? *geometry : Geometry{};
    const Windows windows(IS_CONVOLUTION ? g : Geometry{0, 0, 1, 1},
                          first_row);
    uint4 pieces[EACH];
    read(pieces, 0, operands, windows, g);
    keep(pieces, tiles[0]);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        // The next bytes come while these are multiplied.
        if (step + 1 < steps) {
            read(pieces, step + 1, operands, windows, g);
        }
        const unsigned *words = reinterpret_cast<const unsigned *>(
            tiles[step % 2]);
        #pragma unroll
        for (int half = 0; half < 2; ++half) {
            const unsigned *left = words + (warp_row + group) * 4 * PITCH
                + 8 * half + place;
            const unsigned *right = words
                + (ROWS + warp_column + group) * 4 * PITCH + 8 * half + place;
            unsigned p[ROW_TILES][4], q[COLUMN_TILES][2];
            #pragma unroll
            for (int i = 0; i < ROW_TILES; ++i) {
                p[i][0] = left[16 * i * 4 * PITCH];
                p[i][1] = left[(16 * i + 8) * 4 * PITCH];
                p[i][2] = left[16 * i * 4 * PITCH + 4];
                p[i][3] = left[(16 * i + 8) * 4 * PITCH + 4];
            }
            #pragma unroll
            for (int j = 0; j < COLUMN_TILES; ++j) {
                q[j][0] = right[8 * j * 4 * PITCH];
                q[j][1] = right[8 * j * 4 * PITCH + 4];
            }
            #pragma unroll
            for (int i = 0; i < ROW_TILES; ++i) {
                #pragma unroll
                for (int j = 0; j < COLUMN_TILES; ++j) {
                    multiply(sums[i][j][0], sums[i][j][1], sums[i][j][2],
                             sums[i][j][3], p[i][0], p[i][1], p[i][2],
                             p[i][3], q[j][0], q[j][1]);
                }
            }
        }
        // Nobody reads the other tile since the last barrier.
        if (step + 1 < steps) keep(pieces, tiles[(step + 1) % 2]);
        __syncthreads();
    }

    #pragma unroll
    for (int i = 0; i < ROW_TILES; ++i) {
        #pragma unroll
        for (int upper = 0; upper < 2; ++upper) {
            const int in_block = warp_row + 16 * i + 8 * upper + group;
            const long long row = first_row + in_block;
            if (in_block >= n_rows) continue;
            #pragma unroll
            for (int j = 0; j < COLUMN_TILES; ++j) {
                const int column = first_column + warp_column + 8 * j
                    + 2 * place;
                const int s = sums[i][j][2 * upper];
                const int t = sums[i][j][2 * upper + 1];
                if (IS_FLOAT) {
                    float *y = static_cast<float *>(result) + row * pitch;
                    if (column < n) {
                        y[column] = s * scale[column] + offset[column];
                    }
                    if (column + 1 < n) {
                        y[column + 1] = t * scale[column + 1]
                            + offset[column + 1];
                    }
                } else if (column < pitch) {
                    const int low = s >= thresholds[column] ? 1 : 0xff;
                    const int high = t >= thresholds[column + 1] ? 1 : 0xff;
                    reinterpret_cast<unsigned short *>(result)[
                        (row * pitch + column) / 2] = low | high << 8;
                }
            }
        }
    }
}
