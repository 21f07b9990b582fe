"""The searches of a sweep, and the options that only some of them have."""

#: Searches that sample settings and train each to its end; `grid` tries all.
COMPLETE = ("random", "sobol", "grid")
#: Searches that change what the lanes of a program hold while it trains: successive halving, and the training of a
#: population.
IN_LANES = ("asha", "pbt")
#: The search whose settings are not known beforehand: the library Optuna chooses them, from what others have reached.
OPTUNA = "optuna"
SEARCHES = (*COMPLETE, *IN_LANES, OPTUNA)

#: The options of each search, with their defaults.
DEFAULTS = {
    "asha": {"eta": 2, "rungs": 4},
    "pbt": {"quantile": 0.25, "resample": 0.25},
    OPTUNA: {"storage": None, "study": None},
}


def checked_options(search, given, fixed, *, trials, seeds, evaluations):
    """The options of a search.

    Args:
        search: one of `SEARCHES`.
        given: dict of option to value; None stands for the default.
            eta: of "asha", an integer of at least 2: one of `eta` trials continues at each rung.
            rungs: of "asha", an integer of at least 1: how often a trial is judged before its end.
            quantile: of "pbt", above 0 and at most 0.5: the part of the trials that is replaced at each evaluation, and
                the part that is copied.
            resample: of "pbt", from 0 to 1: the probability that a copied value is sampled again, not changed a little.
            storage: of "optuna", the URL of its database, by default a file in the folder.
            study: of "optuna", the study's name in that database.
        fixed: names of the space that are static.
        trials, seeds, evaluations: of the sweep, integers.
    Returns:
        dict of option to value.
    Raises:
        ValueError: for an option of another search, a value out of its range, and for "pbt" with static parameters,
            one trial or one evaluation.
        TypeError: for an unknown option.
    """
    owners = {name: owner for owner, options in DEFAULTS.items() for name in options}
    for name, value in given.items():
        if name not in owners:
            raise TypeError(f"a sweep has no option {name!r}; searches have {', '.join(owners)}")
        if value is not None and owners[name] != search:
            raise ValueError(f"--{name} is an option of --search {owners[name]}, got --search {search}")
    found = {
        name: default if given.get(name) is None else given[name] for name, default in DEFAULTS.get(search, {}).items()
    }
    for name, least in (("eta", 2), ("rungs", 1)):
        if name in found and (found[name] != int(found[name]) or found[name] < least):
            raise ValueError(f"--{name} must be an integer of at least {least}, got {found[name]}")
    if "quantile" in found and not 0 < found["quantile"] <= 0.5:
        raise ValueError(f"--quantile must be above 0 and at most 0.5, got {found['quantile']}")
    if "resample" in found and not 0 <= found["resample"] <= 1:
        raise ValueError(f"--resample must be from 0 to 1, got {found['resample']}")
    if search == "pbt":
        _check_population(fixed, trials, evaluations)
    if search == OPTUNA:
        if (found["storage"] is None) != (found["study"] is None):
            raise ValueError("--storage URL and --study NAME belong together: a database has many studies")
        found["study"] = found["study"] or "sweep"
    return found


def together_at_least(search, trials, seeds):
    """The smallest number of runs that a search trains together: all for "pbt", those of a trial for "asha"."""
    return {"pbt": trials * seeds, "asha": seeds}.get(search, 1)


def _check_population(fixed, trials, evaluations):
    if fixed:
        raise ValueError(
            f"--search pbt changes values while it trains, and {fixed[0]} is static and cannot change: set it by its "
            "flag, or compare its values with --search asha"
        )
    for name, value in (("trials", trials), ("evaluations", evaluations)):
        if value < 2:
            raise ValueError(f"--search pbt needs --{name} of at least 2, got {value}")
