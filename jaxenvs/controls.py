"""From the keys and the mouse of a person to the actions of an environment."""

import itertools

import gymnasium
import numpy as np

from jaxenvs.core import Environment
from jaxenvs.show import tables_of

#: The letter whose action an arrow has, where the environment has keys of its own.
ARROWS = {"left": "a", "right": "d", "up": "w", "down": "s"}
# The arrows and letters of the first axes of a Box without keys of its own: (one way, the other way).
_AXES = (("left", "right"), ("down", "up"), ("a", "d"), ("s", "w"))
# Seconds for which an arrow is held until it has its full strength.
_RISE = 0.3


def idle_action(env):
    """The action of a player who presses nothing.

    It is `env.idle_action`, or, for a Box, the number nearest to 0 on each axis; None where there is none.
    """
    if env.idle_action is not None:
        return env.idle_action
    space = env.action_space
    return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high) if is_box(space) else None


def is_box(space):
    return isinstance(space, gymnasium.spaces.Box)


def has_places(env):
    """Whether a click in the picture stands for an action."""
    return type(env).action_at is not Environment.action_at


def controls(env, fps):
    """What turns a person's keys and clicks into actions of an environment.

    Args:
        env: an `Environment`.
        fps: steps per second; 0 if each step waits for a key or a click.
    Returns:
        An object with `feed(event)`, which takes an `Event`; `action(game)`, the action of the next step, or None to
        wait; `clear()`; and `help`, a list of (keys, what they do).
    Raises:
        ValueError: for an action space that keys cannot play.
    """
    if fps and is_box(env.action_space):
        return Sticks(env, fps)
    return Buttons(env, fps)


class Buttons:
    """Keys, each of which stands for an action, and places of the picture that do.

    With `fps` 0 each press is one step. Otherwise keys act for as long as they are held; with none held the idle action
    is taken, or the last one again where there is no idle action.
    """

    def __init__(self, env, fps):
        self._env, self._waits = env, not fps
        self._actions = {frozenset(keys): action for keys, action in _keys(env).items()}
        for arrow, letter in _arrows(set().union(*self._actions)).items():
            if frozenset([letter]) in self._actions:
                self._actions.setdefault(frozenset([arrow]), self._actions[frozenset([letter])])
        self._idle = idle_action(env)
        self.clear()
        names = {action: name for action, name in action_names(env).items() if _is_integer(action)}
        self.help = [(" + ".join(sorted(keys)), _shown(action, names)) for keys, action in self._actions.items()] + (
            [("mouse", "a click, or a drag, in the picture")] if has_places(env) else []
        )

    def clear(self):
        """Forgets what is held."""
        self._held, self._fresh, self._last = [], [], None

    def feed(self, event):
        if event.kind == "down":
            self._held = [key for key in self._held if key != event.key] + [event.key]
            self._fresh.append(self._chosen(self._held))
        elif event.kind == "up":
            self._held = [key for key in self._held if key != event.key]
        elif event.kind in ("click", "drag") and has_places(self._env):
            self._fresh.append(self._env.action_at(*event.place))

    def action(self, game):
        pressed = [action for action in self._fresh if action is not None]
        if self._waits:
            self._fresh = pressed[1:]
            return pressed[0] if pressed else None
        self._fresh = []
        # What was pressed and released since the last step counts too.
        action = self._chosen(self._held)
        action = pressed[-1] if action is None and pressed else action
        if action is None:
            action = self._last if self._idle is None else self._idle
        self._last = action
        return action

    def _chosen(self, held):
        """The action of the most keys that are held together; of those, the one pressed last."""
        found = [keys for keys in self._actions if keys <= set(held)]
        if not found:
            return None
        return self._actions[max(found, key=lambda keys: (len(keys), max(map(held.index, keys))))]


class Sticks:
    """Axes of a Box: arrows gain strength while they are held, and letters have it at once."""

    def __init__(self, env, fps):
        self._space, self._idle = env.action_space, np.asarray(idle_action(env), np.float64)
        self._ways = {
            key: np.asarray(action, np.float64) - self._idle for key, action in _ways(env, self._idle).items()
        }
        self._rate = min(1.0, 1.0 / (_RISE * fps))
        self.clear()
        self.help = [
            (key, _shown(np.asarray(self._idle + way, self._space.dtype), {})) for key, way in self._ways.items()
        ]

    def clear(self):
        """Forgets what is held, and how strongly."""
        self._held, self._fresh = set(), set()
        self._strength = dict.fromkeys(self._ways, 0.0)

    def feed(self, event):
        if event.kind == "down" and event.key in self._ways:
            self._held.add(event.key)
            self._fresh.add(event.key)
        elif event.kind == "up":
            self._held.discard(event.key)

    def action(self, game):
        pressed, self._fresh = self._held | self._fresh, set()
        for key, strength in self._strength.items():
            change = self._rate if key in ARROWS else 1.0
            self._strength[key] = min(max(strength + (change if key in pressed else -change), 0.0), 1.0)
        moved = self._idle + sum(strength * self._ways[key] for key, strength in self._strength.items())
        low, high = (np.nan_to_num(end, posinf=1e30, neginf=-1e30) for end in (self._space.low, self._space.high))
        if self._space.dtype.kind in "iu":
            moved = np.rint(moved)
        return np.clip(moved, low, high).astype(self._space.dtype)


def combined_keys(env):
    """`env.keys_to_action` for `gymnasium.utils.play`: also for no key and, of a Box, for several keys at once."""
    keys, idle = dict(env.keys_to_action), idle_action(env)
    if not keys or idle is None:
        return keys
    single = {key: action for key, action in keys.items() if len(key) == 1}
    if is_box(env.action_space):
        for count in range(2, len(single) + 1):
            for several in itertools.combinations(sorted(single), count):
                keys.setdefault("".join(several), _sum(env.action_space, idle, [single[key] for key in several]))
    return {"": idle, **keys}


def action_names(env):
    """{action: what it does} by the tables of actions in the docstrings of the class and its bases, for integers."""
    rows = [row for owner in reversed(type(env).__mro__) for row in tables_of(owner).get("action", [])]
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdigit() and row[1]}


def _sum(space, idle, actions):
    moved = np.asarray(idle, np.float64) + sum(np.asarray(action, np.float64) - idle for action in actions)
    return np.clip(moved, space.low, space.high).astype(space.dtype)


def _keys(env):
    """{keys: action}: those of the environment, or the digits for a Discrete space that has none."""
    if env.keys_to_action or has_places(env):
        return {tuple(keys): action for keys, action in env.keys_to_action.items() if len(keys)}
    space, name = env.action_space, type(env).__name__
    if isinstance(space, gymnasium.spaces.Discrete) and space.n <= 9:
        return {(str(index + 1),): int(space.start) + index for index in range(int(space.n))}
    raise ValueError(f"{name} has the actions {space}, which need keys: give the class its own keys_to_action")


def _ways(env, idle):
    """{key: the action of a key held for long}, arrows included."""
    own = {key: action for key, action in env.keys_to_action.items() if len(key) == 1}
    if own:
        return {**own, **{arrow: own[letter] for arrow, letter in _arrows(own).items()}}
    space = env.action_space
    if len(space.shape) != 1 or space.shape[0] > len(_AXES):
        raise ValueError(f"{type(env).__name__} has the actions {space}: keys play up to {len(_AXES)} axes of one row")
    ways = {}
    for axis, keys in zip(range(space.shape[0]), _AXES, strict=False):
        for key, end in zip(keys, (space.low, space.high), strict=True):
            full = end[axis] if np.isfinite(end[axis]) else np.sign(end[axis])
            ways[key] = np.where(np.arange(space.shape[0]) == axis, full, idle)
    return ways


def _arrows(keys):
    """{arrow: letter} of the letters that are there, where they stand for directions: "a" and "d" are among them."""
    directions = {"a", "d"} <= set(keys)
    return {arrow: letter for arrow, letter in ARROWS.items() if directions and letter in keys}


def _is_integer(action):
    return isinstance(action, int | np.integer)


def _shown(action, names):
    if _is_integer(action):
        return f"{action}: {names[action]}" if action in names else str(action)
    return np.array2string(np.asarray(action), precision=3, separator=", ")
