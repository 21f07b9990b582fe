"""Values of a run by name: of hyperparameters, and of constants of the environment."""

import dataclasses
import difflib

#: The parts of a name that stand for constants of the environment: in training and evaluation, and in training alone.
ENV, TRAINING = "env.", "training."


def field_of(plan, name):
    """The dataclass field that a name of the space stands for.

    Raises:
        ValueError: for a name that stands for none.
    """
    if name.startswith((ENV, TRAINING)):
        cls, name = type(plan.evaluation_envs(1).env), name.partition(".")[2]
    else:
        cls = type(plan.config)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    if name == "lambda":
        name = "lambda_"
    if name in fields:
        return fields[name]
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(fields)}"
    kind = "hyperparameter" if cls is type(plan.config) else "constant"
    owner = plan.algorithm if kind == "hyperparameter" else cls.__name__
    raise ValueError(f"{owner} has no {kind} {name!r}{hint}")


def member_plan(plan, values, **changes):
    """The `Plan` of a run with these values of the space.

    Args:
        plan: the `Plan` of the sweep's runs.
        values: dict of name to value; also arrays and tracers, but for static fields.
        changes: other fields of the plan.
    Raises:
        ValueError, TypeError: for values that a field cannot have.
    """
    parts = {"": {}, ENV: {}, TRAINING: {}}
    for name, value in values.items():
        prefix, dot, rest = name.rpartition(".")
        parts[prefix + dot][rest] = value
    # As with --set: a constant that is named holds for training too.
    training = {name: value for name, value in plan.training.items() if name not in parts[ENV]}
    return dataclasses.replace(
        plan, config=dataclasses.replace(plan.config, **parts[""]), constants={**plan.constants, **parts[ENV]},
        training={**training, **parts[TRAINING]}, **changes,
    )  # fmt: skip
