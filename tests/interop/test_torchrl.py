"""TorchRL on our environments; `make interop` runs this where its library is installed."""

import gymnasium
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchrl")

from pages import blocks
from torchrl.envs import GymEnv, GymWrapper
from torchrl.envs.utils import check_env_specs

import jaxenvs

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_its_checker_passes_on_one_environment(id):
    env = GymEnv(f"jaxenvs/{id}")
    check_env_specs(env)
    assert env.rollout(5, break_when_any_done=False)["next", "reward"].shape == (5, 1)


@pytest.mark.parametrize(
    "options",
    [{"from_pixels": True}, {"frame_skip": 2}, {"categorical_action_encoding": True}, {"gravity": 5.0}],
    ids=str,
)
def test_its_options_and_our_constants_are_taken(options):
    env = GymEnv("jaxenvs/CartPole-v1", **options)
    check_env_specs(env)
    assert ("pixels" in set(env.rollout(2).keys())) == ("from_pixels" in options)


@pytest.mark.parametrize(
    ("mode", "arrays"),
    [("SameStep", "numpy"), ("SameStep", "torch"), ("Disabled", "numpy"), ("Disabled", "torch"), ("Disabled", "jax")],
)
def test_a_batch_is_wrapped(mode, arrays):
    envs = gymnasium.make_vec("jaxenvs/CartPole-v1", num_envs=3, arrays=arrays, autoreset_mode=mode)
    played = GymWrapper(envs).rollout(30, break_when_any_done=False)
    assert played.shape == (3, 30) and played["next", "done"].any()


def test_a_batch_resets_where_it_is_told():
    envs = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=3, autoreset_mode="Disabled", max_episode_steps=4)
    played = GymWrapper(envs).rollout(9, break_when_any_done=False)
    assert played["next", "truncated"].sum() == 3 * 2


@pytest.mark.parametrize("block", blocks("bridges.md", "torchrl"))
def test_the_example_of_the_page_runs(block):
    exec(compile(block, "bridges.md", "exec"), {})
