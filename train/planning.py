"""The plan of a command line, and the devices that it asks for."""

import dataclasses

from .presets import ALGORITHMS, preset


def plan_of(options, choose=None):
    """(Plan, number of devices) of a command line; `choose` gives the latter as `devices_of` does."""
    from jaxenvs.loading import absolute, is_entry

    from .runs.memory import check_run
    from .runs.plan import Plan
    from .runs.schedule import check_schedule
    from .runs.trial import try_a_step

    chosen = user_errors(preset, options.algorithm, options.env, options.preset)
    algorithm = ALGORITHMS[options.algorithm]
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(algorithm.Config)}
    config = {**chosen.config, **{name: value for name, value in given.items() if value is not None}}
    total = chosen.total_steps if options.total_steps is None else options.total_steps
    env = user_errors(absolute, options.env) if is_entry(options.env) else options.env
    settings = user_errors(algorithm.Config, **config)
    devices = (choose or devices_of)(options, algorithm, settings)
    plan = Plan(
        algorithm=options.algorithm, env=env, constants={**chosen.constants, **dict(options.set)},
        training={name: value for name, value in chosen.training.items() if name not in dict(options.set)},
        curve_as_trained=chosen.curve_as_trained, config=settings, total_steps=total, seed=options.seed,
        until=getattr(options, "until", None), keys=options.keys, schedule=chosen.schedule,
    )  # fmt: skip
    envs = user_errors(plan.training_envs)
    user_errors(check_schedule, plan)
    if is_entry(env):
        user_errors(try_a_step, envs, options.env)
    user_errors(check_run, plan)
    return plan, devices


def devices_of(options, algorithm, config):
    """How many devices train: those asked for, or as many of the CPU's cores as are worth it."""
    from jaxenvs.devices import num_cores

    from .runs.compiling import request_cpu_devices, wake
    from .runs.plan import RunError

    user_errors(algorithm.check, config)
    if options.distributed:
        return _shared_devices(options, algorithm, config)
    alone = [name for name in ("coordinator", "num_processes", "process_id") if getattr(options, name) is not None]
    if alone:
        raise RunError(f"--{alone[0].replace('_', '-')} needs --distributed")
    wanted = options.devices or algorithm.useful_devices(config, num_cores())
    user_errors(algorithm.check, config, wanted)
    there = request_cpu_devices(wanted)
    wake()
    return options.devices or there


def _shared_devices(options, algorithm, config):
    """How many devices train, of all processes together; joins the processes."""
    import jax

    from jaxenvs.devices import num_cores

    from .runs import hosts
    from .runs.compiling import request_cpu_devices

    processes = hosts.start(options.coordinator, options.num_processes, options.process_id)
    useful = [n for n in range(1, num_cores() + 1) if algorithm.useful_devices(config, n * processes) == n * processes]
    wanted = options.devices or max(useful, default=1)
    there = request_cpu_devices(wanted)
    mine = there if jax.default_backend() == "cpu" else options.devices or jax.local_device_count()
    hosts.meet(mine)
    user_errors(algorithm.check, config, mine * processes)
    return mine * processes


def user_errors(function, *args, **kwargs):
    """Calls a function whose ValueErrors and TypeErrors are about what the person asked for."""
    from .runs.plan import RunError

    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise RunError(str(error)) from error
