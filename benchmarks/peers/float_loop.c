/* The plain loop that the C net is compared with: float weights of the same
   shapes, one multiplication and one addition a weight, sign in between. */
#include <stdint.h>

#define PIXELS 784
#define CLASSES 10

float weights[(PIXELS + UNITS + CLASSES) * UNITS];
float limits[2 * UNITS], scale[CLASSES], offset[CLASSES];

static float values[PIXELS + 2 * UNITS];

static int predict(const uint8_t *image)
{
    static const int sizes[] = {PIXELS, UNITS, UNITS, CLASSES};
    const float *w = weights, *limit = limits;
    float *x = values, best = 0;
    int l, o, i, answer = -1;
    for (i = 0; i < PIXELS; i++)
        x[i] = image[i];
    for (l = 0; l < 3; l++, x += sizes[l - 1])
        for (o = 0; o < sizes[l + 1]; o++, w += sizes[l]) {
            float sum = 0;
            for (i = 0; i < sizes[l]; i++)
                sum += w[i] * x[i];
            if (l < 2)
                x[sizes[l] + o] = sum >= *limit++ ? 1.f : -1.f;
            else {
                sum = sum * scale[o] + offset[o];
                if (answer < 0 || sum > best) {
                    best = sum;
                    answer = o;
                }
            }
        }
    return answer;
}

void run(const uint8_t *images, long n, int32_t *classes)
{
    long i;
    for (i = 0; i < n; i++)
        classes[i] = predict(images + i * PIXELS);
}
