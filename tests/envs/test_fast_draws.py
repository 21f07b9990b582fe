"""What every registered environment draws under keys of `jaxenvs.random.fast`: moments, ranges, and distributions.

Draws are standard variates, so their moments are known. Starts and steps are compared with those under ordinary keys.
Seeds are fixed: what passes once passes always.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxenvs
from jaxenvs.random import fast

pytestmark = pytest.mark.usefixtures("quick_compiles")

IDS = sorted(jaxenvs.registry)
# Nothing in it is random but the action.
CERTAIN = ["FiveChoices-v0"]
RANDOM = [id for id in IDS if id not in CERTAIN]

STEPS, ENVS = 64, 4096
# Numbers of starts and actions compared: enough to show a shift of a twentieth of a standard deviation.
COMPARED = 30_000
# In standard errors.
NEAR = 5.0
LEAST_P = 1e-4


@functools.cache
def draws_of(id):
    """f64[fields, STEPS, ENVS], every field of `draw_start` and `draw`, as `VectorEnv.step` asks for them."""
    env = jaxenvs.make(id)

    def step(key):
        step_key, start_key = jax.random.split(key)
        drawn = env.draw_start(start_key, (ENVS,)), env.draw(step_key, (ENVS,))
        return jnp.stack([leaf.astype(jnp.float32) for leaf in jax.tree.leaves(drawn)])

    keys = jax.random.split(fast(jax.random.key(11)), STEPS)
    return np.asarray(jax.jit(lambda keys: jax.lax.map(step, keys))(keys), np.float64).transpose(1, 0, 2)


def assert_uncorrelated(left, right, what):
    """Two fields of standard uniforms, of one shape: the correlation of n pairs has the standard error 1 / sqrt(n)."""
    errors = 12 * np.mean((left - 0.5) * (right - 0.5)) * np.sqrt(left.size)
    assert abs(errors) < NEAR, f"{what}: {errors:.1f} standard errors"


@pytest.mark.parametrize("id", CERTAIN)
def test_where_nothing_is_random_nothing_is_drawn(id):
    assert not draws_of(id).any()


@pytest.mark.parametrize("id", RANDOM)
def test_draws_have_the_range_and_the_moments_of_standard_uniforms(id):
    for field in draws_of(id):
        number = field.size
        # Each of these four misses once in 5e8 streams.
        assert 0 <= field.min() < 20 / number
        assert 1 - 20 / number < field.max() < 1
        assert abs(field.mean() - 1 / 2) < NEAR * np.sqrt(1 / 12 / number)
        assert abs(np.mean((field - 1 / 2) ** 2) - 1 / 12) < NEAR * np.sqrt(1 / 180 / number)


@pytest.mark.parametrize("id", RANDOM)
def test_every_environment_and_step_draws_from_the_full_range(id):
    for field in draws_of(id):
        for axis, number in ((0, STEPS), (1, ENVS)):
            means = field.mean(axis=axis)
            errors = (means - 1 / 2) / np.sqrt(1 / 12 / number)
            assert np.abs(errors).max() < NEAR + 1
            # Neither equal, as of streams that share their numbers, nor wider apart than independent ones.
            assert abs(np.mean(errors**2) - 1) < NEAR * np.sqrt(2 / errors.size)


@pytest.mark.parametrize("id", RANDOM)
def test_fields_of_a_draw_are_uncorrelated(id):
    fields = draws_of(id)
    for first, second in itertools.combinations(range(len(fields)), 2):
        assert_uncorrelated(fields[first], fields[second], f"fields {first} and {second}")


@pytest.mark.parametrize("id", RANDOM)
def test_neighbouring_environments_and_steps_are_uncorrelated(id):
    fields = draws_of(id)
    for (first, a), (second, b) in itertools.product(enumerate(fields), repeat=2):
        for apart in (1, 2, ENVS // 2):
            what = f"field {first}, and field {second} of the environment {apart} on"
            assert_uncorrelated(a[:, :-apart], b[:, apart:], what)
        assert_uncorrelated(a[:-1], b[1:], f"field {first}, and field {second} of the next step")


@functools.cache
def played(id, kind):
    """Starts, random actions, and what one step with them gives: arrays of COMPARED rows each."""
    envs = jaxenvs.make_vec(id, COMPARED)

    @jax.jit
    def play(key):
        reset_key, action_key, step_key = jax.random.split(key, 3)
        state, obs = envs.reset(reset_key)
        action = envs.sample_actions(action_key)
        _, step = envs.step(step_key, state, action)
        return {"start": obs, "action": action, "reward": step.reward, "observation": step.final_obs}

    key = {"fast": fast(jax.random.key(21)), "ordinary": jax.random.key(22)}[kind]
    return {name: np.asarray(rows).reshape(COMPARED, -1) for name, rows in play(key).items()}


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("what", ["start", "reward", "observation"])
def test_starts_and_steps_are_distributed_as_under_ordinary_keys(id, what):
    ours, theirs = played(id, "fast")[what], played(id, "ordinary")[what]
    assert ours.shape == theirs.shape
    for column in range(ours.shape[1]):
        _, p = map(float, scipy.stats.ks_2samp(ours[:, column], theirs[:, column]))
        assert p > LEAST_P, f"{what}, column {column}: p = {p:.1e}"


@pytest.mark.parametrize("id", IDS)
def test_random_actions_are_uniform_over_the_action_space(id):
    space, actions = jaxenvs.make(id).action_space, played(id, "fast")["action"]
    lows, highs = (space.start, space.start + space.n - 1) if hasattr(space, "n") else (space.low, space.high)
    for column, (low, high) in enumerate(zip(np.ravel(lows), np.ravel(highs), strict=True)):
        of_axis = actions[:, column]
        if np.issubdtype(actions.dtype, np.floating):
            _, p = map(float, scipy.stats.ks_1samp(of_axis, scipy.stats.uniform(low, high - low).cdf))
        else:
            assert of_axis.min() == low and of_axis.max() == high
            _, p = map(float, scipy.stats.chisquare(np.bincount(of_axis - low)))
        assert p > LEAST_P, f"axis {column}: p = {p:.1e}"


@pytest.mark.parametrize("id", [id for id in IDS if jaxenvs.make(id).action_space.shape == (2,)])
def test_axes_of_an_action_are_uncorrelated_and_so_are_neighbours(id):
    actions = played(id, "fast")["action"].astype(np.float64)
    first, second = actions.T
    for left, right in ((first, second), (first[:-1], first[1:]), (first[:-1], second[1:]), (second[:-1], first[1:])):
        assert abs(np.corrcoef(left, right)[0, 1]) * np.sqrt(left.size) < NEAR
