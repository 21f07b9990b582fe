"""Full episodes of policies as the frames of a film, with what happens written above each picture."""

import functools
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxenvs import make_vec
from jaxenvs.render.caption import captioned
from jaxenvs.rollout import scan_steps

from ..floor.memory import check_fits, num_bytes

#: The highest frame rate of a film; above it steps are left out.
MAX_FPS = 30
# Seconds for which the last picture of an episode stands still, or as long as the episode was, if that is shorter.
_HOLD = 0.8
# Episodes that are played, where their number is chosen by the budget.
_CANDIDATES = 5
_CHUNK, _MOST_STEPS = 128, 20_000


class Part(NamedTuple):
    """Some episodes of one policy."""

    #: What it is called in the film, such as "untrained policy".
    label: str
    #: `act(arguments, key, obs) -> action` of a batch.
    act: Callable
    #: A pytree that `act` gets.
    arguments: Any
    #: How many episodes; None for as many as fit into `seconds`, 1 to 5.
    episodes: int | None
    #: The length to keep to, for each of `episodes` if given; longer episodes are shown faster.
    seconds: float


class Episode(NamedTuple):
    """What was seen in one episode."""

    #: The states, first to last: a pytree of NumPy arrays with the steps, one more than there are rewards, in front.
    states: Any
    #: f32[steps].
    rewards: np.ndarray


class Frames:
    """The pictures of a film, compressed; it can be iterated more than once.

    Args:
        env: an `Environment` with a picture.
        parts: sequence of `Part`, in the film's order.
        key: a JAX key of the episodes; all parts have the same ones.
        limit: the time limit, steps, or None.
    """

    def __init__(self, env, parts, key, limit):
        self.stride = -(-env.render_fps // MAX_FPS)
        self.fps = env.render_fps / self.stride
        self._packed, self._shape = [], ()
        for part in parts:
            for frame in _frames(env, part, key, limit, self.stride):
                self._shape = frame.shape
                self._packed.append(zlib.compress(frame.tobytes(), 1))

    def __len__(self):
        return len(self._packed)

    def __iter__(self):
        return (np.frombuffer(zlib.decompress(item), np.uint8).reshape(self._shape) for item in self._packed)


def check_film(env, count, limit):
    """Refuses a film of more episodes than this machine can hold.

    Args:
        env, count, limit: as in `play`; any number may be None, for the usual one.
    Raises:
        ValueError: with the number, what it needs and what there is.
    """
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    size = (count or _CANDIDATES) * (limit or _MOST_STEPS) * num_bytes(state)
    check_fits(f"a film of {count:,} episodes" if count else "a film", size)


def play(env, act, arguments, key, count, limit):
    """Plays `count` full episodes in parallel.

    Args:
        env: an `Environment`.
        act, arguments: as in `Part`.
        key: a JAX key.
        count: how many.
        limit: the time limit, steps; without one episodes are cut after 20,000 steps.
    Returns:
        A list of `Episode`.
    """
    check_film(env, count, limit)
    envs = make_vec(env, count, max_episode_steps=limit or _MOST_STEPS)
    # Outside `jit`, a fusable key would compile each of its uses.
    reset_key, run_key = jax.random.split(key)

    steps, (state, obs) = min(_CHUNK, limit or _CHUNK), envs.reset(reset_key)
    first, chunks, over = jax.device_get(state.env_state), [], np.zeros(count, bool)
    while not over.all():
        chunk_key = jax.random.fold_in(run_key, len(chunks))
        state, obs, moments = _advance(act, steps, envs, arguments, chunk_key, state, obs)
        chunks.append(jax.device_get(moments))
        over |= chunks[-1][-1].any(axis=0)
    states, rewards, done = jax.tree.map(lambda *x: np.concatenate(x), *chunks)
    states = jax.tree.map(lambda a, b: np.concatenate([a[None], b]), first, states)
    lengths = done.argmax(axis=0) + 1
    return [
        Episode(jax.tree.map(lambda x, e=e, n=n: x[: n + 1, e], states), rewards[:n, e])
        for e, n in enumerate(lengths.tolist())
    ]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _advance(act, num_steps, envs, arguments, key, state, obs):
    """Some steps: (state, obs, (states, rewards, whether an episode ended)), compiled once for each `act`."""

    def policy(key, obs):
        return act(arguments, key, obs)

    def collect(moment):
        return moment.moved, moment.step.reward, moment.step.terminated | moment.step.truncated

    return scan_steps(envs, policy, key, state, obs, num_steps, collect)


def within(lengths, steps):
    """How many of the first episodes have together at most this number of steps; at least one.

    >>> within([100, 100, 100], 250), within([400], 250)
    (2, 1)
    """
    return max(1, int((np.cumsum(lengths) <= steps).sum()))


def _frames(env, part, key, limit, stride):
    played = play(env, part.act, part.arguments, key, part.episodes or _CANDIDATES, limit)
    lengths = [len(episode.rewards) for episode in played]
    budget = part.seconds * (part.episodes or 1) * env.render_fps
    count = part.episodes or within(lengths, budget)
    faster = max(1, int(-(-sum(lengths[:count]) // budget)))
    for index, episode in enumerate(played[:count]):
        title = f"{part.label}, episode {index + 1} of {count}" + (f", {faster}x speed" if faster > 1 else "")
        yield from _episode_frames(env, episode, title, faster * stride, max(1, round(_HOLD * env.render_fps / stride)))


def _episode_frames(env, episode, title, stride, hold):
    total, returns = len(episode.rewards), np.concatenate([[0.0], np.cumsum(episode.rewards, dtype=np.float64)])
    shown = [*range(0, total, stride), total]
    for step in shown:
        picture = env.render(jax.tree.map(lambda x, step=step: x[step], episode.states))
        reward = float(episode.rewards[step - 1]) if step else None
        frame = captioned(picture, title, step, reward, float(returns[step]))
        for _ in range(min(hold, len(shown) - 1) if step == total else 1):
            yield frame
