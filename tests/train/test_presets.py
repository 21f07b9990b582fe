import pytest

from jaxenvs.loading import is_entry
from jaxenvs.registry import registry
from train.presets import ACCELERATOR, ALGORITHMS, PRESETS, VARIANTS, preset

ALL = [*PRESETS, *VARIANTS]


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_a_preset_is_a_run_that_can_be(names):
    algorithm, env_id, *_ = names
    module, found = ALGORITHMS[algorithm], preset(*names)
    config = module.Config(**found.config)
    module.check(config)
    assert found.total_steps > module.warmup_steps(config)
    assert env_id in registry or is_entry(env_id)


@pytest.mark.parametrize("algorithm", ACCELERATOR)
@pytest.mark.parametrize("env_id", ["HeartPole-v0", "Own-v0"])
def test_the_preset_for_accelerators_has_larger_batches_and_twice_the_gradient_steps(algorithm, env_id):
    module, large = ALGORITHMS[algorithm], preset(algorithm, env_id, "accelerator")
    usual, config = module.Config(**preset(algorithm, env_id).config), module.Config(**large.config)
    module.check(config)
    assert config.num_envs == 16 * usual.num_envs

    def gradient_steps(plan, config):
        return plan.total_steps / module.steps_per_update(config) * config.epochs * config.minibatches

    assert gradient_steps(large, config) == 2 * gradient_steps(preset(algorithm, env_id), usual)
    assert large.training == preset(algorithm, env_id).training


def test_a_learner_from_replay_has_no_preset_for_accelerators():
    with pytest.raises(ValueError, match="dqn has no preset 'accelerator' for CartPole-v1; there is few-steps"):
        preset("dqn", "CartPole-v1", "accelerator")
