"""PointIntercept: move a blue worker to where it touches a red target."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant, static
from jaxenvs.core import Environment, Step


class State(NamedTuple):
    """The two points, after a step."""

    #: i32[], where the worker is, pixels from the left and from the top; 0 at the start.
    worker_x: jax.Array
    worker_y: jax.Array
    #: i32[], where the target is; the same for the entire episode.
    target_x: jax.Array
    target_y: jax.Array
    #: bool[], whether the worker touches the target; false at the start.
    intercepted: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start."""

    #: f32[...], uniform in [0, 1), each.
    target_x: jax.Array
    target_y: jax.Array


class PointIntercept(Environment):
    """Choose a position; the worker jumps there, and the episode ends when it touches the target.

    Source: example 2 of "How to create a custom Reinforcement Learning Environment in Gymnasium with Ray" (`MyEnv`),
    with the rules of pygame 2.1, on which it runs. Worker and target are circles on a square picture, and they touch
    when their rectangles overlap (`Rect.colliderect`):

    - The worker's rectangle is what `draw.circle` returns: the circle's bounding box, cut at the picture's edges.
    - The target's rectangle has the size of its circle's bounding box, but its *corner* is at the target's position:
      before each comparison, the tutorial moves it there and does not draw it again. So the worker has to aim to the
      lower right. With the fixed target, 20 <= x, y <= 42 intercept.
    - A position between pixels counts as the pixel to its upper left, as in assignments to a `Rect`.

    | observation i32[2] | | range |
    |---|---|---|
    | 0, 1 | position of the target, pixels from the left and from the top | [0, 50] |

    | action i32[2] | | range |
    |---|---|---|
    | 0, 1 | new position of the worker; clipped | [0, 50] |

    Reward: 1 if the worker touches the target, -1 otherwise.

    End: terminated at the first touch; truncated after 1000 steps by the time limit.

    Start: the target is in the middle; with `random_target`, on any pixel of the picture.

    Inside `jit`, positions outside the range are clipped.

    >>> import jax, jax.numpy as jnp, jaxenvs
    >>> env = jaxenvs.PointIntercept()
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, jnp.array([39, 33]))
    >>> obs.tolist(), float(step.reward), bool(step.terminated)
    ([25, 25], 1.0, True)
    """

    max_episode_steps = 1000
    render_fps = 10
    keys_to_action = {  # noqa: RUF012
        "q": np.array([8, 8], np.int32),
        "e": np.array([42, 8], np.int32),
        "s": np.array([25, 25], np.int32),
        "z": np.array([8, 42], np.int32),
        "c": np.array([42, 42], np.int32),
    }
    info_fields = ("intercepted",)

    #: Radius of both circles, pixels.
    radius: int = constant(6, low=1)
    #: Reward of touching, and of every other step.
    touch_reward: float = 1.0
    miss_reward: float = -1.0
    #: The target starts on any pixel instead of the middle.
    random_target: bool = False
    #: Width and height of the picture, pixels.
    resolution: int = static(50, low=1)

    @property
    def observation_space(self):
        return spaces.Box(0, self.resolution, (2,), np.int32)

    @property
    def action_space(self):
        return spaces.Box(0, self.resolution, (2,), np.int32)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (2, *shape)))

    def start(self, draws):
        target_x, target_y = (self.target_start(uniform) for uniform in draws)
        zero = jnp.zeros_like(target_x)
        state = State(zero, zero, target_x, target_y, zero > 0)
        return state, self.observe(state)

    def target_start(self, uniform):
        """A coordinate of the target at the start, i32[...]."""
        anywhere = jnp.floor(uniform * self.resolution).astype(jnp.int32)
        return jnp.where(self.random_target, anywhere, self.resolution // 2)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        worker_x, worker_y = (jnp.clip(place, 0, self.resolution).astype(jnp.int32) for place in (action[0], action[1]))
        across = overlaps(self, worker_x, state.target_x)
        intercepted = across & overlaps(self, worker_y, state.target_y)
        after = state._replace(worker_x=worker_x, worker_y=worker_y, intercepted=intercepted)
        reward = jnp.where(intercepted, self.touch_reward, self.miss_reward)
        return after, Step(self.observe(after), reward, intercepted)

    def observe(self, state):
        return jnp.stack([state.target_x, state.target_y], axis=-1)

    def render(self, state):
        from jaxenvs.render import point_intercept

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        return point_intercept.picture(**numbers, radius=int(self.radius), resolution=self.resolution)

    def action_at(self, x, y):
        """The place at a pixel of the picture: the worker goes to where the mouse is, as in the tutorial."""
        from jaxenvs.render import point_intercept

        place = point_intercept.place_at(x, y, self.resolution)
        space = self.action_space
        return None if place is None else np.clip(place, space.low, space.high).astype(space.dtype)


class PointInterceptContinuous(PointIntercept):
    """PointIntercept with positions as real numbers: its action is f32[2], with the same range.

    >>> import jax, jax.numpy as jnp, jaxenvs
    >>> env = jaxenvs.PointInterceptContinuous()
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, jnp.array([42.9, 20.0]))
    >>> int(state.worker_x), bool(step.terminated)
    (42, True)
    """

    keys_to_action = {key: place.astype(np.float32) for key, place in PointIntercept.keys_to_action.items()}  # noqa: RUF012

    @property
    def action_space(self):
        return spaces.Box(0.0, self.resolution, (2,), np.float32)


def overlaps(env, worker, target):
    """Whether the two rectangles overlap along one axis, bool[...]; touching edges don't."""
    start, end = extent(env, worker)
    target_start, target_end = extent(env, target)
    return (start < target + (target_end - target_start)) & (target < end)


def extent(env, centre):
    """(first pixel, the pixel after the last) of a circle along one axis, cut at the picture's edges."""
    return jnp.maximum(centre - env.radius, 0), jnp.minimum(centre + env.radius, env.resolution)
