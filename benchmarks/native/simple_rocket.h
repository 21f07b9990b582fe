/* SimpleRocket, as jaxenvs/envs/simple_rocket.py has it, with its default constants. */

#include "random.h"
#include "tile.h"

static void rocket_step(struct Tile *tile, const uint32_t *words, const uint32_t *actions)
{
    (void)words;
    float(*restrict s)[TILE] = tile->state;
    float *restrict reward = tile->reward;
    uint32_t *restrict ended = tile->ended;
    const float limit = tile->time_limit;
#pragma omp simd
    for (int i = 0; i < TILE; i++) {
        const float thrust = 2.0f * uniform(actions[i]) - 1.0f;
        const float position = s[0][i] + 0.01f * s[1][i] + 0.00005f * thrust;
        const float velocity = s[1][i] + 0.01f * thrust;
        const float distance = position < 0 ? -position : position, speed = velocity < 0 ? -velocity : velocity;

        const int failed = (distance > 2.0f) | (speed > 2.0f), landed = (distance <= 1e-8f) & (speed <= 1e-8f);
        const float near = position * position + 1.0f, slow = velocity * velocity + 1.0f;
        const float both = 1.0f / (near * slow);
        const float motion = position * velocity > 0 ? -10.0f * speed : near * both;
        const float ending = (landed ? 500.0f : 0.0f) - (failed ? 500.0f : 0.0f);
        const float paid = slow * both + motion + ending;

        s[0][i] = position;
        s[1][i] = velocity;
        s[2][i] += paid;
        s[3][i] += 1.0f;
        reward[i] = paid;
        ended[i] = (failed | landed ? TERMINATED : 0) | (s[3][i] >= limit ? TRUNCATED : 0);
    }
}

static inline float signed_start(uint32_t word)
{
    const float twice = 2.0f * uniform(word);
    return twice < 1.0f ? -(0.5f + 0.5f * twice) : 0.5f * twice;
}

static inline void rocket_start(struct Tile *tile, int i, const uint32_t *words, int stride)
{
    tile->state[0][i] = signed_start(words[0]);
    tile->state[1][i] = signed_start(words[stride]);
    tile->state[2][i] = tile->state[3][i] = 0.0f;
}
