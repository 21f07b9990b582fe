"""The stepping of CartPole by those who did it before, measured in the same process as ours."""

import time

import gymnasium
import jax

from benchmarks.common import spread, timed


def gymnasium_cartpole(num_envs, steps, runs):
    """Gymnasium's own NumPy vector environment, one core, actions drawn beforehand: a row, as `stepping.measure`'s."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(16)]
    num_steps = max(1, steps // num_envs)

    def run():
        began = time.perf_counter()
        for index in range(num_steps):
            envs.step(actions[index % 16])
        return num_envs * num_steps / (time.perf_counter() - began)

    run()
    rates = spread([run() for _ in range(runs)])
    return {"id": "gymnasium CartPole-v1, NumPy", "num_envs": num_envs, "steps_per_second": rates}


def gymnax_cartpole(num_envs, steps, runs, place):
    """gymnax's CartPole, a random policy drawn on the device, its own autoreset; None where gymnax is not installed.

    Args:
        place: puts a pytree on the devices; the faster of it and of leaving the placing to XLA is taken.
    """
    try:
        import gymnax  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    env, params = gymnax.make("CartPole-v1")
    num_steps = max(1, steps // num_envs)

    @jax.jit
    def run(keys, state):
        def one(carry, _):
            keys, state = carry
            keys, act_keys, step_keys = jax.numpy.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
            actions = jax.vmap(env.action_space(params).sample)(act_keys)
            _, state, *_ = jax.vmap(env.step, (0, 0, 0, None))(step_keys, state, actions, params)
            return (keys, state), None

        return jax.lax.scan(one, (keys, state), length=num_steps)[0]

    keys = jax.random.split(jax.random.key(0), num_envs)
    _, state = jax.vmap(env.reset, (0, None))(keys, params)
    found = []
    for put in (lambda tree: tree, place):
        _, seconds = timed(run, *put((keys, state)), runs=runs)
        found.append(spread([num_envs * num_steps / s for s in seconds]))
    return {
        "id": f"gymnax {getattr(gymnax, '__version__', '')} CartPole-v1".replace("  ", " "),
        "num_envs": num_envs,
        "steps_per_second": max(found, key=lambda rates: rates["median"]),
    }
