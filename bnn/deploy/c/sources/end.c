
static int32_t bnn_sums[BNN_CLASSES];

static void bnn_compute(const uint8_t *image)
{
$calls}

void bnn_scores(const uint8_t *image, float *scores)
{
    int i;
    bnn_compute(image);
    for (i = 0; i < BNN_CLASSES; i++) {
        /* Rounded after each step, whatever the compiler would fuse */
        volatile float score = (float)(bnn_sums[i] + bnn_constant[i]);
        score = score * bnn_scale[i];
        score = score + bnn_offset[i];
        scores[i] = score;
    }
}

int bnn_predict(const uint8_t *image)
{
    float scores[BNN_CLASSES];
    int i, best = 0;
    bnn_scores(image, scores);
    for (i = 1; i < BNN_CLASSES; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}
