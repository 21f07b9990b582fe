/* A random policy in batches of environments, with autoreset and episode statistics; benchmarks/limit.py says more. */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "cartpole.h"
#include "functions.h"
#include "heartpole.h"
#include "random.h"
#include "simple_rocket.h"
#include "tile.h"

enum { MOST_WORDS = 8, MOST_THREADS = 256 };
/* Steps after which the fixed pattern of the runs without random numbers comes again; each shifts it by a vector. */
enum { PATTERN_STEPS = 64, PATTERN_SHIFT = 16 };
_Static_assert(TILE % (4 * BLOCK_MULTIPLE) == 0, "a tile's blocks are counted in whole multiples");
/* Set in the counters of starts, which numbers of blocks never reach. */
#define START_COUNTER 0x80000000u

struct Environment {
    /* Rows of the state, return and length included. */
    int fields;
    /* Words of a step, besides the action; and whether the action's bits are bits that word 0's uniform leaves over. */
    int step_words, action_shared;
    int start_words;
    void (*step)(struct Tile *, const uint32_t *words, const uint32_t *actions);
    void (*start)(struct Tile *, int i, const uint32_t *words, int stride);
};

static const struct Environment environments[] = {
    {8, 4, 1, 1, heartpole_step, heartpole_start},
    {4, 0, 0, 2, rocket_step, rocket_start},
    {6, 0, 0, 4, cartpole_step, cartpole_start},
};

struct Generator {
    Blocks *blocks; /* NULL for none */
    int words;      /* of a block */
    /* Every number has a block of its own, those of starts are drawn at every step, as ours are. */
    int as_ours;
    /* Every environment has a block of its own at every step. */
    int block_each;
};

static const struct Generator generators[] = {
    {threefry_xored, 1, 1, 0}, {threefry_both, 2, 0, 0}, {philox, 4, 0, 1}, {philox, 4, 0, 0}, {0, 0, 0, 0},
};

struct Run {
    const struct Environment *env;
    const struct Generator *generator;
    int blocked;
    int64_t first_tile, last_tile, num_steps;
    uint32_t first_step, key[2];
    float time_limit;
    float *state;
    int core;
    /* Results: how many episodes ended, and the sums of their returns and lengths. */
    double ended, return_sum, length_sum;
} __attribute__((aligned(128))); /* so that no two threads write to one line of the cache */

/* What a thread keeps at hand beside the state. `ended` lists the places in the tile of what ended. */
struct Scratch {
    struct Tile tile;
    uint32_t words[MOST_WORDS * TILE] __attribute__((aligned(64)));
    uint32_t start_words[MOST_WORDS * TILE] __attribute__((aligned(64)));
    uint32_t index[MOST_WORDS * TILE] __attribute__((aligned(64)));
    uint32_t ended[TILE + BLOCK_MULTIPLE] __attribute__((aligned(64)));
    uint32_t pattern[MOST_WORDS * TILE + PATTERN_STEPS * PATTERN_SHIFT] __attribute__((aligned(64)));
};

/* Lists the lanes whose flag is set, in `which`, and returns how many they are. */
static int compacted(const uint32_t *restrict ended, uint32_t *restrict which)
{
    int count = 0;
#ifdef __AVX512F__
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int i = 0; i < TILE; i += 16) {
        const __m512i flags = _mm512_load_si512(ended + i);
        const __mmask16 some = _mm512_test_epi32_mask(flags, flags);
        const __m512i found = _mm512_maskz_compress_epi32(some, _mm512_add_epi32(lanes, _mm512_set1_epi32(i)));
        _mm512_storeu_si512(which + count, found);
        count += __builtin_popcount(some);
    }
#else
    for (int i = 0; i < TILE; i++) {
        which[count] = (uint32_t)i;
        count += ended[i] != 0;
    }
#endif
    return count;
}

static void counted_from(uint32_t *index, int count, uint32_t first)
{
#pragma omp simd
    for (int i = 0; i < count; i++)
        index[i] = first + (uint32_t)i;
}

/* Draws the words of starts for what ended in a tile; those of the i-th in the list are start_words[w * TILE + i]. */
static void draw_starts(const struct Run *run, struct Scratch *scratch, int64_t tile, uint32_t step, int count)
{
    const int width = run->generator->words;
    const int rounded = (count + BLOCK_MULTIPLE - 1) / BLOCK_MULTIPLE * BLOCK_MULTIPLE;
    for (int i = count; i < rounded; i++)
        scratch->ended[i] = 0;
    for (int word = 0; word < run->env->start_words; word += width) {
        const uint32_t first = START_COUNTER | ((uint32_t)word << 28) | (uint32_t)(tile * TILE);
#pragma omp simd
        for (int i = 0; i < rounded; i++)
            scratch->index[i] = first + scratch->ended[i];
        run->generator->blocks(run->key, scratch->index, rounded, step, scratch->start_words + word * TILE, TILE);
    }
}

/* Counts the episodes that ended and starts new ones, by words at the environments' places in the tile or, without
   `by_place`, in the order in which they are listed. */
static void restart(struct Run *run, struct Scratch *scratch, int count, const uint32_t *words, int by_place)
{
    const struct Environment *env = run->env;
    struct Tile *tile = &scratch->tile;
    for (int k = 0; k < count; k++) {
        const int i = (int)scratch->ended[k];
        run->return_sum += tile->state[env->fields - 2][i];
        run->length_sum += tile->state[env->fields - 1][i];
        env->start(tile, i, words + (by_place ? i : k), TILE);
    }
    run->ended += count;
}

/* One step of one tile. */
static void advance(struct Run *run, struct Scratch *scratch, int64_t tile, uint32_t step)
{
    const struct Environment *env = run->env;
    const struct Generator *generator = run->generator;
    const int own_action = generator->as_ours || !env->action_shared;
    const int step_words = env->step_words + own_action;
    const uint32_t *words = scratch->words, *actions, *start_words = scratch->start_words;
    int starts_drawn = 0;

    scratch->tile.state = (float(*)[TILE])(run->state + tile * env->fields * TILE);
    if (!generator->blocks) {
        words = scratch->pattern + step % PATTERN_STEPS * PATTERN_SHIFT;
        start_words = words;
        starts_drawn = 1;
    } else {
        const int needed = TILE * (step_words + (generator->as_ours ? env->start_words : 0));
        const int count = generator->block_each ? TILE : needed / generator->words;
        counted_from(scratch->index, count, (uint32_t)(tile * count));
        generator->blocks(run->key, scratch->index, count, step, scratch->words, count);
        if (generator->as_ours) {
            start_words = words + step_words * TILE;
            starts_drawn = 1;
        }
    }
    actions = own_action ? words + env->step_words * TILE : words;
    env->step(&scratch->tile, words, actions);

    const int num_ended = compacted(scratch->tile.ended, scratch->ended);
    if (num_ended) {
        if (!starts_drawn)
            draw_starts(run, scratch, tile, step, num_ended);
        restart(run, scratch, num_ended, start_words, starts_drawn);
    }
}

static void *part_of_run(void *argument)
{
    struct Run *run = argument;
    struct Scratch scratch;
#ifdef __linux__
    if (run->core >= 0) {
        cpu_set_t core;
        CPU_ZERO(&core);
        CPU_SET(run->core, &core);
        pthread_setaffinity_np(pthread_self(), sizeof core, &core);
    }
#endif
    scratch.tile.time_limit = run->time_limit;
    for (uint32_t i = 0; i < sizeof scratch.pattern / sizeof scratch.pattern[0]; i++)
        scratch.pattern[i] = (i + 1) * 0x9E3779B9u ^ (i + 1) * (i + 1) * 0x85EBCA6Bu >> 7;
    if (run->blocked) {
        for (int64_t tile = run->first_tile; tile < run->last_tile; tile++)
            for (int64_t step = 0; step < run->num_steps; step++)
                advance(run, &scratch, tile, run->first_step + (uint32_t)step);
    } else {
        for (int64_t step = 0; step < run->num_steps; step++)
            for (int64_t tile = run->first_tile; tile < run->last_tile; tile++)
                advance(run, &scratch, tile, run->first_step + (uint32_t)step);
    }
    return 0;
}

int tile_size(void) { return TILE; }

int vector_bytes(void) { return VECTOR_BYTES; }

/* Steps a batch; the tiles are shared out over the threads, thread t pinned to cores[t] where that is not negative.
   statistics: how many episodes ended, the sums of their returns and of their lengths. 0, or 1 if no thread starts. */
int run_batch(int environment, int generator, int blocked, int num_threads, const int *cores, int64_t num_tiles,
              int64_t num_steps, float time_limit, const uint32_t *key, uint32_t first_step, float *state,
              double *statistics)
{
    struct Run runs[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    int failed = num_threads < 1 || num_threads > MOST_THREADS, started = 0;
    for (; !failed && started < num_threads; started += !failed) {
        struct Run run = {
            .env = &environments[environment],
            .generator = &generators[generator],
            .blocked = blocked,
            .first_tile = num_tiles * started / num_threads,
            .last_tile = num_tiles * (started + 1) / num_threads,
            .num_steps = num_steps,
            .first_step = first_step,
            .key = {key[0], key[1]},
            .time_limit = time_limit,
            .state = state,
            .core = cores[started],
        };
        runs[started] = run;
        failed = pthread_create(&threads[started], 0, part_of_run, &runs[started]) != 0;
    }
    statistics[0] = statistics[1] = statistics[2] = 0.0;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], 0);
        statistics[0] += runs[i].ended;
        statistics[1] += runs[i].return_sum;
        statistics[2] += runs[i].length_sum;
    }
    return failed;
}

/* One step of one tile with given words: those of the step, then the action's; and those of starts. */
void step_given(int environment, float time_limit, float *state, const uint32_t *words, const uint32_t *start_words,
                float *reward, uint32_t *ended)
{
    struct Scratch scratch;
    struct Run run = {.env = &environments[environment]};
    scratch.tile.state = (float(*)[TILE])state;
    scratch.tile.time_limit = time_limit;
    run.env->step(&scratch.tile, words, words + run.env->step_words * TILE);
    memcpy(reward, scratch.tile.reward, sizeof scratch.tile.reward);
    memcpy(ended, scratch.tile.ended, sizeof scratch.tile.ended);
    restart(&run, &scratch, compacted(scratch.tile.ended, scratch.ended), start_words, 1);
}

/* Starts every environment of a tile. */
void start_given(int environment, float *state, const uint32_t *words)
{
    struct Tile tile = {.state = (float(*)[TILE])state};
    for (int i = 0; i < TILE; i++)
        environments[environment].start(&tile, i, words + i, TILE);
}

/* The words of `count` blocks, a multiple of BLOCK_MULTIPLE: words[w * count + i]. */
void blocks_of(int generator, const uint32_t *key, const uint32_t *index, int count, uint32_t step, uint32_t *words)
{
    generators[generator].blocks(key, index, count, step, words, count);
}

/* One block of Philox, in its counter's place. */
void philox_block(const uint32_t *key, uint32_t *counter)
{
    Wide block[4];
    for (int word = 0; word < 4; word++)
        block[word] = (Wide){0} + counter[word];
    philox4x32_10(key, &block[0], &block[1], &block[2], &block[3], 1);
    for (int word = 0; word < 4; word++)
        counter[word] = (uint32_t)block[word][0];
}

void exp2_of(const float *x, float *result, int count)
{
#pragma omp simd
    for (int i = 0; i < count; i++)
        result[i] = exp2_fast(x[i]);
}

void sin_cos_of(const float *x, float *sine, float *cosine, int count)
{
#pragma omp simd
    for (int i = 0; i < count; i++)
        sin_cos_small(x[i], &sine[i], &cosine[i]);
}
