"""32-bit numbers, whatever `jax_enable_x64` says: environments and trainers are float32, and their spaces say so."""

import functools

import jax
import numpy as np

if hasattr(jax, "enable_x64"):
    _enable_x64 = jax.enable_x64
else:  # jax 0.7
    from jax.experimental import enable_x64 as _enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def in_32_bits(function):
    """`function` with `jax_enable_x64` off, and with the arrays among its arguments in 32 bits."""

    @functools.wraps(function)
    def called(*args, **options):
        return _call(function, args, options)

    return called


# Apart from `called`, which cloudpickle takes along with what it names, for a class of somebody's script.
def _call(function, args, options):
    if not getattr(jax.config, "jax_enable_x64"):  # noqa: B009
        return function(*args, **options)
    with _enable_x64(False):
        return function(*jax.tree.map(_narrow, args), **options)


def _narrow(leaf):
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic) or not isinstance(leaf.dtype, np.dtype):
        return leaf
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return leaf if dtype == leaf.dtype else leaf.astype(dtype)
