"""Our end of the fork server (fork_server.py): each process of ours has one, once it is needed."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from mixpay.demo.fork_server import HEAD
from mixpay.errors import MixpayError

_PATIENCE = 30.0
"""Seconds for the server to load, or to end."""
_UNKNOWN = 255
"""The status of what nobody waits for any more: somebody has killed the server's processes."""


class ForkServerEnded(MixpayError):
    """Somebody ended the fork server, or stopped it, or it could not start."""

    def __init__(self) -> None:
        super().__init__("the process that starts the others has ended, or does not answer; start again")


class Fork:
    """A process that the server has forked. What `subprocess.Popen` has and the demo needs."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._lock = threading.Lock()
        self.returncode: int | None = None
        line = self._line() if select.select([told], [], [], _PATIENCE)[0] else b""
        if not line:
            os.close(told)
            raise ForkServerEnded
        self.pid = int(line)

    def poll(self) -> int | None:
        """The exit status, None as long as it runs."""
        return self._status(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one. Raises subprocess.TimeoutExpired."""
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def _status(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
                self.returncode = int(self._line() or self._end())
                os.close(self._told)
            return self.returncode

    def _end(self) -> int:
        """Nobody waits for it any more, so nobody could tell when it ends: it does now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return _UNKNOWN

    def _line(self) -> bytes:
        line = b""
        while (byte := os.read(self._told, 1)) not in (b"", b"\n"):
            line += byte
        return line


class ForkServer:
    """The server. It ends with this process, or when it is closed; forks live on."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mixpay.demo.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control = ours
        self._lock = threading.Lock()

    def start(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int
    ) -> Fork:
        """Run `python -m module arguments`, with descriptors for its output and errors.

        Raises ForkServerEnded.
        """
        request = {"module": module, "arguments": list(arguments), "environment": dict(environment)}
        text = json.dumps(request).encode()
        told, theirs = os.pipe()
        try:
            with self._lock:
                head = len(text).to_bytes(HEAD, "big")
                socket.send_fds(self._control, [head], [out, err, theirs])
                self._control.sendall(text)
        except OSError:
            os.close(told)
            raise ForkServerEnded from None
        finally:
            os.close(theirs)
        return Fork(told)

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_starting = threading.Lock()


def fork_server() -> ForkServer:
    """Return this process's, which is closed at its end."""
    with _starting:
        return _only_server()


@functools.cache
def _only_server() -> ForkServer:
    server = ForkServer()
    atexit.register(server.close)
    return server
