"""What a worker process does: opens packets, until the daemon is gone.

    python -m relay.path.worker FD

FD is one end of a socket pair, over which messages come and go: length u32, then a pickle. A message is
either the keys (a mapping) or jobs (a list), which are answered by their verdicts. Both ends are of one
program, and nobody else holds the socket; keys never stand on a command line or in a file.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mixpay.packet import Deliver, Forward
from mixpay.types import Epoch
from relay.path.opening import Job, Key, Opened, Verdict, open_all

LENGTH = struct.Struct(">I")


def pack(message: object) -> bytes:
    """A message with its length."""
    data = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(data)) + data


def unpack(data: bytes) -> Any:
    """The message in what `pack` made, without its length."""
    return pickle.loads(data)  # noqa: S301 -- see above


def jobs_out(jobs: Iterable[Job]) -> list[tuple[object, ...]]:
    """Jobs as plain tuples, which cost a tenth of objects on the way."""
    return [(job.epoch, job.layer, job.lock, job.hint, job.packet) for job in jobs]


def verdicts_out(verdicts: Iterable[Verdict]) -> list[Any]:
    """Verdicts as plain tuples."""
    return [verdict if isinstance(verdict, str) else _opened_out(verdict) for verdict in verdicts]


def _opened_out(opened: Opened) -> tuple[Any, ...]:
    peeled = opened.peeled
    common = opened.next_hint, peeled.tag, peeled.own, peeled.ack
    if isinstance(peeled, Forward):
        ahead = peeled.next_relay, peeled.delay_ms, peeled.next_lock, peeled.next_hint
        return *common, *ahead, peeled.packet
    return *common, peeled.mailbox_id, peeled.kind, peeled.user_data


def verdicts_in(found: Sequence[Any]) -> list[Verdict]:
    """Verdicts again."""
    return [
        one if isinstance(one, str) else Opened(Forward(*one[1:]) if one[0] else Deliver(*one[1:]), one[0])
        for one in found
    ]


def serve(connection: socket.socket) -> None:
    """Answer until the other end is closed."""
    keys: Mapping[Epoch, Key] = {}
    stream = connection.makefile("rb")
    while head := stream.read(LENGTH.size):
        message = unpack(stream.read(*LENGTH.unpack(head)))
        if isinstance(message, dict):
            keys = message
            continue
        jobs = [Job(*one) for one in message]
        connection.sendall(pack(verdicts_out(open_all(keys, jobs, os.urandom))))


def main() -> None:
    """Serve on the socket that was passed on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon is told, and closes the socket when it is done
    gone = suppress(BrokenPipeError, ConnectionResetError, struct.error)
    with socket.socket(fileno=int(sys.argv[1])) as connection, gone:
        serve(connection)


if __name__ == "__main__":
    main()
