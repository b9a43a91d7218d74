/* Outputs that are computed together, one in each lane of a vector */
#define BNN_TILE 32

/* gcc takes half of each register of these processors, unless it is told. */
#if defined(__AVX512VPOPCNTDQ__) && defined(__GNUC__) && \
    !defined(__clang__) && __GNUC__ >= 8
#define BNN_WIDE __attribute__((target("prefer-vector-width=512")))
#else
#define BNN_WIDE
#endif

/* Bits are counted in two steps: bnn_part of each word, bnn_whole of the sum
   of at most BNN_PARTS of these. */
#if BNN_BUILTIN_POPCOUNT
#define BNN_PARTS 0x40000000
static bnn_word bnn_part(bnn_word x)
{
#if BNN_WORD_BITS == 64
    return (bnn_word)__builtin_popcountll(x);
#else
    return (bnn_word)__builtin_popcount(x);
#endif
}

static bnn_word bnn_whole(bnn_word x)
{
    return x;
}
#else
#define BNN_PARTS 31    /* of 8, in each byte */
static bnn_word bnn_part(bnn_word x)
{
    const bnn_word ones = (bnn_word)-1 / 255;
    x -= x >> 1 & ones * 0x55;
    x = (x & ones * 0x33) + (x >> 2 & ones * 0x33);
    return (x + (x >> 4)) & ones * 0x0f;
}

static bnn_word bnn_whole(bnn_word x)
{
    const bnn_word ones = (bnn_word)-1 / 65535;
    x = (x & ones * 255) + (x >> 8 & ones * 255);
    return (bnn_word)(x * ones) >> (BNN_WORD_BITS - 16);
}
#endif

/* Ors count bits, at most a word of them and no others, to a place. */
static void bnn_or(bnn_word *to, int at, bnn_word bits, int count)
{
    const int shift = at % BNN_WORD_BITS;
    to += at / BNN_WORD_BITS;
    to[0] |= bits << shift;
    if (shift + count > BNN_WORD_BITS)
        to[1] |= bits >> (BNN_WORD_BITS - shift);
}

/* Ors n bits from one place to another. */
static void bnn_copy(bnn_word *to, int at, const bnn_word *from, int begin,
                     int n)
{
    while (n > 0) {
        const int count = n < BNN_WORD_BITS ? n : BNN_WORD_BITS;
        const int shift = begin % BNN_WORD_BITS;
        const bnn_word *word = from + begin / BNN_WORD_BITS;
        bnn_word bits = word[0] >> shift;
        if (shift + count > BNN_WORD_BITS)
            bits |= word[1] << (BNN_WORD_BITS - shift);
        if (count < BNN_WORD_BITS)
            bits &= ((bnn_word)1 << count) - 1;
        bnn_or(to, at, bits, count);
        at += count;
        begin += count;
        n -= count;
    }
}

/* Sets n bits. */
static void bnn_fill(bnn_word *to, int at, int n)
{
    for (; n > 0; n--, at++)
        to[at / BNN_WORD_BITS] |= (bnn_word)1 << at % BNN_WORD_BITS;
}

/* Makes a row of bits of each bit of n bytes, the least one first. */
static void bnn_planes(const uint8_t *x, int n, int bits, int words,
                       bnn_word *planes)
{
    int i, k;
    memset(planes, 0, (size_t)bits * (size_t)words * sizeof *planes);
    for (i = 0; i < n; i += 8) {
        uint64_t y = 0, t;
        if (n - i >= 8)
            y = (uint64_t)x[i] | (uint64_t)x[i + 1] << 8
                | (uint64_t)x[i + 2] << 16 | (uint64_t)x[i + 3] << 24
                | (uint64_t)x[i + 4] << 32 | (uint64_t)x[i + 5] << 40
                | (uint64_t)x[i + 6] << 48 | (uint64_t)x[i + 7] << 56;
        else
            for (k = 0; k < n - i; k++)
                y |= (uint64_t)x[i + k] << 8 * k;
        /* 8 bytes of 8 bits, transposed */
        t = (y ^ y >> 7) & UINT64_C(0x00aa00aa00aa00aa);
        y ^= t ^ t << 7;
        t = (y ^ y >> 14) & UINT64_C(0x0000cccc0000cccc);
        y ^= t ^ t << 14;
        t = (y ^ y >> 28) & UINT64_C(0x00000000f0f0f0f0);
        y ^= t ^ t << 28;
        for (k = 0; k < bits; k++)
            planes[k * words + i / BNN_WORD_BITS] |=
                (bnn_word)(y >> 8 * k & 255) << i % BNN_WORD_BITS;
    }
}

/* Sums of code * operand, both of bit planes, for a tile of outputs:
   2^(a + b) for each bit a of the one and b of the other.  Weights lie
   plane after plane, word after word, output after output. */
BNN_WIDE
static void bnn_dot(const bnn_word *weights, const bnn_word *x, int words,
                    int w_bits, int x_bits, int32_t *sums)
{
    bnn_word total[BNN_TILE] = {0};
    int a, b, i, j, end;
    for (b = 0; b < w_bits; b++, weights += words * BNN_TILE) {
        const bnn_word *plane = x;
        a = 0;
        /* Four planes at a time read each weight once. */
        for (; a + 4 <= x_bits; a += 4, plane += 4 * words)
            for (i = 0; i < words;) {
                bnn_word s0[BNN_TILE] = {0}, s1[BNN_TILE] = {0};
                bnn_word s2[BNN_TILE] = {0}, s3[BNN_TILE] = {0};
                end = words - i < BNN_PARTS ? words : i + BNN_PARTS;
                for (; i < end; i++) {
                    const bnn_word x0 = plane[i], x1 = plane[words + i];
                    const bnn_word x2 = plane[2 * words + i];
                    const bnn_word x3 = plane[3 * words + i];
                    for (j = 0; j < BNN_TILE; j++) {
                        const bnn_word w = weights[i * BNN_TILE + j];
                        s0[j] += bnn_part(w & x0);
                        s1[j] += bnn_part(w & x1);
                        s2[j] += bnn_part(w & x2);
                        s3[j] += bnn_part(w & x3);
                    }
                }
                for (j = 0; j < BNN_TILE; j++)
                    total[j] += (bnn_whole(s0[j]) + (bnn_whole(s1[j]) << 1)
                                 + (bnn_whole(s2[j]) << 2)
                                 + (bnn_whole(s3[j]) << 3)) << (a + b);
            }
        for (; a < x_bits; a++, plane += words)
            for (i = 0; i < words;) {
                bnn_word s[BNN_TILE] = {0};
                end = words - i < BNN_PARTS ? words : i + BNN_PARTS;
                for (; i < end; i++) {
                    const bnn_word x0 = plane[i];
                    for (j = 0; j < BNN_TILE; j++)
                        s[j] += bnn_part(weights[i * BNN_TILE + j] & x0);
                }
                for (j = 0; j < BNN_TILE; j++)
                    total[j] += bnn_whole(s[j]) << (a + b);
            }
    }
    for (j = 0; j < BNN_TILE; j++)
        sums[j] = (int32_t)total[j];
}

static void bnn_multiply(const bnn_weight *weights, const int16_t *x, int n,
                         int outputs, int32_t *sums)
{
    int i, j;
    for (j = 0; j < outputs; j++, weights += n) {
        int32_t sum = 0;
        for (i = 0; i < n; i++)
            sum += weights[i] * x[i];
        sums[j] = sum;
    }
}

