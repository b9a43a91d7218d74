/* Classifies images, binary or text PGM (of 3 channels PPM), of the size of
   the net:

       ./bnn digit.pgm                 its class
       ./bnn --scores digit.pgm        and the scores
       ./bnn --raw-scores images.bin   the number of the class and the scores
                                       of each BNN_IMAGE_BYTES */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "bnn_net.h"

#define WORD(x) #x
#define SIZE_OF(width, height) WORD(width) "x" WORD(height)
#define SIZE SIZE_OF(BNN_WIDTH, BNN_HEIGHT)
#define SUFFIX (BNN_CHANNELS == 1 ? "pgm" : "ppm")

static int next_number(FILE *f)
{
    int c, n = 0;
    while ((c = getc(f)) != EOF && (isspace(c) || c == '#'))
        if (c == '#')
            while ((c = getc(f)) != EOF && c != '\n')
                continue;
    if (c == EOF || !isdigit(c))
        return -1;
    for (; c != EOF && isdigit(c); c = getc(f))
        n = n > 99999 ? n : 10 * n + c - '0';
    return n;   /* and the one character behind it is read */
}

/* Returns NULL, or what is wrong. */
static const char *read_image(FILE *f, uint8_t *image)
{
    const int binary = BNN_CHANNELS == 1 ? '5' : '6';
    const int text = BNN_CHANNELS == 1 ? '2' : '3';
    int kind, width, height, largest, i, c;
    if (getc(f) != 'P' || ((kind = getc(f)) != binary && kind != text))
        return BNN_CHANNELS == 1 ? "is no PGM" : "is no PPM";
    width = next_number(f);
    height = next_number(f);
    largest = next_number(f);
    if (width != BNN_WIDTH || height != BNN_HEIGHT)
        return "is not of the net's size, " SIZE;
    if (largest < 1 || largest > 255)
        return "has pixels of more than 8 bits";
    for (i = 0; i < BNN_HEIGHT * BNN_WIDTH; i++)
        for (c = 0; c < BNN_CHANNELS; c++) {
            const int value = kind == binary ? getc(f) : next_number(f);
            if (value < 0 || value > largest)
                return "ends too early or holds a pixel too large";
            image[c * BNN_HEIGHT * BNN_WIDTH + i] =
                (uint8_t)((value * 255 + largest / 2) / largest);
        }
    return NULL;
}

static int classify(const char *path, int with_scores)
{
    static uint8_t image[BNN_IMAGE_BYTES];
    const char *error = "cannot be opened";
    int i;
    FILE *f = fopen(path, "rb");
    if (f) {
        error = read_image(f, image);
        fclose(f);
    }
    if (error) {
        fprintf(stderr, "%s %s\n", path, error);
        return 1;
    }
    printf("%s: %s\n", path, bnn_class_names[bnn_predict(image)]);
    if (with_scores) {
        float scores[BNN_CLASSES];
        bnn_scores(image, scores);
        for (i = 0; i < BNN_CLASSES; i++)
            printf("    %s: %.9g\n", bnn_class_names[i], scores[i]);
    }
    return 0;
}

static int classify_raw(FILE *f)
{
    static uint8_t image[BNN_IMAGE_BYTES];
    while (fread(image, BNN_IMAGE_BYTES, 1, f) == 1) {
        float scores[BNN_CLASSES];
        int i;
        printf("%d", bnn_predict(image));
        bnn_scores(image, scores);
        for (i = 0; i < BNN_CLASSES; i++)
            printf(" %.9g", scores[i]);
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
    const int is_scores = !strcmp(option, "--scores");
    const int is_raw = !strcmp(option, "--raw-scores");
    int i = *option ? 2 : 1, status = 0;
    if (i >= argc || (*option && !is_scores && !is_raw)) {
        fprintf(stderr, "usage: %s [--scores] IMAGE.%s ...\n"
                "       %s --raw-scores FILE ...\n", argv[0], SUFFIX,
                argv[0]);
        return 2;
    }
    for (; i < argc; i++)
        if (is_raw) {
            FILE *f = fopen(argv[i], "rb");
            if (!f) {
                fprintf(stderr, "%s cannot be opened\n", argv[i]);
                return 1;
            }
            status |= classify_raw(f);
            fclose(f);
        } else {
            status |= classify(argv[i], is_scores);
        }
    return status;
}
