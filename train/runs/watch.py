"""`Watch`: each process of a run knows within seconds when another one has ended.

JAX's own runtime ends the processes as well, later and with a page of its stack; a collective may wait for a process
that is gone for as long as that.
"""

import contextlib
import os
import secrets
import socket
import sys
import threading
import time

# Seconds between two heartbeats, without one until a process counts as gone, and for the others to connect.
_BEAT, _SILENCE, _CONNECT = 5.0, 40.0, 120.0
# What is sent: a heartbeat, a regular end, and an end after an error that was shown.
_ALIVE, _DONE, _FAILED = b"+", b".", b"!"


class Watch:
    """Connections between the first process of a run and each other one.

    Args:
        host: where the first process can be reached.
        index: of this process.
        count: of all.
    """

    def __init__(self, host, index, count):
        self.index, self.count = index, count
        self._host, self._server, self._peers = host, None, {}
        self._closing = threading.Event()

    def listen(self):
        """(port, token) of the first process; zeros in the others."""
        if self.index:
            return 0, 0
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        try:
            self._server = socket.create_server(("", 0), family=family, dualstack_ipv6=family == socket.AF_INET6)
        except OSError:  # a machine without IPv6
            self._server = socket.create_server(("", 0))
        return self._server.getsockname()[1], secrets.randbits(62)

    def open(self, port, token):
        """Connects the processes.

        Args:
            port, token: what `listen` returned in the first process.
        Raises:
            OSError: if one cannot be reached.
        """
        hello = f"{token:020}".encode()
        if self.index:
            peer = socket.create_connection((self._host, port), _CONNECT)
            peer.sendall(hello + f"{self.index:08}".encode())
            self._peers[0] = peer
        else:
            self._accept(hello)
        for number, peer in self._peers.items():
            peer.settimeout(_SILENCE)
            threading.Thread(target=self._listen_to, args=(number, peer), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _accept(self, hello):
        assert self._server is not None
        ends = time.monotonic() + _CONNECT
        with self._server:
            while len(self._peers) < self.count - 1:
                self._server.settimeout(max(ends - time.monotonic(), 0.001))
                peer, _ = self._server.accept()
                peer.settimeout(5.0)
                with contextlib.suppress(OSError, ValueError):
                    said = peer.recv(len(hello) + 8, socket.MSG_WAITALL)
                    if said[: len(hello)] == hello:
                        self._peers[int(said[len(hello) :])] = peer
                        continue
                peer.close()  # not a process of this run

    def close(self, failed=False):
        """Tells the others that this process ends, after an error or not, and stops watching them."""
        self._closing.set()
        for peer in self._peers.values():
            with contextlib.suppress(OSError):
                peer.sendall(_FAILED if failed else _DONE)
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()

    def _beat(self):
        while not self._closing.wait(_BEAT):
            for peer in self._peers.values():
                with contextlib.suppress(OSError):
                    peer.sendall(_ALIVE)

    def _listen_to(self, number, peer):
        what = f"process {number} of this run has ended"
        try:
            while said := peer.recv(64):
                if _DONE in said:
                    return
                if _FAILED in said:
                    # It may be an error of all: then this process ends by itself, and says it.
                    if not self._closing.wait(3.0):
                        self._end(f"{what} with an error")
                    return
        except TimeoutError:
            what = f"process {number} of this run has not answered for {_SILENCE:.0f} seconds"
        except OSError:
            pass
        if not self._closing.is_set():
            self._end(what)

    def _end(self, what):
        """Ends this process: its next exchange would wait for one that is gone."""
        # JAX's runtime may end this process a moment from now, so nothing is waited for.
        with contextlib.suppress(OSError, ValueError):
            print(
                f"error: {what}, so process {self.index} ends too; checkpoints are kept, and resume continues the run",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        os._exit(1)
