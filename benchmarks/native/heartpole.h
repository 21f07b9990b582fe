/* HeartPole, as jaxenvs/envs/heartpole.py has it, with its default constants. */

#include "functions.h"
#include "random.h"
#include "tile.h"

static inline float woken(uint32_t word) { return 0.7f + 0.6f * uniform(word); }

/* Words: alertness, hypertension, intoxication, heart attack; the action is the lowest two bits of its own. */
static void heartpole_step(struct Tile *tile, const uint32_t *words, const uint32_t *actions)
{
    float(*restrict s)[TILE] = tile->state;
    float *restrict reward = tile->reward;
    uint32_t *restrict ended = tile->ended;
    const float limit = tile->time_limit;
    const float night = 0.6142539f; /* 0.97^16 */
#pragma omp simd
    for (int i = 0; i < TILE; i++) {
        const uint32_t action = actions[i] & 3;
        const int beer = action == 2, sleep = action == 3;
        const float u = uniform(words[i]);

        const float lift = action == 1 ? u : beer ? -0.5f * u : 0.0f;
        const float strain = action - 1 < 2 ? 0.3f * uniform(words[TILE + i]) : 0.0f;
        const float intake = beer ? 0.01f + 0.02f * uniform(words[2 * TILE + i]) : 0.0f;
        const float kept = sleep ? night : 1.0f;
        const float alertness = sleep ? 0.7f + 0.6f * u : s[0][i] + lift;
        const float hypertension = (kept * s[1][i] + strain) * 0.97f;
        const float intoxication = kept * s[2][i] + intake;
        const float since_slept = sleep ? 0.0f : s[3][i];
        const float half_hours = sleep ? 17.0f : 1.0f;
        const float elapsed = s[4][i], work = s[5][i];

        const float calm = sigmoid_inverse(-alertness, -3.0f, 1.0f);
        const float sober = sigmoid_inverse(-intoxication, -0.05f, 50.0f);
        const float offset = (intoxication - 0.135f) * 200.0f;
        const float peak = 2.0f * exp2_fast(offset * offset * (-0.5f * LOG2_E));
        const float productivity = alertness * (1.0f + peak * sober) / (calm * sober);
        const float drowsiness = 1.0f / sigmoid_inverse(since_slept, 40.0f, 0.1f);

        const float before = elapsed > 1.0f ? elapsed : 1.0f, after = elapsed + half_hours;
        const float gain = (productivity * before - work * half_hours) / (before * after);
        const float risk_inverse = sigmoid_inverse(hypertension, 6.0f, 1.0f);
        const int attack = uniform(words[3 * TILE + i]) * risk_inverse < 0.5f;
        const float paid = gain - (attack ? 100.0f : 0.0f);

        s[0][i] = alertness - drowsiness;
        s[1][i] = attack ? 0.0f : hypertension;
        s[2][i] = 0.97f * intoxication;
        s[3][i] = since_slept + 1.0f;
        s[4][i] = after;
        s[5][i] = work + productivity;
        s[6][i] += paid;
        s[7][i] += 1.0f;
        reward[i] = paid;
        ended[i] = s[7][i] >= limit ? TRUNCATED : 0;
    }
}

static inline void heartpole_start(struct Tile *tile, int i, const uint32_t *words, int stride)
{
    (void)stride;
    for (int field = 0; field < 8; field++)
        tile->state[field][i] = 0.0f;
    tile->state[0][i] = woken(words[0]);
}
