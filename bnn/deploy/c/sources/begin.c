/* A packed net in C99, written by export.py --to c.

   $facts

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
#define BNN_PAIR($low_high) \
    $ones
#else
typedef uint32_t bnn_word;
#define BNN_PAIR($low_high) \
    $low_high
#endif
#define BNN_HALF($both) \
    $both

