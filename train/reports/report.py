"""What a finished run shows a person: the learning curve, and a film of the untrained and the trained agent."""

import functools
from pathlib import Path

import jax

from jaxenvs import Environment
from jaxenvs.render import film

from ..floor.evaluate import evaluate
from ..presets import ALGORITHMS
from ..runs.compiling import compiled, run_once
from ..runs.log import read_rows
from ..tuned import REFERENCES
from .curve import save_curve
from .episodes import Frames, Part

# Seconds of a film for an untrained policy and for a trained one.
_BEFORE, _AFTER = 6.0, 14.0


def write_curve(plan, folder):
    """Draws `curve.png` from the run's figures; returns its path, or None where there are none, or none finite."""
    rows = read_rows(Path(folder) / "metrics.jsonl")
    if not any("return_mean" in row or "eval_mean" in row for row in rows):
        return None
    changed = plan.training if plan.curve_as_trained else {}
    changes = f", evaluated with {', '.join(f'{name}={value}' for name, value in changed.items())}" if changed else ""
    path = Path(folder) / "curve.png"
    save_curve(rows, path, title=f"{plan.algorithm.upper()} on {plan.name}{changes}", levels=_levels(plan, changed))
    return path


def _levels(plan, changed):
    """The returns to compare with: that of a random policy, played here, and what is known of the environment."""
    envs = plan.evaluation_envs(256, **changed)
    play = jax.jit(lambda envs, key: evaluate(envs, lambda key, obs: envs.sample_actions(key), key).episode_return)
    arguments = envs, plan.key(plan.seed + 1)
    returns = compiled(play.lower(*arguments), run_once())(*arguments)
    known = {} if plan.constants else REFERENCES.get(plan.env, {})
    return {"random policy": float(returns.mean()), **known}


def write_film(plan, state, folder, *, seed, episodes=None):
    """Films the untrained policy and the trained one, in the environment as it is, as `film.gif` and `film.mp4`.

    Args:
        plan, state: of the run.
        folder: where to.
        seed: of the episodes filmed.
        episodes: of the trained policy, at least 1; by default as many as fit into 14 seconds.
    Returns:
        (paths, problems): the films, none if the environment has no picture, and for each that could not be written a
        sentence.
    """
    env = plan.evaluation_envs(1).env
    if not has_picture(env):
        return [], []
    frames = frames_of(plan, [untrained(plan), trained(plan, state, episodes)], seed)
    written, problems = [], []
    for name in ("film.gif", "film.mp4"):
        try:
            written.append(film.save(frames, Path(folder) / name))
        except (ImportError, OSError, RuntimeError) as error:
            problems.append(f"{name}: {error}")
    return written, problems


def has_picture(env):
    return type(env).render is not Environment.render


def frames_of(plan, parts, seed):
    """The `Frames` of some parts in a run's environment of evaluation."""
    envs = plan.evaluation_envs(1)
    if not has_picture(envs.env):
        raise ValueError(f"{plan.name} has no picture: it does not define render(state)")
    return Frames(envs.env, parts, jax.random.key(seed), envs.max_episode_steps)


def trained(plan, state, episodes=None):
    """The `Part` of a run's greedy policy."""
    return Part("trained policy", *_acting(plan, state), episodes, _AFTER)


def untrained(plan, episodes=None):
    """The `Part` of the greedy policy with which a run began."""
    init = jax.jit(ALGORITHMS[plan.algorithm].init)
    arguments = plan.config, plan.training_envs(), plan.key(plan.seed)
    state = compiled(init.lower(*arguments), run_once())(*arguments)
    return Part("untrained policy", *_acting(plan, state), episodes, _BEFORE)


def _acting(plan, state):
    """(act, arguments) of a `Part`."""
    return _greedy(ALGORITHMS[plan.algorithm]), (plan.config, plan.evaluation_envs(1).env, state)


@functools.cache
def _greedy(algorithm):
    """The greedy policy as a function of its arguments: always the same one, so that films compile it once."""

    def act(arguments, key, obs):
        return algorithm.policy(*arguments)(key, obs)

    return act
