"""`fused_rollout`: many steps of a batch with each environment's state in registers; only sums leave the loop."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs.check.blame import author_files
from jaxenvs.check.jaxprs import where
from jaxenvs.fused import kernel, stages
from jaxenvs.fused.expand import Unfusable
from jaxenvs.fused.program import trace
from jaxenvs.random import fusable
from jaxenvs.vector import constant_axes

_BACKENDS = ("auto", "pallas", "interpret", "xla")


class Sums(NamedTuple):
    """What happened in a rollout, summed over its steps; each array is [num_envs]."""

    #: f32, of the rewards of all steps.
    reward: jax.Array
    #: i32, how many episodes ended.
    episodes: jax.Array
    #: f32 and i32, of the returns and lengths of the episodes that ended.
    episode_return: jax.Array
    episode_length: jax.Array


def fused_rollout(envs, key, state, obs, num_steps, policy=None, *, block=128, backend="auto"):
    """Lets a policy act in a batch of environments, as `rollout` does, and returns sums in place of every step.

    The numbers are those of `jaxenvs.rollout` with the same key, but for rounding. On a GPU it is one Pallas kernel
    (Triton), which reads the state of `block` environments once, makes all steps in registers, and writes it once; the
    kernel is made of the environment's own functions, a stranger's too. What goes into one must be arithmetic on the
    numbers of one environment: small arrays are written out number by number. Call it under `jax.jit`.

    Args:
        envs: a `VectorEnv`.
        key: a JAX key; step t uses `fold_in(key, t)`.
        state, obs: what `envs.reset` or an earlier rollout returned.
        num_steps: how many steps, a Python int of at least 1.
        policy: a function `policy(key, obs) -> action` of one key and the batch's observations that treats each
            environment by itself; None is `envs.sample_actions`. It takes the batch's size from `obs`.
        block: environments of a kernel's program, a power of 2; of no effect with "xla".
        backend: "pallas" (a GPU), "interpret" (the same kernel, run by JAX anywhere: slow, for tests), "xla" (a scan
            over the same arithmetic, anywhere), or "auto": "pallas" on a GPU, "xla" elsewhere.
    Returns:
        (state, obs, sums): what to go on from, and `Sums`.
    Raises:
        NotImplementedError: for an environment or a policy that mixes environments, or uses what is not done number by
            number: unbounded loops, sorting, indices that depend on the state. It names the primitive and the line.
        ValueError: for another `block`, `backend` or `num_steps`.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("SimpleRocket-v0", num_envs=4)
    >>> state, obs = envs.reset(jax.random.key(0))
    >>> policy = lambda key, obs: -4 * obs[:, :1] - 4 * obs[:, 1:]
    >>> state, obs, sums = jaxenvs.fused_rollout(envs, jax.random.key(1), state, obs, 100, policy)
    >>> obs.shape, sums.reward.shape
    ((4, 2), (4,))
    """
    _check(num_steps, block, backend)
    if backend == "auto":
        backend = "pallas" if jax.default_backend() in ("gpu", "cuda", "rocm") else "xla"
    zero, none = jnp.zeros(envs.num_envs, jnp.float32), jnp.zeros(envs.num_envs, jnp.int32)
    carry, key = (state, obs, Sums(zero, none, zero, none)), fusable(key)
    files = author_files(type(envs.env)) | {getattr(getattr(policy, "__code__", None), "co_filename", "")}
    try:
        return _run(envs, policy, key, carry, num_steps, block, backend)
    except Unfusable as error:
        place = next(filter(None, (where(equation, files) for equation in error.source)), "")
        raise NotImplementedError(
            f"fused_rollout cannot run {type(envs.env).__name__}: {error}{place}; jaxenvs.rollout can"
        ) from error


def _check(num_steps, block, backend):
    if backend not in _BACKENDS:
        raise ValueError(f"fused_rollout: backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    if not isinstance(num_steps, int | np.integer) or num_steps < 1:
        raise ValueError(f"fused_rollout: num_steps must be a whole number of at least 1, got {num_steps!r}")
    if not isinstance(block, int) or block < 1 or block & (block - 1):
        raise ValueError(f"fused_rollout: block must be a power of 2, got {block!r}")


def _run(envs, policy, key, carry, num_steps, block, backend):
    def body(envs, key, index, carry):
        return _advance(envs, policy, key, index, carry)

    args = (envs, key, np.int32(0), carry)
    sizes = jax.eval_shape(lambda *args: args, *args)
    # What a branch computes once, XLA would compute again on a CPU; on a GPU a branch waits for the host.
    keep_branches = backend == "xla" and jax.default_backend() == "cpu"
    program, _ = trace(body, envs.num_envs, sizes, _one_more(envs, sizes), keep_branches=keep_branches)
    leaves = jax.tree.leaves(args)
    size = len(jax.tree.leaves(carry))
    step, carried = program.inputs[-size - 1], program.inputs[-size:]
    parts = stages.staged(program, step, carried)
    values = dict(zip(program.inputs, leaves, strict=True))
    fixed, stepped = stages.shared_values(parts, program, values, step, num_steps)
    arrays = fixed, stepped, [values[x] for x in carried], [values[x] for x in parts.own]
    if backend == "xla":
        after = kernel.run_scan(parts, *arrays, num_steps)
    else:
        after = kernel.run_pallas(parts, *arrays, num_steps, block=block, interpret=backend == "interpret")
    return jax.tree.unflatten(jax.tree.structure(carry), after)


def _advance(envs, policy, key, index, carry):
    """One step, as in `rollout`, with the sums."""
    state, obs, sums = carry
    policy_key, step_key = jax.random.split(jax.random.fold_in(key, index))
    action = envs.sample_actions(policy_key) if policy is None else policy(policy_key, obs)
    state, step = envs.step(step_key, state, action)
    done = step.terminated | step.truncated
    sums = Sums(
        reward=sums.reward + step.reward,
        episodes=sums.episodes + done.astype(jnp.int32),
        episode_return=sums.episode_return + jnp.where(done, step.episode_return, 0.0),
        episode_length=sums.episode_length + jnp.where(done, step.episode_length, 0),
    )
    return state, step.obs, sums


def _one_more(envs, sizes):
    """The shapes of the arguments for one environment more."""
    shapes, key, index, carry = sizes

    def longer(leaf):
        return jax.ShapeDtypeStruct((envs.num_envs + 1, *leaf.shape[1:]), leaf.dtype, weak_type=leaf.weak_type)

    axes = jax.tree.leaves(constant_axes(envs.env, envs.num_envs), is_leaf=lambda axis: axis is None)
    leaves, structure = jax.tree.flatten(shapes.env)
    leaves = [leaf if axis is None else longer(leaf) for leaf, axis in zip(leaves, axes, strict=True)]
    larger = type(envs)(jax.tree.unflatten(structure, leaves), envs.num_envs + 1, envs.max_episode_steps)
    return larger, key, index, jax.tree.map(longer, carry)
