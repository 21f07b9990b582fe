"""`SweepPlan`, everything that decides a sweep: its settings, its members, and which of them are trained together."""

import dataclasses
import json
import secrets
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxenvs.constants import is_static

from ..floor.memory import check_fits, memory
from ..presets import ALGORITHMS
from ..runs.memory import check_run
from .elsewhere import check_installed, examples_of
from .ladder import ladder
from .metrics import metric_of
from .population import estimated_bytes
from .searches import IN_LANES, OPTUNA, checked_options, together_at_least
from .space import checked_space, field_of, member_plan, settings_of

# Seeds of members lie below this, and those of evaluations above, so that no two of a sweep have equal keys.
_SEEDS = 2**30
# The part of the memory that a chunk may take.
_SHARE = 0.5
# Members of a chunk by default, so that a killed sweep loses little: fewer on CPUs, which gain nothing from more.
_CHUNK = {"cpu": 64}
_CHUNK_ELSEWHERE = 1024
# Evaluations along a run, by default.
_EVALUATIONS = 10
# Optuna learns between batches only, so that a batch is at most this part of the trials by default.
_BATCHES = 8


class Chunk(NamedTuple):
    """Members with equal static fields that are trained together."""

    number: int
    #: dict of static parameters of the group to their values.
    static: dict
    #: Numbers of the members, a list.
    members: list


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """Everything that decides a sweep; kept in its folder as `sweep.json`."""

    #: The `Plan` of its runs, but for what the space decides.
    runs: Any
    #: dict of name to `Distribution`.
    space: dict
    #: A dict of name to value for each trial.
    settings: list
    #: Runs of each setting.
    seeds: int
    search: str
    #: The name of a `Metric`.
    metric: str
    #: Evaluations along a run, but for successive halving, and full episodes of each.
    evaluations: int
    episodes: int
    #: Fresh runs of the winner, before it is named.
    confirm: int
    #: The largest number of members that are trained together.
    chunk: int
    #: The options of a search, of `searches.checked_options`; None for other searches.
    eta: int | None = None
    rungs: int | None = None
    quantile: float | None = None
    resample: float | None = None
    #: Of a search by Optuna, whose settings come batch after batch: how many there will be, where its database is
    #: (None: in the folder), the study's name there, and what marks this sweep's trials in it.
    trials: int | None = None
    storage: str | None = None
    study: str | None = None
    asker: str | None = None

    @property
    def num_trials(self):
        return len(self.settings) if self.trials is None else self.trials

    @property
    def num_members(self):
        return self.num_trials * self.seeds

    @property
    def batch(self):
        """Trials whose chunks are made together: all, or as many as Optuna is asked for at once."""
        return max(1, self.num_trials if self.trials is None else self.chunk // self.seeds)

    def trial_of(self, member):
        """The number of a member's trial; members are numbered trial by trial."""
        return member // self.seeds

    def seed_of(self, member):
        """The seed with which `jaxenvs train` makes the same run; those of one sweep all differ."""
        return (self.runs.seed * 1_000_003 + member) % _SEEDS

    def evaluation_key(self, stage, point):
        """The key of an evaluation: the same for all members, and another for the winner's fresh runs."""
        return jax.random.fold_in(jax.random.fold_in(self.runs.key(_SEEDS + self.runs.seed % _SEEDS), stage), point)

    def plan_of(self, values, member):
        """The `Plan` of a member's run."""
        return dataclasses.replace(self.run_plan(values), seed=self.seed_of(member))

    def run_plan(self, values):
        """The `Plan` of all runs with these values, but for their seeds; see `space.member_plan`."""
        plan = member_plan(self.runs, values)
        if self.search != "asha":
            return plan
        # Looks come after equal numbers of updates.
        return dataclasses.replace(plan, total_steps=plan.steps_after(self.ladder_of(plan).num_updates))

    def ladder_of(self, plan):
        """The `Ladder` of a `Plan` of runs, for successive halving."""
        return ladder(plan.num_updates, self.eta, self.rungs)

    def static_of(self, trial):
        """The static part of a setting, a dict."""
        return {name: value for name, value in self.settings[trial].items() if is_static(field_of(self.runs, name))}

    def looks_of(self, plan):
        """i64[evaluations + 1]: updates before each evaluation of a `Plan` of runs, after 0.

        There may be fewer than were asked for, since one update at least is between two.
        """
        if self.search == "asha":
            looks = self.ladder_of(plan)
            return looks.updates * np.arange(looks.looks + 1)
        count = min(self.evaluations, plan.num_updates)
        return np.round(np.linspace(0, plan.num_updates, count + 1)).astype(int)

    def rung_of(self, trial, looks):
        """How many rungs a trial has passed that was trained for this number of looks; 0 for other searches."""
        if self.search != "asha":
            return 0
        return self.ladder_of(self.run_plan(self.static_of(trial))).rung_of(looks)

    @property
    def full_steps(self):
        """Environment steps of full runs of all members."""
        plans = [(self.run_plan(static), len(trials)) for static, trials in self.groups()]
        return self.seeds * sum(count * plan.steps_after(plan.num_updates) for plan, count in plans)

    def groups(self, trials=None):
        """A list of (static part, numbers of the trials that have it), of some trials or all; equal for equal plans."""
        groups = {}
        for trial in range(len(self.settings)) if trials is None else trials:
            static = self.static_of(trial)
            groups.setdefault(json.dumps(static), (static, []))[1].append(trial)
        return list(groups.values())

    def members_of(self, trial):
        """The numbers of a trial's members, a list."""
        return list(range(trial * self.seeds, (trial + 1) * self.seeds))

    def chunks(self):
        """The `Chunk`s of the sweep, a list; equal for equal plans. Successive halving keeps each trial by itself.

        Where settings come in batches, the chunks of a batch are behind those of the batches before.
        """
        found, count = [], len(self.settings)
        for first in range(0, count, self.batch):
            for static, trials in self.groups(range(first, min(first + self.batch, count))):
                members = [member for trial in trials for member in self.members_of(trial)]
                parts = {"asha": len(trials), "pbt": 1}.get(self.search, -(-len(members) // self.chunk))
                for part in np.array_split(np.array(members), parts):
                    found.append(Chunk(len(found), static, part.tolist()))
        return found

    def lanes_of(self, chunk, chunks):
        """Members of the program that trains a chunk: chunks of similar sizes share one, with lanes left over.

        Args:
            chunk: `Chunk`.
            chunks: all of them, a list.
        """
        if self.trials is None:
            # Chunks of a group differ by one member at most.
            return max(len(other.members) for other in chunks if other.static == chunk.static)
        # Optuna decides how many of a batch are in a group.
        return min(1 << (len(chunk.members) - 1).bit_length(), max(self.chunk, len(chunk.members)))


def plan_sweep(
    runs, space, *, trials=None, seeds=4, search="random", metric="final", evaluations=None, episodes=128, confirm=8,
    chunk=None, **options,
):  # fmt: skip
    """The `SweepPlan` of a space.

    Args:
        runs: a `Plan`.
        space: dict of name to `Distribution`, as `space.parse_space` returns.
        trials: settings to try; by default 64, or all of a grid.
        seeds: runs of each setting.
        search, metric: names; see `space.settings_of` and `metrics.metric_of`.
        evaluations: along a run, evenly; by default 10. Successive halving has its own.
        episodes: of an evaluation.
        confirm: fresh runs of the winner; 0 names it without any.
        chunk: members trained together; by default as many as fit into half of the memory, and at most 64 on a CPU.
            For a search by Optuna, also those of a batch of trials, by default an eighth of all.
        options: those of the search; see `searches.checked_options`.
    Raises:
        ValueError, TypeError: for whatever cannot be, one sentence each.
        ImportError: if the search needs a library that is not installed.
    """
    if search == "asha" and evaluations is not None:
        raise ValueError(
            f"--search asha takes no --evaluations: --eta and --rungs decide when it evaluates, got {evaluations}"
        )
    evaluations = _EVALUATIONS if evaluations is None else evaluations
    least = {"seeds": (seeds, 1), "evaluations": (evaluations, 1), "episodes": (episodes, 1), "confirm": (confirm, 0)}
    for name, (value, bound) in {**least, "seed": (runs.seed, 0), "chunk": (1 if chunk is None else chunk, 1)}.items():
        if value < bound:
            raise ValueError(f"{name} must be at least {bound}, got {value}")
    if runs.schedule:
        raise ValueError("--preset: a sweep takes no schedule; take the presets of the sweep that wrote it")
    metric_of(metric)
    space = checked_space(runs, space)
    if runs.evaluation_envs(1).max_episode_steps is None:
        raise ValueError(f"{runs.name} has no time limit, and evaluation needs one: set max_episode_steps in its class")
    if search == OPTUNA:
        check_installed(OPTUNA, f"--search {OPTUNA}")
        settings, trials = examples_of(runs, space), 64 if trials is None else trials
        if trials < 1:
            raise ValueError(f"--trials must be at least 1, got {trials:,}")
    else:
        settings = settings_of(space, search, trials, runs.seed)
        trials = len(settings)
    fixed = [name for name in space if is_static(field_of(runs, name))]
    options = checked_options(search, options, fixed, trials=trials, seeds=seeds, evaluations=evaluations)
    if search == OPTUNA:
        options |= {"trials": trials, "asker": secrets.token_hex(8)}
    least = together_at_least(search, trials, seeds)
    if chunk is not None and chunk < least:
        raise ValueError(f"--search {search} must train at least {least} runs together, got --chunk {chunk}")
    if trials * seeds + confirm > _SEEDS:
        raise ValueError(f"a sweep has at most {_SEEDS:,} members, got {trials * seeds + confirm:,}")
    plan = SweepPlan(
        runs=runs, space=space, settings=settings, seeds=seeds, search=search, metric=metric, evaluations=evaluations,
        episodes=episodes, confirm=confirm, chunk=chunk or _CHUNK.get(jax.default_backend(), _CHUNK_ELSEWHERE),
        **options,
    )  # fmt: skip
    if search == OPTUNA and chunk is None:
        plan = dataclasses.replace(plan, chunk=min(plan.chunk, seeds * -(-trials // _BATCHES)))
    size = fitting(plan, asked=chunk is not None)
    return dataclasses.replace(plan, chunk=size, settings=[] if search == OPTUNA else settings)


def fitting(plan, asked):
    """The number of members of a chunk that fits in memory, of a plan's settings.

    Args:
        plan: `SweepPlan`.
        asked: whether a person asked for this number: it is then refused if it does not fit.
    Raises:
        ValueError: for a setting that cannot be, or that does not fit.
    """
    most, least = memory(), together_at_least(plan.search, len(plan.settings), plan.seeds)
    size = max(least, min(plan.chunk, plan.num_members))
    for values, trials in plan.groups():
        one = member_plan(plan.runs, plan.settings[trials[0]])
        try:
            ALGORITHMS[one.algorithm].check(one.config)
            check_run(one)
            plan.run_plan(values)
        except ValueError as error:
            raise ValueError(f"the setting {shown(values)}: {error}" if values else str(error)) from None
        needed = memory_of(plan, values)
        together = size if asked else least
        check_fits(f"{together} run{'s' * (together > 1)} trained together", needed * together)
        if most is not None and not asked:
            size = max(least, min(size, int(_SHARE * most / needed)))
    return size


def memory_of(plan, static):
    """Bytes that a member needs at least, with the static part of its setting."""
    return estimated_bytes(member_plan(plan.runs, static), plan.episodes, copies=3 if plan.search in IN_LANES else 2)


def shown(values):
    """Values of a setting as text.

    >>> shown({"learning_rate": 0.001, "hidden": (64, 64)})
    'learning_rate=0.001, hidden=(64, 64)'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items())
