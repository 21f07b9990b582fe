import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.probes import Pushed

import jaxenvs
from train import td3
from train.floor import networks, twin_critics

ENVS = jaxenvs.make_vec(Pushed(), 4)
CONFIG = td3.Config(hidden=(8,))


@pytest.fixture(scope="module")
def learner():
    actor, pair = twin_critics.actor_and_critics(CONFIG, ENVS, outputs_per_axis=2)
    params = td3.Params(networks.init(actor, jax.random.key(0), 2), networks.init(pair, jax.random.key(1), 3))
    return td3.Learner(params, params, twin_critics.optimisers(params))


def test_an_actor_has_as_many_outputs_as_are_asked_for(learner):
    assert learner.params.actor["head"]["bias"].shape == (2,)


def test_one_critic_is_the_first_of_both(learner):
    x, action = jnp.array([[0.5, -1.0]]), jnp.array([[0.25]])
    both = twin_critics.values(CONFIG, ENVS, learner.params.critics, x, action)
    first = jax.tree.map(lambda leaf: leaf[0], learner.params.critics)
    alone = networks.apply(twin_critics.one(CONFIG, ENVS), first, jnp.concatenate([x, action], axis=-1))[..., 0]
    assert both.shape == (2, 1) and both[0] != both[1]
    np.testing.assert_allclose(alone, both[0], rtol=1e-6)


def test_a_gradient_step_changes_one_part_alone(learner):
    cost = lambda actor: (3.0 * actor["head"]["bias"].sum(), {"cost": jnp.float32(7.0)})  # noqa: E731
    after, parts = twin_critics.improved(learner, "actor", cost, 0.1, None)
    # Adam's first step has the length of its step size.
    np.testing.assert_allclose(after.params.actor["head"]["bias"], [-0.1, -0.1], rtol=1e-5)
    assert parts["cost"] == 7.0 and after.params.critics is learner.params.critics
    assert after.optimisers.critics is learner.optimisers.critics and after.targets is learner.targets
