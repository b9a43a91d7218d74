/* A packed net: see bnn_net.c. */
#ifndef BNN_NET_H
#define BNN_NET_H

#include <stdint.h>

#define BNN_CHANNELS $channels
#define BNN_HEIGHT $height
#define BNN_WIDTH $width
#define BNN_IMAGE_BYTES (BNN_CHANNELS * BNN_HEIGHT * BNN_WIDTH)
#define BNN_CLASSES $classes

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
