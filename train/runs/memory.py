"""Estimates of memory, so that sizes that cannot fit are refused before anything is allocated."""

import itertools

import jax

from jaxenvs import VectorEnv

from ..floor.memory import check_fits, num_bytes

# Parameters, gradients and Adam's two moments, in 32 bits.
_BYTES_A_WEIGHT = 16
# Copies of a batch's states that a loop over steps holds: old, new, those of fresh episodes, and its results.
_COPIES = 4
_LARGEST = 2**31 - 1


def check_episodes(plan, episodes):
    """Refuses episodes that cannot be played in parallel on this machine.

    Raises:
        ValueError: with the number, what it needs and what there is.
    """
    if episodes > _LARGEST:
        raise ValueError(f"--episodes must be at most {_LARGEST:,}, got {episodes:,}")
    one = jax.eval_shape(VectorEnv.reset, plan.evaluation_envs(1), jax.random.key(0))
    check_fits(f"--episodes {episodes}", episodes * _COPIES * num_bytes(one))


def check_updates(plan):
    """Refuses a run of more updates than an i32 counts; steps are counted without a limit.

    Raises:
        ValueError: with the number of steps, and the most that there can be.
    """
    if plan.num_updates > _LARGEST:
        most = plan.steps_after(_LARGEST)
        raise ValueError(f"--total-steps must be at most {most:,} for this configuration, got {plan.total_steps:,}")


def check_run(plan):
    """Refuses a run whose counts overflow, or whose state cannot be held on this machine.

    Raises:
        ValueError: with the number, what it needs and what there is.
    """
    warmup = plan.steps_after(0)
    if plan.num_updates < 1:
        raise ValueError(f"--total-steps must be above the {warmup:,} steps of the warm-up, got {plan.total_steps:,}")
    check_updates(plan)
    if plan.config.num_envs > _LARGEST:
        raise ValueError(f"num_envs must be at most {_LARGEST:,}, got {plan.config.num_envs:,}")
    one = jax.eval_shape(VectorEnv.reset, plan.evaluation_envs(1), jax.random.key(0))
    # Each step of an update keeps at least its observation and its reward.
    kept = num_bytes(one[1]) + 4
    size = plan.config.num_envs * _COPIES * num_bytes(one) + plan.steps_per_update * kept
    check_fits(f"num_envs={plan.config.num_envs} and {plan.steps_per_update:,} steps an update", size)
    _check_network(plan.config, one[1])
    if count := getattr(plan.config, "capacity", 0):
        check_fits(f"capacity={count:,}", count * kept)
    for what, size in _minibatches(plan.config, plan.steps_per_update, num_bytes(one[1])):
        check_fits(what, size)


def _minibatches(config, steps, observation):
    """(hyperparameters, bytes that they need at least) for the minibatches of an update, whichever the algorithm has.

    Args:
        config: of an algorithm.
        steps: environment steps of an update.
        observation: bytes of one.
    """
    value = lambda name, other=1: getattr(config, name, other)  # noqa: E731
    # The numbers of the rows of all minibatches.
    yield f"epochs={value('epochs')}", value("epochs", 0) * (steps // value("segment")) * 4
    batch, quantiles = value("batch_size", 0), value("quantiles")
    # The observations before and after, and the reward.
    samples = value("gradient_steps") * batch * (2 * observation + 4)
    yield f"gradient_steps={value('gradient_steps')} with batch_size={batch:,}", samples
    yield f"quantiles={quantiles:,} with batch_size={batch}", batch * quantiles**2 * 4


def _check_network(config, obs):
    """Refuses layers whose weights cannot be held; `obs` is the shape of one observation with a batch axis."""
    hidden = getattr(config, "hidden", ())
    widths = (sum(leaf.size for leaf in jax.tree.leaves(obs)), *hidden)
    check_fits(f"hidden={hidden}", _BYTES_A_WEIGHT * sum(a * b for a, b in itertools.pairwise(widths)))
