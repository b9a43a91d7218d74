// Products of bytes and weights of a byte by the tensor cores; see
// gpu_perceptron.py.  Exact in int32.  Before this stand
//
// IS_UNSIGNED   whether the bytes of a are 0 to 255 or -128 to 127
// IS_FLOAT      whether the results are floats or signs, +1 and -1
// ROW_TILES, COLUMN_TILES    16 x 8 results each, of a warp
// ROW_WARPS, COLUMN_WARPS    of a block
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

struct Operands {
    const uint4 *a, *b;  // the first rows of this block
    int n_rows, a_pitch, b_pitch;  // rows of a, and pitches in 16 bytes

    // Reads this thread's share of 64 bytes of each row; 0 outside of a
    __device__ void read(uint4 (&pieces)[EACH], int step) const {
        #pragma unroll
        for (int e = 0; e < EACH; ++e) {
            const int at = threadIdx.x + e * THREADS;
            const int row = at / 4, piece = 4 * step + at % 4;
            pieces[e] = make_uint4(0, 0, 0, 0);
            if (row < ROWS) {
                if (row < n_rows && piece < a_pitch) {
                    pieces[e] = a[row * a_pitch + piece];
                }
            } else if (row < ROWS + COLUMNS) {
                pieces[e] = b[(row - ROWS) * b_pitch + piece];
            }
        }
    }
};

__device__ void keep(const uint4 (&pieces)[EACH], uint4 *tile) {
    #pragma unroll
    for (int e = 0; e < EACH; ++e) {
        const int at = threadIdx.x + e * THREADS;
        if (at < PIECES) tile[at / 4 * PITCH + at % 4] = pieces[e];
    }
}

// a is (m, 16 a_pitch bytes), b holds as many rows as the blocks have columns
// and 64 bytes for each step, 0 behind the last weight.
//
// Signs: +1 where the sum is >= thresholds[column], in bytes, (m, pitch),
// pitch even.  Floats: sum scale[column] + offset[column], (m, pitch).
extern "C" __global__ void __launch_bounds__(THREADS, 2) bnn_int8_product(
        const uint4 *a, const uint4 *b, const int *thresholds,
        const float *scale, const float *offset, void *result, long long m,
        int n, int steps, int a_pitch, int pitch) {
    __shared__ uint4 tiles[2][(ROWS + COLUMNS) * PITCH];
    const long long first_row = static_cast<long long>(blockIdx.x) * ROWS;
    const int first_column = blockIdx.y * COLUMNS;
    const int n_rows = m - first_row < ROWS ? m - first_row : ROWS;
    const Operands operands = {
        a + first_row * a_pitch,
        b + static_cast<long long>(first_column) * 4 * steps,
        n_rows, a_pitch, 4 * steps};
    const int group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    const int warp_row = threadIdx.x / 32 % ROW_WARPS * (16 * ROW_TILES);
    const int warp_column = threadIdx.x / 32 / ROW_WARPS * (8 * COLUMN_TILES);
    int sums[ROW_TILES][COLUMN_TILES][4] = {};

    uint4 pieces[EACH];
    operands.read(pieces, 0);
    keep(pieces, tiles[0]);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        // The next bytes come while these are multiplied.
        if (step + 1 < steps) operands.read(pieces, step + 1);
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
