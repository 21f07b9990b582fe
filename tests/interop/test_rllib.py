"""Ray RLlib on our environments; `make interop` runs this where its library is installed."""

import collections

import gymnasium
import jax
import numpy as np
import pytest
from pages import blocks

ray = pytest.importorskip("ray")
torch = pytest.importorskip("torch")

from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import jaxenvs
from jaxenvs.bridges.gymnasium_vector import GymnasiumVectorEnv

VECTOR_LINE = '        gym_env_vectorize_mode="vector_entry_point",\n'
MODES = "sync", "vector_entry_point"
LIMIT = 30


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def ray_on_one_core(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path_factory.mktemp("results")))
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def configured(id, mode, num_envs, **env_config):
    return (
        PPOConfig()
        .environment(f"jaxenvs:jaxenvs/{id}", env_config=env_config)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs, gym_env_vectorize_mode=mode)
        .debugging(seed=0, log_level="ERROR")
    )


def env_runner(*args, **env_config):
    return SingleAgentEnvRunner(config=configured(*args, **env_config), worker_index=0)


def whole_episodes(samples):
    """The pieces that sampling cut episodes into, joined: id -> (observations, actions, rewards, last piece)."""
    pieces = collections.defaultdict(list)
    for piece in samples:
        pieces[piece.id_].append(piece)
    for parts in pieces.values():
        assert [part.t_started for part in parts] == list(np.cumsum([0, *map(len, parts)])[:-1])
        firsts = [part.get_observations(0) for part in parts[1:]]
        np.testing.assert_array_equal(firsts, [part.get_observations(-1) for part in parts[:-1]])
        assert not any(part.is_done for part in parts[:-1])
        obs = np.concatenate([parts[0].get_observations(slice(0, 1)), *(part.get_observations()[1:] for part in parts)])
        actions, rewards = (
            np.concatenate([getattr(part, name)() for part in parts]) for name in ("get_actions", "get_rewards")
        )
        yield obs, actions, rewards, parts[-1]


@jax.jit
def lived_again(env, start, actions):
    """The `Step`s of these actions from this start, by the environment itself."""
    state, _ = env.start_at(*start)
    return jax.lax.scan(lambda state, action: env.step(jax.random.key(0), state, action), state, actions)[1]


@pytest.mark.parametrize("mode", MODES)
def test_sampled_episodes_are_those_that_the_environment_lives(mode):
    runner = env_runner("CartPole-v1", mode, 8, max_episode_steps=LIMIT, cart_mass=1.2)
    counted = RecordEpisodeStatistics(runner.env.env, buffer_length=1000)
    runner.env = DictInfoToList(counted)
    samples = [piece for _ in range(5) for piece in runner.sample(num_timesteps=300)]

    env, lengths, ends = jaxenvs.CartPole(cart_mass=1.2), [], collections.Counter()
    for obs, actions, rewards, last in whole_episodes(samples):
        length = len(actions)
        padded = lived_again(env, obs[0], np.pad(actions, (0, LIMIT - length)))
        again = jax.tree.map(lambda x, n=length: np.asarray(x)[:n], padded)
        assert np.abs(obs[0]).max() <= 0.05
        np.testing.assert_allclose(obs[1:], again.obs, atol=1e-5)
        np.testing.assert_array_equal(rewards, again.reward)
        assert not again.terminated[:-1].any() and last.is_terminated == again.terminated[-1]
        assert last.is_truncated == (length == LIMIT)
        ends.update(terminated=bool(last.is_terminated), truncated=bool(last.is_truncated), open=not last.is_done)
        if last.is_done:
            lengths.append(length)
    assert min(ends["terminated"], ends["truncated"]) > 5 and ends["open"] <= 8
    # Each has a reward of 1, so that lengths are returns; none is lost, none invented.
    assert sorted(lengths) == sorted(counted.length_queue) == sorted(counted.return_queue)


@pytest.mark.parametrize("mode", MODES)
def test_its_metrics_are_those_of_the_episodes(mode):
    runner = env_runner("HeartPole-v0", mode, 4, max_episode_steps=7)
    samples = runner.sample(num_timesteps=200)
    metrics = runner.get_metrics()
    returns = [rewards.sum() for _, _, rewards, last in whole_episodes(samples) if last.is_done]
    assert metrics["num_env_steps_sampled_lifetime"].peek() == sum(map(len, samples))
    assert metrics["episode_len_min"].peek() == metrics["episode_len_max"].peek() == 7
    assert metrics["episode_return_mean"].peek() == pytest.approx(np.mean(returns), rel=1e-5)


def test_a_fresh_start_in_the_middle_of_episodes_loses_none():
    runner = env_runner("CartPole-v1", "vector_entry_point", 4, max_episode_steps=LIMIT)
    runner.sample(num_timesteps=50)
    whole = runner.sample(num_episodes=12)
    assert len(whole) >= 12 and all(piece.is_done and piece.t_started == 0 for piece in whole)
    assert all(len(piece) == piece.get_return() for piece in whole)


def with_whole_actions(id):
    """Whether actions are integers in a Box, for which RLlib has no model."""
    space = jaxenvs.make(id).action_space
    return isinstance(space, gymnasium.spaces.Box) and space.dtype.kind == "i"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", sorted(id for id in jaxenvs.registry if not with_whole_actions(id)))
def test_every_environment_is_sampled(id, mode):
    config = configured(id, mode, 2)
    if jaxenvs.make(id).observation_space.dtype != np.float32:
        config.env_runners(env_to_module_connector=lambda env, spaces, device: FlattenObservations())
    samples = SingleAgentEnvRunner(config=config, worker_index=0).sample(num_timesteps=40)
    assert 40 <= sum(map(len, samples)) < 42
    assert all(np.isfinite(piece.get_rewards()).all() for piece in samples)


@pytest.mark.parametrize("id", sorted(filter(with_whole_actions, jaxenvs.registry)))
def test_it_refuses_integers_in_a_box_as_actions(id):
    with pytest.raises(ValueError, match="action spaces are not supported"):
        env_runner(id, "vector_entry_point", 2)


def test_constants_reach_one_environment():
    envs = env_runner("HeartPole-v0", "sync", 2, heart_attack_proclivity=0.3, max_episode_steps=9).env.unwrapped.envs
    assert [env.unwrapped.env.heart_attack_proclivity for env in envs] == [0.3, 0.3]
    assert [env.spec.max_episode_steps for env in envs] == [9, 9]


def test_constants_reach_a_batch_and_may_differ_in_it():
    proclivities = np.linspace(0.0, 1.0, 4, dtype=np.float32)
    runner = env_runner(
        "HeartPole-v0", "vector_entry_point", 4,
        heart_attack_proclivity=proclivities, heart_attack_midpoint=-50.0, max_episode_steps=9,
    )  # fmt: skip
    assert isinstance(runner.env.unwrapped, GymnasiumVectorEnv)
    assert runner.env.unwrapped.envs.max_episode_steps == 9
    means = [piece.get_rewards().mean() for piece in runner.sample(num_timesteps=36)]
    # At that midpoint each step's risk is the proclivity, and an attack costs 100.
    assert means[0] > -1 and means[-1] < -95


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_constant_is_refused(mode):
    with pytest.raises(ValueError, match="heart_attack_proclivity must be"):
        env_runner("HeartPole-v0", mode, 2, heart_attack_proclivity=1.5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("ray_on_one_core")
def test_its_ppo_learns_cartpole(mode):
    config = configured("CartPole-v1", mode, 8).training(
        lr=1e-3, train_batch_size_per_learner=2048, minibatch_size=256, num_epochs=8, vf_clip_param=np.inf
    )
    algo = config.build_algo()
    means = [algo.train()["env_runners"]["episode_return_mean"]]
    while means[-1] < 100 and len(means) < 20:
        means.append(algo.train()["env_runners"]["episode_return_mean"])
    algo.stop()
    assert means[0] < 40 and means[-1] >= 100, means


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("ray_on_one_core")
def test_the_page_runs_as_it_stands_and_without_the_line_of_the_batch(mode, capsys):
    (block,) = blocks("rllib.md", "rllib")
    assert VECTOR_LINE in block
    example = {}
    exec(compile(block if mode == MODES[1] else block.replace(VECTOR_LINE, ""), "rllib.md", "exec"), example)
    assert example["config"].gym_env_vectorize_mode == mode
    assert np.isfinite(float(capsys.readouterr().out))
