"""One environment as an ordinary `gymnasium.Env`; `gymnasium.make("jaxenvs/HeartPole-v0")` makes one.

A step is one call of a jitted function with one array of words as input (state, draws, action and constants) and one as
output (state, observation, reward and terminated). Random numbers are drawn ahead, for hundreds of steps at a time.
"""

from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium.error import ResetNeeded

from jaxenvs.bridges.gymnasium_checks import (
    check_process,
    checked_mode,
    checked_options,
    checked_seed,
    given_state,
    is_forked,
)
from jaxenvs.bridges.gymnasium_constants import ConstantAttributes, refuse_meant
from jaxenvs.bridges.gymnasium_io import action_writer, info_reader, observation_reader
from jaxenvs.bridges.gymnasium_program import program_of
from jaxenvs.bridges.gymnasium_stepping import Stepping
from jaxenvs.controls import combined_keys
from jaxenvs.core import Environment
from jaxenvs.registry import make, time_limit
from jaxenvs.render.window import Window, missing


class GymnasiumEnv(ConstantAttributes, gymnasium.Env):
    """A `jaxenvs.Environment` behind Gymnasium's interface; it never resets itself.

    Args:
        env_id: a registered id, or an `Environment`.
        render_mode: None, "rgb_array" or "human" where the environment defines `render`, "ansi" where it defines
            `describe`; `gymnasium.make` adds "rgb_array_list".
        device: "cpu", "gpu", "tpu" or a `jax.Device`; one environment gains nothing from an accelerator.
        constants: constants of the environment that differ from its defaults.

    `reset(options={"state": ...})` starts from a given state: a mapping of the state's field names to numbers,
    or a full state; missing fields are taken from a random start.

    Constants are attributes too: `env.unwrapped.gravity` reads one, and `env.unwrapped.gravity = 3.7` sets it from the
    next step on, checked as at construction. A change of a static one ends the episode. `info` has the state's
    `info_fields`, such as HeartPole's `heart_attack`.

    >>> import gymnasium, jaxenvs
    >>> env = gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=0.3)
    >>> obs, info = env.reset(seed=0)
    >>> obs, reward, terminated, truncated, info = env.step(1)
    >>> obs.shape, terminated, truncated, info
    ((6,), False, False, {'heart_attack': False})
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, env_id, *, render_mode=None, device="cpu", **constants):
        self.env = env_id.replace(**constants) if isinstance(env_id, Environment) else make(env_id, **constants)
        modes = _render_modes(type(self.env))
        checked_mode(self.env, render_mode, modes)
        self.metadata = {"render_modes": modes, "render_fps": self.env.render_fps}
        self.render_mode = render_mode
        self._device = device
        self._now = Stepping()
        self._build()
        problem = missing() if render_mode == "human" else None
        self._draws = render_mode == "human" and problem is None
        self._now.shown = self._draws or render_mode == "ansi"
        if problem:
            gymnasium.logger.warn(f"render_mode='human' shows nothing: {problem}")

    def _build(self):
        self.observation_space, self.action_space = self.env.observation_space, self.env.action_space
        self._window: Any = None
        # Nothing can be compiled in a forked process, and the reset to come says so.
        if is_forked():
            return
        now, program = self._now, program_of(self.env, self._device)
        now.program, now.compiled, now.state_slice = program, program.step, program.state_slice
        now.observation = observation_reader(self.observation_space, program)
        now.write_action = action_writer(self.action_space, program)
        now.info = info_reader(self.env.info_fields, program)

    @property
    def _program(self):
        return self._now.program

    def reset(self, *, seed=None, options=None):
        """Starts an episode; see `gymnasium.Env.reset`.

        Raises:
            TypeError, ValueError: for an option other than "state", or a state or a seed that does not fit.
            RuntimeError: in a process that was forked after JAX had started.
        """
        check_process()
        options = checked_options(options, ("state",))
        super().reset(seed=checked_seed(seed))
        now = self._now
        if seed is not None:
            now.forget_draws()
        out = self._next_start()
        if options:
            out = self._started_from(out, options)
        now.out, now.running = out, True
        now.log.clear()
        self._show()
        return now.observation(out, out.view(np.float32)), {}

    def step(self, action):
        """Makes one transition; see `gymnasium.Env.step`.

        Raises:
            InvalidAction: for an action outside the space; the state does not change. What is outside a Box of floats
                by at most a thousandth of its range is clipped.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        now = self._now
        if not now.running:
            raise ResetNeeded("step() needs a reset() first: no episode is running")
        if now.row == len(now.rows):
            check_process()
            now.rows, now.row = self._more_rows(), 0
        words, state = now.rows[now.row], now.state_slice
        now.write_action(words, action)
        now.row += 1
        words[state] = now.out[state]
        now.out = out = np.asarray(now.compiled(words))
        terminated = out.item(-1) != 0
        now.running = not terminated
        if now.shown:
            self._show()
        floats, info = out.view(np.float32), now.info(out) if now.info else {}
        return now.observation(out, floats), floats.item(-2), terminated, False, info

    @property
    def state(self):
        """The environment's state, as NumPy arrays.

        Raises:
            ResetNeeded: before the first reset.
        """
        if self._now.out is None:
            raise ResetNeeded("there is no state before the first reset()")
        return self._program.states.unpack_host(self._now.out[self._now.state_slice])

    def render(self):
        """A picture, uint8[height, width, 3], or the log since the last call, which begins with the start of the
        episode; None without a `render_mode`, and for "human"."""
        if self.render_mode == "ansi":
            text = "".join(self._now.log)
            self._now.log.clear()
            return text
        return self.env.render(self.state) if self.render_mode == "rgb_array" else None

    def close(self):
        """Closes the window of `render_mode="human"`."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def get_keys_to_action(self):
        """The keys to play it, alone and together, for `gymnasium.utils.play`."""
        return combined_keys(self.env)

    def set_wrapper_attr(self, name, value, *, force=True):
        """See `gymnasium.Env.set_wrapper_attr`; a constant is set as an attribute is.

        Raises:
            AttributeError: for Gymnasium's name of a constant that has another one here.
        """
        refuse_meant(self.env, name)
        return super().set_wrapper_attr(name, value, force=force)

    def _show(self):
        """Adds to the log, or draws in the window, what there is to see now."""
        if self.render_mode == "ansi":
            self._now.log.append(self.env.describe(self.state))
        elif self._draws:
            self._window = self._window or Window(f"{type(self.env).__name__} (jaxenvs)")
            self._window.show(self.env.render(self.state))
            self._window.events()
            self._window.wait(self.env.render_fps)

    def _constants_of(self):
        return self.__dict__.get("env")

    def _put_constants(self, **constants):
        before, now, window = self.env, self._now, self._window
        self.__dict__["env"] = self.env.replace(**constants)
        self._build()
        self._window = window
        now.forget_draws()
        if jax.tree.structure(before) != jax.tree.structure(self.env):
            now.out, now.running = None, False

    def _next_start(self):
        """u32[states + observations]: the next of the starts that were computed ahead."""
        row = next(self._now.starts, None)
        if row is None:
            self._now.starts = iter(self._program.starts_ahead(self.env, self._key()))
            row = next(self._now.starts)
        return row

    def _more_rows(self):
        return self._program.steps_ahead(self.env, self._key())

    def _key(self):
        return np.uint32(self.np_random.integers(2**32, dtype=np.uint32))

    def _started_from(self, out, options):
        program = self._program
        if type(self.env).observe is Environment.observe:
            raise ValueError(f"{type(self.env).__name__} does not define observe(state), which a given state needs")
        state = given_state(program.states.unpack_host(out[: program.states.size]), options["state"])
        return np.asarray(program.observe(state, program.packed_constants(self.env)))

    def __getstate__(self):
        return {**self.__dict__, "_device": str(self._device), "_window": None}

    def __setstate__(self, kept):
        self.__dict__.update(kept)
        self._build()


def make_with_time_limit(env_id, **options):
    """`GymnasiumEnv` in Gymnasium's own `TimeLimit`, for ids whose class was unknown when they were registered."""
    env, limit = GymnasiumEnv(env_id, **options), time_limit(env_id)
    return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)


def _render_modes(cls):
    defined = {"human": "render", "rgb_array": "render", "ansi": "describe"}
    return [mode for mode, name in defined.items() if getattr(cls, name) is not getattr(Environment, name)]
