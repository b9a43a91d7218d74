
#if BNN_USES_POOL || BNN_USES_LEVEL_POOL
struct bnn_pool {
    int channels, height, width, kh, kw, sy, sx, py, px;
    int out_height, out_width;
    const bnn_word *is_minimum;         /* bits of channels, or NULL */
};
#endif

#if BNN_USES_LEVEL_POOL
/* The largest level of each window. */
static void bnn_level_pool(const struct bnn_pool *l, const bnn_level *levels,
                           bnn_level *to)
{
    int y, x, ky, kx, c;
    for (y = 0; y < l->out_height; y++)
        for (x = 0; x < l->out_width; x++, to += l->channels) {
            memset(to, 0, (size_t)l->channels * sizeof *to);
            for (ky = 0; ky < l->kh; ky++)
                for (kx = 0; kx < l->kw; kx++) {
                    const int iy = y * l->sy + ky - l->py;
                    const int ix = x * l->sx + kx - l->px;
                    if (iy < 0 || iy >= l->height || ix < 0
                            || ix >= l->width)
                        continue;
                    for (c = 0; c < l->channels; c++) {
                        const bnn_level level = levels[
                            (iy * l->width + ix) * l->channels + c];
                        if (level > to[c])
                            to[c] = level;
                    }
                }
        }
}
#endif

#if BNN_USES_POOL
static bnn_word bnn_pool_any[BNN_POOL_WORDS], bnn_pool_all[BNN_POOL_WORDS];
static bnn_word bnn_pool_one[BNN_POOL_WORDS];

/* Or of the bits in each window, and where is_minimum, and. */
static void bnn_pool(const struct bnn_pool *l, const bnn_word *bits,
                     bnn_word *to)
{
    const int n = l->channels;
    const int words = (n + BNN_WORD_BITS - 1) / BNN_WORD_BITS;
    int y, x, ky, kx, i, at = 0;
    for (y = 0; y < l->out_height; y++)
        for (x = 0; x < l->out_width; x++, at += n) {
            for (i = 0; i < words; i++) {
                bnn_pool_any[i] = 0;
                bnn_pool_all[i] = (bnn_word)-1;
            }
            for (ky = 0; ky < l->kh; ky++)
                for (kx = 0; kx < l->kw; kx++) {
                    const int iy = y * l->sy + ky - l->py;
                    const int ix = x * l->sx + kx - l->px;
                    if (iy < 0 || iy >= l->height || ix < 0
                            || ix >= l->width)
                        continue;
                    memset(bnn_pool_one, 0, sizeof bnn_pool_one);
                    bnn_copy(bnn_pool_one, 0, bits,
                             (iy * l->width + ix) * n, n);
                    for (i = 0; i < words; i++) {
                        bnn_pool_any[i] |= bnn_pool_one[i];
                        bnn_pool_all[i] &= bnn_pool_one[i];
                    }
                }
            if (l->is_minimum)
                for (i = 0; i < words; i++)
                    bnn_pool_any[i] = (bnn_pool_any[i] & ~l->is_minimum[i])
                        | (bnn_pool_all[i] & l->is_minimum[i]);
            bnn_copy(to, at, bnn_pool_any, 0, n);
        }
}
#endif

#if BNN_USES_SIGNS
/* Bits of pixels: 1 from 128 up. */
static void bnn_signs(const uint8_t *pixels, int channels, int size,
                      bnn_word *to)
{
    int i, c, at = 0;
    for (i = 0; i < size; i++)
        for (c = 0; c < channels; c++, at++)
            bnn_or(to, at, pixels[c * size + i] >> 7, 1);
}
#endif
