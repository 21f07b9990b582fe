"""How far an exported policy is from the one that was trained, over the observations of its own play."""

import importlib.util
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np

from jaxenvs import rollout

from .onnx_file import input_names

#: Observations that an export is tried on.
OBSERVATIONS = 10_000
#: Environments that are played for them.
ENVS = 100

# Reads observations and writes actions and decisions, one observation after the other.
_PROGRAM = """\
#include <stdio.h>
#include "policy.h"
int main(void) {
  float observation[POLICY_OBSERVATION_SIZE], decisions[POLICY_DECISIONS];
  policy_number action[POLICY_ACTION_SIZE];
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    policy_act(observation, action);
    policy_decide(observation, decisions);
    fwrite(action, sizeof action, 1, stdout);
    fwrite(decisions, sizeof decisions, 1, stdout);
  }
  return 0;
}
"""


def played(envs, act, key):
    """The observations of `OBSERVATIONS` steps of a policy, from the starts of episodes on.

    Args:
        envs: `VectorEnv` of `ENVS` environments.
        act: a policy, `act(key, obs) -> action`.
        key: a JAX key.
    Returns:
        A pytree of NumPy arrays, [OBSERVATIONS, ...].
    """
    reset_key, play_key = jax.random.split(key)
    state, obs = envs.reset(reset_key)
    steps = OBSERVATIONS // envs.num_envs
    _, _, seen = rollout(envs, act, play_key, state, obs, steps, lambda obs, action, step: obs)
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), seen)


def difference(wanted, found):
    """The figures of a manifest.

    Args:
        wanted, found: pairs (actions, decisions) of the trained and of the exported policy; decisions may be None.
    Returns:
        dict: `observations`; `largest_difference`, of the actions in a Box of floats and of the decisions otherwise;
        for choices `different_actions`, how many are not the same.
    """
    (actions, decided), (others, other_decided) = wanted, found
    figures = {"observations": len(actions)}
    if actions.dtype.kind == "f":
        return figures | {"largest_difference": _largest(actions, others)}
    different = {"different_actions": int((actions != others).reshape(len(actions), -1).any(-1).sum())}
    if decided is None or other_decided is None:
        return figures | different
    return figures | different | {"largest_difference": _largest(decided, other_decided)}


def by_numpy(folder, obs):
    """(actions, decisions) of the NumPy files in a folder."""
    spec = importlib.util.spec_from_file_location("_exported_policy", Path(folder) / "policy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    policy = module.Policy()
    return policy.act(obs), policy.decisions(obs)


def by_onnx(path, parts, obs):
    """(actions, decisions) of an ONNX file.

    Raises:
        ImportError: without the package onnxruntime.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {name: np.asarray(part_of(obs, part), part["dtype"]) for name, part in zip(input_names(parts), parts)}
    return tuple(session.run(["action", "decisions"], inputs))


def by_c(folder, description, decisions, obs):
    """(actions, decisions) of the C header in a folder, or None where there is no C compiler.

    Args:
        folder: where policy.h is.
        description: of its `Structure`.
        decisions: how many there are.
        obs: a batch of observations.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as place:
        source, program = Path(place) / "main.c", Path(place) / "main"
        source.write_text(_PROGRAM)
        options = ["-std=c99", "-O2", "-I", str(folder), str(source), "-o", str(program), "-lm"]
        subprocess.run([compiler, *options], check=True, capture_output=True)
        observations = flat(description, obs).tobytes()
        written = subprocess.run([str(program)], input=observations, check=True, capture_output=True)
    action = description["action"]
    row = np.dtype([("action", action["dtype"], (math.prod(action["shape"]),)), ("decisions", "float32", (decisions,))])
    rows = np.frombuffer(written.stdout, row)
    return rows["action"].reshape(-1, *action["shape"]), rows["decisions"]


def flat(description, obs):
    """A batch of observations as the C header has them, f32[batch, numbers]."""
    parts = [np.asarray(part_of(obs, part), np.float32) for part in description["observation"]]
    return np.ascontiguousarray(np.concatenate([part.reshape(len(part), -1) for part in parts], axis=-1))


def part_of(obs, part):
    """The array of a part of an observation."""
    for step in part["path"]:
        obs = obs[step]
    return obs


def _largest(a, b):
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max(initial=0.0))
