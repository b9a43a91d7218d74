"""The parts of a net in C that are the same for each, to be filled in."""

HEADER = '''\
/* A packed net: see bnn_net.c. */
#ifndef BNN_NET_H
#define BNN_NET_H

#include <stdint.h>

#define BNN_CHANNELS %d
#define BNN_HEIGHT %d
#define BNN_WIDTH %d
#define BNN_IMAGE_BYTES (BNN_CHANNELS * BNN_HEIGHT * BNN_WIDTH)
#define BNN_CLASSES %d

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const bnn_class_names[BNN_CLASSES];

/* Classifies an image.

   image: pixels of 0 to 255, channel after channel, row after row, as the
   data set has them (of MNIST: light on dark).

   Returns the class; of equal scores the first.  The functions share their
   memory: one thread at a time. */
int bnn_predict(const uint8_t *image);

/* Computes the score of each class. */
void bnn_scores(const uint8_t *image, float *scores);

#ifdef __cplusplus
}
#endif

#endif
'''
START = '''\
/* A packed net in C99, written by export.py --to c.

   %s

   Compile it with -DBNN_WORD_BITS=32 or 64 to choose the words, and with
   -DBNN_BUILTIN_POPCOUNT=0 or 1 to choose how bits are counted. */
#include <stdint.h>
#include <string.h>

#include "bnn_net.h"

#ifndef BNN_BUILTIN_POPCOUNT
#if defined(__POPCNT__) || (defined(__GNUC__) && defined(__aarch64__))
#define BNN_BUILTIN_POPCOUNT 1
#else
/* Without an instruction for it the compiler's own is a call. */
#define BNN_BUILTIN_POPCOUNT 0
#endif
#endif

/* Large words are faster where each is counted alone, not in vectors. */
#ifndef BNN_WORD_BITS
#if UINTPTR_MAX > 0xffffffff && BNN_BUILTIN_POPCOUNT && \
    !defined(__AVX512VPOPCNTDQ__)
#define BNN_WORD_BITS 64
#else
#define BNN_WORD_BITS 32
#endif
#endif

#ifdef __GNUC__
#define BNN_ALIGNED __attribute__((aligned(64)))
#else
#define BNN_ALIGNED
#endif

/* A word of each output of a tile, of its lower and its upper halves */
#if BNN_WORD_BITS == 64
typedef uint64_t bnn_word;
#define BNN_ONE(l, h) ((uint64_t)(h) << 32 | (l))
#define BNN_PAIR(%s) \\
    %s
#else
typedef uint32_t bnn_word;
#define BNN_PAIR(%s) \\
    %s
#endif
#define BNN_HALF(%s) \\
    %s

'''
END = '''
static int32_t bnn_sums[BNN_CLASSES];

static void bnn_compute(const uint8_t *image)
{
%s}

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
'''
