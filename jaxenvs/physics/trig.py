"""Sine and cosine together, for physics: several times cheaper on CPUs than `jnp.sin` and `jnp.cos`."""

import jax.numpy as jnp

# pi / 2 in three parts, the first two short enough that their integer multiples are exact.
_HALF_PI = (1.5703125, 4.83751296997070312e-4, 7.54978995489188216e-8)


def sin_cos(angle):
    """Sine and cosine of an angle (Cephes' `sinf.c`: reduction after Cody and Waite, then minimax polynomials).

    XLA's own functions accept angles of any size, which prevents good vectorisation of the loop around them.

    Args:
        angle: f32[...], radians; precise up to 8000, and beyond that still between -1 and 1.
    Returns:
        (sine, cosine), f32[...] each, within 1.2e-7 of the true values.

    >>> import jax.numpy as jnp
    >>> [round(float(x), 5) for x in sin_cos(jnp.float32(2.0))]
    [0.9093, -0.41615]
    """
    quarters = jnp.round(angle * 0.6366197723675814)
    rest = angle
    for part in _HALF_PI:
        rest = rest - quarters * part
    rest = jnp.clip(rest, -0.79, 0.79)
    z = rest * rest
    sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * rest + rest
    cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1
    quarter = quarters - 4 * jnp.floor(quarters * 0.25)
    swapped, beyond_half = (quarter == 1) | (quarter == 3), quarter >= 2
    on_the_left = (quarter == 1) | (quarter == 2)
    first, second = jnp.where(swapped, cosine, sine), jnp.where(swapped, sine, cosine)
    return jnp.where(beyond_half, -first, first), jnp.where(on_the_left, -second, second)
