"""Exported policies: each form says what the trained policy says, in a process of its own without JAX or us."""

import functools
import json
import re
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_search
from reference.observations import some_obs

import jaxenvs
from jaxenvs.registry import registry
from train import dqn, ppo, pqn, sac, td3
from train.__main__ import main
from train.exports.export import export
from train.floor.actors import decisions
from train.floor.heads import features
from train.floor.moments import Moments
from train.presets import ALGORITHMS
from train.runs import checkpoint, run
from train.runs.plan import Plan, RunError, write_plan

REPLAY: dict[str, Any] = {
    "num_envs": 4,
    "num_steps": 4,
    "gradient_steps": 2,
    "batch_size": 8,
    "capacity": 64,
    "learning_starts": 16,
}
CONFIGS = {
    "ppo": ppo.Config(num_envs=4, num_steps=8, segment=4, minibatches=2, hidden=(8, 4)),
    "dqn": dqn.Config(**REPLAY, hidden=(4,), dueling=True, quantiles=3),
    "pqn": pqn.Config(num_envs=4, num_steps=8, minibatches=2, hidden=(8,)),
    "td3": td3.Config(**REPLAY, hidden=(4,)),
    "sac": sac.Config(**REPLAY, hidden=(4,), layer_norm=True),
    "search": random_search.Config(num_envs=4, num_steps=8),
}
ENVS = {name: "BriefPush-v0" if name in ("td3", "sac") else "BriefCart-v0" for name in CONFIGS}
# The actions of both kinds of spaces by which ppo acts, too.
CASES = [*((name, ENVS[name]) for name in CONFIGS if name != "search"), ("ppo", "BriefPush-v0")]
each = pytest.mark.parametrize(("name", "env"), CASES, ids=[f"{name}-{env}" for name, env in CASES])


@pytest.fixture(scope="module", autouse=True)
def registered():
    jaxenvs.register("BriefCart-v0", jaxenvs.CartPole, max_episode_steps=20, force=True)
    jaxenvs.register("BriefPush-v0", jaxenvs.Pendulum, max_episode_steps=20, force=True)
    ALGORITHMS["search"] = random_search
    yield
    del registry["BriefCart-v0"], registry["BriefPush-v0"], ALGORITHMS["search"]


@functools.cache
def plan_and_state(name, env):
    """A plan, and a state of random numbers: nothing has to be compiled for it."""
    plan = Plan(
        algorithm=name, env=env, constants={"gravity": 9.0}, training={}, curve_as_trained=False, config=CONFIGS[name],
        total_steps=96, seed=3,
    )  # fmt: skip
    like = jax.eval_shape(ALGORITHMS[name].init, plan.config, plan.training_envs(), plan.key(0))
    rng = np.random.default_rng(0)

    def filled(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return plan.key(0)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(rng.uniform(0.1, 1.0, leaf.shape) * rng.choice([-1, 1], leaf.shape), leaf.dtype)
        return jnp.zeros(leaf.shape, leaf.dtype)

    state = jax.tree.map(filled, like)
    positive = lambda x: x._replace(variance=jnp.abs(x.variance)) if isinstance(x, Moments) else x  # noqa: E731
    return plan, jax.tree.map(positive, state, is_leaf=lambda x: isinstance(x, Moments))


def run_of(name, env, folder):
    plan, state = plan_and_state(name, env)
    folder.mkdir()
    write_plan(plan, folder)
    checkpoint.save(folder / run.STATE, state)
    return folder


def in_a_process(code, *arguments, forbidden=(), **options):
    """Runs code in a process of its own, where some modules cannot be imported."""
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in forbidden)
    command = [sys.executable, "-c", f"import sys; {hidden}\n{code}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@each
def test_an_actor_decides_as_the_greedy_policy_acts(name, env):
    plan, state = plan_and_state(name, env)
    envs = plan.evaluation_envs(4)
    obs = some_obs(envs.single_observation_space, 50)
    actor = ALGORITHMS[name].actor(plan.config, envs, state)
    assert (actor.moments is None) is not plan.config.normalise_observations
    decided = np.asarray(decisions(actor, features(envs.single_observation_space, jnp.asarray(obs))))
    wanted = np.asarray(ALGORITHMS[name].policy(plan.config, envs, state)(jax.random.key(0), jnp.asarray(obs)))
    if wanted.dtype.kind == "i":
        assert len(set(wanted.tolist())) > 1
        np.testing.assert_array_equal(decided.argmax(-1), wanted)
    else:
        squashed = np.tanh(decided) if actor.squash == "tanh" else np.clip(decided, -1, 1)
        np.testing.assert_allclose(2 * squashed, wanted, atol=2e-6)
        assert np.ptp(wanted) > 0.1


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run of ppo, what was exported of it, observations and the actions of the run."""
    folder = tmp_path_factory.mktemp("exported")
    source = run_of("ppo", "BriefCart-v0", folder / "run")
    manifest = export(source, folder / "policy")
    plan, state = plan_and_state("ppo", "BriefCart-v0")
    envs = plan.evaluation_envs(4)
    obs = some_obs(envs.single_observation_space, 200)
    actions = np.asarray(ppo.policy(plan.config, envs, state)(jax.random.key(0), jnp.asarray(obs)))
    np.save(folder / "obs.npy", obs)
    return folder / "policy", manifest, folder / "obs.npy", actions


def test_the_manifest_has_spaces_constants_and_what_was_measured(exported):
    folder, manifest, _, _ = exported
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    assert manifest["env"] == "BriefCart-v0" and manifest["constants"]["gravity"] == 9.0
    assert manifest["constants"]["cart_mass"] == 1.0 and manifest["max_episode_steps"] == 20
    assert manifest["action_space"] == {"type": "Discrete", "shape": [], "dtype": "int64", "n": 2, "start": 0}
    assert manifest["observation_space"]["low"][1] is None or manifest["observation_space"]["low"][1] < 0
    for form in ("stablehlo", "numpy", "onnx", "c"):
        figures = manifest["forms"][form]
        assert figures["observations"] == 10_000
        assert figures["different_actions"] <= 5
        assert form == "stablehlo" or 0 <= figures["largest_difference"] < 1e-4
        assert all((folder / file).is_file() for file in figures["files"])


def test_numpy_alone_acts_as_the_run(exported):
    folder, _, obs, actions = exported
    code = """
import numpy as np
sys.path.insert(0, sys.argv[1])
from policy import Policy
obs = np.load(sys.argv[2])
policy = Policy()
assert policy.act(obs[0]).shape == () and (policy.act(obs[None])[0] == policy.act(obs)).all()
print(*policy.act(obs))"""
    printed = in_a_process(code, folder, obs, forbidden=("jax", "jaxenvs", "train", "flax"))
    assert printed.split() == [str(action) for action in actions]


def test_onnxruntime_alone_acts_as_the_run(exported):
    folder, _, obs, actions = exported
    code = """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/policy.onnx")
obs = np.load(sys.argv[2])
print(*session.run(["action"], {"observation": obs})[0], *session.run(["action"], {"observation": obs[:1]})[0])
print(session.get_modelmeta().custom_metadata_map["env"])"""
    printed = in_a_process(code, folder, obs, forbidden=("jax", "jaxenvs", "train", "onnx"))
    assert printed.split() == [*(str(action) for action in actions), str(actions[0]), '"BriefCart-v0"']


def test_jax_alone_runs_the_stablehlo_for_batches_of_any_size(exported):
    folder, _, obs, actions = exported
    code = """
import numpy as np, jax.export
from pathlib import Path
policy = jax.export.deserialize(bytearray(Path(sys.argv[1], "policy.stablehlo").read_bytes()))
obs = np.load(sys.argv[2])
assert policy.platforms == ("cpu", "cuda", "tpu") and policy.call(obs[:3]).shape == (3,)
print(*policy.call(obs).tolist())"""
    printed = in_a_process(code, folder, obs, forbidden=("jaxenvs", "train", "flax"))
    assert printed.split() == [str(action) for action in actions]


@pytest.mark.parametrize("language", ["c99", "c++11"])
def test_a_program_with_the_header_acts_as_the_run(exported, tmp_path, language):
    folder, _, obs, actions = exported
    source = tmp_path / ("main.c" if language == "c99" else "main.cpp")
    source.write_text("""
#include <stdio.h>
#include "policy.h"
int main(void) {
  float observation[POLICY_OBSERVATION_SIZE];
  policy_number action[POLICY_ACTION_SIZE];
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    policy_act(observation, action);
    printf("%d ", (int)action[0]);
  }
}""")
    compiler = ["gcc"] if language == "c99" else ["g++"]
    options = [f"-std={language}", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", str(folder), str(source)]
    subprocess.run([*compiler, *options, "-o", str(tmp_path / "main"), "-lm"], check=True)
    done = subprocess.run([str(tmp_path / "main")], input=np.load(obs).tobytes(), capture_output=True, check=True)
    assert done.stdout.split() == [str(action).encode() for action in actions]


def test_an_algorithm_without_a_description_is_exported_as_stablehlo_alone(tmp_path, capsys):
    source = run_of("search", "BriefCart-v0", tmp_path / "run")
    assert main(["export", str(source), "--to", str(tmp_path / "policy")], "jaxenvs") == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'policy' / 'manifest.json'}\n"
    assert re.search(r"stablehlo: policy\.stablehlo; different actions 0 of 10,000 observations", printed.err)
    assert "c: none: search has no description of its policy, which these forms need" in printed.err
    assert sorted(path.name for path in (tmp_path / "policy").iterdir()) == ["manifest.json", "policy.stablehlo"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy", "run"]
    with pytest.raises(RunError, match="cannot be exported as numpy: search has no description"):
        export(source, tmp_path / "other", forms=["numpy"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy", "run"]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.txt").write_text("mine")
    source = run_of("ppo", "BriefCart-v0", tmp_path / "run")
    assert main(["export", str(source), "--to", str(tmp_path / "policy")], "jaxenvs") == 1
    assert "exists already, and is left as it is: choose another --to" in capsys.readouterr().err
    assert (tmp_path / "policy" / "mine.txt").read_text() == "mine"


def test_unknown_forms_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["export", "run", "--to", "policy", "--forms", "onnx,torch"], "jaxenvs")
    assert "must be some of stablehlo,numpy,onnx,c, got 'torch'" in capsys.readouterr().err


def test_without_onnx_the_other_forms_are_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    manifest = export(run_of("ppo", "BriefCart-v0", tmp_path / "run"), tmp_path / "policy", forms=["numpy"])
    assert list(manifest["forms"]) == ["numpy"]
    with pytest.raises(RunError, match=r'as onnx: .*onnx.*: pip install "jaxenvs\[export\]"'):
        export(tmp_path / "run", tmp_path / "other", forms=["onnx"])


@pytest.mark.slow
@each
def test_each_algorithm_is_exported_in_every_form(name, env, tmp_path):
    manifest = export(run_of(name, env, tmp_path / "run"), tmp_path / "policy")
    for form, figures in manifest["forms"].items():
        assert figures["observations"] == 10_000, form
        assert figures.get("largest_difference", 0.0) < 1e-4, form
        assert figures.get("different_actions", 0) <= 5, form
