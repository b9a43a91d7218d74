/* A linear layer is a convolution of an image of one pixel. */
struct bnn_layer {
    int channels, height, width;        /* of the operand */
    int kh, kw, sy, sx, py, px, dy, dx; /* window, stride, pad, dilation */
    int out_height, out_width;
    int groups, filters, inputs;        /* filters and inputs of a group */
    const bnn_word *bits;               /* weights: NULL if they are bytes */
    int w_bits, x_bits;
    int32_t factor, low;        /* sum = factor * dot + low * sum(operand) */
    int32_t gap, gap_bits;      /* what a gap in the operand takes away */
    const bnn_weight *bytes;
    int map, offset;            /* a byte's value is map * byte + offset */
    int pad_bit;                /* outside the image; 0: a gap */
    int copies_values;          /* 0 where a window is all the pixels */
    const bnn_level *pad;       /* outside the image, for each channel */
    const int32_t *thresholds;
    int levels;                 /* thresholds of an output */
    const int64_t *multiplier, *addend;
    int shift, least, largest;
};

/* Where a layer reads and writes; NULL where it does not. */
struct bnn_flow {
    const uint8_t *pixels;
    const bnn_word *bits;
    bnn_word *to_bits;
    const bnn_level *levels;
    bnn_level *to_levels;
    int32_t *to_sums;
};

static bnn_word bnn_window[BNN_WINDOW_WORDS];
static bnn_word bnn_gaps[BNN_GAP_WORDS];
static uint8_t bnn_window_bytes[BNN_WINDOW_BYTES];
static int16_t bnn_window_values[BNN_WINDOW_VALUES];

/* Copies a window of bits; returns how many of them are gaps. */
static int bnn_bit_window(const struct bnn_layer *l, const bnn_word *bits,
                          int words, int y, int x, int group)
{
    const int n = l->channels / l->groups;
    int ky, kx, at = 0, gaps = 0;
    memset(bnn_window, 0, (size_t)words * sizeof *bnn_window);
    memset(bnn_gaps, 0, sizeof bnn_gaps);
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
            if (l->pad_bit) {
                bnn_fill(bnn_window, at, n);
                continue;
            }
            bnn_fill(bnn_gaps, at, n);
            gaps += n;
        }
    }
    return gaps;
}

/* Copies a window of pixels or levels; returns how many are gaps. */
static int bnn_value_window(const struct bnn_layer *l,
                            const struct bnn_flow *flow, int y, int x,
                            int group)
{
    const int n = l->channels / l->groups, size = l->height * l->width;
    int ky, kx, c, at = 0, gaps = 0;
    memset(bnn_gaps, 0, sizeof bnn_gaps);
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
                } else if (flow->levels) {
                    value = flow->levels[
                        (iy * l->width + ix) * l->channels + c];
                } else {
                    value = flow->pixels[c * size + iy * l->width + ix];
                }
                gaps += gap;
                if (l->bytes) {
                    bnn_window_values[at] = (int16_t)(
                        gap ? 0 : value * l->map + l->offset);
                    continue;
                }
                bnn_window_bytes[at] = (uint8_t)value;
                if (gap)
                    bnn_fill(bnn_gaps, at, 1);
            }
    return gaps;
}

