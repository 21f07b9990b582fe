"""Constants in subclasses, and environments by value in another process."""

# Constants are overridden without a type on purpose.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportIncompatibleVariableOverride=false
# pyright: reportIncompatibleMethodOverride=false, reportArgumentType=false

import subprocess
import sys
from typing import ClassVar

import jax
import numpy as np
import pytest

import jaxenvs
from jaxenvs import constant


class Mild(jaxenvs.HeartPole):
    """Plain values, as one writes them in any class of Python."""

    heart_attack_proclivity = 0.1
    sleep_half_hours = 4


class Typed(jaxenvs.HeartPole):
    heart_attack_proclivity: float = 0.1


class Weak(jaxenvs.Pendulum):
    """A static constant."""

    max_torque = 1.0


def test_a_plain_value_in_a_subclass_is_the_default_of_the_constant():
    env = Mild()
    assert (env.heart_attack_proclivity, env.sleep_half_hours, repr(env)) == (0.1, 4, "Mild()")
    assert Mild(heart_attack_proclivity=0.3).heart_attack_proclivity == 0.3
    assert jax.tree.leaves(env)[0] == 0.1 and len(jax.tree.leaves(env)) == len(jax.tree.leaves(jaxenvs.HeartPole()))


def test_a_plain_value_of_a_static_constant_is_static():
    assert Weak().action_space.high == [1.0]
    assert len(jax.tree.leaves(Weak())) == len(jax.tree.leaves(jaxenvs.Pendulum()))


@pytest.mark.parametrize("cls", [Mild, Typed])
def test_limits_are_those_of_the_parent(cls):
    with pytest.raises(ValueError, match=rf"{cls.__name__}: heart_attack_proclivity must be at least 0\.0 and at most"):
        cls(heart_attack_proclivity=7.0)


def test_limits_that_are_declared_anew_replace_the_parents():
    class Hot(jaxenvs.HeartPole):
        heart_attack_proclivity: float = constant(0.2, high=0.3)

    with pytest.raises(ValueError, match=r"heart_attack_proclivity must be at most 0\.3, got 0\.5"):
        Hot(heart_attack_proclivity=0.5)


def test_a_plain_value_out_of_range_is_refused():
    class Wrong(jaxenvs.HeartPole):
        heart_attack_proclivity = 7.0

    with pytest.raises(ValueError, match="Wrong: heart_attack_proclivity must be at least"):
        Wrong()


def test_a_property_in_the_place_of_a_constant_is_refused():
    with pytest.raises(TypeError, match="Moon: gravity is a constant of its parent: write gravity: float = "):

        class Moon(jaxenvs.CartPole):
            @property
            def gravity(self):
                return 1.6


def test_a_class_attribute_may_replace_a_constant():
    class Moon(jaxenvs.CartPole):
        gravity: ClassVar[float] = 1.6

    assert Moon().gravity == 1.6
    with pytest.raises(TypeError, match="Moon: gravity is not a constant"):
        Moon(gravity=2.0)


SCRIPT = """
import subprocess, sys, cloudpickle, jax, jax.numpy as jnp, gymnasium, jaxenvs
from typing import NamedTuple

class State(NamedTuple):
    x: jax.Array

class Drift(jaxenvs.Environment):
    max_episode_steps = 10
    pull: float = jaxenvs.constant(1.0, low=0.0)
    size: int = jaxenvs.static(1)
    mass: float
    observation_space = gymnasium.spaces.Box(-jnp.inf, jnp.inf, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, key):
        state = State(jnp.zeros(()))
        return state, state.x[None]

    def step(self, key, state, action):
        state = State(state.x + self.pull)
        return state, jaxenvs.Step(state.x[None], state.x, jnp.bool_(False))

class Mild(jaxenvs.HeartPole):
    heart_attack_proclivity = 0.1
    extra: float = 2.0

jaxenvs.register("Drift-v0", Drift, max_episode_steps=3)

def refused(cls, **constants):
    try:
        return cls(**constants)
    except (TypeError, ValueError) as error:
        return str(error)

def work(env=Drift(pull=5.0, mass=1.0), variant=jaxenvs.make("Drift-v0", mass=2.0), mild=Mild(extra=3.0)):
    key = jax.random.key(0)
    state, _ = env.reset(key)
    return [
        jax.tree.leaves(env), env, env == type(env)(mass=1.0), float(env.step(key, state, 0)[1].reward),
        float(env.replace(pull=3.0).step(key, state, 0)[1].reward), hash(env) == hash(env.replace()),
        variant, variant.max_episode_steps, mild, jax.tree.leaves(mild), refused(type(env)), refused(Drift, pull=-1.0),
    ]

there = "import sys, cloudpickle; print(cloudpickle.loads(sys.stdin.buffer.read())())"
print(work())
print(subprocess.run([sys.executable, "-c", there], input=cloudpickle.dumps(work), capture_output=True).stdout.decode())
"""


def test_an_environment_by_value_is_the_same_in_another_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    here, there, *_ = done.stdout.splitlines()
    assert here == there
    assert here.startswith(
        "[[5.0, 1.0], Drift(pull=5.0, mass=1.0), False, 5.0, 3.0, True, make('Drift-v0', mass=2.0), 3"
    )


def test_traced_constants_are_not_compared_in_silence():
    def same(gravity):
        return jaxenvs.Pendulum(gravity=gravity) == jaxenvs.Pendulum(gravity=gravity + 0.0)

    assert same(10.0) and same(np.ones(3))
    for compare in (same, lambda gravity: not same(gravity)):
        with pytest.raises(jax.errors.TracerArrayConversionError):
            jax.jit(compare)(10.0)


def test_traced_constants_are_shown():
    shown = []
    jax.jit(lambda gravity: shown.append(repr(jaxenvs.Pendulum(gravity=gravity))))(1.0)
    assert shown[0].startswith("Pendulum(gravity=JitTracer")
