// Packs signs, 32 in a word; see gpu_bits.py.  Before this stand T, and WORDS,
// the words that a warp packs.  Float16 comes as its bits: a number that is
// not NaN is >= 0 without the bit of its sign, or as -0.
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
