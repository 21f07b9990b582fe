/* CartPole, as jaxenvs/envs/cartpole.py has it, with its default constants. */

#include "functions.h"
#include "random.h"
#include "tile.h"

#define ANGLE_LIMIT 0.20943951f

/* A running episode's pole is within 12 degrees of upright, so that short series give its sine and cosine. */
static void cartpole_step(struct Tile *tile, const uint32_t *words, const uint32_t *actions)
{
    (void)words;
    float(*restrict s)[TILE] = tile->state;
    float *restrict reward = tile->reward;
    uint32_t *restrict ended = tile->ended;
    const float limit = tile->time_limit;
    const float gravity = 9.8f, half_length = 0.5f, dt = 0.02f;
    const float total_mass = 1.1f, pole_share = 0.1f / 1.1f, moment_share = 0.1f * 0.5f / 1.1f;
#pragma omp simd
    for (int i = 0; i < TILE; i++) {
        const float force = actions[i] & 1 ? 10.0f / total_mass : -10.0f / total_mass;
        const float velocity = s[1][i], spin = s[3][i];
        float sine, cosine;
        sin_cos_small(s[2][i], &sine, &cosine);
        const float push = force + moment_share * spin * spin * sine;
        const float inertia = half_length * (4.0f / 3) - half_length * pole_share * cosine * cosine;
        const float angular = (gravity * sine - cosine * push) / inertia;
        const float position = s[0][i] + dt * velocity, angle = s[2][i] + dt * spin;

        const float distance = position < 0 ? -position : position, tilt = angle < 0 ? -angle : angle;
        const int fallen = (distance > 2.4f) | (tilt > ANGLE_LIMIT);

        s[0][i] = position;
        s[1][i] = velocity + dt * (push - moment_share * angular * cosine);
        s[2][i] = angle;
        s[3][i] = spin + dt * angular;
        s[4][i] += 1.0f;
        s[5][i] += 1.0f;
        reward[i] = 1.0f;
        ended[i] = (fallen ? TERMINATED : 0) | (s[5][i] >= limit ? TRUNCATED : 0);
    }
}

static inline void cartpole_start(struct Tile *tile, int i, const uint32_t *words, int stride)
{
    for (int field = 0; field < 4; field++)
        tile->state[field][i] = -0.05f + 0.1f * uniform(words[field * stride]);
    tile->state[4][i] = tile->state[5][i] = 0.0f;
}
