"""`fused_rollout`: the numbers of `rollout`, as one kernel of one environment's arithmetic."""

import contextlib
import functools
import warnings
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import random as jex_random

import jaxenvs
from jaxenvs import fused_rollout, rollout
from jaxenvs.starter import continuous, discrete

try:
    from jax.experimental.pallas import triton
except ImportError:
    triton = None

ENVS, STEPS, LIMIT = 21, 8, 5
pytestmark = pytest.mark.usefixtures("quick_compiles")
each_id = pytest.mark.parametrize("id", sorted(jaxenvs.registry))


def feedback(key, obs):
    """A policy that reads the observation, draws, reduces and multiplies matrices."""
    weights = jnp.arange(obs.shape[1], dtype=jnp.float32)[:, None] / obs.shape[1] - 0.4
    noise = jax.random.normal(key, (obs.shape[0], 1))
    best = jnp.argmax(obs, axis=1)[:, None].astype(jnp.float32)
    return jnp.tanh(obs @ weights + noise - 0.1 * best + 0.01 * obs.max(axis=1, keepdims=True))


def both(envs, policy=None, *, steps=STEPS, block=16, backend="interpret", key=None):
    """(state, obs, transitions) of `rollout` and (state, obs, sums) of `fused_rollout`, from the same start and key."""
    state, obs = envs.reset(jax.random.key(3))
    key = jax.random.key(4) if key is None else key

    @jax.jit
    def run(envs, key, state, obs):
        plain = policy or (lambda key, obs: envs.sample_actions(key))
        fused = fused_rollout(envs, key, state, obs, steps, policy, block=block, backend=backend)
        return rollout(envs, plain, key, state, obs, steps), fused

    return jax.device_get(run(envs, key, state, obs))


def assert_equal(plain, fused):
    (state, obs, steps), (fused_state, fused_obs, sums) = plain, fused
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5, strict=True)
    jax.tree.map(close, (fused_state, fused_obs), (state, obs))
    done = steps.terminated | steps.truncated
    np.testing.assert_array_equal(sums.episodes, done.sum(0))
    np.testing.assert_array_equal(sums.episode_length, (done * steps.episode_length).sum(0))
    close(sums.reward, steps.reward.sum(0))
    close(sums.episode_return, np.where(done, steps.episode_return, 0).sum(0))


@each_id
def test_a_kernel_makes_the_numbers_of_the_scan_across_ends_of_episodes(id):
    limit = min(LIMIT, jaxenvs.registry[id].load().max_episode_steps or LIMIT)
    envs = jaxenvs.make_vec(id, ENVS, max_episode_steps=limit)
    plain, fused = both(envs)
    assert_equal(plain, fused)
    assert fused[2].episodes.min() >= STEPS // limit


def two_words(key, shape):
    """Words of another generator: two from each hash, which a complex number carries, as `jaxenvs.random` may do."""
    place = jax.lax.broadcasted_iota(jnp.uint32, shape, len(shape) - 1) * jnp.uint32(2654435761) + key[0]

    def hashed():
        words = (place ^ (place >> 15)) * jnp.uint32(2246822519), (place ^ (place >> 13)) * jnp.uint32(3266489917)
        return jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in words))

    zeros = lambda: jnp.zeros(shape, jnp.complex64)  # noqa: E731
    both = jax.lax.cond(jnp.minimum(key[1] | 1, jnp.uint32(1)) == 1, hashed, zeros)
    even, odd = (jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (both.real, both.imag))
    return jnp.where(key[1] % 2 == 0, even, odd)


@pytest.mark.parametrize("backend", ["interpret", "xla"])
def test_a_generator_of_any_kind_is_run_as_its_own_arithmetic(backend):
    threefry = jex_random.threefry_prng_impl
    other = jex_random.define_prng_impl(
        key_shape=(2,),
        seed=threefry.seed,
        split=threefry.split,
        random_bits=lambda key, bit_width, shape: two_words(key, tuple(shape)),
        fold_in=threefry.fold_in,
        name="two_words",
        tag="two",
    )
    key = jax.random.wrap_key_data(jnp.array([5, 6], jnp.uint32), impl=other)
    envs = jaxenvs.make_vec("HeartPole-v0", ENVS, max_episode_steps=LIMIT)
    assert_equal(*both(envs, backend=backend, key=key))


@each_id
@pytest.mark.skipif(triton is None, reason="this JAX has no Triton")
def test_the_kernel_lowers_for_a_gpu(id):
    envs = jaxenvs.make_vec(id, 300)
    state, obs = jax.eval_shape(envs.reset, jax.random.key(0))
    run = jax.jit(lambda key, state, obs: fused_rollout(envs, key, state, obs, 20, backend="pallas"))
    with some_gpu(), warnings.catch_warnings():
        # Newer JAX says that it will drop Triton.
        warnings.simplefilter("ignore", DeprecationWarning)
        lowered = run.trace(jax.random.key(0), state, obs).lower(lowering_platforms=("cuda",)).as_text()
    assert "gpu.triton" in lowered and "grid_x = 3 : i32" in lowered
    assert "stablehlo.while" not in lowered


def some_gpu():
    """Newer JAX lowers for a GPU that is described; older JAX takes one for granted."""
    if not hasattr(triton, "get_gpu_info"):
        return contextlib.nullcontext()
    device = jax.sharding.AbstractDevice("NVIDIA H100", 132, "cuda")
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=device))


@pytest.mark.parametrize("backend", ["interpret", "xla"])
def test_a_policy_acts_on_the_observations(backend):
    assert_equal(*both(jaxenvs.make_vec("SimpleRocket-v0", ENVS, max_episode_steps=LIMIT), feedback, backend=backend))


def test_xla_makes_the_same_numbers():
    assert_equal(*both(jaxenvs.make_vec("PointInterceptRandom-v0", ENVS, max_episode_steps=LIMIT), backend="xla"))


@pytest.mark.parametrize("num_envs", [1, 4])
def test_any_batch_size_will_do_also_one_that_another_axis_has(num_envs):
    assert_equal(*both(jaxenvs.make_vec("HeartPole-v0", num_envs, max_episode_steps=3), steps=4))


def test_a_policy_may_close_over_numbers_that_jit_traces():
    envs = jaxenvs.make_vec("SimpleRocket-v0", ENVS)
    state, obs = envs.reset(jax.random.key(0))

    def run(gain):
        policy = lambda key, obs: -gain * obs[:, :1] - 4 * obs[:, 1:]  # noqa: E731
        key = jax.random.key(1)
        fused = fused_rollout(envs, key, state, obs, STEPS, policy, backend="interpret", block=32)
        return fused[1], rollout(envs, policy, key, state, obs, STEPS)[1]

    for gain in (1.0, 4.0):
        np.testing.assert_allclose(*jax.jit(run)(jnp.float32(gain)), rtol=1e-5, atol=1e-6)


def test_changed_constants_are_used_and_compile_nothing_anew():
    traces = []

    @jax.jit
    def run(envs, key, state, obs):
        traces.append(1)
        plain = rollout(envs, lambda key, obs: envs.sample_actions(key), key, state, obs, 3)
        return plain, fused_rollout(envs, key, state, obs, 3, backend="interpret", block=8)

    rewards = []
    for gravity in (9.8, 30.0):
        envs = jaxenvs.make_vec("CartPole-v1", 8, gravity=gravity)
        plain, fused = jax.device_get(run(envs, jax.random.key(1), *envs.reset(jax.random.key(0))))
        assert_equal(plain, fused)
        rewards.append(np.asarray(fused[1]))
    assert len(traces) == 1 and not np.array_equal(*rewards)


def test_each_environment_may_have_a_constant_of_its_own():
    proclivity = jnp.linspace(0.0, 1.0, ENVS)
    envs = jaxenvs.make_vec("HeartPole-v0", ENVS, heart_attack_proclivity=proclivity, heart_attack_midpoint=-2.0)
    plain, fused = both(envs)
    assert_equal(plain, fused)
    assert len(set(fused[2].reward.tolist())) > ENVS // 2


@pytest.mark.parametrize("stranger", [discrete.MyEnv, continuous.MyEnv])
def test_a_strangers_environment_runs(stranger):
    assert_equal(*both(jaxenvs.make_vec(stranger(), ENVS, max_episode_steps=LIMIT)))


class Walk(NamedTuple):
    place: jax.Array
    trail: jax.Array


class WalkEnv(jaxenvs.Environment):
    """Written without the split: a key for each environment, a loop, and arrays in the state."""

    max_episode_steps = LIMIT

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(-np.inf, np.inf, (2, 2), np.float32)

    @property
    def action_space(self):
        return gymnasium.spaces.MultiDiscrete([3, 2])

    def reset(self, key):
        state = Walk(jax.random.normal(key, (2,)), jnp.zeros((2, 2)))
        return state, state.trail

    def step(self, key, state, action):
        first, second = jax.random.split(jax.random.fold_in(key, 7))
        push = jax.random.uniform(first, (2,)) * action.astype(jnp.float32) + jax.random.normal(second, (2,))

        def move(index, place):
            return place + 0.1 * push * (index + 1)

        place = jax.lax.fori_loop(0, 3, move, state.place)
        state = Walk(place, jnp.stack([place, state.trail[0]]))
        gain = jnp.dot(place, state.trail[1]) + jnp.round(10 * place[1])
        return state, jaxenvs.Step(self.look(state), gain, jnp.any(jnp.abs(place) > 1.5))

    def look(self, state):
        return jnp.pad(state.trail[:1], ((0, 1), (0, 0))) + state.trail.T


@pytest.mark.parametrize("backend", ["interpret", "xla"])
def test_an_environment_with_keys_loops_and_arrays_of_its_own_runs(backend):
    envs = jaxenvs.make_vec(WalkEnv(), ENVS)
    plain, fused = both(envs, backend=backend)
    assert_equal(plain, fused)
    assert plain[2].terminated.any()


class Sorting(WalkEnv):
    """Sorts."""

    def look(self, state):
        return jnp.sort(state.trail)


class Endless(WalkEnv):
    """Loops until something holds."""

    def look(self, state):
        return jax.lax.while_loop(lambda x: x.sum() > 0, lambda x: x - 1, state.trail)


@pytest.mark.parametrize("env, primitive", [(Sorting(), "sort"), (Endless(), "while")])
def test_what_cannot_be_done_number_by_number_is_refused_by_name(env, primitive):
    message = rf"fused_rollout cannot run {type(env).__name__}: .* '{primitive}'.*test_fused\.py:\d+, in .*look"
    with pytest.raises(NotImplementedError, match=message):
        both(jaxenvs.make_vec(env, ENVS))


def mean_of_all(key, obs):
    return jnp.tanh(obs[:, :1] - obs.mean())


def shifted(key, obs):
    return jnp.tanh(jnp.roll(obs[:, :1], 1, axis=0))


@pytest.mark.parametrize("policy", [mean_of_all, shifted])
def test_a_policy_that_mixes_environments_is_refused(policy):
    with pytest.raises(NotImplementedError, match=rf"SimpleRocket: .*mix.*test_fused\.py:\d+, in {policy.__name__}"):
        both(jaxenvs.make_vec("SimpleRocket-v0", ENVS), policy)


def test_a_policy_that_knows_the_batch_size_is_told_to_take_it_from_obs():
    with pytest.raises(NotImplementedError, match="take the batch's size from obs"):
        both(jaxenvs.make_vec("SimpleRocket-v0", ENVS), lambda key, obs: jnp.zeros((ENVS, 1)) * obs[:, :1])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"block": 24}, "block must be a power of 2, got 24"),
        ({"backend": "cuda"}, "backend must be one of auto, pallas, interpret, xla, got 'cuda'"),
        ({"num_steps": 0}, "num_steps must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    envs = jaxenvs.make_vec("SimpleRocket-v0", ENVS)
    state, obs = envs.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        fused_rollout(envs, jax.random.key(0), state, obs, **{"num_steps": 3, **wrong})
