/* Elementary functions in forms that vectorise. */

#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LOG2_E 1.44269504088896341f

/* 2^x for x < 127; below -126 as at -126, 1.2e-38. Relative error below 2.5e-7: a polynomial of degree 5 on
   [-0.5, 0.5], fitted to the least greatest relative error, which is 7.5e-8; the rest is rounding. */
static inline float exp2_fast(float x)
{
    x = x > -126.0f ? x : -126.0f;
    const float whole = rintf(x), part = x - whole;
    float p = 1.327647196e-3f;
    p = p * part + 9.675541503e-3f;
    p = p * part + 5.550713275e-2f;
    p = p * part + 2.402211972e-1f;
    p = p * part + 6.931469671e-1f;
    p = p * part + 1.000000072f;
    int32_t bits;
    memcpy(&bits, &p, sizeof p);
    bits += (int32_t)whole << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* 1 + exp(-(x - midpoint) * steepness): the inverse of a sigmoid. Products of these need one division. */
static inline float sigmoid_inverse(float x, float midpoint, float steepness)
{
    return 1.0f + exp2_fast((midpoint - x) * (steepness * LOG2_E));
}

/* Sine and cosine of |x| <= 0.25 by Taylor's series; both errors are below 1e-7. */
static inline void sin_cos_small(float x, float *sine, float *cosine)
{
    const float z = x * x;
    *sine = x + x * z * (-1.0f / 6 + z * (1.0f / 120));
    *cosine = 1.0f + z * (-0.5f + z * (1.0f / 24 + z * (-1.0f / 720)));
}

#endif
