"""The space of a sweep: which fields of a configuration and constants of an environment it tries, and with what."""

import dataclasses
import itertools

import numpy as np

from jaxenvs.constants import is_static

from ..runs.values import field_of as field_of
from ..runs.values import member_plan as member_plan
from .distributions import Distribution, parsed
from .searches import SEARCHES

_MOST_CELLS = 100_000


def parse_space(texts):
    """The space that texts such as "learning_rate=loguniform(1e-5, 1e-2)" name.

    Args:
        texts: a sequence of str, `NAME=DISTRIBUTION`; a name is a field of the `Config`, `env.NAME` a constant of the
            environment, and `training.NAME` a constant that differs while training only.
    Returns:
        dict of name to `Distribution`.
    Raises:
        ValueError: for a text that is none, or a name that is there twice.
    """
    space = {}
    for text in texts:
        name, equals, distribution = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise ValueError(f"--space must be NAME=DISTRIBUTION, such as 'gamma=uniform(0.9, 1)', got {text!r}")
        if name in space:
            raise ValueError(f"--space names {name} twice")
        try:
            space[name] = parsed(distribution)
        except ValueError as error:
            raise ValueError(f"--space {name}: {error}") from None
    return space


def checked_space(plan, space):
    """The space in its stored form: `lambda` is `lambda_`, and the width 64 of `hidden` is `(64,)`.

    Args:
        plan: the `Plan` of the runs, but for what the space decides.
        space: dict of name to `Distribution`.
    Returns:
        dict of name to `Distribution`.
    Raises:
        ValueError: for an empty space, an unknown field, a static one with a continuous distribution, or values that
            the field cannot have.
        TypeError: for an unknown constant, or one of the wrong kind.
    """
    if not space:
        raise ValueError(
            "the space is empty: name at least one parameter, such as learning_rate=loguniform(1e-5, 1e-2)"
        )
    found = {}
    for name, distribution in space.items():
        if not isinstance(distribution, Distribution):
            raise TypeError(f"{name} must be a distribution, such as choice(...), got {distribution!r}")
        field = field_of(plan, name)
        if is_static(field) and distribution.values is None:
            raise ValueError(
                f"{name} is static: each of its values is compiled, so that it cannot have the continuous "
                f"{distribution}; use choice, integer or grid"
            )
        if isinstance(field.default, tuple) and is_static(field):
            values = tuple(value if isinstance(value, tuple) else (value,) for value in distribution.arguments)
            distribution = dataclasses.replace(distribution, arguments=values)
        full = name if "." in name else field.name
        for value in distribution.values or [distribution.at(u) for u in (0.0, 0.5, 1 - 1e-9)]:
            try:
                member_plan(plan, {full: value}).training_envs()
            except (ValueError, TypeError) as error:
                raise type(error)(f"{name}={distribution}: {error}") from None
        found[full] = distribution
    return found


def settings_of(space, search, trials, seed):
    """The settings that a search tries.

    Args:
        space: of `checked_space`.
        search: "random", "sobol" (quasi-random, which covers the space more evenly), or "grid", all combinations;
            others sample as "random" does.
        trials: how many; None for a grid, which has its own number.
        seed: of the sampled values. Each trial has a stream of its own, so that more trials begin with the same ones.
    Returns:
        list of dicts of name to value.
    Raises:
        ValueError: for an unknown search, a grid of a continuous distribution, and numbers of trials that do not fit.
    """
    if search not in SEARCHES:
        raise ValueError(f"--search must be one of {', '.join(SEARCHES)}, got {search!r}")
    gridded = [name for name, one in space.items() if search == "grid" or one.kind == "grid"]
    for name in gridded:
        if space[name].values is None:
            raise ValueError(
                f"{name}={space[name]} is continuous, and --search grid needs a list of values: use grid(...)"
            )
    count = int(np.prod([len(space[name].values) for name in gridded], dtype=object))
    if count > _MOST_CELLS:
        raise ValueError(f"the grid has {count:,} combinations, and at most {_MOST_CELLS:,} are tried")
    cells = list(itertools.product(*(space[name].values for name in gridded)))
    if search == "grid" and trials not in (None, count):
        raise ValueError(f"--search grid has {count:,} combinations, got --trials {trials:,}")
    trials = count if search == "grid" else 64 if trials is None else trials
    if trials < max(1, count):
        raise ValueError(f"--trials must be at least {max(1, count):,}, the combinations of the grids, got {trials:,}")
    sampled = [name for name in space if name not in gridded]
    quantiles = _quantiles(search, trials, len(sampled), seed)
    return [
        {**dict(zip(gridded, cells[trial % count])), **{name: space[name].at(u) for name, u in zip(sampled, row)}}
        for trial, row in enumerate(quantiles)
    ]


def _quantiles(search, trials, dimensions, seed):
    if dimensions == 0:
        return np.zeros((trials, 0))
    if search == "sobol":
        from scipy.stats import qmc

        # SciPy 1.14 has no `rng` yet.
        sampler = qmc.Sobol(dimensions, seed=seed)  # pyright: ignore[reportCallIssue]
        return sampler.random_base2(max(0, (trials - 1).bit_length()))[:trials]
    return np.stack([np.random.default_rng([seed, trial]).random(dimensions) for trial in range(trials)])
