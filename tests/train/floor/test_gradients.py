import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train.floor import gradients

PARAMS = {"a": jnp.array(3.0), "b": jnp.array([4.0, -1.0])}


def steps(optimiser, count, slope):
    params, state = PARAMS, gradients.init(optimiser, PARAMS)
    for _ in range(count):
        params, state = gradients.descend(optimiser, state, params, slope(params), 0.1)
    return params


def test_a_step_is_optaxs_adam():
    slope = lambda params: jax.tree.map(lambda x: x**3, params)  # noqa: E731
    ours = steps(gradients.adam(), 5, slope)
    optimiser = optax.adam(0.1, eps=1e-5)
    params, state = PARAMS, optimiser.init(PARAMS)
    for _ in range(5):
        change, state = optimiser.update(slope(params), state)
        params = optax.apply_updates(params, change)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, params)


def test_gradients_are_bounded_by_their_norm_over_all_parameters():
    optimiser = gradients.adam(max_grad_norm=0.5)
    gradient = {"a": jnp.array(3.0), "b": jnp.array([4.0, 0.0])}
    _, state = gradients.descend(optimiser, gradients.init(optimiser, PARAMS), PARAMS, gradient, 0.1)
    moments = [x for x in jax.tree.leaves(state) if x.shape == (3,)]
    # A tenth of the gradient, whose norm of 5 was cut to 0.5.
    assert moments[0].tolist() == pytest.approx([0.03, 0.04, 0.0])


def test_a_gradient_comes_with_the_parts_of_its_cost():
    cost = lambda params: (params["a"] ** 2, {"square": params["a"] ** 2})  # noqa: E731
    gradient, parts = gradients.mean_gradient(None, cost, PARAMS)
    assert gradient["a"] == 6.0 and gradient["b"].tolist() == [0.0, 0.0] and parts["square"] == 9.0
