"""`check_env`: sound environments pass, and each mistake of an author gets its own message."""

# The mistakes are on purpose, and pyright sees many of them:
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportArgumentType=false
# pyright: reportMissingImports=false, reportIncompatibleMethodOverride=false

import inspect
import pickle
import sys
import time
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jax.core import Tracer

import jaxenvs
from jaxenvs import Environment, Step, check_env, constant, static
from jaxenvs.check import _RULES as RULES
from jaxenvs.check import ContractError, Finding, Report, Skipped, rules
from jaxenvs.check.engine import examine
from jaxenvs.check.keys import recorded, reused, watched
from jaxenvs.check.probe import Probe, variant

# The words of a key, as jax.random.PRNGKey returns them.
RAW_KEY = np.array([0, 7], np.uint32)


class State(NamedTuple):
    position: Any
    steps: Any


class Slide(Environment):
    """A correct and complete one; the mistakes below override one part of it."""

    max_episode_steps = 50

    speed: float = constant(0.1, low=0.0, high=1.0)
    noise: float = 0.01
    bouncy: bool = False
    wind: tuple = constant((0.01, -0.02))
    pads: int = static(2)

    @property
    def observation_space(self):
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def reset(self, key):
        state = State(self.place(key), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key, state, action):
        after = self.moved(key, state, action)
        return after, Step(self.observe(after), self.pay(after), self.over(after))

    def place(self, key):
        return jax.random.uniform(key, minval=-0.5, maxval=0.5)

    def moved(self, key, state, action):
        return State(self.slid(key, state, action), state.steps + 1)

    def slid(self, key, state, action):
        push = self.speed * (action - 1).astype(jnp.float32) + jnp.sum(jnp.asarray(self.wind))
        push = jnp.where(self.bouncy, -push, push)
        return jnp.clip(state.position + push + self.noise * jax.random.normal(key), -1.0, 1.0)

    def observe(self, state):
        return jnp.stack([state.position, jnp.sin(state.position)])

    def pay(self, state):
        return -jnp.abs(state.position)

    def over(self, state):
        return jnp.abs(state.position) >= 1


class Drift(Environment):
    """A sound one, split where chance ends."""

    drag: float = constant(0.9, low=0.0, high=1.0)
    noise: float = 0.1

    observation_space = spaces.Dict({"place": spaces.Box(-np.inf, np.inf, (2,)), "day": spaces.Discrete(7)})
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def draw_start(self, key, shape=()):
        return jax.random.normal(key, (*shape, 2))

    def start(self, draws):
        state = {"place": self.noise * draws, "day": jnp.zeros((), jnp.int32)}
        return state, state

    def draw(self, key, shape=()):
        return jax.random.normal(key, (*shape, 2))

    def transition(self, state, action, draws):
        place = self.drag * state["place"] + jnp.clip(action, -1.0, 1.0) + self.noise * draws
        state = {"place": place, "day": (state["day"] + 1) % 7}
        return state, Step(state, -jnp.sum(place**2), jnp.bool_(False))


class Bandit(Environment):
    """A sound one without constants, state or time; its arms pay by chance."""

    observation_space = spaces.Discrete(1)
    action_space = spaces.MultiDiscrete([2, 3])

    def reset(self, key):
        return (), jnp.int32(0)

    def step(self, key, state, action):
        paid = jax.random.bernoulli(key, jnp.array([0.1, 0.9])[action[0]])
        return (), Step(jnp.int32(0), paid.astype(jnp.float32), jnp.bool_(True))


class Casino(Environment):
    """A sound one that draws in every way there is, and shows a picture."""

    luck: float = constant(0.5, low=0.0, high=1.0)
    table_edge: int = 3

    observation_space = spaces.Tuple((spaces.Box(0, 255, (4, 4, 3), np.uint8), spaces.MultiBinary(2)))
    action_space = spaces.Dict({"stake": spaces.Box(0, 9, (), np.int32), "cheat": spaces.MultiBinary(1)})

    def reset(self, key):
        pixels_key, bits_key = jax.random.split(key)
        pixels = jax.random.bits(pixels_key, (4, 4, 3), jnp.uint8)
        state = {"pixels": pixels, "bits": jax.random.bernoulli(bits_key, shape=(2,)).astype(jnp.int8)}
        return state, self.observe(state)

    def observe(self, state):
        return state["pixels"], state["bits"]

    def step(self, key, state, action):
        wheel_key, card_key, dice_key, rounds_key = jax.random.split(key, 4)
        wins = jax.random.bernoulli(wheel_key, self.luck).astype(jnp.float32)
        card = jax.random.categorical(card_key, jnp.zeros(5))
        dice = jax.vmap(jax.random.bits)(jax.random.split(dice_key, 2)).astype(jnp.int32) & 7

        def advance(total, i):
            return total + jax.random.normal(jax.random.fold_in(rounds_key, i)), None

        total, _ = jax.lax.scan(advance, wins, jnp.arange(3))
        pixels = state["pixels"].at[0, 0].set(jnp.append(dice, card).astype(jnp.uint8))
        state = {"pixels": pixels, "bits": (dice > self.table_edge).astype(jnp.int8)}
        reward = total * action["stake"].astype(jnp.float32)
        return state, Step(self.observe(state), reward, action["cheat"][0] > 0)

    def describe(self, state):
        return f"{state['bits']}\n"

    def render(self, state):
        return np.asarray(state["pixels"])


MISTAKES = []


def mistake(rule, found, fix, *, expected="", also=(), **constants):
    """Notes the class below as one that breaks a rule; `# here` marks the line that the finding has to name.

    Args:
        rule, found, fix, expected: what the finding has to say, each a part of its text.
        also: the other rules that the mistake breaks.
        constants: what the environment is made with.
    """

    def note(cls):
        MISTAKES.append(pytest.param(cls, constants, Finding(rule, found, expected, fix), also, id=cls.__name__))
        return cls

    return note


def marked_line(cls):
    """ "test_check.py:12" for the marked line of a class; empty without a mark."""
    lines, first = inspect.getsourcelines(cls)
    marked = [first + i for i, line in enumerate(lines) if line.rstrip().endswith("# here")]
    return f"test_check.py:{marked[0]}, in" if marked else ""


# The form of the class.


@mistake(
    "environment",
    "HasNoDefault() fails: TypeError: HasNoDefault needs a value for mass",
    "give every constant a default",
)
class HasNoDefault(Slide):
    mass: float


@mistake("environment", "must be a number", "with jaxenvs.static", expected="subclass of jaxenvs.Environment")
class HoldsAWord(Slide):
    colour: str = "red"


@mistake(
    "constants", "table is static and holds array", "a tuple instead of an array", expected="hashed", table=np.ones(2)
)
class HoldsAStaticArray(Slide):
    table: tuple = static(())


@mistake("constants", "__post_init__", "a property", expected="properties")
class DerivesAConstant(Slide):
    def __post_init__(self):
        object.__setattr__(self, "double", 2 * self.speed)


@mistake("constants", "speed has the shape (4,)", "a single member", expected="the shape ()", speed=np.full(4, 0.1))
class IsABatch(Slide):
    pass


@mistake("time-limit", "max_episode_steps is 0", "remove it for no limit", expected="at least 1")
class EndsAtOnce(Slide):
    max_episode_steps = 0


@mistake("time-limit", "max_episode_steps is 50.0", "max_episode_steps = 500", expected="an integer")
class EndsAtAFloat(Slide):
    max_episode_steps = 50.0


@mistake("methods", "step, draw and transition, the class defines none", "define step(self, key, state, action)")
class HasNoStep(Environment):
    observation_space = Slide.observation_space
    action_space = Slide.action_space
    reset = Slide.reset
    observe = Slide.observe
    place = Slide.place


@mistake(
    "methods", "the class defines draw", "define step(self, key, state, action)", expected="both draw and transition"
)
class HasHalfASplit(Environment):
    observation_space = Drift.observation_space
    action_space = Drift.action_space
    reset = Slide.reset

    def draw(self, key, shape=()):
        return jax.random.uniform(key, shape)


@mistake("methods", "step(self, state, action)", "def step(self, key, state, action)")
class TakesNoKey(Slide):
    def step(self, state, action):
        return state, action


@mistake("methods", "step(self, state, key, action)", "in this order", expected="step(self, key, state, action)")
class TakesTheStateFirst(Slide):
    def step(self, state, key, action):
        return state, action


@mistake("methods", "reset(self)", "def reset(self, key)")
class ResetsWithoutAKey(Slide):
    def reset(self):
        return State(0.0, 0), jnp.zeros(2)


@mistake("spaces", "the class does not define observation_space", "@property", expected="gymnasium.spaces Box")
class HasNoObservationSpace(Environment):
    action_space = spaces.Discrete(2)

    def reset(self, key):
        return (), jnp.zeros(2)

    def step(self, key, state, action):
        return (), Step(jnp.zeros(2), jnp.float32(0), jnp.bool_(False))


@mistake("spaces", "action_space is a method", "@property")
class ForgetsAProperty(Slide):
    def action_space(self):
        return spaces.Discrete(3)


@mistake("spaces", "of the type tuple", "return such a space", expected="Box, Discrete")
class HasATupleForASpace(Slide):
    action_space = (0, 1, 2)


@mistake("spaces", "Text", "pad to a fixed size", expected="Box, Discrete")
class ObservesText(Slide):
    observation_space = spaces.Text(10)


@mistake("spaces", "NumPy is applied to a traced value", "declare the constant that they depend on with static")
class HasATracedActionSpace(Slide):
    @property
    def action_space(self):
        return spaces.Box(-np.float32(self.speed), np.float32(self.speed), (1,))  # here


# What goes wrong while reset and step are traced.


@mistake("reset-runs", "`if position > 0:", "jnp.where(condition, a, b)", expected="runs under jax.jit")
class BranchesInReset(Slide):
    def place(self, key):
        position = jax.random.uniform(key)
        if position > 0:  # here
            position = position - 1
        return position


@mistake("reset-runs", "reset", "arrays only")
class ReturnsAWord(Slide):
    def reset(self, key):
        return State(jnp.zeros(()), "start"), jnp.zeros(2)


@mistake("step-runs", "Python needs the truth value of a traced value", "jnp.where(condition, a, b)")
class BranchesOnTheAction(Slide):
    def slid(self, key, state, action):
        if action == 1:  # here
            return state.position
        return state.position + 0.1


@mistake("step-runs", "Python needs the truth value of a traced value", "&, | and ~")
class JoinsWithAnd(Slide):
    def over(self, state):
        return state.position > 0.9 and state.steps > 3  # here


@mistake("step-runs", "Python needs the truth value of a traced value", "static(...)")
class BranchesOnAConstant(Slide):
    def pay(self, state):
        return -state.position if self.bouncy else state.position  # here


@mistake("step-runs", "NumPy is applied to a traced value", "jax.numpy (jnp)")
class UsesNumPy(Slide):
    def pay(self, state):
        return np.clip(np.asarray(state.position), -1, 1)  # here


@mistake("step-runs", "a NumPy random generator gets a traced value", "jax.random")
class DrawsWithNumPyAroundATracer(Slide):
    def pay(self, state):
        return np.random.normal(state.position)  # here


@mistake("step-runs", "Python needs the number", "keep it an array")
class MakesAFloat(Slide):
    def pay(self, state):
        return float(state.position)  # here


@mistake("step-runs", "Python needs the number", "static(...)")
class LoopsOverATracedRange(Slide):
    def pay(self, state):
        return sum(state.position for _ in range(state.steps))  # here


@mistake("step-runs", "the size of an array comes from a traced value", "static(...)")
class HasATracedSize(Slide):
    rows: int = 3

    def pay(self, state):
        return jnp.zeros(self.rows).sum() - state.position  # here


@mistake("step-runs", "indexed with a traced mask", "jnp.where(mask, a, b)")
class IndexesWithAMask(Slide):
    def pay(self, state):
        both = self.observe(state)
        return both[both > 0].sum()  # here


@mistake("step-runs", "the environment is assigned to", "env.replace")
class AssignsToSelf(Slide):
    def pay(self, state):
        self.speed = 2.0  # here
        return state.position


@mistake("step-runs", "a field is assigned to in place", "state._replace")
class AssignsToTheState(Slide):
    def moved(self, key, state, action):
        state.position = state.position + 1.0  # here
        return state


@mistake("step-runs", "changed in place", ".at[index].set(value)")
class AssignsToAnElement(Slide):
    def pay(self, state):
        both = jnp.zeros(2)
        both[0] = state.position  # here
        return both.sum()


@mistake("step-runs", "the environment has no attribute", "as a constant")
class LacksAConstant(Slide):
    def pay(self, state):
        return -self.gravity * state.position  # here


@mistake("step-runs", "ZeroDivisionError: division by zero", "fix this line")
class DividesByZero(Slide):
    def pay(self, state):
        return state.position * (1 / 0)  # here


# What reset and step return.


@mistake("reset-returns", "reset returns None", "return state, obs")
class ForgetsToReturn(Slide):
    def reset(self, key):
        State(self.place(key), 0)


@mistake("reset-returns", "State(position, steps)", "return state, obs", expected="(state, obs)")
class ReturnsTheStateAlone(Slide):
    def reset(self, key):
        return State(self.place(key), jnp.zeros((), jnp.int32))


@mistake("reset-returns", "Gymnasium's (obs, info)", "no info dict")
class ReturnsAnInfo(Slide):
    def reset(self, key):
        return jnp.zeros(2), {}


@mistake("reset-returns", "(float32[2], State(position, steps))", "the state first")
class ReturnsTheObservationFirst(Slide):
    def reset(self, key):
        state, obs = Slide.reset(self, key)
        return obs, state


@mistake("step-returns", "step returns None", "Step(obs, reward, terminated)")
class StepForgetsToReturn(Slide):
    def step(self, key, state, action):
        self.moved(key, state, action)


@mistake("step-returns", "Gymnasium's or Gym's", "VectorEnv adds truncation")
class ReturnsFive(Slide):
    def step(self, key, state, action):
        return self.observe(state), self.pay(state), self.over(state), False, {}


@mistake("step-returns", "second element is a tuple of 3", "jaxenvs.Step(obs, reward, terminated)")
class ReturnsAPlainTuple(Slide):
    def step(self, key, state, action):
        return state, (self.observe(state), self.pay(state), self.over(state))


@mistake("step-returns", "(Step, state)", "the state comes first")
class ReturnsTheStepFirst(Slide):
    def step(self, key, state, action):
        return Slide.step(self, key, state, action)[::-1]


@mistake("step-returns", "a tuple of 3", "jaxenvs.Step(obs, reward, terminated)")
class ReturnsThree(Slide):
    def step(self, key, state, action):
        return state, self.observe(state), self.pay(state)


# The types of what is returned.


@mistake("state-arrays", "state.steps is a key", "remove the key from the state")
class KeepsAKey(Slide):
    def reset(self, key):
        state = State(self.place(key), key)
        return state, self.observe(state)

    def moved(self, key, state, action):
        return State(self.slid(key, state, action), key)


@mistake("state-arrays", "state['rng'] is a key, uint32[2]", "remove the key")
class KeepsARawKey(Drift):
    def start(self, draws):
        state, obs = Drift.start(self, draws)
        return {**state, "rng": jax.random.key_data(jax.random.key(1))}, obs

    def transition(self, state, action, draws):
        after, step = Drift.transition(self, state, action, draws)
        return {**after, "rng": state["rng"]}, step


@mistake("state-types", "state.steps is int32[] after reset, float32[] after step", "x.astype(jnp.int32)")
class DriftsInDtype(Slide):
    def moved(self, key, state, action):
        return State(self.slid(key, state, action), state.steps.astype(jnp.float32) + 0.5)


@mistake("state-types", "state.position is weakly typed float32[] after reset", "jnp.float32(x)")
class DriftsInWeakType(Slide):
    def reset(self, key):
        state = State(0.0, jnp.zeros((), jnp.int32))
        return state, jnp.zeros(2)


@mistake(
    "state-types",
    "state.position is float32[] after reset, float32[1] after step",
    "the same structure and shapes in both",
)
class DriftsInShape(Slide):
    def slid(self, key, state, action):
        return jnp.reshape(state.position, (1,))

    def observe(self, state):
        return jnp.repeat(state.position, 2)

    def pay(self, state):
        return jnp.sum(state.position)

    def over(self, state):
        return jnp.any(state.position > 1)


@mistake("state-types", "a dict with the keys ['day', 'place'] after reset", "the same structure")
class LosesAField(Drift):
    def transition(self, state, action, draws):
        after, step = Drift.transition(self, state, action, draws)
        return {"place": after["place"]}, step


@mistake(
    "state-types",
    "with constants that are arrays, as in a batch, state.position is bfloat16[]",
    "x.astype(jnp.bfloat16)",
)
class DriftsWithArrayConstants(Slide):
    def place(self, key):
        return jax.random.uniform(key).astype(jnp.bfloat16)

    def slid(self, key, state, action):
        with jax.numpy_dtype_promotion("standard"):
            return state.position + 0 * self.noise

    def observe(self, state):
        return jnp.zeros(2) + state.position.astype(jnp.float32)

    def pay(self, state):
        return state.position.astype(jnp.float32)


@mistake("observation-types", "reset: obs is int32[2]", "jnp.asarray", expected="float32[2]")
class ObservesIntegers(Slide):
    def observe(self, state):
        return jnp.stack([state.steps, state.steps])


@mistake("observation-types", "step: obs is float32[1,2]", "change the space", expected="float32[2]")
class ObservesARow(Slide):
    def step(self, key, state, action):
        after, step = Slide.step(self, key, state, action)
        return after, step._replace(obs=step.obs[None])


@mistake("observation-types", "a dict with the keys ['place']", "change the space", expected="['day', 'place']")
class ObservesLess(Drift):
    def start(self, draws):
        state, obs = Drift.start(self, draws)
        return state, {"place": obs["place"]}


@mistake(
    "observation-types", "obs is weakly typed float32[] from reset", "in both methods", expected="the same from both"
)
class ObservesWeakly(Drift):
    observation_space = spaces.Box(-1.0, 1.0, ())

    def start(self, draws):
        return Drift.start(self, draws)[0], 0.0

    def transition(self, state, action, draws):
        after, step = Drift.transition(self, state, action, draws)
        return after, step._replace(obs=jnp.float32(0))


@mistake("reward", "Step.reward is int32[]", "jnp.float32(x)", expected="float32[]")
class PaysIntegers(Slide):
    def pay(self, state):
        return state.steps


@mistake("reward", "Step.reward is float32[2]", "jnp.sum")
class PaysAnArray(Slide):
    def pay(self, state):
        return self.observe(state)


@mistake("terminated", "Step.terminated is int32[]", "a comparison", expected="bool[]")
class EndsWithAnInteger(Slide):
    def over(self, state):
        return jnp.int32(0)


@mistake("terminated", "Step.terminated is bool[2]", "jnp.any")
class EndsWithAnArray(Slide):
    def over(self, state):
        return self.observe(state) > 2


# Chance.

LOG = []
KEY = None


@mistake("no-leaks", "step leaves a traced value behind, in test_check.LOG", "keep nothing in globals")
class GrowsALog(Slide):
    def pay(self, state):
        LOG.append(state.position)
        return -state.position


@mistake("no-host-calls", "step calls Python at every step (", "remove debugging prints")
class PrintsEachStep(Slide):
    def pay(self, state):
        jax.debug.callback(lambda position: None, state.position)  # here
        return -state.position


@mistake("keys-from-argument", "step makes a key, the same at every call", "use the method's key")
class MakesItsOwnKey(Slide):
    def slid(self, key, state, action):
        return 0.9 * state.position + 0.01 * jax.random.uniform(jax.random.key(0))  # here


@mistake("keys-from-argument", "reset uses a key that was made outside of it", "use the method's key")
class UsesAnOutsideKey(Slide):
    def place(self, key):
        return jax.random.uniform(KEY)


@mistake("keys-from-argument", "reset makes a key, the same at every call", "use the method's key")
class UsesAnOutsideRawKey(Slide):
    def place(self, key):
        return jax.random.uniform(key) / 4 + jax.random.uniform(jax.random.fold_in(RAW_KEY, 3)) / 4  # here


@mistake("keys-from-argument", "reset makes a key, the same at every call", "use the method's key")
class MakesAKeyOfAnOutsideSeed(Slide):
    def place(self, key):
        goal_key = jax.random.key(jnp.asarray(RAW_KEY)[1])  # here
        return jax.random.uniform(key) / 4 + jax.random.uniform(goal_key) / 4


@mistake("deterministic", "reset's", "never from np.random", expected="bit for bit")
class DrawsWithNumPy(Slide):
    def place(self, key):
        return jax.random.uniform(key) / 4 + np.float32(np.random.uniform(0, 0.25))


@mistake("deterministic", "step's", "time", expected="bit for bit")
class ReadsTheClock(Slide):
    def pay(self, state):
        return jnp.float32(time.perf_counter() % 1.0) * state.position


@mistake("deterministic", "step changes the state it is given", "{**state, 'name': value}")
class ChangesTheDict(Drift):
    def transition(self, state, action, draws):
        after, step = Drift.transition(self, state, action, draws)
        state["day"] = after["day"]
        return after, step


@mistake("keys-used-once", "reset uses one key twice: drawn from twice, at", "jax.random.split(key)")
class DrawsTwice(Slide):
    def place(self, key):
        return jax.random.uniform(key) * jax.random.uniform(key)  # here


@mistake("keys-used-once", "step uses one key twice: split at", "jax.random.split(key)")
class DrawsFromASplitKey(Slide):
    def slid(self, key, state, action):
        first, _ = jax.random.split(key)
        push = jax.random.uniform(first)
        return 0.9 * state.position + 0.05 * push * jax.random.uniform(key)  # here


@mistake("keys-used-once", "reset uses one key twice: drawn from twice, at", "jax.random.split(key)")
class DrawsInALoop(Slide):
    def place(self, key):
        return sum(jax.random.uniform(key) for _ in range(3)) / 4  # here


@mistake("keys-used-once", "step uses one key twice: drawn from twice, at", "jax.random.split(key)")
class DrawsInAScan(Slide):
    def slid(self, key, state, action):
        def advance(total, _):
            return total + jax.random.uniform(key), None  # here

        return jax.lax.scan(advance, 0.5 * state.position, None, 2)[0] / 4


@mistake("keys-used-once", "reset uses one key twice: folded into at", "jax.random.split(key)")
class FoldsADrawnKey(Slide):
    def place(self, key):
        other = jax.random.uniform(jax.random.fold_in(key, 1))
        return other * jax.random.uniform(key)  # here


@mistake("keys-used-once", "draw uses one key twice", "jax.random.split(key)")
class ReusesInBatches(Drift):
    def draw(self, key, shape=()):
        if shape:
            return jnp.stack([jax.random.normal(key, shape), -jax.random.normal(key, shape)], axis=-1)  # here
        return jax.random.normal(key, (2,))


@mistake("keys-matter", "reset draws numbers that change nothing, at", "turns uniforms in [0, 1) into 0")
class CutsToZero(Slide):
    def place(self, key):
        return jax.random.uniform(key).astype(jnp.int32).astype(jnp.float32)  # here


@mistake("keys-matter", ": number [1]", "or do not draw it", expected="depends on each of them")
class HasAFrozenGoalBesideANoisyPose(Slide):
    def place(self, key):
        pose_key, goal_key = jax.random.split(key)
        goal = jax.random.randint(goal_key, (2,), 0, jnp.array([5, 1]))  # here
        return jax.random.uniform(pose_key) / 4 + 0.1 * goal[0] * (goal[1] + 1)


@mistake("keys-matter", ": number [2]", "or do not draw it")
class IgnoresPartOfItsStart(Drift):
    def draw_start(self, key, shape=()):
        return jax.random.normal(key, (*shape, 3))  # here

    def start(self, draws):
        return Drift.start(self, draws[:2])


@mistake("keys-matter", "step draws random numbers, but returns the same for 512 keys", "or do not draw it")
class DrawsForNothing(Slide):
    def slid(self, key, state, action):
        return 0.5 * state.position + 0.0 * jax.random.uniform(key)


@mistake("starts-vary", "state.position of a start never changes with jax.random.key(0), key(1)", "from the entire key")
class ReadsHalfItsKey(Slide):
    def place(self, key):
        return jax.random.uniform(jax.random.key(jax.random.key_data(key)[0]))


class Pair(NamedTuple):
    places: Any


@mistake("starts-vary", "state.places[1] of a start never changes", "from the entire key", expected="by itself")
class ReadsHalfItsKeyForANumber(Slide):
    def reset(self, key):
        words = jax.random.key_data(key)
        keys = jax.random.key(words[0]), jax.random.key(words[1])
        state = Pair(jnp.stack([jax.random.uniform(keys[1]), jax.random.uniform(keys[0])]))
        return state, self.observe(state)

    def observe(self, state):
        return state.places

    def step(self, key, state, action):
        state = Pair(0.9 * state.places + 0.1 * jax.random.uniform(key))
        return state, Step(self.observe(state), jnp.float32(0), jnp.bool_(False))


@mistake(
    "split",
    "the class also defines step, and step's reward is",
    "remove step",
    expected="transition after draw",
)
class OverridesStep(Drift):
    def step(self, key, state, action):
        state, step = Drift.step(self, key, state, action)
        return state, step._replace(reward=step.reward * 2)


@mistake("draws", "from draw(key, (3,))", "jax.random.uniform(key, shape)", expected="[3, 2]")
class IgnoresTheShape(Drift):
    def draw(self, key, shape=()):
        return jax.random.normal(key, (2,))


@mistake("draws", "1 different row of 512", "from one key with the full shape", expected="independent rows")
class RepeatsARow(Drift):
    def draw(self, key, shape=()):
        return jnp.broadcast_to(jax.random.normal(key, (2,)), (*shape, 2))


@mistake("draws", "draws[1] has 1 different row of 512", "from one key with the full shape")
class RepeatsANumber(Drift):
    def draw(self, key, shape=()):
        keys = jax.random.split(key)
        repeated = jnp.broadcast_to(jax.random.normal(keys[1]), shape)
        return jnp.stack([jax.random.normal(keys[0], shape), repeated], axis=-1)


@mistake("draws", "draws[1] is the same in batches of two keys", "draw it from the key with jax.random")
class SpreadsANumberOverTheBatch(Drift):
    def draw(self, key, shape=()):
        keys = jax.random.split(key)
        spread = jnp.linspace(-1.7, 1.7, shape[0]) if len(shape) == 1 else jax.random.normal(keys[1], shape)
        return jnp.stack([jax.random.normal(keys[0], shape), spread], axis=-1)


@mistake("draws", "transition does not read draws['gust']", "do not draw it", expected="draws that are used")
class IgnoresADraw(Drift):
    def draw(self, key, shape=()):
        numbers = jax.random.normal(key, (3, *shape))
        return {"wind": jnp.stack([numbers[0], numbers[1]], axis=-1), "gust": numbers[2]}

    def transition(self, state, action, draws):
        return Drift.transition(self, state, action, draws["wind"])


@mistake("draws", "in one batch", "the same distribution for every `shape`")
class DrawsDifferentlyInBatches(Drift):
    def draw(self, key, shape=()):
        return jax.random.normal(key, (*shape, 2)) + (1.0 if shape else 0.0)


@mistake("draws", "draw depends on the constant noise", "use self.noise in transition", expected="standard variates")
class ScalesItsDraws(Drift):
    def draw(self, key, shape=()):
        return self.noise * jax.random.normal(key, (*shape, 2))


@mistake("draws", "draw returns draws as", "draw the numbers themselves", expected="arrays of numbers")
class DrawsKeys(Drift):
    def draw(self, key, shape=()):
        return jax.random.split(key, shape)

    def transition(self, state, action, draws):
        return Drift.transition(self, state, action, jax.random.normal(draws, (2,)))


# Behaviour.


@mistake("jit", "under jax.jit", "between tracing and running", expected="the same")
class KnowsWhetherItIsTraced(Slide):
    def pay(self, state):
        return -state.position * (2.0 if isinstance(state.position, Tracer) else 1.0)


@jax.tree_util.register_pytree_node_class
class Fickle:
    """Part of a state that holds no array, and differs from its like for a while, in the middle of 100 steps."""

    comparisons = 0

    def __eq__(self, other):
        Fickle.comparisons += 1
        return not 30 <= Fickle.comparisons < 60

    def __hash__(self):
        return 0

    def tree_flatten(self):
        return (), Fickle()

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls()


@mistake("one-trace", "step was traced", "never in static parts", expected="one trace")
class KeepsAFicklePart(Slide):
    def reset(self, key):
        state = State(self.place(key), Fickle())
        return state, self.observe(state)

    def moved(self, key, state, action):
        return State(self.slid(key, state, action), state.steps)


@jax.custom_batching.custom_vmap
def centred(x):
    return x


@centred.def_vmap
def _(axis_size, in_batched, x):
    return x - x.mean(0), True


@mistake("vmap", "in a batch", "mix leading batch axes", also=["neighbours"])
class LooksAtItsNeighbours(Slide):
    def slid(self, key, state, action):
        return jnp.clip(centred(Slide.slid(self, key, state, action)), -1.0, 1.0)


@mistake("neighbours", "with another member 0", "mix leading batch axes", also=["vmap"])
class MixesRewards(Slide):
    def pay(self, state):
        return centred(-jnp.abs(state.position))


@jax.custom_batching.custom_vmap
def shared(x):
    return x * 1.0


@shared.def_vmap
def _(axis_size, in_batched, x):
    return jnp.broadcast_to(x[0], x.shape), True


@mistake(
    "constants-batch", "with speed batched, step's state.position is", "use self.speed only in elementwise arithmetic"
)
class SharesTheFirstSpeed(Slide):
    def slid(self, key, state, action):
        return jnp.clip(state.position + shared(self.speed), -1.0, 1.0)


@mistake("constants-batch", "with wind batched in a VectorEnv", "fix this line", expected="with its value")
class LooksAtTheShapeOfAConstant(Drift):
    wind: tuple = constant((0.1, 0.2))

    def draw(self, key, shape=()):
        (axes,) = self.wind.shape  # here
        return jax.random.normal(key, (*shape, axes))


@mistake("observation-range", "obs[0] reached", "widen the space", expected="values from -1.0 to 1.0")
class LeavesTheSpace(Slide):
    def observe(self, state):
        return jnp.stack([3 * state.position, jnp.sin(state.position)])


@mistake("observation-range", "obs['day'] reached 7", "clip the observation", expected="values from 0 to 6")
class HasAnEighthDay(Drift):
    def transition(self, state, action, draws):
        after, step = Drift.transition(self, state, action, draws)
        after = {**after, "day": (state["day"] + 1) % 8}
        return after, step._replace(obs=after)


@mistake("finite", "reward is NaN or infinite after", "limit what can grow")
class Explodes(Drift):
    def transition(self, state, action, draws):
        return Drift.transition(self, {**state, "place": 3 * state["place"]}, action, draws)


@mistake("finite", "reward is NaN or infinite after 1 random steps", "guard divisions")
class TakesALogarithm(Slide):
    def pay(self, state):
        return jnp.log(-jnp.abs(state.position))


@mistake("vector-runs", "ValueError: eight at most", "fix this line", expected="without an error")
class RefusesABatch(Drift):
    def draw_start(self, key, shape=()):
        if shape == (8,):
            raise ValueError("eight at most")  # here
        return Drift.draw_start(self, key, shape)


@mistake("observe", "obs[0] is", "return self.observe(state)", expected="up to rounding")
class ObservesTwoThings(Slide):
    def reset(self, key):
        state, obs = Slide.reset(self, key)
        return state, -obs


@mistake("describe", "describe returns None", "return text", expected="a str")
class PrintsItsDescription(Slide):
    def describe(self, state):
        print(end="")


@mistake("render", "render returns float32[8,8,3]", "np.uint8", expected="uint8[height, width, 3]")
class PaintsFloats(Slide):
    def render(self, state):
        return np.zeros((8, 8, 3), np.float32)


@mistake("render", "uint8[8,8,3] for one state, uint8[9,8,3] for the next", "fixed size")
class PaintsAGrowingPicture(Slide):
    def render(self, state):
        return np.zeros((8 + int(state.steps), 8, 3), np.uint8)


@mistake("render", "ModuleNotFoundError: No module named 'no_such_painter'", "fix this line")
class PaintsWithNothing(Slide):
    def render(self, state):
        import no_such_painter  # here

        return no_such_painter


def local_class():
    class Local(Slide):
        pass

    return Local


MISTAKES.append(
    pytest.param(
        local_class(), {}, Finding("pickles", "pickling the environment fails", "equal", "top level"), (), id="IsLocal"
    )
)


@pytest.fixture(autouse=True)
def outside_state(monkeypatch):
    monkeypatch.setitem(globals(), "KEY", jax.random.key(3))
    monkeypatch.setattr(Fickle, "comparisons", 0)
    yield
    LOG.clear()


@pytest.mark.parametrize(("cls", "constants", "expected", "also"), MISTAKES)
def test_mistake_gets_its_message(cls, constants, expected, also, quick_compiles):
    env = cls if expected.rule == "environment" else cls(**constants)
    names = [rule.name for rule in RULES]
    last = max(names.index(name) for name in (expected.rule, *also))
    report = examine(RULES[: last + 1], Probe(env))
    assert {finding.rule for finding in report.findings} == {expected.rule, *also}, str(report)
    finding = next(finding for finding in report.findings if finding.rule == expected.rule)
    assert marked_line(cls) in finding.found
    for wanted, text in zip(expected, finding, strict=True):
        assert wanted in text
    assert expected.rule not in report.held


def test_every_rule_has_a_mistake():
    assert {param.values[2].rule for param in MISTAKES} == set(rules())


SOUND = [
    Slide(speed=0.7, noise=0.0, bouncy=True),
    Drift(),
    jax.tree.map(np.float32, Drift(drag=0.2)),
    Bandit(),
    Casino(),
]


@pytest.mark.parametrize("env", SOUND, ids=repr)
def test_sound_environment_keeps_every_rule(env):
    report = check_env(env)
    assert report.findings == ()
    assert {*report.held, *(skipped.rule for skipped in report.skipped)} == set(rules())


def test_class_is_checked_with_its_defaults():
    assert check_env(Bandit).env == "Bandit()"


def test_broken_environment_raises_with_every_finding():
    class TwoMistakes(PaysIntegers):
        def over(self, state):
            return jnp.float32(1)

    with pytest.raises(ContractError) as caught:
        check_env(TwoMistakes())
    report = caught.value.report
    assert isinstance(caught.value, ValueError)
    assert [finding.rule for finding in report.findings] == ["reward", "terminated", "pickles"]
    words = " ".join(str(caught.value).split())
    assert all(" ".join(part.split()) in words for finding in report.findings for part in finding)
    assert "breaks 3 rules of the contract" in words


def test_report_says_what_was_not_checked_and_why():
    report = check_env(ReturnsFive(), raise_on_failure=False)
    assert Skipped("jit", "depends on step-returns") in report.skipped
    assert Skipped("render", "depends on step-returns") in report.skipped
    assert "depends on step-returns" in str(report)
    assert {*report.held, "step-returns", *(skipped.rule for skipped in report.skipped)} == set(rules())


def test_contract_error_survives_pickle():
    error = ContractError(Report("Slide()", (), (Finding("reward", "a", "b", "c"),), ()))
    assert pickle.loads(pickle.dumps(error)).report == error.report


class Classic(gymnasium.Env):
    pass


@pytest.mark.parametrize(
    ("thing", "fix"),
    [
        ("HeartPole-v0", "check_env(jaxenvs.make('HeartPole-v0'))"),
        (jaxenvs.VectorEnv(Bandit(), 2), "check_env(envs.env)"),
        (Classic(), "rewrite it"),
        (None, "class MyEnv(jaxenvs.Environment)"),
        (Environment, "class MyEnv(jaxenvs.Environment)"),
    ],
    ids=["id", "VectorEnv", "gymnasium", "None", "base"],
)
def test_what_is_no_environment_is_named(thing, fix):
    report = check_env(thing, raise_on_failure=False)
    assert [finding.rule for finding in report.findings] == ["environment"]
    assert fix in report.findings[0].fix
    assert report.held == ()


METHODS = ["draw_start", "start", "draw", "transition", "observation_space", "action_space", "render", "observe"]
METHODS += ["describe", "__getstate__"]


@pytest.mark.parametrize("name", METHODS)
def test_no_exception_of_the_environment_escapes(name):
    error = StopIteration() if name == "start" else OSError("no such thing")

    def fail(self, *args, **kwargs):
        raise error

    member = property(fail) if name.endswith("space") else fail
    early = RULES[: [rule.name for rule in RULES].index("deterministic")]
    report = examine(early, Probe(type("Failing", (Drift,), {name: member})()))
    assert type(error).__name__ in " ".join(finding.found for finding in report.findings)


def test_library_call_that_uses_its_key_in_two_ways_is_no_reuse():
    with jax.disable_jit(), recorded(frozenset([__file__])) as uses:
        jax.random.binomial(watched(jax.random.key(0)), 10.0, 0.3)
    keys = [use.key for use in uses]
    assert len(set(keys)) < len(keys)
    assert list(reused(uses)) == []


def test_keys_in_a_vmap_are_watched():
    with jax.disable_jit(), recorded(frozenset([__file__])) as uses:
        jax.vmap(jax.random.uniform)(jnp.stack([watched(jax.random.key(0))] * 2))
    assert len(list(reused(uses))) == 1


def test_watched_key_draws_the_same_numbers():
    key = jax.random.key(3)
    assert jax.random.bits(key, (5,)).tolist() == jax.random.bits(watched(key), (5,)).tolist()


class PaintsWithPillow(Bandit):
    def render(self, state):
        from PIL import Image

        return np.asarray(Image.new("RGB", (8, 8)))


def test_render_is_skipped_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert Skipped("render", "Pillow is not installed") in check_env(PaintsWithPillow()).skipped


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_registered_environment_keeps_the_contract_whatever_its_constants(id):
    env = jaxenvs.make(id)
    assert check_env(env).ok
    changed = env
    for path, _ in jax.tree_util.tree_leaves_with_path(env):
        changed = variant(changed, path[0].name) or changed
    assert changed != env or not jax.tree.leaves(env)
    assert check_env(changed).ok
