"""Every public function of `jax.random` in what authors and users write: reset, step, draw and policies."""

# Spaces are plain class attributes.
# pyright: reportAssignmentType=false, reportCallIssue=false

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs
from jaxenvs.random import fast

HALF = jnp.float32(0.5)
FUNCTIONS = {
    "PRNGKey": lambda key: jax.random.PRNGKey(jax.random.randint(key, (), 0, 9)),
    "ball": lambda key: jax.random.ball(key, 2),
    "bernoulli": jax.random.bernoulli,
    "beta": lambda key: jax.random.beta(key, 2.0, 3.0),
    "binomial": lambda key: jax.random.binomial(key, 5.0, HALF),
    "bits": jax.random.bits,
    "categorical": lambda key: jax.random.categorical(key, jnp.zeros(3)),
    "cauchy": jax.random.cauchy,
    "chisquare": lambda key: jax.random.chisquare(key, 2.0),
    "choice": lambda key: jax.random.choice(key, 5),
    "clone": lambda key: jax.random.key_data(jax.random.clone(key)),
    "dirichlet": lambda key: jax.random.dirichlet(key, jnp.ones(3)),
    "double_sided_maxwell": lambda key: jax.random.double_sided_maxwell(key, 0.0, 1.0),
    "exponential": jax.random.exponential,
    "f": lambda key: jax.random.f(key, 2.0, 3.0),
    "fold_in": lambda key: jax.random.key_data(jax.random.fold_in(key, 3)),
    "gamma": lambda key: jax.random.gamma(key, 2.0),
    "generalized_normal": lambda key: jax.random.generalized_normal(key, 2.0),
    "geometric": lambda key: jax.random.geometric(key, HALF),
    "gumbel": jax.random.gumbel,
    "key": lambda key: jax.random.key_data(jax.random.key(jax.random.randint(key, (), 0, 9))),
    "key_data": jax.random.key_data,
    "key_dtype": lambda key: jax.random.bits(key, dtype=jnp.uint32) + (jax.random.key_dtype() is None),
    "key_impl": lambda key: jax.random.key_data(
        jax.random.wrap_key_data(jax.random.key_data(key), impl=jax.random.key_impl(key))
    ),
    "laplace": jax.random.laplace,
    "loggamma": lambda key: jax.random.loggamma(key, 2.0),
    "logistic": jax.random.logistic,
    "lognormal": jax.random.lognormal,
    "maxwell": jax.random.maxwell,
    "multinomial": lambda key: jax.random.multinomial(key, 5.0, jnp.full(2, HALF)),
    "multivariate_normal": lambda key: jax.random.multivariate_normal(key, jnp.zeros(2), jnp.eye(2)),
    "normal": jax.random.normal,
    "orthogonal": lambda key: jax.random.orthogonal(key, 2),
    "pareto": lambda key: jax.random.pareto(key, 2.0),
    "permutation": lambda key: jax.random.permutation(key, 5),
    "poisson": lambda key: jax.random.poisson(key, 3.0),
    "rademacher": lambda key: jax.random.rademacher(key),
    "randint": lambda key: jax.random.randint(key, (), 0, 9),
    "rayleigh": lambda key: jax.random.rayleigh(key, 2.0),
    "split": lambda key: jax.random.key_data(jax.random.split(key)),
    "t": lambda key: jax.random.t(key, 3.0),
    "triangular": lambda key: jax.random.triangular(key, 0.0, HALF, 1.0),
    "truncated_normal": lambda key: jax.random.truncated_normal(key, -1.0, 1.0),
    "uniform": jax.random.uniform,
    "wald": lambda key: jax.random.wald(key, 2.0),
    "weibull_min": lambda key: jax.random.weibull_min(key, 2.0, 1.0),
    "wrap_key_data": lambda key: jax.random.bits(jax.random.wrap_key_data(jax.random.key_data(key))),
    # Not of jax.random, but what keys meet: a choice between the key that is given and one that is at hand.
    "where": lambda key: jax.random.key_data(jnp.where(True, key, jax.random.key(3))),
}


def number(function, key):
    """A float32 that depends on all that a function draws."""
    drawn = jnp.ravel(jnp.asarray(function(key)))
    return (drawn.astype(jnp.float32) * (1.0 + jnp.arange(drawn.size, dtype=jnp.float32))).sum()


def environment(function, split):
    class Drawn(jaxenvs.Environment):
        max_episode_steps = 3
        observation_space = spaces.Box(-np.inf, np.inf, ())
        action_space = spaces.Box(-np.inf, np.inf, ())

    def reset(self, key):
        return number(function, key), number(function, key)

    def step(self, key, state, action):
        drawn = number(function, key)
        return drawn, jaxenvs.Step(drawn, action, jnp.bool_(False))

    def draw_start(self, key, shape=()):
        return jnp.broadcast_to(number(function, key), shape)

    def start(self, draws):
        return draws, draws

    def draw(self, key, shape=()):
        return jnp.broadcast_to(number(function, key), shape)

    def transition(self, state, action, draws):
        return draws, jaxenvs.Step(draws, action, jnp.bool_(False))

    methods = (draw_start, start, draw, transition) if split else (reset, step)
    return type("Drawn", (Drawn,), {method.__name__: method for method in methods})()


def test_the_table_has_every_public_function():
    public = {name for name, value in vars(jax.random).items() if callable(value) and not name.startswith("_")}
    # Newer versions of JAX have a class for annotations there.
    public = {name for name in public if not isinstance(getattr(jax.random, name), type | typing.NewType)}
    assert public <= set(FUNCTIONS)


@pytest.fixture(autouse=True)
def as_users_find_jax():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("of", [lambda key: key, fast, jax.random.key_data], ids=["ordinary", "fast", "raw"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_jax_works_wherever_a_key_is_given(name, of):
    function, key = FUNCTIONS[name], of(jax.random.key(5))
    for split in (False, True):
        envs = jaxenvs.make_vec(environment(function, split), 2)

        def run(key, envs=envs):
            state, obs = envs.reset(key)
            policy = lambda key, obs: jnp.full(2, number(function, key))  # noqa: E731
            return envs.env.reset(key), jaxenvs.rollout(envs, policy, key, state, obs, 2)[2].reward

        (_, obs), reward = jax.eval_shape(run, key)
        assert (obs.shape, reward.shape) == ((), (2, 2))


@pytest.mark.parametrize("name", ["poisson", "where"])
@pytest.mark.parametrize("of", [lambda key: key, fast], ids=["ordinary", "fast"])
def test_a_function_that_needs_jaxs_own_keys_draws_jaxs_numbers(name, of):
    function, key = FUNCTIONS[name], jax.random.key(5)
    np.testing.assert_array_equal(environment(function, False).reset(of(key))[0], number(function, key))
    envs = jaxenvs.make_vec(environment(function, True), 2)
    policy_key = jax.random.split(jax.random.fold_in(key, 0))[0]
    policy = lambda key, obs: jnp.full(2, number(function, key))  # noqa: E731
    action = jaxenvs.rollout(envs, policy, of(key), *envs.reset(key), 1)[2].action
    np.testing.assert_array_equal(action, np.full((1, 2), number(function, policy_key)))


def test_an_author_who_errs_is_told_once():
    """The second try, with JAX's own keys, does not hide what failed."""

    def wrong(key):
        raise TypeError("no such thing")

    with pytest.raises(TypeError, match="no such thing") as caught:
        environment(wrong, False).reset(jax.random.key(0))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", [jaxenvs.random.fusable, jaxenvs.random.fast], ids=["fusable", "fast"])
def test_draws_outside_jit_compile_once(kind):
    compiled = []
    count = lambda event, duration_secs, **kwargs: event.endswith("backend_compile_duration") and compiled.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(count)
    found = []
    for seed in (3, 4, 5):
        key = kind(jax.random.key(seed))
        jax.random.uniform(jax.random.split(jax.random.fold_in(key, seed))[0], (3,)).block_until_ready()
        found.append(len(compiled))
    jax.monitoring.unregister_event_duration_listener(count)
    assert found[0] > 0 and found[1:] == [found[0]] * 2
