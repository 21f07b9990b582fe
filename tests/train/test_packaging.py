"""The project as pip installs it: a wheel with the trainers in it, used from a folder with a train.py of its own."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tomllib
import venv

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2", "--hidden", "8", "--quiet"]
SHORT = ["--total-steps", "256", "--film-episodes", "0", "--episodes", "2", "--out", "run"]


def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_of_code_is_packaged():
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for name in ("jaxenvs", "train")
        for path in (ROOT / name).rglob("__init__.py")
    }  # fmt: skip
    packaged = settings()["tool"]["setuptools"]["packages"]
    assert sorted(packaged) == sorted(f"jaxenvs.{name}" if name.startswith("train") else name for name in folders)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, since setuptools writes into the folder that it builds.
    source = folder / "source"
    source.mkdir()
    for name in ("jaxenvs", "train", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def environment(folder, wheel, *requirements):
    """The bin folder of a new environment with the wheel, and nothing else but what is required of it."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    options = [] if requirements else ["--no-deps"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *options]
    done = subprocess.run([*command, f"{wheel}{''.join(requirements)}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def use(bin_folder, folder, compiled):
    """What somebody does there: trains by the command, trains from Python, and looks at what was installed."""
    folder.mkdir()
    (folder / "train.py").write_text("raise SystemExit('the wrong train')\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables = {**kept, "JAX_COMPILATION_CACHE_DIR": str(compiled)}

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = run(bin_folder / "jaxenvs", "train", "ppo", "--env", "SimpleRocket-v0", *TINY, *SHORT)
    assert json.loads(printed)["episodes"] == 2
    assert (folder / "run" / "curve.png").is_file()
    code = "import sys; from jaxenvs.train import ppo; print(ppo.Config().num_envs, 'train' in sys.modules)"
    assert run(bin_folder / "python", "-c", code) == "256 False\n"
    run(bin_folder / "jaxenvs", "new", "my_env.py")
    packages = next((bin_folder.parent / "lib").glob("python*/site-packages"))
    assert (packages / "jaxenvs" / "py.typed").is_file()
    assert not [path for path in packages.iterdir() if path.stem == "train"]


@pytest.mark.slow
def test_the_wheel_trains_beside_somebodys_own_train(tmp_path, wheel, compiled):
    bin_folder = environment(tmp_path / "environment", wheel)
    # The dependencies of this environment; its own jaxenvs is not found through the .pth files of a folder added so.
    packages = next((bin_folder.parent / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    use(bin_folder, tmp_path / "elsewhere", compiled)


@pytest.mark.slow
def test_the_wheel_trains_in_an_environment_of_its_own(tmp_path, wheel, compiled):
    use(environment(tmp_path / "environment", wheel, "[train]"), tmp_path / "elsewhere", compiled)
