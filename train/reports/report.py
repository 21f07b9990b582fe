"""What a finished run shows a person: the learning curve, and a film of the trained agent."""

import operator
from pathlib import Path

import jax

from jaxenvs import Environment
from jaxenvs.random import fusable
from jaxenvs.rollout import scan_steps

from ..presets import ALGORITHMS
from ..runs.log import read_rows
from .curve import save_curve
from .film import save_gif, save_mp4

# The highest frame rate of a GIF; faster films leave frames out.
_GIF_FPS = 25
# Seconds for which the last picture of an episode stands still, or as long as the episode was, if that is shorter.
_HOLD = 0.8


def write_curve(plan, folder):
    """Draws `curve.png` from the run's figures; returns its path, or None where there are none, or none finite."""
    rows = read_rows(Path(folder) / "metrics.jsonl")
    if not any("return_mean" in row or "eval_mean" in row for row in rows):
        return None
    changed = plan.training if plan.curve_as_trained else {}
    changes = f", evaluated with {', '.join(f'{name}={value}' for name, value in changed.items())}" if changed else ""
    path = Path(folder) / "curve.png"
    save_curve(rows, path, title=f"{plan.algorithm.upper()} on {plan.name}{changes}")
    return path


def write_film(plan, state, folder, *, seed, num_steps):
    """Films the greedy policy in the environment as it is, as `film.gif` and `film.mp4`.

    Args:
        plan, state: of the run.
        folder: where to.
        seed: of the episodes filmed.
        num_steps: how many steps, over as many episodes as they fill. How an episode ended stands still for a moment.
    Returns:
        The two paths; none if the environment has no picture.
    """
    envs = plan.evaluation_envs(1)
    if type(envs.env).render is Environment.render:
        return ()
    fps = envs.env.render_fps
    frames = _frames(envs.env, *_played(plan, envs, state, jax.random.key(seed), num_steps), hold=round(_HOLD * fps))
    stride = -(-fps // _GIF_FPS)
    gif, mp4 = Path(folder) / "film.gif", Path(folder) / "film.mp4"
    save_gif(frames[::stride], gif, fps=fps / stride)
    save_mp4(frames, mp4, fps=fps)
    return gif, mp4


def save_film(plan, state, path, *, seed, num_steps):
    """Films the greedy policy into one file; arguments as for `write_film`.

    Args:
        path: a `Path` that ends in .mp4 or .gif.
    Returns:
        The path.
    Raises:
        ValueError: for another ending, or an environment without a picture.
    """
    if path.suffix not in (".mp4", ".gif"):
        raise ValueError(f"a film's name must end in .mp4 or .gif, got {str(path)!r}")
    envs = plan.evaluation_envs(1)
    if type(envs.env).render is Environment.render:
        raise ValueError(f"{plan.name} has no picture: it does not define render(state)")
    fps = envs.env.render_fps
    frames = _frames(envs.env, *_played(plan, envs, state, jax.random.key(seed), num_steps), hold=round(_HOLD * fps))
    if path.suffix == ".mp4":
        save_mp4(frames, path, fps=fps)
    else:
        stride = -(-fps // _GIF_FPS)
        save_gif(frames[::stride], path, fps=fps / stride)
    return path


def _frames(env, first, moved, begun, length, done, *, hold):
    """Pictures of a first state, of each state that was reached, and of each new start."""
    frames = [env.render(first)]
    for t in range(len(done)):
        frames.append(env.render(jax.tree.map(operator.itemgetter(t), moved)))
        if done[t]:
            frames += [frames[-1]] * (min(hold, int(length[t])) - 1)
            frames.append(env.render(jax.tree.map(operator.itemgetter(t), begun)))
    return frames


def _played(plan, envs, state, key, num_steps):
    """An environment's first state, and for each step: the next state, the state after autoreset, the length, done.

    NumPy arrays with the steps in front; `length` is that of the episode so far.
    """
    algorithm = ALGORITHMS[plan.algorithm]

    @jax.jit
    def play(config, envs, state, key):
        start_key, run_key = jax.random.split(key)
        first, obs = envs.reset(start_key)

        def collect(moment):
            step = moment.step
            return moment.moved, moment.after, step.episode_length, step.terminated | step.truncated

        act = algorithm.policy(config, envs, state)
        _, _, steps = scan_steps(envs, act, run_key, first, obs, num_steps, collect)
        return first.env_state, steps

    first, steps = jax.device_get(play(plan.config, envs, state, fusable(key)))
    return jax.tree.map(lambda x: x[0], first), *jax.tree.map(lambda x: x[:, 0], steps)
