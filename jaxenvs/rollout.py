"""`rollout`: a policy and a batch of environments, scanned on the device."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxenvs.captured import capture, staged
from jaxenvs.core import Environment
from jaxenvs.definition import METHODS
from jaxenvs.misuse import brief, check_form, checked_int, shown
from jaxenvs.random import checked_key, one_key, with_keys
from jaxenvs.random.varying import varying_as
from jaxenvs.vector import (
    VectorStep,
    advance,
    check_state,
    checked_actions,
    observe_all,
    reset_shapes,
    same_step,
    step_shapes,
)

# Options of XLA for one function. `tune_cpu` sets more, which hold for a process.
_OPTIONS = {"xla_cpu_prefer_vector_width": 512, "xla_cpu_enable_concurrency_optimized_scheduler": False}


class Transitions(NamedTuple):
    """The steps of a rollout, with the axes [num_steps, num_envs, ...]."""

    #: The observation before the action.
    obs: Any
    action: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    #: The true successor observation, before any reset.
    final_obs: Any
    #: Return and length of the episode so far, including this step; complete if it ended.
    episode_return: jax.Array
    episode_length: jax.Array


def transitions(obs, action, step):
    """The default of `rollout`'s `collect`: everything."""
    return Transitions(
        obs=obs,
        action=action,
        reward=step.reward,
        terminated=step.terminated,
        truncated=step.truncated,
        final_obs=step.final_obs,
        episode_return=step.episode_return,
        episode_length=step.episode_length,
    )


def rollout(envs, policy, key, state, obs, num_steps, collect=None, fold=None) -> tuple[Any, Any, Any]:
    """Runs a policy in a batch of environments, in one `jax.lax.scan`.

    Outside `jit`, the first call compiles the program. Later calls do not recompile if policy, `collect` and `fold` do
    the same computation. The values of the arrays that they close over may change.

    Args:
        envs: a `VectorEnv`.
        policy: a function of one key and the batch's observations. `policy(key, obs)` returns an action, or a pair
            `(action, extra)` with any other values to collect, such as log-probabilities.
        key: a JAX key; step t uses `fold_in(key, t)`.
        state, obs: what `envs.reset` or an earlier rollout returned.
        num_steps: number of steps, a Python int.
        collect: a function `collect(obs, action, step)` of the observation before the action, the action and the
            `VectorStep`; `collect(obs, action, extra, step)` if the policy returns pairs. Its results are stacked over
            time. Return less to keep less: `lambda obs, action, step: None`. By default `Transitions`, or with pairs
            `(Transitions, extra)`.
        fold: a pair `(function, start)`: instead of stacking the results, computes `total = function(total, result)` at
            each step, with `start` as the first total.
    Returns:
        (state, obs, collected): the final state and observations, and the results stacked over time, or the total.
    Raises:
        TypeError, ValueError: for a `num_steps` that is not an integer of at least 0, and as `VectorEnv.step`.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("SimpleRocket-v0", num_envs=4)
    >>> state, obs = envs.reset(jax.random.key(0))
    >>> policy = lambda key, obs: -4 * obs[:, :1] - 4 * obs[:, 1:]
    >>> state, obs, steps = jaxenvs.rollout(envs, policy, jax.random.key(1), state, obs, num_steps=100)
    >>> steps.reward.shape
    (100, 4)

    The sum of the rewards of each environment, without keeping the steps:

    >>> add = (lambda total, reward: total + reward, jax.numpy.zeros(4))
    >>> reward = lambda obs, action, step: step.reward
    >>> _, _, total = jaxenvs.rollout(envs, policy, jax.random.key(2), state, obs, 100, reward, fold=add)
    >>> total.shape
    (4,)
    """
    num_steps, key = checked_int("rollout: num_steps", num_steps), checked_key(key)
    _check_functions(policy, collect, fold)
    check_state(state, "rollout", "envs, policy, key, state, obs, num_steps")
    if any(jnp.shape(leaf)[:1] != (envs.num_envs,) for leaf in jax.tree.leaves(obs)):
        raise ValueError(f"rollout: obs must be that of {envs.num_envs} environments, got {shown(obs)}")
    taken = functools.partial(_taken, collect)
    if not staged(envs, key, state, obs):
        fresh, first_obs = reset_shapes(envs, one_key(key, "rollout"))
        check_form(fresh, state, "rollout")
        check_form(first_obs, obs, "rollout", what="obs")
    captured = None if staged(envs, key, state, obs, fold) else _captured(envs, policy, key, state, obs, taken, fold)
    if captured is None:
        return scan_steps(envs, policy, key, state, obs, num_steps, lambda moment: taken(*moment[:4]), fold)
    functions, consts = captured
    return _program(num_steps, *functions)(envs, key, state, obs, None if fold is None else fold[1], consts)


def _check_functions(policy, collect, fold):
    if not callable(policy):
        raise TypeError(f"rollout: policy must be a function of (key, obs), got {brief(policy)}")
    if collect is not None and not callable(collect):
        raise TypeError(f"rollout: collect must be a function or None, got {brief(collect)}")
    if fold is not None and not (isinstance(fold, tuple | list) and len(fold) == 2 and callable(fold[0])):
        raise TypeError(f"rollout: fold must be a pair (function, start) or None, got {brief(fold)}")


@jax.tree_util.register_static
class NoExtra:
    """What a policy that returns actions alone gives besides."""


NO_EXTRA = NoExtra()


class Moment(NamedTuple):
    """One step of a rollout, as `scan_steps` gives it."""

    obs: Any
    action: Any
    #: What the policy returned besides, or `NO_EXTRA`.
    extra: Any
    step: VectorStep
    #: The environments' states after the step, before and after autoreset.
    moved: Any
    after: Any


def _taken(collect, obs, action, extra, step):
    if extra is NO_EXTRA:
        return (transitions if collect is None else collect)(obs, action, step)
    if collect is None:
        return transitions(obs, action, step), extra
    return collect(obs, action, extra, step)


def _captured(envs, policy, key, state, obs, taken, fold):
    """((act, collect, fold), their closed-over arrays); None if these are tracers, whose trace compiles the program."""
    policy_key, now = _seen.eval_shape(envs, key, state, obs)
    act, act_consts = capture(functools.partial(_acted, envs, policy), policy_key, now)
    action, extra = act.shapes
    step = step_shapes(envs, key, state, action)
    collect, collect_consts = capture(taken, now, action, extra, step)
    add, add_consts = (None, []) if fold is None else capture(fold[0], fold[1], collect.shapes)
    consts = act_consts, collect_consts, add_consts
    return None if staged(consts) else ((act, collect, add), consts)


@jax.jit
def _seen(envs, key, state, obs):
    """What the policy is given in a scan: (key, obs)."""
    seen = _where(True, obs, observe_all(envs, state.env_state)) if _observes(envs) else obs
    return jax.random.split(one_key(key, "rollout"))[0], seen


def _acted(envs, policy, key, obs):
    """(actions, extra) of a policy, where NumPy arrays are still known to be some."""
    action, extra = _parts(envs.single_action_space, with_keys(policy, key, obs))
    return checked_actions(envs, action), extra


# Each program holds its compiled code: the number of those that are kept bounds the memory.
@functools.lru_cache(maxsize=64)
def _program(num_steps, act, collect, add):
    def rolled(envs, key, state, obs, start, consts):
        act_consts, collect_consts, add_consts = consts
        return scan_steps(
            envs,
            functools.partial(act, act_consts),
            key,
            state,
            obs,
            num_steps,
            lambda moment: collect(collect_consts, *moment[:4]),
            None if add is None else (functools.partial(add, add_consts), start),
        )

    return jax.jit(rolled, compiler_options=_OPTIONS)


def scan_steps(envs, policy, key, state, obs, num_steps, collect, fold=None) -> tuple[Any, Any, Any]:
    """The loop of `rollout`; `collect` is a function of a `Moment`."""
    key = one_key(key, "rollout")
    observed = num_steps > 0 and _observes(envs)

    def one(carry, index):
        state, carried, total = carry
        policy_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        now = _where(index == 0, obs, observe_all(envs, state.env_state)) if observed else carried
        action, extra = _parts(envs.single_action_space, with_keys(policy, policy_key, now))
        advanced = advance(envs, step_key, state, checked_actions(envs, action))
        state, step = same_step(advanced)
        result = collect(Moment(now, action, extra, step, advanced.moved.env_state, state.env_state))
        if fold is not None:
            total, result = fold[0](total, result), None
        return (state, None if observed else step.obs, total), result

    carry = (state, None if observed else obs, None if fold is None else varying_as(key, fold[1]))
    (state, carried, total), collected = jax.lax.scan(one, carry, jnp.arange(num_steps))
    # A scan that carries states alone makes no observations that nobody reads, and no copies of them: with a random
    # policy it takes 1.3 to 5 times as long otherwise.
    obs = observe_all(envs, state.env_state) if observed else carried
    return state, obs, collected if fold is None else total


def _observes(envs):
    """Whether `observe` is known to give the observations of `reset` and `step`.

    A subclass that changes any method below the class that defines `observe` may change observations as well.
    """
    lineage = type(envs.env).__mro__
    owner = next(index for index, cls in enumerate(lineage) if "observe" in vars(cls))
    changed = any(METHODS.keys() & vars(cls).keys() for cls in lineage[:owner])
    return type(envs.env).observe is not Environment.observe and not changed


def _parts(space, result):
    """(action, extra) of what a policy returned.

    An action of a Tuple space is a tuple, too: a pair of an action and an extra has another structure than an action.
    """
    if not isinstance(result, tuple) or len(result) != 2:
        return result, NO_EXTRA
    if isinstance(space, spaces.Tuple) and jax.tree.structure(_example(space)) == jax.tree.structure(result):
        return result, NO_EXTRA
    return result


def _example(space):
    """A pytree with the structure of the space's elements."""
    if isinstance(space, spaces.Dict):
        return {name: _example(part) for name, part in space.spaces.items()}
    return tuple(map(_example, space.spaces)) if isinstance(space, spaces.Tuple) else 0


def _where(first, given, seen):
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), given, seen)
