"""`check_env`: the contract of an environment as a function that its author calls."""

from jaxenvs.check.engine import examine
from jaxenvs.check.probe import Probe
from jaxenvs.check.report import ContractError, Finding, Report, Skipped
from jaxenvs.check.rules import behaviour, form, optional, randomness, split, types
from jaxenvs.core import Environment

__all__ = ["ContractError", "Finding", "Report", "Skipped", "check_env", "rules"]

_FIRST = (*form.RULES, *types.RULES, *optional.RULES, *split.RULES)
_RULES = (*_FIRST, *randomness.RULES, *behaviour.RULES, randomness.starts_vary)


def check_env(env, *, raise_on_failure=True):
    """Checks that an environment satisfies the full contract, which `rules()` lists.

    The check takes some seconds, mostly for compilation. An exception in the environment's code is not raised: it
    becomes a finding that names the line, and rules that depend on this code are skipped.

    Args:
        env: an `Environment`, or a subclass, which is checked with its default constants.
        raise_on_failure: if False, returns the report instead of raising an exception.
    Returns:
        A `Report`: `held`, `findings`, `skipped`, `notes`.
    Raises:
        ContractError: if a rule is broken; its `report` and its message contain every finding: what was found, what was
            expected, and how to fix it.

    >>> import jax, jaxenvs
    >>> jaxenvs.check_env(jaxenvs.SimpleRocket()).ok
    True
    """
    env = instance(env)
    report = examine(_RULES, Probe(env))
    report = report._replace(notes=_notes(env, report))
    if raise_on_failure and not report.ok:
        raise ContractError(report)
    return report


def rules():
    """The contract: {name: sentence}, in the order in which it is checked.

    >>> from jaxenvs.check import rules
    >>> rules()["reward"]
    'the reward is a float32 scalar'
    """
    return {rule.name: rule.statement for rule in _RULES}


def _notes(env, report):
    if "time-limit" not in report.held or type(env).max_episode_steps is not None:
        return ()
    needs = "training and evaluation need max_episode_steps, in the class or its registration"
    return (f"{type(env).__name__} has no time limit: {needs}",)


def instance(env):
    """The environment with its default constants, if `env` is a class of which one can be made."""
    try:
        return env() if isinstance(env, type) and issubclass(env, Environment) else env
    except Exception:
        return env  # The first rule says why it cannot be made.
