import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from reference.probes import Probe, Pushed

import jaxenvs
from train import td3
from train.floor.replay import Transition

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
ENVS = jaxenvs.make_vec(Pushed(horizon=2, by_match=1.0), 4)
CONFIG = td3.Config(
    num_envs=4, num_steps=4, gradient_steps=4, policy_delay=2, batch_size=8, capacity=64, learning_starts=16,
    hidden=(4,), learning_rate=0.01, tau=0.25, noise=0.1, final_noise=0.5,
)  # fmt: skip
LINEAR = td3.Config(hidden=(), noise_clip=0.5, target_noise=0.2)


@functools.cache
def begun():
    return jax.jit(td3.init)(CONFIG, ENVS, jax.random.key(0))


@functools.cache
def after(**changes):
    """The state before and after one update, and its metrics."""
    config = td3.scheduled(dataclasses.replace(CONFIG, **changes), 2)
    return (begun(), *td3.update(config, ENVS, begun()))


def linear_critics(*weights):
    """Critics whose values are sums of weighted inputs: two features and the action."""
    kernel = jnp.array(weights, jnp.float32)[..., None]
    return {"body": {}, "head": {"kernel": kernel, "bias": jnp.zeros((len(weights), 1))}}


def constant_actor(before_tanh):
    return {"head": {"kernel": jnp.zeros((2, 1)), "bias": jnp.array([before_tanh], jnp.float32)}}


@EITHER
def test_noise_in_the_actions_of_targets_is_clipped_and_so_are_the_actions(transform):
    # 0.2 * 4 is cut to 0.5; 0.8 + 0.4 to 1.
    found = transform(td3.smoothed)(LINEAR, jnp.array([0.1, 0.1, 0.8, -0.8]), jnp.array([1.0, 4.0, 2.0, -9.0]))
    np.testing.assert_allclose(found, [0.3, 0.6, 1.0, -1.0], rtol=1e-6)


@EITHER
def test_a_target_is_the_lesser_of_the_target_critics_at_the_smoothed_action_and_cut_by_termination(transform):
    batch = Transition(
        features=jnp.zeros((2, 2)), action=jnp.zeros((2, 1)), reward=jnp.array([1.0, 1.0]),
        next_features=jnp.array([[2.0, 0.0], [2.0, 0.0]]), terminated=jnp.array([False, True]),
        discount=jnp.array([0.5, 0.5]),
    )  # fmt: skip
    targets = td3.Params(constant_actor(np.arctanh(0.5)), linear_critics([1.0, 0.0, 1.0], [1.0, 0.0, -1.0]))
    normals = jnp.array([[1.0], [1.0]])
    # The action is 0.5 + 0.2: min(2 + 0.7, 2 - 0.7) = 1.3
    found = transform(td3.targets_of)(LINEAR, ENVS, targets, batch, normals)
    np.testing.assert_allclose(found, [1 + 0.5 * 1.3, 1.0], rtol=1e-6)


@EITHER
def test_the_critics_loss_is_the_sum_of_their_mean_squared_errors(transform):
    values = jnp.array([[1.0, 2.0], [0.0, 0.0]])
    loss, parts = transform(td3.critic_loss)(values, jnp.array([0.0, 4.0]))
    # (1 + 4) / 2 + (0 + 16) / 2
    assert loss == 10.5 and parts["critic_loss"] == 10.5 and parts["value"] == 0.75


@EITHER
def test_the_policy_maximises_the_first_critic_alone(transform):
    critics = linear_critics([1.0, 0.0, 3.0], [0.0, 0.0, -100.0])
    x = jnp.array([[2.0, 0.0], [4.0, 0.0]])
    loss, _ = transform(td3.policy_loss)(LINEAR, ENVS, constant_actor(np.arctanh(0.5)), critics, x)
    assert loss == pytest.approx(-(3.0 + 1.5), rel=1e-6)
    slope = jax.grad(lambda actor: td3.policy_loss(LINEAR, ENVS, actor, critics, x)[0])(constant_actor(0.0))
    assert slope["head"]["bias"][0] == pytest.approx(-3.0)


def test_exploration_adds_noise_to_the_action_and_stays_in_the_box():
    state = begun()
    config = dataclasses.replace(td3.scheduled(CONFIG, 2), noise=0.5)
    raw, normals = jnp.zeros((3, 2)), jnp.array([[0.0], [1.0], [50.0]])
    best, explored, bounded = td3.explored(config, ENVS, state, raw, normals)[:, 0].tolist()
    assert explored - best == pytest.approx(0.5, abs=1e-6) and bounded == 1.0


def test_a_greedy_policy_takes_the_mean_and_the_other_explores():
    act = td3.policy(CONFIG, ENVS, begun())
    explore = td3.policy(dataclasses.replace(CONFIG, noise=0.2), ENVS, begun(), greedy=False)
    obs = jnp.zeros((5000, 2))
    best, some = act(jax.random.key(0), obs), explore(jax.random.key(0), obs)
    assert len(set(best[:, 0].tolist())) == 1
    # The box reaches to 2 on either side.
    assert float((some - best).std()) == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize(("delay", "steps"), [(2, 2), (4, 1)])
def test_the_policy_makes_one_step_for_policy_delay_steps_of_the_critics(delay, steps):
    before, state, _ = after(policy_delay=delay)
    assert [int(part[0].count) for part in before.learner.optimisers] == [0, 0]
    assert [int(part[0].count) for part in state.learner.optimisers] == [steps, 4]


def test_targets_follow_by_tau_once_for_each_step_of_the_policy():
    before, state, _ = after(policy_delay=4)
    for old, new, target in zip(
        *(jax.tree.leaves(x) for x in (before.learner.targets, state.learner.params, state.learner.targets)),
        strict=True,
    ):
        np.testing.assert_allclose(target, 0.75 * old + 0.25 * new, rtol=1e-5, atol=1e-7)


def test_critics_begin_apart_and_targets_begin_at_the_parameters():
    learner = begun().learner
    first, second = jax.tree.leaves(learner.params.critics["body"])[1]
    assert not np.allclose(first, second)
    jax.tree.map(np.testing.assert_array_equal, learner.params, learner.targets)


def test_noise_and_step_size_are_reported_as_they_are_scheduled():
    config = td3.scheduled(dataclasses.replace(CONFIG, final_learning_rate=0.0), 2)
    metrics = td3.update(config, ENVS, begun()._replace(updates=jnp.int32(1)))[1]
    assert metrics.means["noise"] == pytest.approx(0.075) and metrics.means["learning_rate"] == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"capacity": 50}, "capacity must be a multiple of num_envs * num_steps = 16, got 50"),
        ({"learning_starts": 8}, "learning_starts must be a multiple of num_envs * num_steps = 16, got 8"),
        ({"gradient_steps": 3}, "gradient_steps must be a multiple of policy_delay=2, got 3"),
        ({"noise_correlation": 1.0}, "noise_correlation must be at least 0.0 and below 1.0, got 1.0"),
        ({"network": "cnn"}, "network must be mlp, or a flax.linen module, got 'cnn'"),
        ({"hidden": (8, 0)}, "hidden must be widths of at least 1, got (8, 0)"),
    ],
)
def test_counts_that_do_not_fit_are_refused_with_their_values(wrong, message):
    with pytest.raises(ValueError) as caught:
        td3.check(dataclasses.replace(CONFIG, **wrong))
    assert str(caught.value).removeprefix("Config: ") == message


def test_devices_that_cannot_share_are_refused_and_few_samples_stay_on_one():
    with pytest.raises(ValueError, match="devices must divide num_envs=4 and batch_size=8, got 3"):
        td3.check(CONFIG, 3)
    assert td3.useful_devices(CONFIG, 4) == 1
    assert td3.useful_devices(dataclasses.replace(CONFIG, batch_size=1024), 3) == 2


def test_choices_are_refused_with_those_that_can_make_them():
    with pytest.raises(
        TypeError, match=r"td3 needs actions in a Box of bounded floats, got Discrete\(2\); use dqn or ppo or pqn"
    ):
        td3.init(CONFIG, jaxenvs.make_vec(Probe(), 4), jax.random.key(0))


class Wide(jaxenvs.Environment):
    """A box of two axes of shape, each place with a range of its own; the reward wants each at three quarters of it."""

    max_episode_steps = 1

    @property
    def observation_space(self):
        return spaces.Box(0.0, 1.0, (1,))

    @property
    def action_space(self):
        low = np.array([[0.0, -100.0], [5.0, -0.1]], np.float32)
        return spaces.Box(low, np.array([[50.0, 100.0], [6.0, 0.1]], np.float32))

    def reset(self, key):
        return jnp.zeros(()), jnp.zeros(1)

    def step(self, key, state, action):
        part = (action - self.action_space.low) / (self.action_space.high - self.action_space.low)
        return state, jaxenvs.Step(jnp.zeros(1), -jnp.sum((part - 0.75) ** 2), jnp.bool_(True))


def test_boxes_of_any_bounds_and_shape_are_acted_in():
    config = dataclasses.replace(
        CONFIG, gradient_steps=16, batch_size=64, capacity=4096, learning_starts=256, hidden=(32,), activation="tanh",
        noise=0.5,
    )  # fmt: skip
    state, _ = jax.jit(td3.train, static_argnums=3)(config, Wide(), jax.random.key(0), 200)
    action = td3.policy(config, Wide(), state)(jax.random.key(1), jnp.zeros(1))
    space = Wide().action_space
    assert action.shape == (2, 2)
    np.testing.assert_allclose((action - space.low) / (space.high - space.low), 0.75, atol=0.1)
