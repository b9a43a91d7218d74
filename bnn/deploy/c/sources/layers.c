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
    const int words = (l->inputs + BNN_WORD_BITS - 1) / BNN_WORD_BITS;
    int32_t sums[BNN_TILE] = {0}, base = 0;
    int i, j;
    if (l->bits) {
        int a;
        for (a = 0; a < l->x_bits; a++)
            for (i = 0; i < words; i++)
                base += (int32_t)(
                    bnn_whole(bnn_part(x[a * words + i])) << a);
        base = base * l->low - gaps * l->gap;
    }
    for (i = 0; i < tiles; i++) {
        const int tile = group * tiles + i, done = i * BNN_TILE;
        const int count = l->filters - done < BNN_TILE
            ? l->filters - done : BNN_TILE;
        if (l->bytes)
            bnn_multiply(l->bytes
                         + (group * l->filters + done) * l->inputs,
                         bnn_window_values, l->inputs, count, sums);
        if (l->bits) {
            const bnn_word *weights = l->bits
                + tile * l->w_bits * words * BNN_TILE;
            bnn_dot(weights, x, words, l->w_bits, l->x_bits, sums);
            for (j = 0; j < BNN_TILE; j++)
                sums[j] = sums[j] * l->factor + base;
            if (gaps) {
                int32_t codes[BNN_TILE];
                bnn_dot(weights, bnn_gaps, words, l->w_bits, 1, codes);
                for (j = 0; j < BNN_TILE; j++)
                    sums[j] -= codes[j] * l->gap_bits;
            }
        }
        bnn_finish(l, flow, sums, tile * BNN_TILE, at + done, count);
    }
}

static void bnn_run(const struct bnn_layer *l, const struct bnn_flow *flow)
{
    const int words = (l->inputs + BNN_WORD_BITS - 1) / BNN_WORD_BITS;
    /* A linear layer takes bits as they lie. */
    const int is_linear = l->kh * l->kw * l->height * l->width * l->groups
        == 1;
    int y, x, group, at = 0;
    for (y = 0; y < l->out_height; y++)
        for (x = 0; x < l->out_width; x++)
            for (group = 0; group < l->groups; group++) {
                int gaps = 0;
                if (l->copies_values)
                    gaps = bnn_value_window(l, flow, y, x, group);
                else if (flow->bits && !is_linear)
                    gaps = bnn_bit_window(l, flow->bits, words, y, x, group);
                if (l->bits && !flow->bits)
                    bnn_planes(
                        l->copies_values ? bnn_window_bytes : flow->pixels,
                        l->inputs, l->x_bits, words, bnn_window);
                bnn_filters(l, flow, flow->bits && is_linear ? flow->bits
                            : bnn_window, gaps, group, at);
                at += l->filters;
            }
}
