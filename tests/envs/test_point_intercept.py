"""PointIntercept against its oracle over entire episodes, the distribution of its targets, and the tutorial's facts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.point_intercept import PointIntercept as Oracle

from jaxenvs import PointIntercept, PointInterceptContinuous, make

# Each constant is changed in at least one set.
CONSTANTS = {
    "tutorial": {},
    "random": {"random_target": True},
    "continuous": {"random_target": True},
    "small": {"radius": 2, "touch_reward": 5.0, "miss_reward": -0.1, "random_target": True, "resolution": 33},
    "crowded": {"radius": 17, "resolution": 21, "random_target": True},
}
STEPS, GAMES = 60, 64

# The steps that the tutorial prints.
PRINTED = {
    (23, 38): 1,
    (13, 17): -1,
    (32, 14): -1,
    (39, 33): 1,
    (27, 40): 1,
    (16, 39): -1,
    (17, 9): -1,
    (43, 14): -1,
    (24, 24): 1,
    (37, 23): 1,
}


@functools.cache
def both(name):
    """(running bool[STEPS, GAMES], our Step of every step, the oracle's (obs, reward, terminated) of every step)."""
    cls = PointInterceptContinuous if name == "continuous" else PointIntercept
    env, rng = cls(**CONSTANTS[name]), np.random.default_rng(0)
    draws = env.draw_start(jax.random.key(1), (GAMES,))
    # Half of the games are played near the upper left corner, so that some last longer.
    places = rng.uniform(0, env.resolution, (STEPS, GAMES, 2)) * np.where(np.arange(GAMES) % 2, 1.0, 0.4)[:, None]
    places = (places if name == "continuous" else np.round(places)).astype(env.action_space.dtype)

    def advance(state, place):
        return jax.vmap(env.transition, (0, 0, None))(state, place, ())

    state, first_obs = env.start(draws)
    _, step = jax.device_get(jax.lax.scan(advance, state, places))
    games = [Oracle(**CONSTANTS[name]) for _ in range(GAMES)]
    first = [game.reset(x, y) for game, x, y in zip(games, *map(np.asarray, draws), strict=True)]
    np.testing.assert_array_equal(first_obs, first)
    rows = [[game.step(place) for game, place in zip(games, row, strict=True)] for row in places]
    theirs = tuple(np.array([[played[part] for played in row] for row in rows]) for part in range(3))
    ended = np.logical_or.accumulate(theirs[2])
    return ~np.concatenate([np.zeros_like(ended[:1]), ended[:-1]]), step, theirs


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(PointIntercept)}


def test_defaults_are_the_tutorials():
    fields = dataclasses.fields(PointIntercept)
    assert {f.name: f.default for f in fields} == {f.name: getattr(Oracle(), f.name) for f in fields}


@pytest.mark.parametrize("name", CONSTANTS)
def test_episodes_follow_the_oracle(name):
    running, step, (obs, reward, terminated) = both(name)
    assert running[1:].any() and terminated.any()
    np.testing.assert_array_equal(step.obs[running], obs[running])
    np.testing.assert_array_equal(step.reward[running], reward[running].astype(np.float32))
    np.testing.assert_array_equal(step.terminated[running], terminated[running])


def rewards(env, state, places):
    return jax.vmap(lambda place: env.transition(state, place, ())[1].reward)(jnp.asarray(places))


def test_the_tutorials_printed_steps_are_ours():
    env = PointIntercept()
    state, _ = env.reset(jax.random.key(0))
    assert rewards(env, state, list(PRINTED)).tolist() == list(PRINTED.values())


def test_the_fixed_target_is_intercepted_from_20_to_42():
    env = PointIntercept()
    state, obs = env.reset(jax.random.key(0))
    places = np.stack(np.meshgrid(np.arange(51), np.arange(51), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = np.all((places >= 20) & (places <= 42), axis=1)
    np.testing.assert_array_equal(rewards(env, state, places), np.where(inside, 1.0, -1.0))
    assert obs.tolist() == [25, 25]


@pytest.mark.parametrize("place", [(20.9, 42.99), (20.0, 25.0)])
def test_a_place_between_pixels_is_the_pixel_to_its_upper_left(place):
    env = PointInterceptContinuous()
    state, _ = env.step(jax.random.key(1), env.reset(jax.random.key(0))[0], np.float32(place))
    assert (int(state.worker_x), int(state.worker_y)) == (int(place[0]), int(place[1])) and bool(state.intercepted)


def test_places_beyond_the_picture_are_clipped():
    env = PointIntercept()
    state, _ = env.transition(env.reset(jax.random.key(0))[0], jnp.array([-7, 99]), ())
    assert (int(state.worker_x), int(state.worker_y)) == (0, 50)


@pytest.mark.parametrize("draw", ["one key each", "one key for all"])
def test_random_targets_are_uniform_over_the_pixels(draw):
    env, count = PointIntercept(random_target=True), 50_000
    if draw == "one key each":
        obs = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(2), count))[1]
    else:
        obs = env.start(env.draw_start(jax.random.key(2), (count,)))[1]
    for axis in (0, 1):
        assert scipy.stats.chisquare(np.bincount(np.asarray(obs)[:, axis], minlength=50)).pvalue > 1e-3
    assert abs(np.corrcoef(np.asarray(obs).T)[0, 1]) < 4.5 / np.sqrt(count)


def test_every_random_target_can_be_intercepted_by_aiming_at_it():
    env = PointIntercept(random_target=True)
    middles = (jnp.arange(50, dtype=jnp.float32) + 0.5) / 50
    uniforms = [axis.ravel() for axis in jnp.meshgrid(middles, middles)]
    state, obs = env.start(type(env.draw_start(jax.random.key(0)))(*uniforms))
    assert np.unique(obs, axis=0).shape == (2500, 2)
    assert jax.vmap(env.transition, (0, 0, None))(state, obs, ())[1].terminated.all()


@pytest.mark.parametrize(
    ("id", "cls", "random"),
    [
        ("PointIntercept-v0", PointIntercept, False),
        ("PointInterceptContinuous-v0", PointInterceptContinuous, False),
        ("PointInterceptRandom-v0", PointIntercept, True),
        ("PointInterceptContinuousRandom-v0", PointInterceptContinuous, True),
    ],
)
def test_each_id_has_its_actions_and_targets(id, cls, random):
    assert make(id) == cls(random_target=random)
    assert make(id).action_space.dtype == (np.int32 if cls is PointIntercept else np.float32)
