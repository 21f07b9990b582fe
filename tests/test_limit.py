"""The C that `benchmarks.limit` measures ours against: it does the same work."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from benchmarks import limit
from jaxenvs.envs import cartpole, heartpole, simple_rocket
from jaxenvs.vector import where_done

# Short, so that episodes reach it, and no error of a balanced pole grows for long.
TIME_LIMITS = {"HeartPole-v0": 100, "SimpleRocket-v0": 280, "CartPole-v1": 40}
# Between these the states lie that a step is tried from: return and length of the episode last.
ANYWHERE = {
    "HeartPole-v0": ([-900, 0, 0, 0, 1, -500, -300, 0], [20, 9, 0.2, 1000, 16000, 500, 0, 110]),
    "SimpleRocket-v0": ([-2, -2, -2000, 0], [2, 2, 500, 290]),
    "CartPole-v1": ([-2.4, -3, -0.2094, -4, 0, 0], [2.4, 3, 0.2094, 4, 70, 70]),
}
DRAWN = [name for name in limit.GENERATORS if name != "none"]
ALL = pytest.mark.parametrize("id", limit.LAYOUTS)


@pytest.fixture(scope="module")
def native():
    try:
        return limit.Native()
    except limit.NoCompiler as error:
        pytest.skip(str(error))


def random_words(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, shape, np.uint32)


def uniforms(words):
    """f32 in [0, 1), from the upper 23 bits of words, as `jax.random.uniform` makes them."""
    return (words >> 9).astype(np.float32) * np.float32(2**-23)


def heartpole_inputs(words):
    return (words[:, 4] & 3).astype(np.int32), heartpole.Draws(*np.moveaxis(uniforms(words[:, :4]), 1, 0))


def rocket_inputs(words):
    return 2 * uniforms(words[:, 0, :, None]) - 1, ()


def cartpole_inputs(words):
    return (words[:, 0] & 1).astype(np.int32), ()


# How words, u32[steps, words, environments], become actions and draws, and those of starts their draws.
READINGS = {
    "HeartPole-v0": (heartpole_inputs, heartpole.StartDraws),
    "SimpleRocket-v0": (rocket_inputs, simple_rocket.StartDraws),
    "CartPole-v1": (cartpole_inputs, cartpole.StartDraws),
}


def started(id, uniform_starts):
    """Our states after starts from f32[start_words, environments]."""
    return jax.vmap(jaxenvs.make_vec(id, 1).env.start)(READINGS[id][1](*uniform_starts))[0]


def our_steps(id, rows, words, starts):
    """What ours make of a batch's state, f32[fields, environments], by given words.

    Returns:
        (rows of the state, reward, terminated, truncated), steps in front.
    """
    env = jaxenvs.make_vec(id, 1).env
    actions, draws = READINGS[id][0](words)

    def advance(carry, given):
        state, total, length = carry
        action, draws, start_uniforms = given
        state, step = jax.vmap(env.transition)(state, action, draws)
        total, length = total + step.reward, length + 1
        truncated = length >= TIME_LIMITS[id]
        done = step.terminated | truncated
        state = where_done(done, started(id, start_uniforms), state)
        total, length = jnp.where(done, 0.0, total), jnp.where(done, 0.0, length)
        after = jnp.stack([*state[: len(rows) - 2], total, length])
        return (state, total, length), (after, step.reward, step.terminated, truncated)

    @jax.jit
    def run(rows, *given):
        state = started(id, given[-1][0])
        state = state._replace(**dict(zip(state._fields, rows[:-2])))
        return jax.lax.scan(advance, (state, *rows[-2:]), given)[1]

    return [np.asarray(result) for result in run(list(rows), actions, draws, uniforms(starts))]


def assert_same_steps(native, id, rows, num_steps):
    """Steps a tile from a state by ours and by C, with the same words, and returns all (reward, terminated)."""
    layout = limit.LAYOUTS[id]
    words = random_words((num_steps, layout.step_words, native.tile))
    starts = random_words((num_steps, layout.start_words, native.tile), seed=1)
    ours, state, found = our_steps(id, rows, words, starts), rows.copy(), []
    for step_words, start_words in zip(words, starts):
        results = native.step(id, state, step_words, start_words, TIME_LIMITS[id])
        found.append((state.copy(), *results))
    states, reward, terminated, truncated = (np.stack(parts) for parts in zip(*found))
    our_states, our_reward, our_terminated, our_truncated = ours
    np.testing.assert_array_equal(terminated, our_terminated)
    np.testing.assert_array_equal(truncated, our_truncated)
    np.testing.assert_allclose(reward, our_reward, rtol=1e-5, atol=1e-6)
    # The return is apart: where it comes near 0, it keeps the rounding of the thousands that it was before.
    returns, our_returns = states[:, -2], our_states[:, -2]
    states, our_states = np.delete(states, -2, axis=1), np.delete(our_states, -2, axis=1)
    np.testing.assert_allclose(states, our_states, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(returns, our_returns, rtol=1e-5, atol=2e-4)
    assert truncated.any()
    return reward, terminated


@ALL
def test_hundreds_of_steps_in_c_are_ours(native, id):
    words = random_words((1, limit.LAYOUTS[id].start_words, native.tile), seed=2)
    state = native.start(id, words)[0]
    ours = np.stack(started(id, uniforms(words[0]))[: len(state) - 2])
    np.testing.assert_allclose(state[:-2], ours, rtol=1e-6, atol=1e-8)
    reward, terminated = assert_same_steps(native, id, state, num_steps=300)
    if id == "HeartPole-v0":
        assert (reward < -99).any()
    else:
        assert terminated.any()


@ALL
def test_a_step_in_c_from_anywhere_is_ours(native, id):
    low, high = (np.array(ends)[:, None] for ends in ANYWHERE[id])
    state = np.random.default_rng(3).uniform(low, high, (len(low), native.tile)).astype(np.float32)
    state[-1] = np.floor(state[-1])
    assert_same_steps(native, id, state, num_steps=1)


def test_a_rocket_in_c_lands(native):
    state, idle = np.zeros((4, native.tile), np.float32), np.full((1, native.tile), 1 << 31, np.uint32)
    reward, terminated, _ = native.step("SimpleRocket-v0", state, idle, random_words((2, native.tile)), 500)
    np.testing.assert_allclose(reward, 502)
    assert terminated.all()


def test_threefry_in_c_is_that_of_jax(native):
    key, index = jax.random.key(7), np.arange(80, dtype=np.uint32)
    words = native.blocks("threefry2x32-20 as ours", jax.random.key_data(key), index, step=0)
    np.testing.assert_array_equal(words[0], jax.random.bits(key, (80,)))
    both = native.blocks("threefry2x32-20", jax.random.key_data(key), index, step=0)
    np.testing.assert_array_equal(both[0] ^ both[1], words[0])
    split = jax.random.key_data(jax.random.split(key, 80))
    np.testing.assert_array_equal(both.T, split)


# From `kat_vectors` of Random123, which Philox's authors publish: counter, key, block.
PHILOX_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize("counter, key, block", PHILOX_ANSWERS)
def test_philox_in_c_gives_the_published_words(native, counter, key, block):
    counter, key, block = ([int(word, 16) for word in text.split()] for text in (counter, key, block))
    assert native.philox(key, counter).tolist() == block


def test_blocks_of_philox_in_c_are_in_the_order_of_their_counters(native):
    key, index, step = [5, 2**32 - 1], np.arange(2**31 - 7, 2**31 - 7 + 80, dtype=np.uint32), 9
    words = native.blocks("philox4x32-10", key, index, step)
    np.testing.assert_array_equal(words.T, [native.philox(key, [counter, step, 0, 0]) for counter in index])


def test_elementary_functions_in_c_err_as_little_as_they_say(native):
    x = np.linspace(-126, 126, 200_001, dtype=np.float32)
    np.testing.assert_allclose(native.exp2(x), np.exp2(x.astype(np.float64)), rtol=2.5e-7)
    assert native.exp2(np.array([-1e4, -200], np.float32)).max() < 1.2e-38
    x = np.linspace(-0.25, 0.25, 100_001, dtype=np.float32)
    sine, cosine = native.sin_cos(x)
    np.testing.assert_allclose(sine, np.sin(x.astype(np.float64)), rtol=0, atol=1e-7)
    np.testing.assert_allclose(cosine, np.cos(x.astype(np.float64)), rtol=0, atol=1e-7)


def started_batch(native, id, num_tiles):
    return native.start(id, random_words((num_tiles, limit.LAYOUTS[id].start_words, native.tile), seed=4))


@ALL
@pytest.mark.parametrize("generator", limit.GENERATORS)
def test_forms_and_threads_in_c_come_to_the_same(native, id, generator):
    found = []
    for form, threads in (("scan", 1), ("scan", 3), ("blocked", 1), ("blocked", 2)):
        state = started_batch(native, id, num_tiles=3)
        statistics = native.run(id, generator, state, 70, TIME_LIMITS[id] // 2, form=form, threads=threads)
        found.append((state, *statistics))
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_allclose(other[1:], found[0][1:], rtol=1e-9)


@functools.cache
def our_episodes(id, num_steps):
    """Returns of the episodes that a random policy finishes in a number of our steps, f32[episodes]."""
    envs = jaxenvs.make_vec(id, 1024)

    def collect(obs, action, step):
        return step.terminated | step.truncated, step.episode_return

    @jax.jit
    def run(state, obs):
        policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
        return jaxenvs.rollout(envs, policy, jax.random.key(6), state, obs, num_steps, collect)[2]

    done, returns = (np.asarray(part) for part in run(*envs.reset(jax.random.key(5))))
    return returns[done]


@ALL
@pytest.mark.parametrize("generator", DRAWN)
def test_a_random_policy_in_c_earns_what_it_does_in_ours(native, id, generator):
    num_steps, time_limit = 1000, jaxenvs.make_vec(id, 1).max_episode_steps
    ours = our_episodes(id, num_steps)
    state = started_batch(native, id, num_tiles=16)
    theirs = native.run(id, generator, state, num_steps, time_limit)
    standard_error = ours.std() * math.sqrt(1 / len(ours) + 1 / theirs.episodes)
    assert abs(theirs.mean_return - ours.mean()) < 4 * standard_error
    assert theirs.episodes == pytest.approx(4 * len(ours), rel=0.02)
