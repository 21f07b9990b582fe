"""The public functions with right values of their arguments, and values that fit nowhere: for `test_fuzz.py`."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false

import functools
import math

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

import jaxenvs
import train
from jaxenvs.bridges.gymnasium import GymnasiumEnv
from jaxenvs.bridges.gymnasium_vector import GymnasiumVectorEnv
from jaxenvs.render import Canvas, film
from train import dqn, ppo, pqn, sac, td3
from train.floor.evaluate import evaluate

KEY = jax.random.key(0)


@functools.cache
def state_of(id, num_envs=None):
    if num_envs is None:
        return jaxenvs.make(id).reset(KEY)[0]
    return jaxenvs.make_vec(id, num_envs).reset(KEY)[0]


# Values that fit nowhere, or somewhere else.
ODD = {
    "None": None,
    "text": "a",
    "no text": "",
    "digit": "3",
    "bytes": b"x",
    "true": True,
    "zero": 0,
    "one": 1,
    "minus": -1,
    "five": 5,
    "wide": 2**31,
    "wider": 2**32 + 1,
    "widest": 2**64,
    "half": 0.5,
    "1.7": 1.7,
    "nan": math.nan,
    "inf": math.inf,
    "large": 1e300,
    "complex": 1j,
    "class": object,
    "object": object(),
    "function": len,
    "set": {1},
    "dict": {"a": 1},
    "no dict": {},
    "list": [1, 2],
    "ragged": [[1], [1, 2]],
    "no list": [],
    "tuple": (1, 2),
    "no tuple": (),
    "i64": np.int64(1),
    "f64": np.float64(0.5),
    "nan32": np.float32(np.nan),
    "numpy none": np.zeros(0, np.float32),
    "numpy (3,)": np.ones(3),
    "numpy (2, 2)": np.ones((2, 2), np.int64),
    "numpy nan": np.full(2, np.nan, np.float32),
    "numpy text": np.array(["a", "b"]),
    "numpy objects": np.array([None, "a"], object),
    "jax 1": jnp.int32(1),
    "jax 9": jnp.int32(9),
    "jax (2,)": jnp.zeros(2),
    "jax (2, 3)": jnp.ones((2, 3), jnp.int32),
    "jax nan": jnp.full((), jnp.nan),
    "jax bool": jnp.ones(2, bool),
    "key": KEY,
    "fast key": jaxenvs.random.fast(KEY),
    "rbg key": jax.random.key(0, impl="rbg"),
    "raw key": jax.random.PRNGKey(0),
    "numpy key": np.asarray(jax.random.PRNGKey(0)),
    "keys": jax.random.split(KEY, 2),
    "raw keys": jax.random.split(jax.random.PRNGKey(0), 3),
    "no keys": jax.random.split(KEY, 0),
    "space": spaces.Discrete(3),
    "text space": spaces.Text(3),
    "box": spaces.Box(-1, 1, (2,)),
    "env": jaxenvs.Pendulum(),
    "env class": jaxenvs.Pendulum,
    "envs": jaxenvs.make_vec("Pendulum-v1", 3),
    "state of Pendulum": state_of("Pendulum-v1"),
    "states of Pendulum": state_of("Pendulum-v1", 2),
    "state of CartPole": state_of("CartPole-v1"),
    "states of 2": state_of("CartPole-v1", 2),
    "states of 3": state_of("CartPole-v1", 3),
    "state of a batch": state_of("CartPole-v1", 2).env_state,
    "state of one": state_of("CartPole-v1", 1).env_state,
}

ENV = jaxenvs.CartPole()
STATE = state_of("CartPole-v1")
ENVS = jaxenvs.make_vec("CartPole-v1", 2)
STATES, OBS = ENVS.reset(KEY)
TORQUE = jaxenvs.make_vec("Pendulum-v1", 2)
ACTIONS = np.zeros(2, np.int32)
PLACE = spaces.Dict({"x": spaces.Box(-1, 1, (2,)), "n": spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2)))})
ELEMENT = {"x": np.zeros(2, np.float32), "n": (1, np.ones(2, np.int8))}


def zeros(key, obs):
    return jnp.zeros(len(obs), jnp.int32)


def registered(id="Fuzzed-v0", entry_point=jaxenvs.CartPole, limit=5, gravity=9.0, force=True):
    try:
        jaxenvs.register(id, entry_point, max_episode_steps=limit, gravity=gravity, force=force)
        return jaxenvs.make(id)
    finally:
        for known in set(jaxenvs.registry) - IDS:
            del jaxenvs.registry[known]
            gymnasium.registry.pop(f"jaxenvs/{known}", None)


IDS = set(jaxenvs.registry)


def started(**options):
    env = GymnasiumEnv(jaxenvs.CartPole())
    env.reset(seed=0)
    return env


def started_batch(arrays="numpy", id="CartPole-v1"):
    envs = gymnasium.make_vec(f"jaxenvs/{id}", num_envs=2, arrays=arrays)
    envs.reset(seed=0)
    return envs


def defined(default=1.0, low=0.0, high=2.0):
    cls = type(
        "Own",
        (jaxenvs.CartPole,),
        {"__annotations__": {"own": float}, "own": jaxenvs.constant(default, low=low, high=high)},
    )
    return cls()


def drawn(method, *args, **kwargs):
    canvas = Canvas(20, 20)
    getattr(canvas, method)(*args, **kwargs)
    return canvas.to_array()


#: Each entry point: a function, and right values of its arguments.
ENTRIES = {
    "make": (jaxenvs.make, {"id": "CartPole-v1", "gravity": 9.8}),
    "make_vec": (jaxenvs.make_vec, {"id": "CartPole-v1", "num_envs": 2, "max_episode_steps": 5, "gravity": 9.8}),
    "make_vec of an env": (jaxenvs.make_vec, {"id": ENV, "num_envs": 2, "max_episode_steps": 5}),
    "register": (
        registered,
        {"id": "Fuzzed-v0", "entry_point": jaxenvs.CartPole, "limit": 5, "gravity": 9.0, "force": True},
    ),
    "CartPole": (jaxenvs.CartPole, {"gravity": 9.8, "semi_implicit": True}),
    "Pendulum": (jaxenvs.Pendulum, {"max_torque": 2.0, "mass": 1.0}),
    "replace": (ENV.replace, {"gravity": 9.8}),
    "constant": (defined, {"default": 1.0, "low": 0.0, "high": 2.0}),
    "reset": (ENV.reset, {"key": KEY}),
    "step": (ENV.step, {"key": KEY, "state": STATE, "action": 1}),
    "step of a box": (
        jaxenvs.Pendulum().step,
        {"key": KEY, "state": state_of("Pendulum-v1"), "action": np.zeros(1, np.float32)},
    ),
    "draw": (jaxenvs.HeartPole().draw, {"key": KEY, "shape": (2,)}),
    "draw_start": (jaxenvs.HeartPole().draw_start, {"key": KEY, "shape": (2,)}),
    "observe": (ENV.observe, {"state": STATE}),
    "render": (ENV.render, {"state": STATE}),
    "describe": (jaxenvs.HeartPole().describe, {"state": state_of("HeartPole-v0")}),
    "VectorEnv.reset": (ENVS.reset, {"key": KEY}),
    "VectorEnv.step": (ENVS.step, {"key": KEY, "state": STATES, "action": ACTIONS}),
    "VectorEnv.step of a box": (
        TORQUE.step,
        {"key": KEY, "state": state_of("Pendulum-v1", 2), "action": np.zeros((2, 1), np.float32)},
    ),
    "VectorEnv.sample_actions": (ENVS.sample_actions, {"key": KEY}),
    "rollout": (
        jaxenvs.rollout,
        {
            "envs": ENVS,
            "policy": zeros,
            "key": KEY,
            "state": STATES,
            "obs": OBS,
            "num_steps": 2,
            "collect": None,
            "fold": None,
        },
    ),
    "check_env": (lambda env: jaxenvs.check_env(env, raise_on_failure=False), {"env": "CartPole-v1"}),
    "spaces.sample": (jaxenvs.spaces.sample, {"space": PLACE, "key": KEY, "shape": (2,)}),
    "spaces.contains": (jaxenvs.spaces.contains, {"space": spaces.Discrete(3), "x": 1}),
    "spaces.contains of a box": (
        jaxenvs.spaces.contains,
        {"space": spaces.Box(-1, 1, (2,)), "x": np.zeros(2, np.float32)},
    ),
    "spaces.contains of parts": (jaxenvs.spaces.contains, {"space": PLACE, "x": ELEMENT}),
    "random.fusable": (jaxenvs.random.fusable, {"key": KEY}),
    "random.fast": (jaxenvs.random.fast, {"key": KEY}),
    "over_devices": (jaxenvs.over_devices, {"tree": STATES}),
    # Gymnasium looks at the id, the time limit and the render mode itself.
    "gymnasium.make": (lambda gravity: gymnasium.make("jaxenvs/CartPole-v1", gravity=gravity), {"gravity": 9.8}),
    "GymnasiumEnv": (
        lambda env_id, **options: GymnasiumEnv(env_id, **options),
        {"env_id": "CartPole-v1", "render_mode": None, "device": "cpu", "gravity": 9.8},
    ),
    "GymnasiumVectorEnv": (
        GymnasiumVectorEnv,
        {"env_id": "CartPole-v1", "num_envs": 2, "render_mode": None, "autoreset_mode": "NextStep"},
    ),
    "gymnasium reset": (lambda **options: started().reset(**options), {"seed": 3, "options": {}}),
    "gymnasium reset to a state": (
        lambda position, **others: started().reset(options={"state": {"position": position, **others}}),
        {"position": 0.1, "velocity": 0.0},
    ),
    "gymnasium reset to an integer": (
        lambda n: GymnasiumEnv(jaxenvs.HeartPole()).reset(options={"state": {"last_action": n}}),
        {"n": 1},
    ),
    "gymnasium state": (lambda state: started().reset(options={"state": state}), {"state": STATE}),
    "gymnasium step": (lambda action: started().step(action), {"action": 1}),
    "gymnasium step of a box": (
        lambda action: (env := GymnasiumEnv(jaxenvs.Pendulum()), env.reset(seed=0), env.step(action)),
        {"action": np.zeros(1, np.float32)},
    ),
    "gymnasium constant": (
        lambda name, value: started().set_wrapper_attr(name, value),
        {"name": "gravity", "value": 9.0},
    ),
    "gymnasium.make_vec": (
        lambda id, n, constants, arrays: gymnasium.make_vec(id, num_envs=n, constants=constants, arrays=arrays),
        {"id": "jaxenvs/CartPole-v1", "n": 2, "constants": {"gravity": 9.0}, "arrays": "numpy"},
    ),
    "gymnasium batch reset": (lambda **options: started_batch().reset(**options), {"seed": 3, "options": {}}),
    "gymnasium batch mask": (
        lambda mask: started_batch().reset(options={"reset_mask": mask}),
        {"mask": np.array([True, False])},
    ),
    "gymnasium batch state": (
        lambda position: started_batch().reset(options={"state": {"position": position}}),
        {"position": np.zeros(2)},
    ),
    "gymnasium batch step": (lambda actions: started_batch().step(actions), {"actions": ACTIONS}),
    "gymnasium batch step in JAX": (lambda actions: started_batch("jax").step(actions), {"actions": ACTIONS}),
    "gymnasium batch step of a box": (
        lambda actions: started_batch(id="Pendulum-v1").step(actions),
        {"actions": np.zeros((2, 1), np.float32)},
    ),
    "gymnasium batch attributes": (
        lambda name, values: started_batch().set_attr(name, values),
        {"name": "gravity", "values": [9.0, 8.0]},
    ),
    "gymnasium batch call": (lambda name: started_batch().call(name), {"name": "gravity"}),
    "ppo.Config": (
        lambda **fields: ppo.Config(**fields),
        {"num_envs": 8, "gamma": 0.9, "hidden": (8,), "learning_rate": 1e-3, "activation": "tanh"},
    ),
    "dqn.Config": (
        lambda **fields: dqn.Config(**fields),
        {"num_envs": 8, "gamma": 0.9, "hidden": (8,), "learning_rate": 1e-3},
    ),
    "pqn.Config": (
        lambda **fields: pqn.Config(**fields),
        {"num_envs": 8, "gamma": 0.9, "hidden": (8,), "learning_rate": 1e-3},
    ),
    "sac.Config": (
        lambda **fields: sac.Config(**fields),
        {"num_envs": 8, "gamma": 0.9, "hidden": (8,), "learning_rate": 1e-3},
    ),
    "td3.Config": (
        lambda **fields: td3.Config(**fields),
        {"num_envs": 8, "gamma": 0.9, "hidden": (8,), "learning_rate": 1e-3},
    ),
    "train.load": (train.load, {"folder": "none", "which": "newest"}),
    "evaluate": (evaluate, {"envs": ENVS, "act": zeros, "key": KEY}),
    "Canvas": (Canvas, {"width": 20, "height": 20, "background": (0, 0, 0)}),
    "Canvas.rectangle": (
        functools.partial(drawn, "rectangle"),
        {"x0": 1, "y0": 1, "x1": 5, "y1": 5, "fill": (0, 0, 0)},
    ),
    "Canvas.circle": (functools.partial(drawn, "circle"), {"x": 1, "y": 1, "radius": 5, "fill": (0, 0, 0)}),
    "Canvas.line": (functools.partial(drawn, "line"), {"points": [(1, 1), (2, 2)], "fill": (0, 0, 0), "width": 1.0}),
    "Canvas.text": (functools.partial(drawn, "text"), {"x": 1, "y": 1, "text": "a", "size": 5, "fill": (0, 0, 0)}),
    "Canvas.bar": (
        functools.partial(drawn, "bar"),
        {"x0": 1, "y0": 1, "x1": 5, "y1": 5, "share": 0.5, "fill": (0, 0, 0), "track": (0, 0, 0)},
    ),
    "film.check_name": (film.check_name, {"path": "film.mp4"}),
}
