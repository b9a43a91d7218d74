// Products of packed signs; see gpu_bits.py.  A block has 64 x 64 results, a
// thread 4 x 4 of them; 16 words of 64 rows of either side lie in shared
// memory, the words of a column side by side.
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
