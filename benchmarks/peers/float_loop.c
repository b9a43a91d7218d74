/* The plain loop that the C net is compared with: float weights of the same
   shapes, one multiplication and one addition a weight, sign in between. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef IMAGES
#define IMAGES 20
#endif

static const int sizes[] = {784, 1000, 1000, 10};
static float weights[3][1000 * 1000], values[4][1000];

static int predict(void)
{
    int l, o, i, best = 0;
    for (l = 0; l < 3; l++)
        for (o = 0; o < sizes[l + 1]; o++) {
            const float *w = weights[l] + o * sizes[l];
            float sum = 0;
            for (i = 0; i < sizes[l]; i++)
                sum += w[i] * values[l][i];
            values[l + 1][o] = l == 2 ? sum : sum >= 0 ? 1.f : -1.f;
        }
    for (o = 1; o < sizes[3]; o++)
        if (values[3][o] > values[3][best])
            best = o;
    return best;
}

int main(void)
{
    double best = 1e9;
    long sum = 0;
    int i, l, turn;
    for (l = 0; l < 3; l++)
        for (i = 0; i < sizes[l] * sizes[l + 1]; i++)
            weights[l][i] = rand() & 1 ? 1.f : -1.f;
    for (turn = 0; turn < 10; turn++) {
        const clock_t start = clock();
        double time;
        for (i = 0; i < IMAGES; i++) {
            for (l = 0; l < sizes[0]; l++)
                values[0][l] = (float)(rand() & 255);
            sum += predict();
        }
        time = (double)(clock() - start) / CLOCKS_PER_SEC * 1e6 / IMAGES;
        if (time < best)
            best = time;
    }
    printf("%.3f us an image (sum of the classes %ld)\n", best, sum);
    return 0;
}
