"""What the device can do at best: bytes moved, multiply-adds, and matrix products."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.common import spread, timed

#: Calls of a run, one after the other, so that a wait for the device is a small part of it.
CALLS = 10
CHAIN = 256
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "bfloat16"}


def rows(quick, ceilings):
    """(name, function that measures) of each row."""
    size, width = (2**20, 256) if quick else (2**28, 8192)
    measures = {"copy": functools.partial(copy, size)}
    measures["multiply-add"] = functools.partial(multiply_add, size // (64 if quick else 4))
    measures |= {f"matmul {name}": functools.partial(matmul, width, name) for name in PRECISIONS}
    for name, measure in measures.items():
        # Nothing to compile ahead.
        yield name, lambda measure=measure: measure


def repeated(function):
    """`function` called several times without waiting between."""

    def calls(*args):
        return [function(*args) for _ in range(CALLS)]

    return calls


def figures(function, args, amount, unit, runs=7, **more):
    """A row of how much of something is done in a second."""
    first, seconds = timed(repeated(function), *args, runs=runs)
    return {"per_second": spread([CALLS * amount / s for s in seconds]), "unit": unit, "first_call_s": first, **more}


def copy(size):
    """Bytes read and written when a large array is copied."""
    x = jax.random.normal(jax.random.key(0), (size,))
    # One number differs from a plain copy, which XLA could leave out.
    return figures(jax.jit(lambda x, scale: x * scale), (x, jnp.float32(1.5)), 2 * x.nbytes, "bytes", size=size)


def multiply_add(size):
    """Float32 operations, two a multiply-add, where memory is read once for many."""
    x = jax.random.uniform(jax.random.key(0), (size,))

    @jax.jit
    def chain(x, scale, shift):
        for _ in range(CHAIN):
            x = x * scale + shift
        return x

    args = x, jnp.float32(0.999), jnp.float32(0.001)
    return figures(chain, args, 2 * CHAIN * size, "operations", size=size)


def matmul(width, name):
    """Operations of a square matrix product, and how far it is from the most precise one."""
    left, right = jax.random.normal(jax.random.key(0), (2, width, width))
    exact = jnp.matmul(left, right, precision="highest")
    if name == "bfloat16":
        left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)

    def product(left, right):
        with jax.default_matmul_precision(PRECISIONS[name]):
            return jnp.matmul(left, right, preferred_element_type=jnp.float32)

    product = jax.jit(product)
    error = float(jnp.linalg.norm(product(left, right) - exact) / jnp.linalg.norm(exact))
    return figures(product, (left, right), 2 * width**3, "operations", width=width, error=error)
