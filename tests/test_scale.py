"""What `docs/scale.md` says: its manifests can be read, their commands exist, and the bytes are those of the shapes."""

import pathlib
import re
import shlex
import subprocess
import sys
import types

import pytest
import yaml

import jaxenvs
from benchmarks import network
from train import ppo, sac
from train.__main__ import _parser

SCALE = pathlib.Path(__file__).parent.parent / "examples" / "scale"


def commands(text):
    """The words of each `jaxenvs train` and `jaxenvs resume` of a shell script, with what follows "${command[@]}"."""
    rest = re.search(r'"\$\{command\[@\]\}"((?:[^|\\\n]|\\\n)*)', text)
    assert rest is not None
    for found in re.findall(r"command=\(jaxenvs (.*?)\)", text):
        words = found + rest[1].replace("\\\n", " ")
        yield shlex.split(words.replace("$JOB_COMPLETION_INDEX", "1").replace("|| status=$?", ""))


def check_commands(text, count=2):
    found = [*commands(text)]
    assert len(found) == count
    for words in found:
        program = "jaxenvs train" if words[0] == "train" else "jaxenvs"
        options = _parser(program).parse_args(words[words[0] == "train" :])
        assert options.distributed


def shell(text):
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_batch_file_of_slurm():
    text = (SCALE / "train.sbatch").read_text()
    shell(text)
    options = re.findall(r"^#SBATCH (--[a-z-]+(?:=\S+)?)$", text, re.MULTILINE)
    assert len(options) == text.count("#SBATCH") and "--ntasks-per-node=1" in options
    # Slurm reads options up to the first command.
    assert text.index("set -euo") > text.rindex("#SBATCH")
    check_commands(text)


def test_the_jobset_of_kubernetes():
    (found,) = yaml.safe_load_all((SCALE / "jobset.yaml").read_text())
    assert (found["apiVersion"], found["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (workers,) = found["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    assert job["parallelism"] == job["completions"] and job["completionMode"] == "Indexed"
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    script = container["command"][-1]
    shell(script)
    check_commands(script)
    host = f"{found['metadata']['name']}-{workers['name']}-0-0.{found['metadata']['name']}"
    port = container["ports"][0]["containerPort"]
    assert f"--coordinator {host}:{port} " in script and f"--num-processes {job['completions']} " in script
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


def test_the_script_of_ray(monkeypatch):
    text = (SCALE / "ray_train.py").read_text()
    module = types.ModuleType("ray_train")
    exec(compile(text, "ray_train.py", "exec"), module.__dict__)
    config = {"out": "missing", "env": "CartPole-v1", "options": ["--total-steps", "100"]}
    given = []
    # In a checkout, the installed package would be a second copy of `train`.
    command = types.ModuleType("jaxenvs.train.__main__")
    vars(command)["main"] = given.append
    monkeypatch.setitem(sys.modules, "jaxenvs.train", types.ModuleType("jaxenvs.train"))
    monkeypatch.setitem(sys.modules, command.__name__, command)
    module.work(config)
    assert _parser("jaxenvs train").parse_args(given[0]).distributed


@pytest.fixture(scope="module")
def cartpole():
    return jaxenvs.make_vec("CartPole-v1", 256)


def test_the_traffic_of_ppo_is_that_of_its_gradients_and_its_batch(cartpole):
    found = network.traffic("ppo", ppo.Config(), cartpole)
    parameters = (4 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2) + (4 * 64 + 64 + 64 * 64 + 64 + 64 + 1)
    assert found == {
        "parameters": parameters, "exchanges": 16, "gradient_bytes": 16 * 4 * parameters,
        "data_bytes": 256 * 128 * 4 * (4 + 1 + 3),
    }  # fmt: skip
    assert network.sent(found, 1) == 0 and network.sent(found, 2) == found["gradient_bytes"] + found["data_bytes"] / 2


def test_the_traffic_of_sac_has_its_three_parts():
    config = sac.Config(num_envs=4, num_steps=4, learning_starts=16, capacity=64, gradient_steps=2, hidden=(8,))
    found = network.traffic("sac", config, jaxenvs.make_vec("Pendulum-v1", 4))
    critic, actor = 4 * 8 + 8 + 8 + 1, 3 * 8 + 8 + 8 * 2 + 2
    assert found["parameters"] == 2 * critic + actor + 1 and found["exchanges"] == 6
    assert found["gradient_bytes"] == 2 * 4 * found["parameters"]


def test_the_model_is_a_line_through_the_measurements():
    rows = [{"bytes": size, "seconds": 1e-3 + size / 1e8} for size in (4, 4000, 4_000_000)]
    assert network.line(rows) == pytest.approx((1e-3, 1e8), rel=1e-6)
