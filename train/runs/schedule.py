"""Values that change at given steps of a run, as those of a population's best trial did.

A `Plan`'s schedule is a list of parts, {"from_step": 0, "to_step": 4096, "values": {"learning_rate": 1e-3}}, one behind
the other. Names are those of a sweep's space. The first part is used from the initial state on, and the last one to the
end of the run.
"""

from jaxenvs.constants import is_static

from .values import field_of, member_plan


def plan_at(plan, updates):
    """The `Plan` with the values that its next update uses.

    Args:
        plan: `Plan`.
        updates: how many there were.
    """
    if not plan.schedule:
        return plan
    after = plan.steps_after(updates)
    values = next((part["values"] for part in plan.schedule if after < part["to_step"]), plan.schedule[-1]["values"])
    return member_plan(plan, values)


def updates_until_change(plan, updates):
    """How many updates have the values of the next one; those that are left of the run, if these stay.

    Args:
        plan: `Plan`.
        updates: how many there were.
    """
    ends = [part["to_step"] for part in plan.schedule[:-1] if part["to_step"] > plan.steps_after(updates)]
    left = plan.num_updates - updates
    return min(left, -((plan.steps_after(updates) - ends[0]) // plan.steps_per_update)) if ends else left


def check_schedule(plan):
    """Refuses a schedule whose values cannot be.

    Raises:
        ValueError, TypeError: for a name that there is not, a static field, or a value out of its range.
    """
    for part in plan.schedule:
        for name in part["values"]:
            if is_static(field_of(plan, name)):
                raise ValueError(f"{name} is static: it cannot change while a run trains")
        member_plan(plan, part["values"]).training_envs()
