"""Mistakes that authors make in a file of their own: edits of the file that `python -m jaxenvs new` writes."""

from typing import NamedTuple

DT = "    dt: float = jaxenvs.constant(0.1, above=0.0, high=1.0)\n"
LIMIT = "    max_episode_steps = 240\n"
ACTIONS = "        return gymnasium.spaces.Discrete(3)\n"
OBSERVED = "        return gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)\n"
START = (
    "        state = State(temperature=10.0 + 20.0 * draws[0], "
    "outside=self.outside_mean + 5.0 * (2.0 * draws[1] - 1.0))\n"
)
STARTED = "        return state, self.observe(state)\n"
DRAW = "        return jax.random.normal(key, shape)\n"
AFTER = "        after = State(state.temperature + self.dt * heating, state.outside + wandering)\n"
MOVED = "        return after, jaxenvs.Step(self.observe(after), reward, frozen)\n"
OBSERVE = "        return (jnp.stack([state.temperature, state.outside]) - self.wanted) / 10.0\n"
CLASS = "class MyEnv(jaxenvs.Environment):\n"
STATE = "class State(NamedTuple):\n"


class Case(NamedTuple):
    """A mistake, and parts of what is said about it."""

    #: Text of the file, and what stands in its place.
    edits: dict
    #: The rule that is broken; "class" where the class cannot even be made.
    rule: str
    found: str
    fix: str


def line(text):
    """A mistaken line after the reward is known."""
    return {MOVED: f"        {text}  # here\n{MOVED}"}


def pays(expression):
    return line(f"reward = {expression}")


CHOOSE, NUMPY, NUMBER = "choose with jnp.where", "jax.numpy (jnp) instead of numpy", "keep it an array"
TRUTH, NEEDED = "Python needs the truth value of a traced value", "Python needs the number behind a traced value"

MISTAKES = {
    # The class.
    "__init__": Case({DT: DT + "    def __init__(self, dt):\n        pass\n"}, "class", "MyEnv defines __init__",
                     "declare constants as fields"),
    "list for a default": Case({DT: DT + "    table: list = [1.0, 2.0]\n"}, "class",
                               "table has the default [1.0, 2.0]", "table: tuple = (1.0, 2.0)"),
    "array for a default": Case({DT: DT + "    table: jax.Array = jnp.ones(2)\n"}, "class",
                                "table has the default Array([1., 1.]", "a number or a tuple of numbers"),
    "static array": Case({DT: DT + "    table: tuple = jaxenvs.static(np.ones(2))\n"}, "class",
                         "table has the default array([1., 1.])", "a number or a tuple of numbers"),
    "default_factory": Case({DT: DT + "    table: list = dataclasses.field(default_factory=list)\n",
                             "import gymnasium\n": "import dataclasses\nimport gymnasium\n"}, "class",
                            "table has a default_factory", "a number or a tuple of numbers"),
    "constant without a type": Case({DT: "    dt = jaxenvs.constant(0.1)\n"}, "class", "dt needs its type",
                                    "write dt: float"),
    "limits the wrong way round": Case({DT: "    dt: float = jaxenvs.constant(0.1, low=1.0, high=0.0)  # here\n"},
                                       "class", "at least 1.0 and at most 0.0", "change the limits"),
    "constant with a method's name": Case({DT: DT + "    step: float = 0.1\n"}, "class",
                                          "step is a method of every environment", "another name"),
    "time limit with a type": Case({LIMIT: "    max_episode_steps: int = 240\n"}, "class",
                                   "max_episode_steps is a class attribute", "write max_episode_steps = 240"),
    "classmethod": Case({"    def transition(": "    @classmethod\n    def transition("}, "class",
                        "MyEnv.transition is a classmethod", "def transition(self, state, action, draws)"),
    "draw without a shape": Case({"def draw(self, key, shape=())": "def draw(self, key)"}, "class",
                                 "MyEnv.draw has no argument shape", "def draw(self, key, shape=())"),
    "typo in the class's body": Case({DT: "    dt: float = jaxenvs.constnat(0.1)  # here\n"}, "class",
                                     "jaxenvs has no constnat", ""),
    "no default": Case({DT: "    dt: float\n"}, "environment", "MyEnv needs a value for dt", "a default"),
    "word for a constant": Case({DT: "    dt: str = 'fast'\n"}, "environment", "dt must be a number", "static(...)"),
    "default out of its limits": Case({DT: DT.replace("0.1", "0.0")}, "environment",
                                      "dt must be above 0.0 and at most 1.0, got 0.0", "within its limits"),
    "@dataclass": Case({CLASS: "@dataclasses.dataclass\n" + CLASS,
                        "import gymnasium\n": "import dataclasses\nimport gymnasium\n"}, "class",
                       "is a dataclass already", "remove the decorator"),
    "__eq__": Case({DT: DT + "    def __eq__(self, other):\n        return True\n"}, "constants",
                   "the class overrides __eq__", "remove __eq__"),
    "time limit of 0": Case({LIMIT: "    max_episode_steps = 0\n"}, "time-limit", "max_episode_steps is 0", "= 500"),
    "method without self": Case({"def transition(self, ": "def transition("}, "methods",
                                "transition(state, action, draws)", "self first"),
    "typo in a method's name": Case({"def start(": "def begin("}, "methods", "the class defines draw_start",
                                    "define reset(self, key), or both of the split methods"),
    # The spaces.
    "missing space": Case({"def observation_space(": "def observations("}, "spaces",
                          "does not define observation_space", "@property"),
    "space without parentheses": Case({ACTIONS: "        return gymnasium.spaces.Discrete\n"}, "spaces",
                                      "action_space is the class Discrete itself", "Discrete(...)"),
    "space that is not returned": Case({ACTIONS: "        gymnasium.spaces.Discrete(3)\n"}, "spaces",
                                       "action_space is None", "return such a space"),
    "space of text": Case({ACTIONS: "        return gymnasium.spaces.Text(4)\n"}, "spaces", "no fixed shape",
                          "pad to a fixed size"),
    "space of a constant": Case(
        {ACTIONS: "        return gymnasium.spaces.Box(0.0, self.heater_power, (1,))  # here\n"}, "spaces", "Box",
        "declare the constant that they depend on with static(...)"),
    # Python and NumPy on traced values.
    "if": Case(line("reward = 0.0 if frozen else reward"), "step-runs", TRUTH, CHOOSE),
    "and": Case(line("frozen = frozen and reward < 0.0"), "step-runs", TRUTH, "&, | and ~"),
    "not": Case(line("frozen = not frozen"), "step-runs", TRUTH, "&, | and ~"),
    "chained comparison": Case(line("frozen = 0.0 < reward < 1.0"), "step-runs", TRUTH, "&, | and ~"),
    "in": Case(pays("1.0 if action in (1, 2) else 0.0"), "step-runs", TRUTH, CHOOSE),
    "while": Case(line("while reward > 3.0: reward = reward - 1.0"), "step-runs", TRUTH, CHOOSE),
    "max": Case(pays("max(reward, -1.0)"), "step-runs", TRUTH, CHOOSE),
    "float": Case(pays("float(reward)"), "step-runs", NEEDED, NUMBER),
    "int": Case(pays("int(action)"), "step-runs", NEEDED, NUMBER),
    "item": Case(pays("reward.item()"), "step-runs", NEEDED, NUMBER),
    "range": Case(pays("sum(reward for _ in range(action))"), "step-runs", NEEDED, "jnp.arange"),
    "list by index": Case(pays("[0.0, 1.0, 2.0][action]"), "step-runs", NEEDED, "jnp.take"),
    "dict by key": Case(pays("{0: 0.0, 1: 1.0}[action]"), "step-runs", "looked up in a dict", "jax.lax.switch"),
    "math": Case(pays("__import__('math').sin(reward)"), "step-runs", NEEDED, NUMBER),
    "np.clip": Case(pays("np.where(frozen, 0.0, reward)"), "step-runs", "NumPy is applied to a traced value", NUMPY),
    "NumPy table by index": Case(pays("TABLE[action]") | {STATE: "TABLE = np.zeros(3)\n\n\n" + STATE}, "step-runs",
                                 "a NumPy array is indexed with a traced value", "jnp.asarray(table)[index]"),
    "written into a NumPy array": Case(line("TABLE[0] = reward") | {STATE: "TABLE = np.zeros(3)\n\n\n" + STATE},
                                   "step-runs", "a traced value is written into a NumPy array", "into the state"),
    "text": Case(line("print(f'{reward:.2f}')"), "step-runs", "a traced value is converted to text", "jax.debug.print"),
    "mask": Case(pays("self.observe(state)[self.observe(state) > 0].sum()"), "step-runs",
                 "indexed with a traced mask", "jnp.where(mask, a, b)"),
    # In place.
    "field in place": Case(line("state.temperature = 3.0"), "step-runs", "a field is assigned to in place",
                           "state._replace(name=value)"),
    "element in place": Case(line("self.observe(state)[0] = 1.0"), "step-runs", "changed in place",
                             "array.at[index].set(value)"),
    "self in place": Case(line("self.elapsed = 1.0"), "step-runs", "the environment is assigned to",
                          "into the state that step returns"),
    # Names, fields and shapes.
    "constant that does not exist": Case(pays("-self.fuel_prize"), "step-runs", "has no attribute fuel_prize",
                                       "did you mean self.fuel_price?"),
    "clock that does not exist": Case(line("frozen = self.steps > 3"), "step-runs", "has no attribute steps",
                                    "what changes over time belongs in the state"),
    "constant without self": Case(pays("-fuel_price"), "step-runs", "fuel_price is used without self",
                                  "self.fuel_price"),
    "unknown name": Case(pays("-discomfrt"), "step-runs", "there is no name discomfrt", "did you mean discomfort?"),
    "unknown function": Case(pays("jnp.wher(frozen, 0.0, 1.0)"), "step-runs", "jax.numpy has no wher",
                             "did you mean where?"),
    "field that does not exist": Case(pays("state.temprature"), "step-runs", "State has no field temprature",
                                    "did you mean temperature? It has: temperature, outside"),
    "replaced field that does not exist": Case(line("after = state._replace(temprature=0.0)"), "step-runs",
                                             "a field that does not exist", "that the NamedTuple declares"),
    "field left out": Case({AFTER: "        after = State(state.temperature)  # here\n"}, "step-runs",
                           "a NamedTuple gets fields that it does not have", "each of its fields once"),
    "state that is no NamedTuple": Case(
        {STATE: "class State:\n", START: START.replace("\n", "  # here\n")}, "reset-runs", "has no fields",
        "class State(NamedTuple)"),
    "dict used like an object": Case(
        {START: "        state = {'temperature': draws[0], 'outside': draws[1]}\n",
         OBSERVE: OBSERVE.replace("\n", "  # here\n")}, "reset-runs", "a dict is used like an object",
        "write ['temperature']"),
    "shapes that do not fit": Case(pays("jnp.dot(jnp.ones(2), jnp.ones(3))"), "step-runs", "shapes that do not fit",
                                   "print the shapes"),
    "branches of two types": Case(pays("jax.lax.cond(frozen, lambda: 1, lambda: 0.5)"), "step-runs",
                                  "return different types", "the same dtype and shape"),
    "shape before key": Case({DRAW: "        return jax.random.normal(shape, key)  # here\n"}, "step-runs",
                             "needs a key as its first argument", "jax.random.uniform(key, shape)"),
    "generator of NumPy": Case({DRAW: "        return np.random.default_rng(key).normal(size=shape)  # here\n"},
                               "step-runs", "a random generator other than JAX's", "from the method's key"),
    # What is returned.
    "Step of two": Case({MOVED: "        return after, jaxenvs.Step(self.observe(after), reward)  # here\n"},
                        "step-runs", "Step has three fields", "jaxenvs.Step(obs, reward, terminated)"),
    "Step with truncated": Case(
        {MOVED: "        return after, jaxenvs.Step(self.observe(after), reward, frozen, False)  # here\n"},
        "step-runs", "Step has three fields", "max_episode_steps, not the step's"),
    "Gymnasium's five": Case({MOVED: "        return self.observe(after), reward, frozen, False, {}\n"},
                             "step-returns", "a tuple of 5, as Gymnasium's", "VectorEnv adds truncation"),
    "four": Case({MOVED: "        return after, self.observe(after), reward, frozen\n"}, "step-returns",
                 "a tuple of 4", "jaxenvs.Step(obs, reward, terminated)"),
    "reset gives the observation alone": Case({STARTED: "        return self.observe(state)\n"}, "reset-returns",
                                              "reset returns float32[2]", "return state, obs"),
    "reset gives an info": Case({STARTED: "        return self.observe(state), {}\n"}, "reset-returns",
                                "Gymnasium's (obs, info)", "no info dict"),
    "observation instead of the state": Case(
        {MOVED: MOVED.replace("return after,", "return self.observe(after),")}, "state-types",
        "state is State(temperature, outside) after reset, float32[2] after step", "return the next state first"),
    "Python's float in the state": Case({START: "        state = State(10.0, draws[1])\n"}, "state-types",
                                        "state.temperature is weakly typed float32[]", "jnp.float32(x)"),
    "Python's int in the state": Case({START: "        state = State(10, draws[1])\n"}, "state-types",
                                      "state.temperature is weakly typed int32[]", "jnp.float32(x)"),
    "Python's int in the state, and constants alone after it": Case(
        {START: "        state = State(10, draws[1])\n",
         AFTER: "        after = State(state.temperature + self.dt, state.outside)\n"},
        "state-types", "weakly typed int32[] after reset, weakly typed float32[] after step", "jnp.float32(x)"),
    "drifting dtype": Case({AFTER: AFTER.replace("wandering)", "wandering.astype(int))").replace("state.outside", "0")},
                           "state-types",
                           "state.outside is float32[] after reset, int32[] after step", "x.astype(jnp.float32)"),
    "list for an observation": Case({OBSERVE: "        return [state.temperature, state.outside]\n"},
                                    "observation-types", "obs is a list of 2", "jnp.stack"),
    "one number too many": Case({OBSERVE: "        return jnp.stack([state.temperature] * 3)\n"},
                                "observation-types", "obs is float32[3]", "change the space"),
    "observation that is not returned": Case({OBSERVE: "        jnp.stack([state.temperature, state.outside])\n"},
                                             "observation-types", "obs is None", "with return"),
    "whole reward": Case({MOVED: MOVED.replace("reward,", "-1,")}, "reward", "Step.reward is int32[]",
                         "jnp.float32(x)"),
    "reward of shape 1": Case({MOVED: MOVED.replace("reward,", "reward[None],")}, "reward",
                              "Step.reward is float32[1]", "jnp.sum"),
    "end that is a number": Case({MOVED: MOVED.replace("frozen)", "1.0 * frozen)")}, "terminated",
                                 "Step.terminated is float32[]", "a comparison"),
    # Draws, and what shows over time.
    "constant in draw": Case({DRAW: "        return self.outside_noise * jax.random.normal(key, shape)\n"}, "draws",
                             "draw depends on the constant outside_noise", "use self.outside_noise in transition"),
    "NumPy's numbers": Case({DRAW: "        return jnp.asarray(np.random.normal(size=shape), jnp.float32)\n"},
                            "draws", "1 different rows of 512 in single draws", "np.random draws only once"),
    "counter that overflows": Case(
        {"    outside: jax.Array\n": "    outside: jax.Array\n    clock: jax.Array\n",
         START: START.replace("- 1.0))", "- 1.0), clock=jnp.int8(0))"),
         AFTER: AFTER.replace("wandering)", "wandering, state.clock + jnp.int8(1))")},
        "finite", "state.clock, int8[], overflows: a step changes it by 1, then by -255", "int32"),
}  # fmt: skip
