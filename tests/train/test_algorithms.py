"""The contract of `train/algorithm.py`, for each algorithm that is listed and for a small one of the tests."""

import dataclasses
import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_search
from reference.algorithms import CASES, LISTED, each, program
from reference.probes import Probe, Target

import jaxenvs
from train import algorithm
from train.floor.episodes import Metrics
from train.floor.heads import KINDS
from train.presets import ALGORITHMS
from train.runs import sound


def test_every_algorithm_that_is_listed_is_tried():
    assert CASES.keys() - {"search"} == LISTED


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "search", random_search)


def raw(tree):
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


def trained(name, seed=0, updates=3):
    return raw(program(name)(CASES[name].tiny, CASES[name].envs(), jax.random.key(seed), updates))


@each
def test_it_has_the_names_of_the_contract_with_their_arguments(name):
    module = CASES[name].module
    assert module.ACTIONS and set(module.ACTIONS) <= set(KINDS)
    for member, wanted in inspect.getmembers(algorithm.Algorithm, inspect.isfunction):
        if not member.startswith("_"):
            parameters = [part.name for part in inspect.signature(wanted).parameters.values()][1:]
            assert list(inspect.signature(getattr(module, member)).parameters) == parameters, member
    assert module.Config() == module.Config() and hash(jax.tree.structure(module.Config()))


@each
def test_an_update_keeps_structure_shapes_and_dtypes_and_reports_metrics(name):
    case = CASES[name]
    before = jax.eval_shape(case.module.init, case.tiny, case.envs(), jax.random.key(0))
    config = case.module.scheduled(case.tiny, 3)
    after, metrics = jax.eval_shape(case.module.update, config, case.envs(), before)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    assert isinstance(metrics, Metrics)
    assert {(x.shape, str(x.dtype)) for x in jax.tree.leaves(metrics)} == {((), "float32")}


@each
def test_updates_are_counted_and_make_the_steps_that_they_say(name):
    case = CASES[name]
    state, metrics = trained(name)
    assert state.updates == 3
    # Every episode of the probe has two steps; those that PPO starts at a random age do not count.
    assert 0 < float(metrics.length_sum.sum()) <= 3 * case.module.steps_per_update(case.tiny)


@each
def test_one_seed_gives_one_run_bit_for_bit(name):
    chex.assert_trees_all_equal(trained(name), trained(name))


@each
def test_two_seeds_differ(name):
    first, second = (trained(name, seed)[0] for seed in (0, 1))
    shapes = [x for x in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True) if x[0].size > 4]
    assert any(not np.allclose(a, b) for a, b in shapes)


@each
@pytest.mark.parametrize("keys", ["ordinary", "fast"])
def test_updates_one_by_one_are_the_run(name, keys):
    case = CASES[name]
    make = jax.random.key if keys == "ordinary" else lambda seed: jaxenvs.random.fast(jax.random.key(seed))
    config = case.module.scheduled(case.tiny, 3)
    state = jax.jit(case.module.init)(config, case.envs(), make(5))
    for _ in range(3):
        state, _ = case.module.update(config, case.envs(), state)
    entire, _ = program(name)(case.tiny, case.envs(), make(5), 3)
    chex.assert_trees_all_close(raw(state), raw(entire), rtol=1e-5, atol=1e-6)


@each
@pytest.mark.parametrize("varied", ["keys", "rates"])
def test_a_population_is_trained_as_each_member_alone(name, varied):
    case = CASES[name]
    field, first, second = case.rate
    rates, seeds = ((first, first), (0, 1)) if varied == "keys" else ((first, second), (5, 5))
    configs = dataclasses.replace(case.tiny, **{field: jnp.array(rates)})
    axes = dataclasses.replace(jax.tree.map(lambda _: None, case.tiny), **{field: 0})
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    train = jax.vmap(lambda config, key: case.module.train(config, case.envs(), key, 3), (axes, 0))
    together = jax.jit(train)(configs, keys)
    for index, (rate, seed) in enumerate(zip(rates, seeds, strict=True)):
        alone = program(name)(dataclasses.replace(case.tiny, **{field: rate}), case.envs(), jax.random.key(seed), 3)
        member = jax.tree.map(lambda x, index=index: x[index], raw(together))
        chex.assert_trees_all_close(member, raw(alone), rtol=1e-3, atol=1e-4)
    members = [jax.tree.leaves(jax.tree.map(lambda x, i=i: x[i], raw(together)[0])) for i in range(2)]
    assert any(not np.allclose(a, b) for a, b in zip(*members, strict=True))


@each
def test_many_updates_and_other_rates_are_traced_once(name):
    case = CASES[name]
    field, first, second = case.rate
    step = jax.jit(chex.assert_max_traces(lambda config, envs, state: case.module.update(config, envs, state), n=1))
    chex.clear_trace_counter()
    config = case.module.scheduled(case.tiny, 3)
    state = jax.jit(case.module.init)(config, case.envs(), jax.random.key(0))
    for rate in (first, second, first):
        config = dataclasses.replace(config, **{field: rate})
        for by_match in (1.0, 2.0):
            state, _ = step(config, case.envs(by_match=by_match), state)


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_device_of_a_shard_map_trains_with_its_own_key(name):
    case, mesh = CASES[name], jax.make_mesh((1,), ("runs",), axis_types=(jax.sharding.AxisType.Auto,))
    train = lambda key: case.module.train(case.tiny, case.envs(), key, 2)[1]  # noqa: E731
    runs = jax.sharding.PartitionSpec("runs")
    local = jax.shard_map(
        lambda keys: jax.tree.map(lambda x: x[None], train(keys[0])), mesh=mesh, in_specs=runs, out_specs=runs
    )
    metrics = jax.eval_shape(local, jax.random.split(jax.random.key(0), 1))
    assert {leaf.shape for leaf in jax.tree.leaves(metrics)} == {(1, 2)}


@pytest.mark.parametrize("name", sorted(LISTED))
@pytest.mark.parametrize("kind, env", [("discrete", Probe()), ("box", Target())])
def test_an_algorithm_acts_in_the_kinds_of_space_that_it_is_listed_for(name, kind, env):
    case = CASES[name]
    made = functools.partial(jax.eval_shape, case.module.init, case.tiny, jaxenvs.make_vec(env, 4), jax.random.key(0))
    if kind in case.module.ACTIONS:
        assert made().updates.shape == ()
    else:
        with pytest.raises(TypeError, match=rf"{name} needs actions in .*, got .*; use .*"):
            made()


@each
@pytest.mark.parametrize("leading", [(), (5,)])
def test_a_policy_acts_for_one_observation_and_for_a_batch(name, leading):
    case = CASES[name]
    state, _ = program(name)(case.tiny, case.envs(), jax.random.key(0), 3)
    for greedy in (True, False):
        for envs in (case.envs(), case.envs().env):
            act = jax.jit(case.module.policy(case.tiny, envs, state, greedy=greedy))
            action = act(jax.random.key(0), jnp.zeros((*leading, 2)))
            assert action.shape == (*leading, *case.envs().single_action_space.shape)


@each
def test_what_is_no_batch_of_the_right_size_is_refused(name):
    case = CASES[name]
    with pytest.raises(TypeError, match=r"envs must be a VectorEnv, such as jaxenvs.make_vec\(env, 4\), got Probe"):
        case.module.init(case.tiny, Probe(), jax.random.key(0))
    with pytest.raises(ValueError, match="envs must have num_envs=4 environments, as the config has, got 5"):
        case.module.init(case.tiny, jaxenvs.make_vec(Probe(), 5), jax.random.key(0))


@each
def test_impossible_counts_are_refused_by_name_and_value(name):
    case = CASES[name]
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        case.module.check(dataclasses.replace(case.tiny, num_envs=0))
    assert 1 <= case.module.useful_devices(case.tiny, 64) <= 64
    case.module.check(case.tiny, case.module.useful_devices(case.tiny, 64))


@each
def test_counters_hold_near_the_largest_number_of_updates(name):
    case, last = CASES[name], 2**31 - 1
    envs, config = case.envs(), case.module.scheduled(case.tiny, last)

    def late(path, leaf):
        field = jax.tree_util.keystr(path)
        if field == ".updates":
            return jnp.int32(last - 2)
        if field.endswith(".count"):
            return jnp.full_like(leaf, last if jnp.issubdtype(leaf.dtype, jnp.integer) else 3e9)
        return leaf

    begun = jax.jit(case.module.init)(case.tiny, envs, jax.random.key(0))
    state = jax.tree_util.tree_map_with_path(late, begun)
    for _ in range(2):
        state, metrics = case.module.update(config, envs, state)
    assert int(state.updates) == last
    counters = [x for x in jax.tree.leaves(state._replace(**{"key": ()})) if jnp.issubdtype(x.dtype, jnp.signedinteger)]
    assert all(int(x.min()) >= 0 for x in counters) and not sound.broken(state)
    if "learning_rate" in metrics.means:
        expected = case.tiny.learning_rate * case.tiny.final_learning_rate
        assert float(metrics.means["learning_rate"]) == pytest.approx(expected, abs=1e-9)
