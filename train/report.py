"""What a finished run shows a person: the learning curve, and a film of the trained agent."""

import operator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import Environment
from train.curve import save_curve
from train.film import save_gif, save_mp4
from train.log import read_rows
from train.presets import ALGORITHMS

# A GIF shows at most so many frames a second; faster films leave frames out.
_GIF_FPS = 25


def write_curve(plan, folder):
    """Draws `curve.png` from the run's figures; returns its path, or None where there are none, or none finite."""
    rows = read_rows(Path(folder) / "metrics.jsonl")
    if not any("return_mean" in row or "eval_mean" in row for row in rows):
        return None
    changed = plan.training if plan.curve_as_trained else {}
    told = f", evaluated with {', '.join(f'{name}={value}' for name, value in changed.items())}" if changed else ""
    path = Path(folder) / "curve.png"
    save_curve(rows, path, title=f"{plan.algorithm.upper()} on {plan.name}{told}")
    return path


def write_film(plan, state, folder, *, seed, num_steps):
    """Films the greedy policy in the environment as it is, as `film.gif` and `film.mp4`.

    Args:
        plan, state: of the run.
        folder: where to.
        seed: of the episodes filmed.
        num_steps: how many steps, over as many episodes as they fill.
    Returns:
        The two paths; none if the environment has no picture.
    """
    envs = plan.evaluation_envs(1)
    if type(envs.env).render is Environment.render:
        return ()
    states = _played(plan, envs, state, jax.random.key(seed), num_steps)
    frames = [envs.env.render(jax.tree.map(operator.itemgetter(t), states)) for t in range(num_steps + 1)]
    fps = envs.env.render_fps
    stride = -(-fps // _GIF_FPS)
    gif, mp4 = Path(folder) / "film.gif", Path(folder) / "film.mp4"
    save_gif(frames[::stride], gif, fps=fps / stride)
    save_mp4(frames, mp4, fps=fps)
    return gif, mp4


def _played(plan, envs, state, key, num_steps):
    """The states of `num_steps` steps of one environment and the one before them, as NumPy arrays."""
    algorithm = ALGORITHMS[plan.algorithm]

    @jax.jit
    def play(config, envs, state, key):
        act = algorithm.policy(config, envs, state)

        def advance(carry, index):
            now, obs = carry
            act_key, step_key = jax.random.split(jax.random.fold_in(key, index))
            after, step = envs.step(step_key, now, act(act_key, obs))
            return (after, step.obs), after.env_state

        first, obs = envs.reset(key)
        _, later = jax.lax.scan(advance, (first, obs), jnp.arange(num_steps))
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b])[:, 0], first.env_state, later)

    return jax.tree.map(np.asarray, play(plan.config, envs, state, key))
