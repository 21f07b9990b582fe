"""When a run's state is saved, and what is left out of it."""

import jax
import jax.numpy as jnp

import jaxenvs
from train import dqn, ppo
from train.runs import checkpoint, saver, states

CONFIG = ppo.Config(num_envs=4, num_steps=8, segment=4, minibatches=1, epochs=1, hidden=(4,))


def test_a_checkpoint_that_takes_long_is_not_written_at_every_point(tmp_path, monkeypatch):
    monkeypatch.setattr(saver, "_WORTH", 100)
    state = ppo.init(CONFIG, jaxenvs.make_vec("CartPole-v1", 4), jax.random.key(0))
    writes = saver.Saver(tmp_path, {}, every=30.0, keep=1)
    writes.save(state)
    writes._took = 10.0
    later = state._replace(updates=jnp.int32(1))
    writes.save_if_cheap(later)
    assert checkpoint.load(tmp_path / "state.npz", state).updates == 0
    writes._took = 0.0
    writes.save_if_cheap(later)
    assert checkpoint.load(tmp_path / "state.npz", state).updates == 1


def test_the_best_checkpoint_has_no_replay_buffer_and_one_that_has_is_read_too(tmp_path):
    config = dqn.Config(num_envs=4, num_steps=4, learning_starts=16, capacity=64, hidden=(4,), batch_size=8)
    state = jax.eval_shape(dqn.init, config, jaxenvs.make_vec("CartPole-v1", 4), jax.random.key(0))
    state = jax.tree.map(
        lambda x: jax.random.key(0) if x.shape == () and "key" in str(x.dtype) else jnp.zeros(x.shape, x.dtype), state
    )
    writes = saver.Saver(tmp_path, {}, every=30.0, keep=1)
    writes.save(state)
    writes.keep_if_best(state, [{"steps": 0, "eval_mean": 1.0}])
    assert not [name for name in checkpoint.read_arrays(tmp_path / "best.npz") if "replay" in name]
    for name in ("best.npz", "state.npz"):
        assert states._best(tmp_path / name, state)[0].experience.replay.data.features is None
