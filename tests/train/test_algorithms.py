"""The contract of `train/algorithm.py`, for each algorithm that is listed and for a small one of the tests."""

import dataclasses
import functools
import inspect
import json
import signal
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_search
from reference.probes import Probe, Pushed, Target

import jaxenvs
from jaxenvs.registry import registry
from train import algorithm, dqn, ppo, pqn, sac, td3
from train.__main__ import main
from train.floor.episodes import Metrics
from train.floor.evaluate import evaluate
from train.floor.heads import KINDS
from train.presets import ALGORITHMS
from train.runs import checkpoint, run, saver, sound
from train.runs.plan import Plan


class Case(NamedTuple):
    """An algorithm, with counts that are small enough for tests."""

    module: Any
    #: Few steps an update, to try the contract.
    tiny: Any
    #: Enough to learn a probe in `updates` updates.
    learner: Any
    updates: int
    #: A rate, and two values of it under which training differs.
    rate: tuple[str, float, float]
    #: Whether it acts in boxes.
    box: bool = True
    #: Whether it acts by choices.
    choices: bool = True

    def probe(self, **constants):
        return (Probe if self.choices else Pushed)(**constants)

    def envs(self, **constants):
        """Four environments, as many as `tiny` has."""
        return jaxenvs.make_vec(self.probe(horizon=2, **{"by_match": 1.0, **constants}), 4)

    @property
    def brief(self):
        """The id of an environment with episodes of at most 20 steps."""
        return "Brief-v0" if self.choices else "BriefPush-v0"


# For both learners from boxes alone.
BOX_TINY = {"num_envs": 4, "num_steps": 4, "gradient_steps": 2, "batch_size": 8, "capacity": 64, "hidden": (4,)}
BOX_TINY |= {"learning_starts": 16, "n_step": 3}
BOX_LEARNER = {"num_envs": 16, "num_steps": 8, "gradient_steps": 8, "batch_size": 64, "capacity": 4096, "gamma": 0.8}
BOX_LEARNER |= {"learning_starts": 256, "hidden": (16,), "learning_rate": 0.01, "tau": 0.05}


CASES = {
    "ppo": Case(
        ppo,
        ppo.Config(num_envs=4, num_steps=4, segment=4, minibatches=2, epochs=1, hidden=(4,)),
        ppo.Config(num_envs=16, num_steps=8, segment=4, minibatches=2, hidden=(16,), learning_rate=0.01, gamma=0.8),
        100,
        ("learning_rate", 0.01, 0.03),
    ),
    "td3": Case(
        td3,
        td3.Config(**BOX_TINY),
        td3.Config(**BOX_LEARNER),
        100,
        ("learning_rate", 0.01, 0.03),
        choices=False,
    ),
    "sac": Case(
        sac,
        sac.Config(**BOX_TINY),
        sac.Config(**BOX_LEARNER, temperature=0.2),
        100,
        ("learning_rate", 0.01, 0.03),
        choices=False,
    ),
    "dqn": Case(
        dqn,
        dqn.Config(
            num_envs=4,
            num_steps=4,
            gradient_steps=2,
            batch_size=8,
            capacity=64,
            learning_starts=16,
            n_step=3,
            hidden=(4,),
            target_every=3,
        ),
        dqn.Config(
            num_envs=16,
            num_steps=8,
            gradient_steps=8,
            batch_size=64,
            capacity=4096,
            learning_starts=256,
            n_step=2,
            hidden=(16,),
            learning_rate=0.01,
            gamma=0.8,
            target_every=20,
        ),
        100,
        ("learning_rate", 0.01, 0.03),
        box=False,
    ),
    "pqn": Case(
        pqn,
        pqn.Config(num_envs=4, num_steps=4, segment=4, minibatches=2, epochs=1, hidden=(4,)),
        pqn.Config(num_envs=16, num_steps=8, segment=4, minibatches=2, hidden=(16,), learning_rate=0.01, gamma=0.8),
        100,
        ("learning_rate", 0.01, 0.03),
        box=False,
    ),
    "search": Case(
        random_search,
        random_search.Config(num_envs=4, num_steps=4),
        random_search.Config(num_envs=16, num_steps=8),
        100,
        ("noise", 1.0, 0.3),
    ),
}
each = pytest.mark.parametrize("name", CASES)


LISTED = set(ALGORITHMS)


def test_every_algorithm_that_is_listed_is_tried():
    assert CASES.keys() - {"search"} == LISTED


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "search", random_search)


@pytest.fixture(scope="module", autouse=True)
def brief():
    jaxenvs.register("Brief-v0", jaxenvs.CartPole, max_episode_steps=20, force=True)
    jaxenvs.register("BriefPush-v0", jaxenvs.Pendulum, max_episode_steps=20, force=True)
    yield
    del registry["Brief-v0"], registry["BriefPush-v0"]


@functools.cache
def program(name):
    """The jitted `train`: one for all tests, so that it compiles once a configuration."""
    return jax.jit(CASES[name].module.train, static_argnums=3)


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


PROBES = {
    "a choice that pays": ({"horizon": 1, "by_choice": 1.0}, 1.0),
    "a choice that costs": ({"horizon": 1, "by_choice": -1.0}, 1.0),
    "a choice that fits the observation": ({"horizon": 1, "by_match": 1.0}, 1.0),
    "a choice at each of two steps": ({"horizon": 2, "by_match": 1.0}, 2.0),
    "a choice until the time limit": ({"horizon": 1_000_000, "by_match": 1.0, "clock": False}, 4.0),
}


@each
@pytest.mark.parametrize("probe", PROBES)
def test_the_optimum_of_a_probe_is_learned(name, probe):
    case, (constants, optimum) = CASES[name], PROBES[probe]
    state, _ = program(name)(case.learner, case.probe(**constants), jax.random.key(0), case.updates)
    envs = jaxenvs.make_vec(case.probe(**constants), 64)
    episodes = jax.jit(lambda state, key: evaluate(envs, case.module.policy(case.learner, envs, state), key))(
        state, jax.random.key(1)
    )
    assert float(episodes.episode_return.min()) == optimum


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.box])
def test_an_optimum_inside_a_box_is_approached(name):
    case, env = CASES[name], Target()
    state, _ = program(name)(case.learner, env, jax.random.key(0), case.updates)
    act = case.module.policy(case.learner, jaxenvs.make_vec(env, 1), state)
    assert float(act(jax.random.key(0), jnp.zeros((1, 1)))[0, 0]) == pytest.approx(3.5, abs=0.15)


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


def steps_after(name, updates):
    module, config = CASES[name].module, CASES[name].tiny
    return module.warmup_steps(config) + updates * module.steps_per_update(config)


def plan(name, updates=6):
    case = CASES[name]
    return Plan(
        algorithm=name, env=case.brief, constants={}, training={}, curve_as_trained=False, config=case.tiny,
        total_steps=steps_after(name, updates), seed=3,
    )  # fmt: skip


def stored(folder):
    with np.load(folder / "state.npz") as arrays:
        return {key: arrays[key].tobytes() for key in arrays.files}


@each
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(name, tmp_path, monkeypatch):
    assert run.begin(plan(name), tmp_path / "entire", quiet=True)
    saves, save = [], checkpoint.save

    def stopping(path, tree, **options):
        save(path, tree, **options)
        saves.append(path)
        if len(saves) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(checkpoint, "save", stopping)
    monkeypatch.setattr(saver, "_WORTH", 0.0)  # a checkpoint at each point of the curve
    assert not run.begin(plan(name), tmp_path / "stopped", quiet=True)
    assert stored(tmp_path / "stopped") != stored(tmp_path / "entire")
    assert run.resume(tmp_path / "stopped", quiet=True)
    assert stored(tmp_path / "stopped") == stored(tmp_path / "entire")


@each
def test_the_command_line_trains_evaluates_films_and_resumes(name, tmp_path, capsys):
    case = CASES[name]
    options = []
    for field in dataclasses.fields(case.tiny):
        value = getattr(case.tiny, field.name)
        if value != field.default:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            options += [f"--{field.name.replace('_', '-')}", text]
    folder = tmp_path / "run"
    steps = str(steps_after(name, 4))
    command = [name, "--env", case.brief, "--total-steps", steps, "--out", str(folder), "--film-episodes", "1"]
    assert main([*command, "--episodes", "8", "--quiet", "--seed", "7", *options]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["episodes"] == 8 and 1 <= figures["mean_length"] <= 20
    assert {"config.json", "state.npz", "metrics.jsonl", "curve.png", "film.mp4", "film.gif", "evaluation.json"} <= {
        path.name for path in folder.iterdir()
    }
    rows = run.read_figures(folder)
    assert rows[-1]["steps"] == int(steps) and all("eval_mean" in row for row in rows)
    assert main(["evaluate", str(folder), "--episodes", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 4
    assert main(["resume", str(folder), "--film-episodes", "0", "--episodes", "4", "--quiet"]) == 0


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
