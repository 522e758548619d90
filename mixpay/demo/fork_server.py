"""Starts the demo's programs, each as a fork of one interpreter that has loaded what all of them use.

`python -m mixpay.demo.fork_server FD`: FD is a stream socket, whose other end is in forks.py. To load takes a
program a second of one core, and a network of nine relays starts some thirty; a fork starts at once, and
shares the memory of what was loaded.

A request is its length in four bytes, big-endian, and as much JSON: module, arguments, environment. With it
come three descriptors: standard output, standard error, and a pipe, which is told the process id and, once
there is one, the exit status, a line each; the status as `subprocess` counts: negative if a signal ended it.

A fork runs as `python -m module` would, to the end of its interpreter. Its parent only waits for it. They
live on when the socket is closed: who ends them is `processes.py`, or the guard.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = "mixpay.cli.main", "relay.cli"
HEAD = 4
"""Bytes of a request's length."""
_TITLE = 15
"""Characters that Linux keeps of a process's name."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a fork becomes."""

    module: str
    arguments: list[str]
    environment: dict[str, str]

    def run(self) -> None:
        """Run it in this process."""
        os.environ.clear()
        os.environ.update(self.environment)
        sys.path[:0] = filter(None, self.environment.get("PYTHONPATH", "").split(os.pathsep))
        sys.argv = [self.module, *self.arguments]
        sys.modules.pop(self.module, None)  # it runs as `__main__`, from its beginning
        with contextlib.suppress(OSError):  # only Linux names processes so
            Path("/proc/self/comm").write_text(self.title(), encoding="utf-8")
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)

    def title(self) -> str:
        """What `ps -e` shows: the command's last two words, such as `relay run` and `sponsor serve`."""
        words = [self.module.partition(".")[0]]
        for argument in self.arguments[:2]:
            if not argument.isalpha():
                break
            words.append(argument)
        return " ".join(words[-2:])[:_TITLE]


def serve(control: socket.socket) -> Program | None:
    """Fork for every request. In a fork, return what it shall be; None when the socket is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while (request := _receive(control)) is not None:
        text, (out, err, told) = request
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            pid = os.fork()
            if pid == 0:
                _take_place(out, err, told)
                return Program(**json.loads(text))
            _wait(pid, told)
        for descriptor in (out, err, told):
            os.close(descriptor)
    return None


def _receive(control: socket.socket) -> tuple[bytes, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(control, HEAD, 3)
    if not head:
        return None
    return control.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL), descriptors


def _take_place(out: int, err: int, told: int) -> None:
    """A session, the standard descriptors and signals of a process that was just executed."""
    os.close(told)
    os.setsid()
    for descriptor, place in ((out, 1), (err, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)


def _wait(pid: int, told: int) -> None:
    """Tell what becomes of a fork, and end. One that nobody has asked about yet ends with who wanted it."""
    try:
        os.write(told, b"%d\n" % pid)
    except BrokenPipeError:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def main(descriptor: int) -> None:
    """Load, serve, and in a fork: run."""
    for each in _PROGRAMS:
        importlib.import_module(each).load()
    gc.collect()
    gc.freeze()  # a look for garbage would copy what all share
    with socket.socket(fileno=descriptor) as control:
        program = serve(control)
    if program is not None:
        program.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
