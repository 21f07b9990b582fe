"""`jaxenvs record`, films of a run's agent or of other policies, and `jaxenvs watch`, its agent in a window."""

import contextlib
import sys
from pathlib import Path

import jax

import jaxenvs
from jaxenvs import play
from jaxenvs.registry import spec
from jaxenvs.render import film
from jaxenvs.render.window import Window
from jaxenvs.spaces import sample

from .reports import report
from .reports.episodes import Frames, Part
from .runs import run, trust
from .runs.load import load
from .runs.plan import RunError, read_plan

_SECONDS = 14.0
# Seconds for which a watched episode's end stands still.
_HOLD = 1.0


def record(options):
    """Runs the command; see `jaxenvs record --help`.

    Raises:
        RunError: for a folder that holds no run, an environment without a picture, or a film that cannot be written.
        ValueError, TypeError: for an unknown id, or constants out of range.
    """
    try:
        film.check_name(options.to)
        envs, part = _part(options)
        if not report.has_picture(envs.env):
            raise RunError(f"{type(envs.env).__name__} has no picture: it does not define render(state)")
        frames = Frames(envs.env, [part], jax.random.key(options.seed), envs.max_episode_steps)
        path = film.save(frames, options.to)
    except (OSError, ImportError) as error:
        raise RunError(str(error)) from error
    print(f"{path}: {part.label}, {len(frames)} pictures, {len(frames) / frames.fps:.1f} s", file=sys.stderr)
    return 0


def watch(options):
    """Runs the command; see `jaxenvs watch --help`.

    Raises:
        RunError: for a folder that holds no run, an environment without a picture, or where no window can be opened.
        ValueError, TypeError: for constants out of range, or an `fps` that is not above 0.
    """
    trust.check(options.run, options.trust)
    agent = load(options.run, "best" if options.best else "newest")
    envs = agent.plan.evaluation_envs(1, **dict(options.set))
    play.check_picture(envs.env)
    fps = play.checked_fps(envs.env.render_fps if options.fps is None else options.fps, least=0.1)
    game = play.Game(envs.env, envs.max_episode_steps, options.seed)
    try:
        window = Window(f"{agent.plan.algorithm} on {agent.plan.name} (jaxenvs)")
    except (OSError, ImportError) as error:
        raise RunError(str(error)) from error
    with contextlib.closing(window):
        play.run(window, game, Agent(agent, options.stochastic), fps=fps, hold=_HOLD)
    print(f"{options.run}: {len(game.scores)} episodes were watched to their end", file=sys.stderr)
    return 0


class Agent:
    """A `Trained` as a player of a `Game`."""

    help = (("agent", "it plays by itself"),)

    def __init__(self, agent, stochastic):
        self._agent, self._stochastic = agent, stochastic

    def feed(self, event):
        """Does nothing: the agent has no keys."""

    def clear(self):
        """Does nothing: the agent remembers nothing."""

    def action(self, game):
        """The action for what the game shows."""
        key = jax.random.fold_in(game.episode_key, game.steps) if self._stochastic else None
        return self._agent.act(game.obs, key)


def _part(options):
    """(a `VectorEnv`, the `Part`) of what is named."""
    constants, episodes = dict(options.set), options.episodes
    if not is_run(options.what):
        if options.untrained:
            raise RunError(f"--untrained needs a run's folder, got {options.what}: name one, or use --random")
        _check_id(options.what)
        envs = jaxenvs.make_vec(options.what, 1, **constants)
        return envs, random_policy(envs.env.action_space, episodes)
    trust.check(options.what, options.trust)
    plan = read_plan(options.what)
    envs = plan.evaluation_envs(1, **constants)
    if options.random:
        return envs, random_policy(envs.env.action_space, episodes)
    if options.untrained:
        return envs, report.untrained(plan, episodes)
    return envs, report.trained(*run.read(options.what), episodes)


def _check_id(what):
    try:
        spec(what)
    except ValueError as error:
        raise RunError(f"no such folder, and {error}") from error


def is_run(what):
    """Whether a text names a run's folder rather than an environment; a folder that exists does."""
    return Path(what).is_dir() or (Path(what).parent.name == "runs" and ":" not in what)


def random_policy(space, episodes):
    """The `Part` of random actions of a space."""

    def act(arguments, key, obs):
        return sample(space, key, jax.tree.leaves(obs)[0].shape[:1])

    return Part("random policy", act, None, episodes, _SECONDS)
