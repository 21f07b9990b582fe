"""The space of a sweep as Optuna and Ray Tune write it, and their values as settings of ours.

    space = {"learning_rate": loguniform(1e-5, 1e-2), "hidden": choice(32, (64, 64))}
    study.ask(optuna_space(space))
    tune.Tuner(..., param_space=ray_space(space))

Both libraries keep the values of a choice as numbers or text, so a tuple becomes the text "(64, 64)" there.
"""

import importlib.util
import itertools

import numpy as np

from jaxenvs.constants import is_static

from .space import field_of

# Combinations of static choices that a search by another library may have: each is compiled by itself.
_MOST_GROUPS = 1000
#: What pip installs for each library.
_EXTRAS = {"optuna": "jaxenvs[optuna]", "ray": "jaxenvs[ray]"}


def check_installed(library, what):
    """Refuses what needs a library that is not there.

    Args:
        library: "optuna" or "ray".
        what: what needs it, such as "--search optuna".
    Raises:
        ImportError: a sentence that says what to install.
    """
    if importlib.util.find_spec(library) is None:
        raise ImportError(f'{what} needs {library}, which is not installed: pip install "{_EXTRAS[library]}"')


def optuna_space(space):
    """The space as Optuna's distributions, for `study.ask`.

    Args:
        space: dict of name to `Distribution`.
    Returns:
        dict of name to `optuna.distributions.BaseDistribution`.
    Raises:
        ValueError: for a grid: Optuna chooses which values it tries.
        ImportError: if Optuna is not installed.
    """
    check_installed("optuna", "the space of Optuna")
    from optuna import distributions  # pyright: ignore[reportMissingImports]

    check_no_grid(space, "Optuna")
    make = {
        "choice": lambda *values: distributions.CategoricalDistribution(tuple(map(plain, values))),
        "uniform": distributions.FloatDistribution,
        "loguniform": lambda low, high: distributions.FloatDistribution(low, high, log=True),
        "integer": distributions.IntDistribution,
    }
    return {name: make[one.kind](*one.arguments) for name, one in space.items()}


def ray_space(space):
    """The space as Ray Tune's, for `param_space`; a grid becomes `tune.grid_search`.

    Args:
        space: dict of name to `Distribution`.
    Returns:
        dict of name to what Ray samples from.
    Raises:
        ImportError: if Ray is not installed.
    """
    check_installed("ray", "the space of Ray")
    from ray import tune  # pyright: ignore[reportMissingImports]

    make = {
        "choice": lambda *values: tune.choice(list(map(plain, values))),
        "grid": lambda *values: tune.grid_search(list(map(plain, values))),
        "uniform": tune.uniform,
        "loguniform": tune.loguniform,
        "integer": lambda low, high: tune.randint(low, high + 1),
    }
    return {name: make[one.kind](*one.arguments) for name, one in space.items()}


def check_no_grid(space, library):
    """Refuses grids where a library chooses the values: it would not try all of them.

    Raises:
        ValueError: with the first grid.
    """
    for name, one in space.items():
        if one.kind == "grid":
            raise ValueError(f"{name}={one} asks for every value, but {library} chooses values itself: use choice(...)")


def setting_of(space, values):
    """The setting that another library's values stand for.

    Args:
        space: dict of name to `Distribution`.
        values: dict with a value for each name, as `plain` has it. Numbers outside their range get its nearest end:
            Ray's population-based training multiplies them without looking.
    Returns:
        dict of name to value.
    Raises:
        ValueError: for a name without a value, or a value that its choice does not have.
    """
    found = {}
    for name, one in space.items():
        if name not in values:
            raise ValueError(f"{name} has no value; there are {', '.join(values) or 'none'}")
        if one.kind in ("choice", "grid"):
            known = {plain(value): value for value in one.values}
            if values[name] not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {values[name]!r}")
            found[name] = known[values[name]]
        else:
            low, high = one.arguments
            value = min(max(values[name], low), high)
            found[name] = round(value) if one.kind == "integer" else float(value)
    return found


def plain(value):
    """A value as other libraries keep it.

    >>> plain((64, 64)), plain(0.9)
    ('(64, 64)', 0.9)
    """
    return str(value) if isinstance(value, tuple) else value


def examples_of(runs, space):
    """A setting for each combination of the static choices: what is checked before another library is asked for any.

    Args:
        runs: `Plan`.
        space: of `checked_space`.
    Returns:
        list of dicts of name to value.
    Raises:
        ValueError: for more combinations than would be compiled, and for grids.
    """
    check_no_grid(space, "Optuna")
    static = {name: one.values for name, one in space.items() if is_static(field_of(runs, name))}
    count = int(np.prod([len(values) for values in static.values()], dtype=object))
    if count > _MOST_GROUPS:
        raise ValueError(f"the static choices have {count:,} combinations, and at most {_MOST_GROUPS:,} are compiled")
    middle = {name: one.at(0.5) for name, one in space.items()}
    return [{**middle, **dict(zip(static, values))} for values in itertools.product(*static.values())]
