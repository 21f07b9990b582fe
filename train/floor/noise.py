"""Noise of exploration: standard normals that last for some steps."""

import jax
import jax.numpy as jnp


def correlated_normals(key, start, num_steps, correlation):
    """A stationary first-order autoregression, which is an Ornstein-Uhlenbeck process at equal intervals.

        n_t = c * n_{t-1} + sqrt(1 - c**2) * e_t

    Every n_t is standard normal; those of two neighbouring steps have the correlation c. With 0 they are independent,
    as the noise of the papers of TD3 and SAC is; noise that lasts explores where single pushes cancel out (Eberhard et
    al. 2023, "Pink noise is all you need").

    Args:
        key: a JAX key.
        start: f32[...], n_{-1}.
        num_steps: an int.
        correlation: c, in [0, 1).
    Returns:
        f32[num_steps, ...].
    """
    fresh = jnp.sqrt(1 - jnp.square(correlation)) * jax.random.normal(key, (num_steps, *start.shape))

    def forward(before, fresh_t):
        now = correlation * before + fresh_t
        return now, now

    return jax.lax.scan(forward, start, fresh)[1]


def uniform_of(normals):
    """Standard normals as numbers that are uniform in [-1, 1], in the same order."""
    return jax.lax.erf(normals / jnp.sqrt(jnp.float32(2)))
