"""`export`: a run's policy in a folder of its own, that neither needs the run nor, in most forms, JAX or us."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np

import jaxenvs

from ..floor.actors import decisions
from ..floor.heads import features
from ..presets import ALGORITHMS
from ..runs import states
from ..runs.identity import identity, require_same
from ..runs.plan import RunError
from . import measure, standalone
from .c_header import header
from .manifest import space_json, value_json
from .onnx_file import onnx_model
from .stablehlo import PLATFORMS, serialized
from .structure import NotExpressible, structure

#: The forms, and the files of each.
FORMS = {
    "stablehlo": ("policy.stablehlo",),
    "numpy": ("policy.py", "policy.npz"),
    "onnx": ("policy.onnx",),
    "c": ("policy.h",),
}
MANIFEST = "manifest.json"


def export(folder, to, *, forms=None, which=states.STATE):
    """Writes a run's greedy policy into a new folder.

    Args:
        folder: the run's folder.
        to: the new folder; it must not exist, or be empty.
        forms: names of `FORMS`; by default all that can be, and the manifest has the reason for each of the others.
        which: the checkpoint, `runs.states.STATE` or `BEST`.
    Returns:
        The manifest, a dict.
    Raises:
        RunError: if the folder holds no run, if `to` holds something, or for a form that was asked for and cannot be.
    """
    to = Path(to)
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise RunError(f"{to} exists already, and is left as it is: choose another --to")
    plan, state, path = states.read(folder, which)
    require_same(folder, path, identity(plan), accepted=True)
    with _new_folder(to) as place:
        return _Export(plan, state, place).write(forms)


class _Export:
    """An export that is being written."""

    def __init__(self, plan, state, place):
        self._plan, self._state, self._place = plan, state, place
        self._algorithm = ALGORITHMS[plan.algorithm]
        self._envs = plan.evaluation_envs(measure.ENVS)
        self._structure = self._actor = self._refused = None
        try:
            self._actor, self._structure = self._described()
        except NotExpressible as error:
            self._refused = str(error)

    def _described(self):
        if not hasattr(self._algorithm, "actor"):
            raise NotExpressible(f"{self._plan.algorithm} has no description of its policy, which these forms need")
        actor = self._algorithm.actor(self._plan.config, self._envs, self._state)
        return actor, structure(actor, self._envs.single_observation_space, self._envs.single_action_space)

    def write(self, forms):
        """Writes the forms and the manifest; returns the manifest."""
        obs = measure.played(self._envs, self._policy(greedy=False), self._plan.key(self._plan.seed + 1))
        actions = jax.jit(self._greedy)(obs)
        reference = jax.tree.map(np.asarray, (actions, self._decisions(obs)))
        written = {}
        for form in FORMS if forms is None else forms:
            try:
                written[form] = {"files": list(FORMS[form]), **getattr(self, f"_{form}")(obs, reference)}
            except (NotExpressible, ImportError) as error:
                reason = f'{error}: pip install "jaxenvs[export]"' if isinstance(error, ImportError) else str(error)
                if forms is not None:
                    raise RunError(f"this policy cannot be exported as {form}: {reason}") from error
                written[form] = {"refused": reason}
        manifest = {**self._about(), "forms": written}
        if self._structure is not None:
            manifest["network"] = self._structure.description
        (self._place / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n")
        return manifest

    def _policy(self, greedy):
        return self._algorithm.policy(self._plan.config, self._envs, self._state, greedy=greedy)

    def _greedy(self, obs):
        return self._policy(greedy=True)(jax.random.key(0), obs)

    def _decisions(self, obs):
        if self._actor is None:
            return None
        space, actor = self._envs.single_observation_space, self._actor
        return jax.jit(lambda obs: decisions(actor, features(space, obs)))(obs)

    def _needed(self):
        if self._structure is None:
            raise NotExpressible(self._refused)
        return self._structure

    def _stablehlo(self, obs, reference):
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), obs)
        path = self._place / "policy.stablehlo"
        path.write_bytes(serialized(self._greedy, one))
        actions = np.asarray(jax.export.deserialize(bytearray(path.read_bytes())).call(obs))
        return {"platforms": list(PLATFORMS), **measure.difference(reference, (actions, None))}

    def _numpy(self, obs, reference):
        description, arrays = self._needed()
        shutil.copyfile(standalone.__file__, self._place / "policy.py")
        np.savez(self._place / "policy.npz", description=json.dumps(description), **arrays)  # pyright: ignore
        return measure.difference(reference, measure.by_numpy(self._place, obs))

    def _onnx(self, obs, reference):
        description = self._needed().description
        path = self._place / "policy.onnx"
        about = self._about()
        model = onnx_model(self._structure, {name: json.dumps(about[name]) for name in ("env", "constants")})
        path.write_bytes(model.SerializeToString())
        try:
            return measure.difference(reference, measure.by_onnx(path, description["observation"], obs))
        except ImportError:
            return {"not_measured": 'onnxruntime is not installed: pip install "jaxenvs[export]"'}

    def _c(self, obs, reference):
        description = self._needed().description
        title = f"{self._plan.algorithm} on {self._plan.env}, {self._about()['steps']:,} steps"
        (self._place / "policy.h").write_text(header(self._structure, title))
        try:
            found = measure.by_c(self._place, description, reference[1].shape[-1], obs)
        except (OSError, subprocess.SubprocessError) as error:
            return {"not_measured": f"the C compiler failed: {error}"}
        if found is None:
            return {"not_measured": "no C compiler was found"}
        return measure.difference(reference, found)

    def _about(self):
        """What the policy was trained for."""
        env = self._envs.env
        return {
            "schema": 1,
            "env": self._plan.env,
            "constants": {f.name: value_json(getattr(env, f.name)) for f in dataclasses.fields(env)},
            "max_episode_steps": self._envs.max_episode_steps,
            "observation_space": space_json(env.observation_space),
            "action_space": space_json(env.action_space),
            "algorithm": self._plan.algorithm,
            "steps": self._plan.steps_after(self._state.updates),
            "seed": self._plan.seed,
            "versions": {"jaxenvs": jaxenvs.__version__, "jax": jax.__version__},
        }


@contextlib.contextmanager
def _new_folder(to):
    """A folder to write into, which becomes `to` once all is written."""
    place = to.with_name(f".{to.name}.{os.getpid()}")
    place.mkdir(parents=True)
    try:
        yield place
        place.replace(to)
    finally:
        shutil.rmtree(place, ignore_errors=True)
