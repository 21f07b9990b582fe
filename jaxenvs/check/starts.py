"""How much each number of a start varies: from key to key, from reset to reset, and within a batch."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs.check.probe import KEY_SETS
from jaxenvs.check.random_walk import NUM_ENVS
from jaxenvs.explain.trees import labelled, named_leaves, on_host, subscript
from jaxenvs.vector import VectorEnv

#: What varies in this share of the pairs varies by design, and so it must everywhere.
_OFTEN = 0.25


def frozen_parts(probe):
    """The numbers of a start that vary in some ways only, and how much each array varies.

    Args:
        probe: a `Probe` of an environment whose resets run.
    Returns:
        ([(name, where it is always the same, where it varies)], at most one for an array and a way; {name: the least
        share of starts that differ, over its numbers that vary at all and over the ways}).
    """
    ways = {way: _shares(starts) for way, starts in _starts(probe).items()}
    frozen, least = [], {}
    for name in next(iter(ways.values())):
        shares = np.stack([ways[way][name] for way in ways])
        varies = shares.max(axis=0) >= _OFTEN
        least[name] = float(shares[:, varies].min()) if varies.any() else 0.0
        for way, share in zip(ways, shares, strict=True):
            for index in map(tuple, np.argwhere(varies & (share == 0))[:1]):
                frozen.append((name + subscript(index), way, [*ways][shares[(slice(None), *index)].argmax()]))
    return frozen, least


def _shares(starts):
    """{name: for each number, the share of starts that differ from the first}, over the leading axis."""
    leaves = named_leaves(starts, "")
    return {name.lstrip("."): (leaf[1:] != leaf[:1]).mean(axis=(0, 1)) for name, leaf in leaves}


def _starts(probe):
    """Starts in each way, with two axes in front: that over which they should vary, and that of repetitions."""
    envs = VectorEnv(probe.env, NUM_ENVS, type(probe.env).max_episode_steps)
    in_batch = [_vector_start(envs, key) for key in probe.keys("vector starts", 2 * KEY_SETS)]
    in_batch = jax.tree.map(lambda *leaves: np.stack(leaves), *in_batch)
    count = KEY_SETS * len(probe.batch.singles)
    seeds = jax.vmap(lambda seed: jax.random.key(seed, impl="threefry2x32"))(jnp.arange(count))
    return {
        "with jax.random.key(0), key(1), and so on": _single_starts(probe, seeds),
        "from one reset to the next, with keys that are split from one": _single_starts(probe, _chain(probe, count)),
        "from one reset of a VectorEnv to the next": in_batch,
        "from one member of a VectorEnv to the next": jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), in_batch),
    }


def _single_starts(probe, keys):
    sets = keys.reshape(KEY_SETS, -1)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(probe.run_batch("reset", keys) for keys in sets))


def _chain(probe, count):
    _, keys = jax.lax.scan(lambda key, _: tuple(jax.random.split(key)), probe.key("starts"), length=count)
    return keys


def _vector_start(envs, key):
    state, obs = envs.reset(key)
    return on_host(labelled("reset", (state.env_state, obs)))
