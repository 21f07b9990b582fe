"""Classic control as those step it who did so before, to be measured in the same process as ours."""

import importlib.metadata

import gymnasium
import jax

from benchmarks.common import Repeated, compiled, on_all_of, over_devices

#: What gymnax and we have, and Gymnasium too.
IDS = ("CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1")
#: Gymnasium steps these one environment after another; beyond, a step takes so long that it answers nobody's question.
SYNC_LIMIT = 4096


def gymnasium_steppers(id, num_envs):
    """Gymnasium in NumPy on one core, actions drawn beforehand: a list of one `Repeated`, or of none.

    CartPole by its own vector environment, which computes the batch at once; the others by `SyncVectorEnv`.
    """
    if id not in IDS:
        return []
    vectorised = gymnasium.spec(id).vector_entry_point is not None
    if not vectorised and num_envs > SYNC_LIMIT:
        return []
    mode = "vector_entry_point" if vectorised else "sync"
    envs = gymnasium.make_vec(id, num_envs=num_envs, vectorization_mode=mode)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(16)]
    num_steps = max(1, 1024 // num_envs)

    def advance(first):
        for index in range(first, first + num_steps):
            envs.step(actions[index % 16])
        return first + num_steps

    about = {"devices": 1, "num_steps": num_steps, "compile_s": None, "version": gymnasium.__version__, "mode": mode}
    return [Repeated(advance, 0, about)]


def gymnax_steppers(id, num_envs, devices, *, as_published=False):
    """gymnax with a random policy drawn on the device and its own autoreset: a `Repeated` for each number of devices.

    Args:
        as_published: draw as gymnax's own `RolloutWrapper` does, with a chain of keys for each environment and
            `Space.sample` under `vmap`. Otherwise actions are drawn for the batch at once, and a step's key is split
            into one for each environment, as gymnax wants it: measured faster, by up to 1.8 times.
    Returns:
        A list; empty where gymnax is not installed or does not have the id.
    """
    try:
        import gymnax  # pyright: ignore[reportMissingImports]
    except ImportError:
        return []
    if id not in IDS or id not in gymnax.registered_envs:
        return []
    env, params = gymnax.make(id)
    num_steps = min(10_000, max(100, 1_000_000 // num_envs))
    one = a_key_each(env, params) if as_published else a_key_a_batch(env, params, num_envs)

    def advance(carry):
        return jax.lax.scan(one, carry, length=num_steps)[0]

    keys = jax.random.split(jax.random.key(0), num_envs)
    _, start = jax.jit(jax.vmap(env.reset, (0, None)))(keys, params)

    def stepper(count):
        chains = over_devices(keys, count) if as_published else on_all_of(jax.random.key(1), count)
        carry = chains, over_devices(start, count)
        places = jax.tree.map(lambda x: x.sharding, carry)
        function, seconds = compiled(advance, carry, out_shardings=places)
        version = importlib.metadata.version("gymnax")
        about = {"devices": count, "num_steps": num_steps, "compile_s": round(seconds, 3), "version": version}
        return Repeated(function, carry, about)

    return [stepper(count) for count in devices]


def a_key_a_batch(env, params, num_envs):
    """A step of a batch of gymnax's environments, for `lax.scan`, that carries one key."""
    space = env.action_space(params)

    def one(carry, _):
        key, state = carry
        key, action_key, step_key = jax.random.split(key, 3)
        actions = sample(space, action_key, num_envs)
        step_keys = jax.random.split(step_key, num_envs)
        _, state, *_ = jax.vmap(env.step, (0, 0, 0, None))(step_keys, state, actions, params)
        return (key, state), None

    return one


def a_key_each(env, params):
    """A step of a batch of gymnax's environments, for `lax.scan`, that carries a key for each."""

    def one(key, state):
        key, step_key, action_key = jax.random.split(key, 3)
        _, state, *_ = env.step(step_key, state, env.action_space(params).sample(action_key), params)
        return key, state

    return lambda carry, _: (jax.vmap(one)(*carry), None)


def sample(space, key, num_envs):
    """Actions for a batch, as gymnax's space distributes them."""
    if hasattr(space, "n"):
        return jax.random.randint(key, (num_envs,), 0, space.n)
    return jax.random.uniform(key, (num_envs, *space.shape), minval=space.low, maxval=space.high)
