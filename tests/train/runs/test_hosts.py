"""Several processes that train one run: what is refused, and how each knows that another has ended."""

import socket
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.__main__ import main
from train.runs import hosts, pieces, watch
from train.runs.plan import RunError

ALL = {"coordinator": "127.0.0.1:1234", "num_processes": 2, "process_id": 0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"coordinator": None}, "--coordinator must be given with --num-processes and --process-id"),
        (
            {"num_processes": None, "process_id": None},
            "--num-processes and --process-id must be given with --coordinator",
        ),
        ({"coordinator": "host"}, "--coordinator must be HOST:PORT with a port from 1 to 65535, got 'host'"),
        ({"coordinator": "host:0"}, "--coordinator must be HOST:PORT with a port from 1 to 65535, got 'host:0'"),
        ({"num_processes": 0}, "--num-processes must be at least 1, got 0"),
        ({"process_id": 2}, "--process-id must be from 0 to 1, got 2"),
        ({"process_id": -1}, "--process-id must be from 0 to 1, got -1"),
    ],
)
def test_processes_that_cannot_be_are_refused_before_any_waits_for_another(changed, said, monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: pytest.fail("it waited"))
    with pytest.raises(RunError) as caught:
        hosts.start(**{**ALL, **changed})
    assert str(caught.value) == said


def test_without_a_cluster_the_options_that_replace_it_are_named(monkeypatch):
    def initialize(*_, **__):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(RunError, match=r"found no cluster .* give --coordinator HOST:PORT, --num-processes and"):
        hosts.start()


@pytest.mark.parametrize("option", [["--coordinator", "a:1"], ["--num-processes", "2"], ["--process-id", "1"]])
def test_an_option_of_several_processes_needs_the_switch(option, capsys, tmp_path):
    assert main(["ppo", "--env", "CartPole-v1", "--out", str(tmp_path / "run"), *option]) == 1
    assert capsys.readouterr().err == f"error: {option[0]} needs --distributed\n"


def test_one_process_agrees_with_itself():
    assert hosts.broadcast(3) == 3 and hosts.largest(True) is True and hosts.any_of([True, False]) == [True, False]
    assert hosts.first() and not hosts.several() and hosts.count() == 1


@pytest.fixture
def pair(monkeypatch):
    """(Watch of process 0, of process 1, what they said before they would have ended)."""
    said = []
    monkeypatch.setattr(watch.Watch, "_end", lambda self, what: said.append((self.index, what)))
    zero, one = watch.Watch("127.0.0.1", 0, 2), watch.Watch("127.0.0.1", 1, 2)
    port, token = zero.listen()
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"0" * 28)
        # It connects while process 0 does not listen to it yet: the system takes it in.
        one_opens = watch.threading.Thread(target=one.open, args=(port, token))
        one_opens.start()
        zero.open(port, token)
        one_opens.join()
    yield zero, one, said
    zero.close()
    one.close()


def waited(said, count):
    ends = time.monotonic() + 5
    while len(said) < count and time.monotonic() < ends:
        time.sleep(0.01)
    return said


def test_a_process_that_is_gone_ends_the_other(pair):
    _, one, said = pair
    (connection,) = one._peers.values()
    connection.shutdown(socket.SHUT_RDWR)  # as the system does for a process that was killed
    assert (0, "process 1 of this run has ended") in waited(said, 2)


def test_a_process_that_ends_regularly_ends_no_other(pair):
    zero, one, said = pair
    one.close()
    zero.close()
    time.sleep(0.1)
    assert said == []


def test_a_process_that_fails_ends_the_other_after_a_moment(pair, monkeypatch):
    zero, one, said = pair
    monkeypatch.setattr(zero._closing, "wait", lambda seconds: False)
    one.close(failed=True)
    assert waited(said, 1) == [(0, "process 1 of this run has ended with an error")]


@pytest.mark.parametrize("shape", [(), (0,), (5,), (7, 3), (2, 3, 4)])
def test_pieces_are_the_array(shape, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE", 16)
    array = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.float32).reshape(shape)
    for found in (pieces.pieces(array), pieces._sliced(array) if array.size and shape else [np.asarray(array)]):
        joined = np.concatenate([np.ravel(piece) for piece in found])
        assert joined.tolist() == np.ravel(array).tolist()
