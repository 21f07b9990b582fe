import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.probes import Probe, Pushed

import jaxenvs
from train import sac
from train.floor import running
from train.floor.heads import log_reach
from train.floor.replay import Transition

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
ENVS = jaxenvs.make_vec(Pushed(horizon=2, by_match=1.0), 4)
CONFIG = sac.Config(
    num_envs=4, num_steps=4, gradient_steps=1, batch_size=8, capacity=64, learning_starts=16, hidden=(4,),
    learning_rate=0.01, tau=0.25, temperature=0.5,
)  # fmt: skip
LINEAR = sac.Config(hidden=())


@functools.cache
def begun():
    return jax.jit(sac.init)(CONFIG, ENVS, jax.random.key(0))


@functools.cache
def after(**changes):
    """The state after one update, and its metrics."""
    return sac.update(sac.scheduled(dataclasses.replace(CONFIG, **changes), 2), ENVS, begun())


def linear_critics(*weights):
    """Critics whose values are sums of weighted inputs: two features and the action."""
    kernel = jnp.array(weights, jnp.float32)[..., None]
    return {"body": {}, "head": {"kernel": kernel, "bias": jnp.zeros((len(weights), 1))}}


def constant_actor(mean, log_std):
    return {"head": {"kernel": jnp.zeros((2, 2)), "bias": jnp.array([mean, log_std], jnp.float32)}}


def log_prob(mean, std, normal):
    """Of tanh(mean + std * normal), in float64."""
    u = mean + std * normal
    return scipy.stats.norm.logpdf(u, mean, std) - math.log(1 - math.tanh(u) ** 2)


@EITHER
def test_a_target_is_the_lesser_target_critic_with_the_entropy_and_cut_by_termination(transform):
    batch = Transition(
        features=jnp.zeros((2, 2)), action=jnp.zeros((2, 1)), reward=jnp.array([1.0, 1.0]),
        next_features=jnp.array([[2.0, 0.0], [2.0, 0.0]]), terminated=jnp.array([False, True]),
        discount=jnp.array([0.5, 0.5]),
    )  # fmt: skip
    params = begun().learner.params._replace(actor=constant_actor(0.3, math.log(0.5)), log_temperature=jnp.log(0.25))
    targets = linear_critics([1.0, 0.0, 1.0], [1.0, 0.0, -1.0])
    learner = begun().learner._replace(params=params, targets=targets)
    found = transform(sac.targets_of)(LINEAR, ENVS, learner, batch, jnp.array([[1.0], [1.0]]))
    value = float(2 - math.tanh(0.8) - 0.25 * log_prob(0.3, 0.5, 1.0))
    np.testing.assert_allclose(found, np.array([1 + 0.5 * value, 1.0]), rtol=1e-5)


@EITHER
def test_the_critics_loss_is_the_sum_of_their_mean_squared_errors(transform):
    loss, parts = transform(sac.critic_loss)(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([0.0, 4.0]))
    assert loss == 10.5 and parts["value"] == 0.75


@EITHER
def test_the_policy_minimises_temperature_times_log_prob_minus_the_lesser_critic(transform):
    critics = linear_critics([1.0, 0.0, 3.0], [0.0, 0.0, -1.0])
    x, normals = jnp.array([[2.0, 0.0], [4.0, 0.0]]), jnp.array([[1.0], [-1.0]])
    actor = constant_actor(0.3, math.log(0.5))
    loss, parts = transform(sac.policy_loss)(LINEAR, ENVS, actor, critics, jnp.log(0.25), x, normals)
    logs = [log_prob(0.3, 0.5, normal) for normal in (1.0, -1.0)]
    lesser = [min(a + 3 * math.tanh(u), -math.tanh(u)) for a, u in ((2.0, 0.8), (4.0, -0.2))]
    assert loss == pytest.approx(
        np.mean([0.25 * log - value for log, value in zip(logs, lesser, strict=True)]), rel=1e-5
    )
    assert parts["entropy"] == pytest.approx(-np.mean(logs), rel=1e-5)


def test_log_density_of_an_action_is_scipys_with_the_correction_of_tanh_and_of_the_box():
    pi = sac.distribution(LINEAR, ENVS, constant_actor(0.3, math.log(0.5)), jnp.zeros((7, 2)))
    normals = jnp.linspace(-2.0, 2.0, 7)[:, None]
    action = 2.0 * np.asarray(pi.squashed(normals), np.float64)[:, 0]
    found = pi.log_prob_at(normals) - log_reach(ENVS.single_action_space)
    # The density of the action by a numerical derivative of its distribution.
    cdf = lambda a: scipy.stats.norm.cdf(np.arctanh(a / 2.0), 0.3, 0.5)  # noqa: E731
    np.testing.assert_allclose(found, np.log((cdf(action + 1e-5) - cdf(action - 1e-5)) / 2e-5), atol=1e-3)


@EITHER
@pytest.mark.parametrize(("entropy", "slope"), [(0.5, 1.5), (-3.0, -2.0)])
def test_the_slope_of_the_temperature_is_the_surplus_of_entropy(transform, entropy, slope):
    found, parts = jax.value_and_grad(transform(sac.temperature_loss), has_aux=True)(jnp.log(0.2), entropy, -1.0)
    assert found[0] == pytest.approx(math.log(0.2) * slope) and parts == pytest.approx(slope)
    assert found[1]["temperature"] == pytest.approx(0.2)


@pytest.mark.parametrize(("wanted", "temperature"), [(5.0, 0.5 * math.exp(0.01)), (-5.0, 0.5 * math.exp(-0.01))])
def test_the_temperature_moves_by_a_step_of_adam_towards_the_entropy_that_is_wanted(wanted, temperature):
    state, _ = after(target_entropy=wanted)
    assert math.exp(state.learner.params.log_temperature) == pytest.approx(temperature, rel=1e-4)


def test_a_temperature_that_is_not_learned_stays():
    state, metrics = after(learn_temperature=False)
    assert state.learner.params.log_temperature == jnp.log(jnp.float32(0.5))
    assert metrics.means["temperature"] == pytest.approx(0.5)


def test_entropy_is_reported_in_the_units_of_the_action():
    _, metrics = after()
    pi = sac.distribution(CONFIG, ENVS, begun().learner.params.actor, jnp.zeros((10_000, 2)))
    normals = jax.random.normal(jax.random.key(0), (10_000, 1))
    # The box reaches to 2: log 2 more than that of the squashed normal. A batch has eight samples.
    assert metrics.means["entropy"] == pytest.approx(float(-pi.log_prob_at(normals).mean()) + math.log(2), abs=0.4)


def test_targets_follow_the_critics_by_tau_at_each_gradient_step():
    state, _ = after()
    parts = begun().learner.targets, state.learner.params.critics, state.learner.targets
    for old, new, target in zip(*map(jax.tree.leaves, parts), strict=True):
        np.testing.assert_allclose(target, 0.75 * old + 0.25 * new, rtol=1e-5, atol=1e-7)


def test_every_parameter_moves_and_each_part_makes_every_gradient_step():
    state, _ = after(gradient_steps=3)
    moved = jax.tree.map(lambda a, b: not np.allclose(a, b), begun().learner.params, state.learner.params)
    assert all(jax.tree.leaves(moved))
    assert {int(part[0].count) for part in state.learner.optimisers} == {3}


def test_a_greedy_policy_takes_the_squashed_mean_and_the_other_samples():
    obs = jnp.zeros((5000, 2))
    best, some = (sac.policy(CONFIG, ENVS, begun(), greedy=g)(jax.random.key(0), obs) for g in (True, False))
    x = running.seen(CONFIG, begun().experience, obs)
    pi = sac.distribution(CONFIG, ENVS, begun().learner.params.actor, x)
    np.testing.assert_allclose(best, 2 * np.tanh(np.asarray(pi.mean)), rtol=1e-5)
    before_tanh = np.arctanh(np.asarray(some, np.float64) / 2)
    assert before_tanh.mean() == pytest.approx(float(pi.mean[0, 0]), abs=0.06)
    assert before_tanh.std() == pytest.approx(float(jnp.exp(pi.log_std[0, 0])), rel=0.05)


def test_choices_are_refused_with_those_that_can_make_them():
    with pytest.raises(
        TypeError, match=r"sac needs actions in a Box of bounded floats, got Discrete\(2\); use dqn or ppo or pqn"
    ):
        sac.init(CONFIG, jaxenvs.make_vec(Probe(), 4), jax.random.key(0))
