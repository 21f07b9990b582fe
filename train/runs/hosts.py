"""Several processes that train one run together, on one machine or on many, by JAX's distributed runtime.

Every process computes the same program on its own devices. Process 0 is the first: it alone writes the run's folder,
and it sends the others what depends on its clock, such as when to save. Without `start` there is one process, and
all functions here return what they are given.
"""

import contextlib
import os
import sys

import jax
import numpy as np

from .plan import RunError
from .watch import Watch

# Seconds: until all processes are there, without a heartbeat from one, and until all have ended.
_START, _HEARTBEAT, _END = 300, 60, 60
# Bytes of a message from the first process to the others.
_MESSAGE = 1024

_watch: Watch | None = None


def start(coordinator=None, num_processes=None, process_id=None):
    """Joins the other processes; call it before JAX computes anything.

    Args:
        coordinator: HOST:PORT of process 0, where it listens; None to find all three in the cluster's environment
            (Slurm, Open MPI, Kubernetes, Cloud TPU).
        num_processes: how many processes there are.
        process_id: the number of this one, from 0.
    Returns:
        The number of processes. Where the caller has joined them already, the arguments are not used.
    Raises:
        RunError: for values out of range, or where the others cannot be found.
    """
    _check(coordinator, num_processes, process_id)
    if jax.distributed.is_initialized():  # by the caller, such as Ray Train
        return _runtime().num_processes
    # CPUs exchange by gloo. SIGTERM stays with the driver.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator, num_processes, process_id, initialization_timeout=_START,
            heartbeat_timeout_seconds=_HEARTBEAT, shutdown_timeout_seconds=_END,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise RunError(
            f"--distributed found no cluster ({error}); give --coordinator HOST:PORT, --num-processes and --process-id"
        ) from error
    except RuntimeError as error:
        raise RunError(f"--distributed: the processes could not connect to each other: {_brief(error)}") from error
    return _runtime().num_processes


def _check(coordinator, num_processes, process_id):
    given = {"--coordinator": coordinator, "--num-processes": num_processes, "--process-id": process_id}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < len(given):
        there = [name for name in given if name not in missing]
        raise RunError(f"{' and '.join(missing)} must be given with {' and '.join(there)}")
    if missing:
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise RunError(f"--coordinator must be HOST:PORT with a port from 1 to 65535, got {coordinator!r}")
    if num_processes < 1:
        raise RunError(f"--num-processes must be at least 1, got {num_processes}")
    if not 0 <= process_id < num_processes:
        raise RunError(f"--process-id must be from 0 to {num_processes - 1}, got {process_id}")


def meet(devices):
    """Waits for all processes, and watches them from then on: if one ends, all end.

    Args:
        devices: how many devices of this process take part; the same number in all processes.
    Raises:
        RunError: if the processes have different numbers of devices.
    """
    global _watch
    if _runtime().num_processes == 1:
        return
    counts = _gathered(devices)
    if len(set(counts)) > 1:
        raise RunError(
            f"all processes must have the same number of devices, got {', '.join(map(str, counts))}; set --devices"
        )
    host = str(_runtime().coordinator_address).rpartition(":")[0].strip("[]")
    watch = Watch(host, jax.process_index(), jax.process_count())
    watch.open(*_broadcast_array(np.array(watch.listen(), np.int64)).tolist())
    _watch = watch


def several():
    """Whether there is more than one process."""
    return _watch is not None


def first():
    """Whether this is the process that writes."""
    return _watch is None or _watch.index == 0


def count():
    """How many processes there are."""
    return 1 if _watch is None else _watch.count


def broadcast(value):
    """The first process's value of an int or a bool."""
    return value if _watch is None else type(value)(_broadcast_array(np.array(int(value), np.int64)))


def largest(value):
    """The largest value of an int or a bool over the processes."""
    return value if _watch is None else type(value)(max(_gathered(int(value))))


def any_of(flags):
    """For each of a list of bools, whether it is true in any process."""
    if _watch is None or not flags:
        return list(flags)
    return [bool(column.any()) for column in np.asarray(_all(np.array(flags, bool))).T]


def require_same(value, what):
    """Refuses what is not equal in all processes.

    Args:
        value: an int of at most 63 bits, such as part of a digest.
        what: what it stands for, in plural, such as "options".
    Raises:
        RunError: in all processes.
    """
    if _watch is not None and len(set(values := _gathered(value))) > 1:
        other = next(index for index, found in enumerate(values) if found != values[0])
        raise RunError(f"process 0 and process {other} have different {what}")


@contextlib.contextmanager
def only_first(manager):
    """Enters a context manager in the first process alone; what it raises there is raised in all.

    Args:
        manager: a function that returns it.
    """
    with contextlib.ExitStack() as stack:
        error = None
        if first():
            try:
                stack.enter_context(manager())
            except (RunError, OSError) as caught:
                error = caught
        if message := broadcast_text(str(error) if error else ""):
            raise error or RunError(f"process 0: {message}")
        yield


def stop(failed=False):
    """Leaves the other processes; JAX still computes on this process's own devices.

    Args:
        failed: whether this process cannot continue: the others then end as well.
    """
    global _watch
    if _watch is not None:
        _watch.close(failed)
        _watch = None
        if not failed:
            jax.distributed.shutdown()


def failed(status):
    """Ends this process's part after an error, without waiting for the others; returns the exit status."""
    if several():
        stop(failed=True)
        # JAX would wait at the exit for processes that may be in an exchange with this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def broadcast_text(message):
    """The first process's text, cut after a kilobyte."""
    if _watch is None:
        return message
    data = np.zeros(_MESSAGE, np.uint8)
    encoded = np.frombuffer(message.encode()[:_MESSAGE], np.uint8)
    data[: encoded.size] = encoded
    return np.asarray(_broadcast_array(data)).astype(np.uint8).tobytes().rstrip(b"\0").decode(errors="ignore")


def _gathered(value):
    return np.asarray(_all(np.array(value, np.int64))).ravel().tolist()


def _all(array):
    """An array [processes, ...] of what each has. Words of 32 bits, as JAX has no others here."""
    from jax.experimental import multihost_utils

    words = np.ascontiguousarray(np.atleast_1d(array)).view(np.uint8)
    found = np.asarray(multihost_utils.process_allgather(words))
    return found.view(array.dtype).reshape(-1, *array.shape)


def _broadcast_array(array):
    """What the first process has."""
    return _all(array)[0]


def _runtime():
    from jax._src import distributed  # which has no public place for the coordinator's address

    return distributed.global_state


def _brief(error):
    return str(error).splitlines()[0]
