"""`train.load`: a run as an object, for each algorithm that keeps the contract."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_search

import jaxenvs
import train
from jaxenvs.registry import registry
from train import ppo
from train.presets import ALGORITHMS
from train.runs import checkpoint, run
from train.runs.plan import Plan, RunError

CONFIGS = {
    "ppo": ppo.Config(num_envs=4, num_steps=8, segment=4, minibatches=2, epochs=1, hidden=(4,)),
    "search": random_search.Config(num_envs=4, num_steps=8),
}
ENVS = {"discrete": "BriefCart-v0", "box": "BriefRocket-v0"}


@pytest.fixture(scope="module", autouse=True)
def registered():
    jaxenvs.register("BriefCart-v0", jaxenvs.CartPole, max_episode_steps=20, force=True)
    jaxenvs.register("BriefRocket-v0", jaxenvs.SimpleRocket, max_episode_steps=20, force=True)
    ALGORITHMS["search"] = random_search
    yield
    del registry["BriefCart-v0"], registry["BriefRocket-v0"], ALGORITHMS["search"]


@pytest.fixture(scope="module", params=[(name, kind) for name in CONFIGS for kind in ENVS], ids="-".join)
def folder(request, tmp_path_factory):
    name, kind = request.param
    folder = tmp_path_factory.mktemp("load") / "run"
    plan = Plan(
        algorithm=name, env=ENVS[kind], constants={}, training={}, curve_as_trained=False, config=CONFIGS[name],
        total_steps=96, seed=3,
    )  # fmt: skip
    assert run.begin(plan, folder, quiet=True)
    return folder


def observations(agent, count):
    return jaxenvs.make_vec(agent.env, count).reset(jax.random.key(5))[1]


def test_it_has_what_the_run_has(folder):
    agent = train.load(folder)
    plan, state = run.read(folder)
    assert (agent.plan, agent.config, agent.steps) == (plan, plan.config, 96)
    assert agent.env == jaxenvs.make(plan.env)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(agent.state), arrays(state)))


def arrays(state):
    return [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in jax.tree.leaves(state)
    ]


def test_it_acts_as_the_policy_of_the_algorithm(folder):
    agent = train.load(str(folder))
    obs, key = observations(agent, 5), jax.random.key(7)
    module = ALGORITHMS[agent.plan.algorithm]
    for greedy, given in ((True, None), (False, key)):
        expected = module.policy(agent.config, agent.env, agent.state, greedy=greedy)(key, obs)
        np.testing.assert_allclose(agent.act(obs, given), expected, rtol=1e-5, atol=1e-6)


def test_one_observation_gives_one_action_of_the_space_also_inside_jit(folder):
    agent = train.load(folder)
    obs = observations(agent, 3)
    one, many = agent.act(obs[0]), jax.jit(agent.act)(obs)
    assert one.shape == (agent.env.action_space.shape or ()) and many.shape == (3, *one.shape)
    np.testing.assert_allclose(one, many[0], rtol=1e-5, atol=1e-6)


def test_predict_takes_and_gives_numpy_arrays_that_gymnasium_steps_with(folder):
    agent = train.load(folder)
    env = gymnasium.make(f"jaxenvs/{agent.plan.env}")
    obs, _ = env.reset(seed=0)
    for deterministic in (True, False):
        action, state = agent.predict(obs, deterministic=deterministic)
        assert isinstance(action, np.ndarray) and state is None
        assert env.action_space.contains(action) or env.action_space.contains(action.item())
        obs, *_ = env.step(action)
    batch, _ = agent.predict(np.stack([obs, obs]))
    assert batch.shape[0] == 2


@pytest.mark.parametrize("shape", [(), (1,), (5, 9)])
def test_an_observation_of_another_shape_is_refused_in_one_sentence(folder, shape):
    agent = train.load(folder)
    with pytest.raises(ValueError, match=r"obs must have the shape \(\d,\), or end in it for a batch, got"):
        agent.act(np.zeros(shape, np.float32))


def test_it_is_evaluated_as_the_command_does(folder):
    expected = run.evaluate_run(*run.read(folder), episodes=6, seed=2)[1]
    assert train.load(folder).evaluate(6, seed=2) == expected


def test_the_best_state_is_loaded_on_request(folder, tmp_path):
    best = train.load(folder, which="best")
    assert best.steps == int(run.read(folder, run.BEST)[1].updates) * best.plan.steps_per_update
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    checkpoint.save(tmp_path / run.STATE, best.state)
    with pytest.raises(RunError, match=r"best\.npz does not exist"):
        train.load(tmp_path, which="best")
    with pytest.raises(ValueError, match="which must be one of 'newest', 'best', got 'last'"):
        train.load(folder, which="last")


@pytest.mark.parametrize(("name", "head"), [("a.gif", b"GIF89a"), ("a.mp4", b"\0\0\0\x20ftyp")])
def test_it_is_filmed(folder, tmp_path, name, head):
    agent = train.load(folder)
    assert agent.film(tmp_path / name, episodes=1).read_bytes().startswith(head)
    with pytest.raises(ValueError, match=r"must end in .mp4 or .gif, got 'a.avi'"):
        agent.film("a.avi")
