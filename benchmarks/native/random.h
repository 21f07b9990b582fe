/* Counter-based random numbers: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

   Written with vectors of the machine's size (an extension of C that GCC and Clang share), several of which go through
   the rounds side by side: one alone waits for its own results most of the time. */

#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>
#include <string.h>

#if defined __AVX512F__ || defined __AVX2__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX2__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef uint32_t Words __attribute__((vector_size(VECTOR_BYTES)));
/* Lanes of which the lower half is a word, and the upper half anything: a product reads lower halves only. GCC 12 by
   itself packs the words after each product, which made Philox half as fast. */
typedef uint64_t Wide __attribute__((vector_size(VECTOR_BYTES)));
/* How many words a vector holds, how many vectors go side by side, and to what counts of blocks are rounded up. */
enum { WORDS = VECTOR_BYTES / 4, GROUP = 4, PHILOX_GROUP = 2, BLOCK_MULTIPLE = 16 };

#define EACH(count) _Pragma("GCC unroll 16") for (int j = 0; j < (count); j++)

/* Threefry-2x32, 20 rounds: the blocks of the counters (a, b), in their place. */
static inline __attribute__((always_inline)) void threefry2x32_20(const uint32_t key[2], Words *a, Words *b, int count)
{
    static const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t schedule[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
    EACH(count) a[j] += schedule[0], b[j] += schedule[1];
#pragma GCC unroll 5
    for (int group = 0; group < 5; group++) {
#pragma GCC unroll 4
        for (int round = 0; round < 4; round++) {
            const int by = rotations[group % 2][round];
            EACH(count) a[j] += b[j];
            EACH(count) b[j] = (b[j] << by | b[j] >> (32 - by)) ^ a[j];
        }
        const uint32_t first = schedule[(group + 1) % 3], second = schedule[(group + 2) % 3] + (uint32_t)group + 1;
        EACH(count) a[j] += first, b[j] += second;
    }
}

/* The product of the lower halves. */
static inline Wide product(Wide a, uint32_t b)
{
    const Wide factor = (Wide){0} + b;
#if defined __AVX512F__
    return (Wide)_mm512_mul_epu32((__m512i)a, (__m512i)factor);
#elif defined __AVX2__
    return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)factor);
#else
    return (a & 0xFFFFFFFFu) * factor;
#endif
}

/* Philox-4x32, 10 rounds: the blocks of the counters (a, b, c, d), in their place. */
static inline __attribute__((always_inline)) void philox4x32_10(const uint32_t key[2], Wide *a, Wide *b, Wide *c,
                                                                Wide *d, int count)
{
    uint32_t k = key[0], l = key[1];
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        EACH(count)
        {
            const Wide p = product(a[j], 0xD2511F53u), q = product(c[j], 0xCD9E8D57u);
            a[j] = q >> 32 ^ b[j] ^ ((Wide){0} + k), b[j] = q;
            c[j] = p >> 32 ^ d[j] ^ ((Wide){0} + l), d[j] = p;
        }
        k += 0x9E3779B9u, l += 0xBB67AE85u;
    }
}

/* Some blocks of the counters (step, index): `count` vectors, all of the first words, and all of the second. */
static inline __attribute__((always_inline)) void threefry_some(const uint32_t key[2], const uint32_t *index,
                                                                uint32_t step, Words *a, Words *b, int count)
{
    memcpy(b, index, count * sizeof *b);
    EACH(count) a[j] = (Words){0} + step;
    threefry2x32_20(key, a, b, count);
}

/* Some blocks of the counters (index, step, 0, 0): two vectors of lanes hold a vector of words. */
static inline __attribute__((always_inline)) void philox_some(const uint32_t key[2], const uint32_t *index,
                                                              uint32_t step, uint32_t *words, int stride, int count)
{
    Wide block[4][2 * GROUP], given[GROUP];
    memcpy(given, index, count * sizeof *given);
    EACH(count) block[0][2 * j] = given[j], block[0][2 * j + 1] = given[j] >> 32;
    EACH(2 * count) block[1][j] = (Wide){0} + step, block[2][j] = block[3][j] = (Wide){0};
    philox4x32_10(key, block[0], block[1], block[2], block[3], 2 * count);
    for (int word = 0; word < 4; word++) {
        Wide merged[GROUP];
        EACH(count) merged[j] = (block[word][2 * j] & 0xFFFFFFFFu) | block[word][2 * j + 1] << 32;
        memcpy(words + word * stride, merged, count * sizeof *merged);
    }
}

/* A block for each of `count` counters (index[i], step): its words at words[i], words[stride + i], ...

   `count` is a multiple of BLOCK_MULTIPLE. */
typedef void Blocks(const uint32_t key[2], const uint32_t *index, int count, uint32_t step, uint32_t *words,
                    int stride);

/* One word a block, both halves by exclusive or: what `jax.random.bits` draws, for counters (step, index). */
static void threefry_xored(const uint32_t key[2], const uint32_t *index, int count, uint32_t step, uint32_t *words,
                           int stride)
{
    (void)stride;
    const uint32_t own_key[2] = {key[0], key[1]};
    Words a[GROUP], b[GROUP];
    int i = 0;
    for (; i + GROUP * WORDS <= count; i += GROUP * WORDS) {
        threefry_some(own_key, index + i, step, a, b, GROUP);
        EACH(GROUP) a[j] ^= b[j];
        memcpy(words + i, a, sizeof a);
    }
    for (; i < count; i += WORDS) {
        threefry_some(own_key, index + i, step, a, b, 1);
        a[0] ^= b[0];
        memcpy(words + i, a, sizeof *a);
    }
}

static void threefry_both(const uint32_t key[2], const uint32_t *index, int count, uint32_t step, uint32_t *words,
                          int stride)
{
    const uint32_t own_key[2] = {key[0], key[1]};
    Words a[GROUP], b[GROUP];
    int i = 0;
    for (; i + GROUP * WORDS <= count; i += GROUP * WORDS) {
        threefry_some(own_key, index + i, step, a, b, GROUP);
        memcpy(words + i, a, sizeof a);
        memcpy(words + stride + i, b, sizeof b);
    }
    for (; i < count; i += WORDS) {
        threefry_some(own_key, index + i, step, a, b, 1);
        memcpy(words + i, a, sizeof *a);
        memcpy(words + stride + i, b, sizeof *b);
    }
}

static void philox(const uint32_t key[2], const uint32_t *index, int count, uint32_t step, uint32_t *words, int stride)
{
    const uint32_t own_key[2] = {key[0], key[1]};
    int i = 0;
    for (; i + PHILOX_GROUP * WORDS <= count; i += PHILOX_GROUP * WORDS)
        philox_some(own_key, index + i, step, words + i, stride, PHILOX_GROUP);
    for (; i < count; i += WORDS)
        philox_some(own_key, index + i, step, words + i, stride, 1);
}

/* Uniform in [0, 1), a multiple of 2^-23, from the upper 23 bits of a word, as `jax.random.uniform` makes it. */
static inline float uniform(uint32_t word)
{
    const uint32_t bits = word >> 9 | 0x3F800000u;
    float one_to_two;
    memcpy(&one_to_two, &bits, sizeof bits);
    return one_to_two - 1.0f;
}

#endif
