"""One environment as an ordinary `gymnasium.Env`; `gymnasium.make("jaxenvs/HeartPole-v0")` makes one.

A step is one call of a jitted function with one array of words as input (state, draws and action) and one as output
(state, observation, reward and terminated). Random numbers are drawn ahead, for hundreds of steps at a time.
"""

import functools
from collections import deque

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded

from jaxenvs.bridges.packing import Packing
from jaxenvs.core import Environment, has_split
from jaxenvs.registry import make, time_limit
from jaxenvs.spaces import sample

_STEPS_AHEAD = 256
_STARTS_AHEAD = 32
_LOG_LINES = 10_000


class GymnasiumEnv(gymnasium.Env):
    """A `jaxenvs.Environment` behind Gymnasium's interface; it never resets itself.

    Args:
        env_id: a registered id, or an `Environment`.
        render_mode: None, "rgb_array", or "ansi" where the environment defines `describe`; `gymnasium.make` adds
            "human" and "rgb_array_list".
        device: "cpu", "gpu", "tpu" or a `jax.Device`; one environment gains nothing from an accelerator.
        constants: constants of the environment that differ from its defaults.

    `reset(options={"state": ...})` starts from a given state: a mapping of the state's field names to numbers,
    or a full state; missing fields are taken from a random start.

    >>> import gymnasium, jaxenvs
    >>> env = gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=0.3)
    >>> obs, info = env.reset(seed=0)
    >>> obs, reward, terminated, truncated, info = env.step(1)
    >>> obs.shape, terminated, truncated
    ((6,), False, False)
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, env_id, *, render_mode=None, device="cpu", **constants):
        self.env = env_id.replace(**constants) if isinstance(env_id, Environment) else make(env_id, **constants)
        modes = _render_modes(type(self.env))
        if render_mode is not None and render_mode not in modes:
            raise ValueError(
                f"{type(self.env).__name__}: render_mode must be one of {[None, *modes]}, got {render_mode!r}"
            )
        self.metadata = {"render_modes": modes, "render_fps": self.env.render_fps}
        self.render_mode = render_mode
        self.observation_space = self.env.observation_space
        self.action_space = self.env.action_space
        self._device = device
        self._build()
        self._starts = iter(())
        self._rows, self._row = self._blank_rows(), 0
        self._out = np.zeros(self._program.outputs, np.uint32)
        self._running = False
        self._log = deque(maxlen=_LOG_LINES)

    def _build(self):
        self._program = _program(self.env, self._device)
        self._observation = _observation_reader(self.observation_space, self._program)
        self._write_action = _action_writer(self.action_space, self._program)

    def reset(self, *, seed=None, options=None):
        """Starts an episode; see `gymnasium.Env.reset`.

        Raises:
            ValueError: for an option other than "state", or a state that does not fit.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._starts, self._rows, self._row = iter(()), self._blank_rows(), 0
        out = self._next_start()
        if options:
            out = self._started_from(out, options)
        self._out = out
        self._running = True
        self._log.clear()
        return self._observation(out), {}

    def step(self, action):
        """Makes one transition; see `gymnasium.Env.step`.

        Raises:
            InvalidAction: for an action outside the space; the state does not change.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        if not self._running:
            raise ResetNeeded("step() needs a reset() first: no episode is running")
        if self._row == len(self._rows):
            self._rows, self._row = self._more_rows(), 0
        words, program = self._rows[self._row], self._program
        self._write_action(words, action)
        self._row += 1
        words[program.state_slice] = self._out[program.state_slice]
        self._out = out = np.asarray(program.step(words))
        terminated = out.item(-1) != 0
        self._running = not terminated
        if self.render_mode == "ansi":
            self._log.append(self.env.describe(self.state))
        return self._observation(out), out.view(np.float32).item(-2), terminated, False, {}

    @property
    def state(self):
        """The environment's state, as NumPy arrays."""
        return self._program.states.unpack_host(self._out[self._program.state_slice])

    def render(self):
        """A picture, uint8[height, width, 3], or the log since the last call; None without a `render_mode`."""
        if self.render_mode == "ansi":
            text = "".join(self._log)
            self._log.clear()
            return text
        if self.render_mode == "rgb_array":
            return self.env.render(self.state)
        return None

    def get_keys_to_action(self):
        """The keyboard keys to play it, for `gymnasium.utils.play`."""
        return dict(self.env.keys_to_action)

    def _next_start(self):
        """u32[states + observations]: the next of the starts that were computed ahead."""
        row = next(self._starts, None)
        if row is None:
            self._starts = iter(self._program.starts_ahead(self._key()))
            row = next(self._starts)
        return row

    def _blank_rows(self):
        return np.zeros((0, self._program.words), np.uint32)

    def _more_rows(self):
        """u32[_STEPS_AHEAD, words]: the input of the next steps, with their draws filled in."""
        rows = np.zeros((_STEPS_AHEAD, self._program.words), np.uint32)
        if self._program.draws.size:
            rows[:, self._program.draw_slice] = self._program.draws_ahead(self._key())
        return rows

    def _key(self):
        return np.uint32(self.np_random.integers(2**32, dtype=np.uint32))

    def _started_from(self, out, options):
        if unknown := options.keys() - {"state"}:
            raise ValueError(f"reset(options=...) accepts only 'state', got {min(unknown)!r}")
        states = self._program.states
        state = states.unpack_host(out[: states.size])
        given = options["state"]._asdict() if hasattr(options["state"], "_asdict") else dict(options["state"])
        if unknown := given.keys() - set(state._fields):
            raise ValueError(f"a state has the fields {', '.join(state._fields)}; got {min(unknown)!r}")
        fields = {name: _like(name, value, getattr(state, name)) for name, value in given.items()}
        return np.asarray(self._program.observe(state._replace(**fields)))

    def __getstate__(self):
        kept = {k: v for k, v in self.__dict__.items() if k not in ("_program", "_observation", "_write_action")}
        return {**kept, "_starts": list(self._starts), "_device": str(self._device)}

    def __setstate__(self, kept):
        self.__dict__.update(kept)
        self._starts = iter(kept["_starts"])
        self._build()


def make_with_time_limit(env_id, **options):
    """`GymnasiumEnv` in Gymnasium's own `TimeLimit`, for ids whose class was unknown when they were registered."""
    env, limit = GymnasiumEnv(env_id, **options), time_limit(env_id)
    return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)


def _render_modes(cls):
    defined = {"rgb_array": "render", "ansi": "describe"}
    return [mode for mode, name in defined.items() if getattr(cls, name) is not getattr(Environment, name)]


def _like(name, value, old):
    value = np.asarray(value, old.dtype)
    if value.shape != old.shape:
        raise ValueError(f"state.{name} must have the shape {old.shape}, got {value.shape}")
    return value


@functools.lru_cache(maxsize=64)
def _program(env, device):
    return _Program(env, device)


class _Program:
    """The jitted functions of one environment on one device; environments with equal constants share them."""

    def __init__(self, env, device):
        self.env = env
        key = jax.random.key(0)
        state, obs = jax.eval_shape(env.reset, key)
        action = jax.eval_shape(lambda: sample(env.action_space, key))
        self.states, self.observations, self.actions = Packing(state), Packing(obs), Packing(action)
        start_draws, draws = (
            jax.eval_shape(lambda: self._start_draws(key, ())),
            jax.eval_shape(lambda: self._step_draws(key, ())),
        )
        self.start_draws, self.draws = Packing(start_draws), Packing(draws)
        first = self.states.size
        self.state_slice = slice(0, first)
        self.observation_slice = slice(first, first + self.observations.size)
        #: Words of a step's input (state, draws, action) and output (state, observation, reward, terminated).
        self.words, self.outputs = first + self.draws.size + self.actions.size, first + self.observations.size + 2
        self.draw_slice = slice(first, first + self.draws.size)
        self.action_slice = slice(self.draw_slice.stop, self.draw_slice.stop + self.actions.size)
        where = jax.sharding.SingleDeviceSharding(jax.devices(device)[0] if isinstance(device, str) else device)
        placed = functools.partial(jax.jit, in_shardings=where, out_shardings=where)
        self.starts, self.step, self.observe = placed(self._starts), placed(self._step), placed(self._observe)
        self._ahead = jax.jit(self._drawn, static_argnums=(1, 2))

    def starts_ahead(self, seed):
        """u32[_STARTS_AHEAD, states + observations] of starts."""
        rows = np.zeros((_STARTS_AHEAD, 0), np.uint32)
        if self.start_draws.size:
            rows = self.start_draws.pack_rows(self._ahead(seed, "reset", _STARTS_AHEAD))
        return np.asarray(self.starts(rows))

    def draws_ahead(self, seed):
        """u32[_STEPS_AHEAD, words] of step draws."""
        return self.draws.pack_rows(self._ahead(seed, "step", _STEPS_AHEAD))

    def _drawn(self, seed, what, count):
        draw = self._start_draws if what == "reset" else self._step_draws
        return draw(jax.random.key(seed), (count,))

    def _start_draws(self, key, shape):
        return self.env.draw_start(key, shape) if has_split(self.env, "reset") else _key_data(key, shape)

    def _step_draws(self, key, shape):
        return self.env.draw(key, shape) if has_split(self.env, "step") else _key_data(key, shape)

    def _starts(self, rows):
        return jax.vmap(self._start)(rows)

    def _start(self, words):
        draws = self.start_draws.unpack(words)
        split = has_split(self.env, "reset")
        state, obs = self.env.start(draws) if split else self.env.reset(jax.random.wrap_key_data(draws))
        return jnp.concatenate([self.states.pack(state), self.observations.pack(obs)])

    def _observe(self, state):
        return jnp.concatenate([self.states.pack(state), self.observations.pack(self.env.observe(state))])

    def _step(self, words):
        state = self.states.unpack(words[: self.states.size])
        draws = self.draws.unpack(words[self.draw_slice])
        action = self.actions.unpack(words[self.action_slice])
        if has_split(self.env, "step"):
            state, step = self.env.transition(state, action, draws)
        else:
            state, step = self.env.step(jax.random.wrap_key_data(draws), state, action)
        ending = Packing((step.reward, step.terminated)).pack((step.reward, step.terminated))
        return jnp.concatenate([self.states.pack(state), self.observations.pack(step.obs), ending])


def _key_data(key, shape):
    return jax.random.key_data(jax.random.split(key, shape) if shape else key)


def _observation_reader(space, program):
    """A function that reads an observation, as the space declares it, from the output words."""
    at, packing = program.observation_slice, program.observations
    if isinstance(space, spaces.Box) and space.dtype.itemsize == 4:
        shape, dtype = space.shape, space.dtype
        if len(shape) == 1:
            return lambda out: out[at].view(dtype).copy()
        return lambda out: out[at].view(dtype).reshape(shape).copy()
    if isinstance(space, spaces.Discrete):
        return lambda out: np.int64(out.view(np.int32)[at.start])
    return lambda out: _as_declared(space, packing.unpack_host(out[at]))


def _as_declared(space, value):
    match space:
        case spaces.Dict():
            return {name: _as_declared(part, value[name]) for name, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(_as_declared(part, item) for part, item in zip(space.spaces, value, strict=True))
        case spaces.Discrete():
            return np.int64(value)
    return value.astype(space.dtype)


def _action_writer(space, program):
    """A function that checks an action and writes it into the input words."""
    at = program.action_slice
    match space:
        case spaces.Discrete():
            return functools.partial(_write_choice, space, int(space.start), int(space.start + space.n), at.start)
        case spaces.Box() if space.dtype in (np.float32, np.int32):
            low, high = space.low.ravel().tolist(), space.high.ravel().tolist()
            kinds = "fiu" if space.dtype == np.float32 else "iu"
            return functools.partial(_write_numbers, space, kinds, low, high, at)
    return functools.partial(_write_any, space, program.actions, at)


def _write_choice(space, first, end, at, words, action):
    try:
        index = action.__index__()
    except (AttributeError, TypeError):
        raise _refused(space, action) from None
    if not first <= index < end or isinstance(action, bool | np.bool_):
        raise _refused(space, action)
    words[at] = index & 0xFFFFFFFF


def _write_numbers(space, kinds, low, high, at, words, action):
    array = np.asarray(action)
    if array.shape != space.shape or array.dtype.kind not in kinds:
        raise _refused(space, action)
    numbers = array.ravel().tolist()
    # Plain comparisons are faster than NumPy's up to a few dozen numbers; NaN fails them.
    for number, least, greatest in zip(numbers, low, high, strict=True):
        if not least <= number <= greatest:
            raise _refused(space, action)
    words.view(space.dtype)[at] = numbers


def _write_any(space, packing, at, words, action):
    if not space.contains(action):
        raise _refused(space, action)
    words[at] = packing.pack_rows(jax.tree.map(lambda x: np.asarray(x)[None], action))[0]


def _refused(space, action):
    return InvalidAction(f"an action must be in {space}, got {action!r} ({type(action).__name__})")
