"""CartPole, Pendulum, MountainCar, MountainCarContinuous and Acrobot against Gymnasium's own classes.

Free-running: entire episodes through `VectorEnv`, so that time limits count, from given starts with the actions that a
policy chose in Gymnasium. Gymnasium computes in float64 (MountainCarContinuous in float32), we in float32. Where the
motion multiplies rounding errors, the same actions keep states together for a while only; `Case.horizon` says for how
long whatever the constants, and what follows for Gymnasium's own constants. Errors are relative to the greatest value
that a coordinate takes.

- CartPole: 1e-5 for 66 steps. The ends agree for 120, and with that in every episode that falls; a pole balanced for
  500 steps falls at step 214 under the same pushes in float32.
- Pendulum: 1e-5 for 40 steps, for 131 with gentler constants; nothing ends it but time.
- MountainCar: 1e-5 for 148 steps, 1e-4 to the end; some cars crawl over the hilltop, which is unstable.
- MountainCarContinuous: 1e-5 for 123 steps, 1e-4 to the end, at step 999.
- Acrobot: 1e-5 for 60 steps. The ends agree for 110, in which most episodes that put energy in end.

Step by step, from Gymnasium's state at each, everything agrees to 1e-5 over entire episodes.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import acrobot, gymnasium_peers

import jaxenvs
from jaxenvs import Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum

EPISODES = 1000


class Case(NamedTuple):
    """What an environment is compared on."""

    env: Any
    #: By name, the constants that differ from the defaults.
    constants: dict[str, dict]
    #: starts(rng, count, constants) -> float32 states, [count, ...].
    starts: Callable
    #: policy(rng, count, limit) -> policy(episode, t, obs) -> action.
    policy: Callable
    #: Steps for which states agree, and for which the ends do.
    horizon: int
    end_horizon: int
    #: Constants that Gymnasium writes out as numbers or has no word for; the environment's own test file changes them.
    elsewhere: set[str]


def uniform(low, high):
    return lambda rng, count: rng.uniform(low, high, (count, np.size(low))).astype(np.float32)


def push_at_random_or_balance(rng, count, limit):
    """Of ten episodes, six push at random, three hold a push for a while, one balances."""
    actions = rng.integers(0, 2, (count, limit))
    gain = np.array([0.5, 1.0, 12.0, 2.5])

    def policy(episode, t, obs):
        if episode % 10 == 9:
            return int(gain @ obs > 0)
        return int(actions[episode, t if episode % 10 < 6 else t // 4])

    return policy


def torques(rng, count, limit):
    """Random torques, some beyond the limit, and none at all in every fourth episode."""
    actions = rng.uniform(-2.5, 2.5, (count, limit, 1)).astype(np.float32)
    actions[::4] = 0
    return lambda episode, t, obs: actions[episode, t]


def push_with_the_motion(rng, count, limit):
    """Three pushes of four are with the motion; every fourth episode is random."""
    actions = rng.integers(0, 3, (count, limit))

    def policy(episode, t, obs):
        helps = episode % 4 and t % 4
        return (2 if obs[1] > 0 else 0) if helps else int(actions[episode, t])

    return policy


def throttle_with_the_motion(rng, count, limit):
    """Full throttle with the motion on three steps of four, random and partly beyond the limits on the fourth."""
    actions = rng.uniform(-1.5, 1.5, (count, limit, 1)).astype(np.float32)

    def policy(episode, t, obs):
        helps = episode % 10 and t % 4
        return np.sign(obs[1:]).astype(np.float32) if helps else actions[episode, t]

    return policy


def pump_or_noise(rng, count, limit):
    """Of ten episodes, five push against the first link's motion, three along the second's, two at random."""
    actions = rng.integers(0, 3, (count, limit))
    kind = np.arange(count) % 10

    def policy(t, obs):
        against, along = np.where(obs[:, 4] > 0, 0, 2), np.where(obs[:, 5] > 0, 2, 0)
        return np.where(kind < 5, against, np.where(kind < 8, along, actions[:, t]))

    return policy


CASES = {
    "CartPole-v1": Case(
        CartPole,
        {
            "gymnasium": {},
            "heavy": {"gravity": 8.1, "cart_mass": 1.7, "pole_mass": 0.4, "half_length": 0.8, "force": 17.0},
            "coarse": {"dt": 0.03, "position_limit": 0.4, "angle_limit": 0.15, "sutton_barto_reward": True},
            "semi-implicit": {"semi_implicit": True},
        },
        uniform([-0.05] * 4, [0.05] * 4),
        push_at_random_or_balance,
        horizon=40,
        end_horizon=120,
        elsewhere={"start_low", "start_high"},
    ),
    "Pendulum-v1": Case(
        Pendulum,
        {
            "gymnasium": {},
            "moon": {"gravity": 1.62, "mass": 0.7, "length": 1.4, "max_torque": 1.1},
            "slow": {"dt": 0.03, "max_speed": 3.0},
        },
        uniform([-np.pi, -1], [np.pi, 1]),
        torques,
        horizon=35,
        end_horizon=200,
        elsewhere={"velocity_cost", "torque_cost", "start_angle", "start_velocity"},
    ),
    "MountainCar-v0": Case(
        MountainCar,
        {
            "gymnasium": {},
            "strong": {"force": 0.0016, "gravity": 0.003, "max_speed": 0.05, "goal_velocity": 0.02},
            "short": {"min_position": -0.9, "max_position": 0.4, "goal_position": 0.1},
        },
        uniform([-0.6, 0], [-0.4, 0]),
        push_with_the_motion,
        horizon=140,
        end_horizon=200,
        elsewhere={"wave_number", "start_low", "start_high"},
    ),
    "MountainCarContinuous-v0": Case(
        MountainCarContinuous,
        {
            "gymnasium": {},
            "strong": {"power": 0.002, "max_speed": 0.05, "goal_velocity": 0.02, "min_force": -0.8, "max_force": 1.2},
            "short": {"min_position": -0.9, "max_position": 0.4, "goal_position": 0.3},
        },
        uniform([-0.6, 0], [-0.4, 0]),
        throttle_with_the_motion,
        horizon=90,
        end_horizon=999,
        elsewhere={"gravity", "wave_number", "goal_bonus", "force_cost", "start_low", "start_high"},
    ),
    "Acrobot-v1": Case(
        Acrobot,
        {
            "gymnasium": {},
            "uneven": {"link_length_1": 1.3, "link_mass_1": 0.8, "link_mass_2": 1.4, "link_center_1": 0.7},
            "fine": {
                "dt": 0.15,
                "link_center_2": 0.4,
                "link_inertia": 0.9,
                "max_velocity_1": 5.0,
                "max_velocity_2": 7.0,
            },
            "paper": {"nips_equations": True, "torque": 1.5, "gravity": 8.0, "goal_height": 0.6},
        },
        uniform([-0.1] * 4, [0.1] * 4),
        pump_or_noise,
        horizon=35,
        end_horizon=110,
        elsewhere={"link_length_2", "torque_noise", "start_low", "start_high"},
    ),
}
PAIRS = [(id, name) for id, case in CASES.items() for name in case.constants]


def limit_of(id):
    return gymnasium.spec(id).max_episode_steps or 0


@functools.cache
def theirs(id, name):
    """`Episodes` of Gymnasium, 1000 with its own constants and 100 with others."""
    case, constants = CASES[id], CASES[id].constants[name]
    rng, count, limit = np.random.default_rng(0), EPISODES if not constants else 100, limit_of(id)
    starts, policy = case.starts(rng, count), case.policy(rng, count, limit)
    if id == "Acrobot-v1":
        return acrobot.episodes(acrobot.Acrobot(**constants), limit, starts, policy)
    # MountainCarContinuous keeps its states in float32.
    kept = starts if id == "MountainCarContinuous-v0" else starts.astype(np.float64)
    return gymnasium_peers.episodes(gymnasium_peers.peer(id, **constants), limit, kept, policy)


def as_ours(action):
    return jnp.asarray(action, jnp.float32 if action.dtype.kind == "f" else jnp.int32)


@functools.cache
def ours(id, name):
    """`VectorStep` of every step, from the same starts with the same actions."""
    run, envs = theirs(id, name), jaxenvs.make_vec(id, EPISODES, **CASES[id].constants[name])
    # Fewer episodes are repeated up to 1000, so that every set of constants has the same shapes and compiles once.
    count = run.running.shape[1]
    member = np.arange(EPISODES) % count
    starts, actions = jnp.asarray(run.state[0, member], jnp.float32), as_ours(run.action[:, member])
    steps = advance(envs, starts, jax.random.split(jax.random.key(0), limit_of(id)), actions)
    return jax.tree.map(lambda x: np.asarray(x)[:, :count], steps)


@jax.jit
def advance(envs, starts, keys, actions):
    state, _ = envs.reset(keys[0])
    state = state._replace(env_state=envs.env.start_at(*starts.T)[0])
    return jax.lax.scan(lambda state, given: envs.step(given[0], state, given[1]), state, (keys, actions))[1]


@functools.cache
def step_by_step(id, name):
    """`Step` from each of Gymnasium's states, in float32."""
    run, env = theirs(id, name), CASES[id].env(**CASES[id].constants[name])
    return jax.device_get(once(env, jnp.asarray(run.state, jnp.float32), as_ours(run.action)))


@jax.jit
def once(env, states, actions):
    draws = jax.tree.map(lambda _: jnp.float32(0.5), env.draw(jax.random.key(0)))
    single = lambda state, action: env.transition(env.start_at(*state)[0], action, draws)[1]  # noqa: E731
    return jax.vmap(jax.vmap(single))(states, actions)


def worst(mine, other, mask):
    """The greatest difference of each element, relative to the greatest value that it takes."""
    mine, other = mine[mask].astype(np.float64), other[mask].astype(np.float64)
    return np.max(np.abs(mine - other), axis=0) / np.maximum(np.max(np.abs(other), axis=0), 1e-3)


def within(running, steps):
    return running & (np.arange(len(running)) < steps)[:, None]


@pytest.mark.parametrize("id", CASES)
def test_every_constant_is_changed_somewhere(id):
    case = CASES[id]
    changed = {name for constants in case.constants.values() for name in constants}
    assert not changed & case.elsewhere
    assert changed | case.elsewhere == {field.name for field in dataclasses.fields(case.env)}


@pytest.mark.parametrize("id", CASES)
def test_defaults_are_gymnasiums(id):
    peer, names = gymnasium_peers.CLASSES[id](), gymnasium_peers.THEIRS[gymnasium_peers.CLASSES[id]]
    fields = {field.name: field.default for field in dataclasses.fields(CASES[id].env)}
    known = {name: names.get(name, name) for name in fields if hasattr(peer, names.get(name, name))}
    assert len(known) >= 6
    assert {name: fields[name] for name in known} == {name: getattr(peer, there) for name, there in known.items()}


@pytest.mark.parametrize("id", [*CASES, "CartPole-v0"])
def test_time_limit_and_spaces_are_gymnasiums(id):
    envs, peer = jaxenvs.make_vec(id, 1), gymnasium_peers.CLASSES[id]()
    assert envs.max_episode_steps == limit_of(id)
    assert envs.single_observation_space == peer.observation_space
    assert envs.single_action_space == peer.action_space
    assert type(envs.env).render_fps == peer.metadata["render_fps"]


@pytest.mark.parametrize("id", CASES)
def test_spaces_can_be_read_while_constants_are_traced(id):
    env = jaxenvs.make(id)
    shape = lambda env: (jnp.zeros(env.observation_space.shape), jnp.zeros(env.action_space.shape))  # noqa: E731
    assert [x.shape for x in jax.jit(shape)(env)] == [env.observation_space.shape, env.action_space.shape]


@pytest.mark.parametrize(("id", "name"), PAIRS)
def test_episodes_end_at_gymnasiums_steps(id, name):
    run, mine = theirs(id, name), ours(id, name)
    mask = within(run.running, CASES[id].end_horizon)
    np.testing.assert_array_equal(mine.terminated[mask], run.terminated[mask])
    np.testing.assert_array_equal(mine.truncated[mask], run.truncated[mask])
    ended = (run.terminated & mask).any(axis=0).mean()
    assert ended > (0.5 if name == "gymnasium" else 0.04) or id == "Pendulum-v1"


@pytest.mark.parametrize(("id", "name"), PAIRS)
def test_observations_follow_gymnasiums(id, name):
    case, run, mine = CASES[id], theirs(id, name), ours(id, name)
    assert worst(mine.final_obs, run.obs, within(run.running, case.horizon)).max() < 1e-5
    if case.env in (MountainCar, MountainCarContinuous) and name == "gymnasium":
        assert worst(mine.final_obs, run.obs, run.running).max() < 1e-4


@pytest.mark.parametrize(("id", "name"), PAIRS)
def test_rewards_follow_gymnasiums(id, name):
    case, run, mine = CASES[id], theirs(id, name), ours(id, name)
    if case.env in (Pendulum, MountainCarContinuous):
        steps = case.horizon if case.env is Pendulum else case.end_horizon
        assert worst(mine.reward, run.reward, within(run.running, steps)) < 1e-5
    else:
        mask = within(run.running, case.end_horizon)
        np.testing.assert_array_equal(mine.reward[mask], run.reward[mask])


@pytest.mark.parametrize(("id", "name"), PAIRS)
def test_each_step_from_gymnasiums_state_is_gymnasiums(id, name):
    run, step = theirs(id, name), step_by_step(id, name)
    assert worst(step.obs, run.obs, run.running).max() < 1e-5
    assert worst(step.reward, run.reward, run.running) < 1e-5
    np.testing.assert_array_equal(step.terminated[run.running], run.terminated[run.running])


@pytest.mark.parametrize("name", CASES["Acrobot-v1"].constants)
def test_the_vectorised_acrobot_is_gymnasiums(name):
    # Gymnasium writes gravity and the height out as numbers.
    constants = {k: v for k, v in CASES["Acrobot-v1"].constants[name].items() if k not in ("gravity", "goal_height")}
    rng = np.random.default_rng(1)
    starts, actions = CASES["Acrobot-v1"].starts(rng, 6).astype(np.float64), rng.integers(0, 3, (6, 100))
    actions[3:] = np.where(np.arange(100) % 4 < 2, 0, 2)
    oracle = acrobot.episodes(acrobot.Acrobot(**constants), 100, starts, lambda t, obs: actions[:, t])
    peer = gymnasium_peers.peer("Acrobot-v1", **constants)
    run = gymnasium_peers.episodes(peer, 100, starts, lambda episode, t, obs: actions[episode, t])
    np.testing.assert_array_equal(oracle.running, run.running)
    for field in ("state", "obs", "reward", "terminated", "truncated"):
        one, other = getattr(oracle, field)[run.running], getattr(run, field)[run.running]
        np.testing.assert_allclose(one, other, rtol=0, atol=3e-6 if field == "obs" else 1e-9)
