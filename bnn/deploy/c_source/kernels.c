/* Outputs that are computed together, one in each lane of a vector */
#define BNN_TILE 32

/* gcc takes half of each register of these processors, unless it is told. */
#if defined(__AVX512VPOPCNTDQ__) && defined(__GNUC__) && \
    !defined(__clang__) && __GNUC__ >= 8
#define BNN_WIDE __attribute__((target("prefer-vector-width=512")))
#else
#define BNN_WIDE
#endif

#if BNN_USES_BITS
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

#if BNN_USES_BIT_WINDOWS || BNN_USES_POOL
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
#endif

#if BNN_USES_FILL
/* Sets n bits. */
static void bnn_fill(bnn_word *to, int at, int n)
{
    for (; n > 0; n--, at++)
        to[at / BNN_WORD_BITS] |= (bnn_word)1 << at % BNN_WORD_BITS;
}
#endif

#if BNN_USES_PLANES
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
#endif

#if BNN_USES_BITS
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
#if BNN_USES_PLANES
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
#endif
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
#endif

#if BNN_USES_BYTES
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
#endif

/* A linear layer is a convolution of an image of one pixel. */
struct bnn_layer {
    int channels, height, width;        /* of the operand */
    int kh, kw, sy, sx, py, px, dy, dx; /* window, stride, pad, dilation */
    int out_height, out_width;
    int groups, filters, inputs;        /* filters and inputs of a group */
#if BNN_USES_BITS
    const bnn_word *bits;               /* weights: NULL if they are bytes */
    int w_bits, x_bits;
    int32_t factor, low;        /* sum = factor * dot + low * sum(operand) */
    int32_t gap, gap_bits;      /* what a gap in the operand takes away */
#endif
#if BNN_USES_BYTES
    const bnn_weight *bytes;
    int map, offset;            /* a byte's value is map * byte + offset */
#endif
#if BNN_USES_BIT_WINDOWS
    int pad_bit;                /* outside the image; 0: a gap */
#endif
#if BNN_USES_VALUES
    int copies_values;          /* 0 where a window is all the pixels */
    const bnn_level *pad;       /* outside the image, for each channel */
#endif
    const int32_t *thresholds;
#if BNN_USES_LEVELS
    int levels;                 /* thresholds of an output */
#endif
#if BNN_USES_MULTIPLIER
    const int64_t *multiplier, *addend;
    int shift, least, largest;
#endif
};

/* Where a layer reads and writes; NULL where it does not. */
struct bnn_flow {
    const uint8_t *pixels;
    const bnn_word *bits;
    bnn_word *to_bits;
#if BNN_USES_LEVELS
    const bnn_level *levels;
    bnn_level *to_levels;
#endif
    int32_t *to_sums;
};

#if BNN_USES_BITS
static bnn_word bnn_window[BNN_WINDOW_WORDS];
#endif
#if BNN_USES_GAPS
static bnn_word bnn_gaps[BNN_GAP_WORDS];
#endif
#if BNN_USES_PLANES && BNN_USES_VALUES
static uint8_t bnn_window_bytes[BNN_WINDOW_BYTES];
#endif
#if BNN_USES_BYTES
static int16_t bnn_window_values[BNN_WINDOW_VALUES];
#endif

#if BNN_USES_BIT_WINDOWS
/* Copies a window of bits; returns how many of them are gaps. */
static int bnn_bit_window(const struct bnn_layer *l, const bnn_word *bits,
                          int words, int y, int x, int group)
{
    const int n = l->channels / l->groups;
    int ky, kx, at = 0, gaps = 0;
    memset(bnn_window, 0, (size_t)words * sizeof *bnn_window);
#if BNN_USES_GAPS
    memset(bnn_gaps, 0, sizeof bnn_gaps);
#endif
    for (ky = 0; ky < l->kh; ky++) {
        const int iy = y * l->sy + ky * l->dy - l->py;
        const int ix = x * l->sx - l->px;
        if (iy >= 0 && iy < l->height && ix >= 0 && l->dx == 1
                && l->groups == 1 && ix + l->kw <= l->width) {
            bnn_copy(bnn_window, at, bits, (iy * l->width + ix) * n,
                     l->kw * n);
            at += l->kw * n;
            continue;
        }
        for (kx = 0; kx < l->kw; kx++, at += n) {
            const int jx = ix + kx * l->dx;
            if (iy >= 0 && iy < l->height && jx >= 0 && jx < l->width) {
                bnn_copy(bnn_window, at, bits,
                         (iy * l->width + jx) * l->channels + group * n, n);
                continue;
            }
#if BNN_USES_FILL
            if (l->pad_bit) {
                bnn_fill(bnn_window, at, n);
                continue;
            }
#endif
#if BNN_USES_GAPS
            bnn_fill(bnn_gaps, at, n);
#endif
            gaps += n;
        }
    }
    return gaps;
}
#endif

#if BNN_USES_VALUES
/* Copies a window of pixels or levels; returns how many are gaps. */
static int bnn_value_window(const struct bnn_layer *l,
                            const struct bnn_flow *flow, int y, int x,
                            int group)
{
    const int n = l->channels / l->groups, size = l->height * l->width;
    int ky, kx, c, at = 0, gaps = 0;
#if BNN_USES_GAPS
    memset(bnn_gaps, 0, sizeof bnn_gaps);
#endif
    for (ky = 0; ky < l->kh; ky++)
        for (kx = 0; kx < l->kw; kx++)
            for (c = group * n; c < (group + 1) * n; c++, at++) {
                const int iy = y * l->sy + ky * l->dy - l->py;
                const int ix = x * l->sx + kx * l->dx - l->px;
                const int inside = iy >= 0 && iy < l->height && ix >= 0
                    && ix < l->width;
                int value = 0, gap = 0;
                if (!inside) {
                    if (l->pad)
                        value = l->pad[c];
                    else
                        gap = 1;
                }
#if BNN_USES_LEVELS
                else if (flow->levels)
                    value = flow->levels[
                        (iy * l->width + ix) * l->channels + c];
#endif
                else
                    value = flow->pixels[c * size + iy * l->width + ix];
                gaps += gap;
#if BNN_USES_BYTES
                if (l->bytes) {
                    bnn_window_values[at] = (int16_t)(
                        gap ? 0 : value * l->map + l->offset);
                    continue;
                }
#endif
#if BNN_USES_PLANES
                bnn_window_bytes[at] = (uint8_t)value;
#endif
#if BNN_USES_GAPS
                if (gap)
                    bnn_fill(bnn_gaps, at, 1);
#endif
            }
    return gaps;
}
#endif

/* Makes results of the sums of a tile. */
static void bnn_finish(const struct bnn_layer *l,
                       const struct bnn_flow *flow, const int32_t *sums,
                       int tile, int at, int count)
{
    int j;
    if (flow->to_sums) {
        for (j = 0; j < count; j++)
            flow->to_sums[at + j] = sums[j];
        return;
    }
#if BNN_USES_MULTIPLIER
    if (l->multiplier) {
        for (j = 0; j < count; j++) {
            const int64_t value = sums[j] * l->multiplier[tile + j]
                + l->addend[tile + j];
            /* >> of a negative number is the compiler's choice. */
            const int64_t level = value >= 0 ? value >> l->shift
                : ~(~value >> l->shift);
            flow->to_levels[at + j] = (bnn_level)(
                (level < l->least ? l->least : level > l->largest
                 ? l->largest : level) - l->least);
        }
        return;
    }
#endif
#if BNN_USES_LEVELS
    if (flow->to_levels) {
        for (j = 0; j < count; j++) {
            const int32_t *limits = l->thresholds + (tile + j) * l->levels;
            int k, level = 0;
            for (k = 0; k < l->levels; k++)
                level += sums[j] >= limits[k];
            flow->to_levels[at + j] = (bnn_level)level;
        }
        return;
    }
#endif
    {
        const int32_t *limits = l->thresholds + tile;
        uint32_t bits = 0;
        for (j = 0; j < BNN_TILE; j++)
            bits |= (uint32_t)(sums[j] >= limits[j]) << j;
        if (count < BNN_TILE)
            bits &= ((uint32_t)1 << count) - 1;
        bnn_or(flow->to_bits, at, bits, count);
    }
}

/* Computes the filters of a group on the window that lies ready. */
static void bnn_filters(const struct bnn_layer *l,
                        const struct bnn_flow *flow, const bnn_word *x,
                        int gaps, int group, int at)
{
    const int tiles = (l->filters + BNN_TILE - 1) / BNN_TILE;
    int32_t sums[BNN_TILE] = {0};
    int i;
#if BNN_USES_BITS
    const int words = (l->inputs + BNN_WORD_BITS - 1) / BNN_WORD_BITS;
    int32_t base = 0;
    int j;
    if (l->bits) {
        int a;
        for (a = 0; a < l->x_bits; a++)
            for (i = 0; i < words; i++)
                base += (int32_t)(
                    bnn_whole(bnn_part(x[a * words + i])) << a);
        base = base * l->low - gaps * l->gap;
    }
#endif
    for (i = 0; i < tiles; i++) {
        const int tile = group * tiles + i, done = i * BNN_TILE;
        const int count = l->filters - done < BNN_TILE
            ? l->filters - done : BNN_TILE;
#if BNN_USES_BYTES
        if (l->bytes)
            bnn_multiply(l->bytes
                         + (group * l->filters + done) * l->inputs,
                         bnn_window_values, l->inputs, count, sums);
#endif
#if BNN_USES_BITS
        if (l->bits) {
            const bnn_word *weights = l->bits
                + tile * l->w_bits * words * BNN_TILE;
            bnn_dot(weights, x, words, l->w_bits, l->x_bits, sums);
            for (j = 0; j < BNN_TILE; j++)
                sums[j] = sums[j] * l->factor + base;
#if BNN_USES_GAPS
            if (gaps) {
                int32_t codes[BNN_TILE];
                bnn_dot(weights, bnn_gaps, words, l->w_bits, 1, codes);
                for (j = 0; j < BNN_TILE; j++)
                    sums[j] -= codes[j] * l->gap_bits;
            }
#endif
        }
#endif
        bnn_finish(l, flow, sums, tile * BNN_TILE, at + done, count);
    }
    (void)x;
    (void)gaps;
}

static void bnn_run(const struct bnn_layer *l, const struct bnn_flow *flow)
{
    int y, x, group, at = 0;
#if BNN_USES_BIT_WINDOWS || BNN_USES_PLANES
    const int words = (l->inputs + BNN_WORD_BITS - 1) / BNN_WORD_BITS;
#endif
    for (y = 0; y < l->out_height; y++)
        for (x = 0; x < l->out_width; x++)
            for (group = 0; group < l->groups; group++) {
                const bnn_word *window = 0;
                int gaps = 0;
#if BNN_USES_BITS
                const int is_whole = l->kh * l->kw * l->height * l->width
                    * l->groups == 1;
                window = bnn_window;
                if (flow->bits && is_whole)
                    window = flow->bits;
#if BNN_USES_BIT_WINDOWS
                else if (flow->bits)
                    gaps = bnn_bit_window(l, flow->bits, words, y, x, group);
#endif
#if BNN_USES_PLANES
                if (!flow->bits && l->bits) {
                    const uint8_t *bytes = flow->pixels;
#if BNN_USES_VALUES
                    if (l->copies_values) {
                        gaps = bnn_value_window(l, flow, y, x, group);
                        bytes = bnn_window_bytes;
                    }
#endif
                    bnn_planes(bytes, l->inputs, l->x_bits, words,
                               bnn_window);
                }
#endif
#endif
#if BNN_USES_BYTES
                if (l->bytes)
                    gaps = bnn_value_window(l, flow, y, x, group);
#endif
                bnn_filters(l, flow, window, gaps, group, at);
                at += l->filters;
            }
}
