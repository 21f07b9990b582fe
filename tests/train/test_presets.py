import pytest

from jaxenvs.loading import is_entry
from jaxenvs.registry import registry
from train.presets import ALGORITHMS, PRESETS, VARIANTS, preset

ALL = [*PRESETS, *VARIANTS]


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_a_preset_is_a_run_that_can_be(names):
    algorithm, env_id, *_ = names
    module, found = ALGORITHMS[algorithm], preset(*names)
    config = module.Config(**found.config)
    module.check(config)
    assert found.total_steps > module.warmup_steps(config)
    assert env_id in registry or is_entry(env_id)
