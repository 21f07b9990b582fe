"""gymnax 1.0 for those who were written for what came before it."""


class FiveValues:
    """A gymnax environment whose steps return five values, as they did before 1.0."""

    def __init__(self, env):
        self._env = env

    def __getattr__(self, name):
        # A copy looks for what it is made with before it has an environment.
        if name.startswith("__") or name == "_env":
            raise AttributeError(name)
        return getattr(self._env, name)

    def step(self, *args):
        found = self._env.step(*args)
        if len(found) == 5:
            return found
        obs, state, reward, terminated, truncated, info = found
        return obs, state, reward, terminated | truncated, info
