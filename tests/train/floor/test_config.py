import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from train import ppo
from train.floor.config import hyperparameters, range_text


@hyperparameters
class Config:
    rate: float = jaxenvs.constant(0.1, above=0.0)
    share: float = jaxenvs.constant(0.5, low=0.0, high=1.0)
    size: int = jaxenvs.static(4, low=1)
    name: str = jaxenvs.static("a")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rate": 0.0}, "Config: rate must be above 0.0, got 0.0"),
        ({"rate": float("nan")}, "rate must be above 0.0, got nan"),
        ({"share": np.float32(2)}, "share must be at least 0.0 and at most 1.0, got 2.0"),
        ({"share": np.array([0.5, -1.0])}, "share must be at least 0.0 and at most 1.0, got -1.0"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": 2.5}, "size must be an integer, got 2.5"),
        ({"rate": "fast"}, "rate must be a number"),
    ],
)
def test_a_number_out_of_its_range_is_refused_at_construction_and_by_replace(wrong, said):
    for make in (lambda: Config(**wrong), lambda: dataclasses.replace(Config(), **wrong)):
        with pytest.raises((ValueError, TypeError)) as caught:
            make()
        assert said in str(caught.value)


def test_trees_of_its_structure_may_have_any_leaves():
    config = Config()
    assert jax.tree.map(lambda x: -x, config).rate == -0.1
    axes = dataclasses.replace(jax.tree.map(lambda _: None, config), rate=0)
    rates = jax.vmap(lambda config: config.rate * 2, (axes,))(dataclasses.replace(config, rate=jnp.array([0.1, 0.2])))
    np.testing.assert_allclose(rates, [0.2, 0.4])
    gradient = jax.device_get(jax.grad(lambda config: -config.rate * config.share)(config))
    assert gradient.rate == -0.5 and gradient.size == 4
    assert jax.jit(lambda config: dataclasses.replace(config, rate=-config.rate))(config).rate == pytest.approx(-0.1)


def test_static_fields_are_part_of_the_structure():
    assert jax.tree.structure(Config()) == jax.tree.structure(Config(rate=0.3)) != jax.tree.structure(Config(size=5))


@pytest.mark.parametrize("field", dataclasses.fields(ppo.Config), ids=lambda field: field.name)
def test_every_number_of_ppo_has_a_range(field):
    number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
    assert bool(range_text(field)) == number
