"""The load on issuers: requests for passes, made beforehand, on connections that stay open. Its own process.

    python -m bench.issuer_load

Orders come as lines of JSON on standard input, each is answered by one:

    {"urls": [...], "pool": "0x...", "kind": K, "period": P, "requests": N, "connections": C, "rate": R,
    "warm": W}

N requests with random blinded messages, each of another network address as a proxy would name it, spread
evenly over the issuers. With `rate` null each connection asks again when it is answered (a closed loop); else
they come as a Poisson process of R a second, and a delay counts from the moment that a request was due. The
first W do not count.
"""

from __future__ import annotations

import base64
import json
import os
import random
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_PATIENCE = 60.0
_READ = 1 << 16


@dataclass(slots=True)
class Connection:
    """One socket, and when the request on it was due."""

    socket: socket.socket
    due: float = 0.0
    answer: bytearray = field(default_factory=bytearray)


def requests(pool: str, kind: int, period: int, number: int) -> list[bytes]:
    """Whole HTTP requests. A number whose first bit is not set is below every modulus."""
    made = []
    for _ in range(number):
        message = bytearray(os.urandom(256))
        message[0] &= 0x7F
        body = b'{"kind":%d,"period":%d,"blinded":"%s"}' % (kind, period, base64.b64encode(message))
        address = ".".join(str(part) for part in os.urandom(4))
        head = (
            f"POST /v1/sign?pool={pool} HTTP/1.1\r\nHost: issuer\r\nContent-Type: application/json\r\n"
            f"X-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class Load:
    """One order."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._waiting = deque(requests(order["pool"], order["kind"], order["period"], order["requests"]))
        self._rate: float | None = order["rate"]
        self._warm: int = order["warm"]
        self._selector = selectors.DefaultSelector()
        self._idle: deque[Connection] = deque()
        for number in range(order["connections"]):
            where = urlsplit(order["urls"][number % len(order["urls"])])
            opened = socket.create_connection((where.hostname, where.port), timeout=_PATIENCE)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setblocking(False)
            connection = Connection(opened)
            self._selector.register(opened, selectors.EVENT_READ, connection)
            self._idle.append(connection)
        self._delays: list[float] = []
        self._failed = 0
        self._busy = 0

    def run(self) -> dict[str, Any]:
        """Carry it out."""
        began = counted = time.perf_counter()
        due, last = began, began
        while self._waiting or self._busy:
            now = time.perf_counter()
            while self._waiting and self._idle and (self._rate is None or due <= now):
                self._ask(self._idle.popleft(), now if self._rate is None else due)
                if self._rate is not None:
                    due += random.expovariate(self._rate)
            if now - last > _PATIENCE:
                raise TimeoutError("the issuer has stopped answering")
            wait = _PATIENCE if self._rate is None or not self._waiting else max(due - now, 0)
            for key, _ in self._selector.select(wait):
                if self._hear(key.data):
                    last = time.perf_counter()
                    if len(self._delays) == self._warm:
                        counted = last
        self._selector.close()
        delays = sorted(self._delays[self._warm :])
        return {
            "answered": len(delays),
            "failed": self._failed,
            "seconds": last - counted,
            "p50_ms": delays[len(delays) // 2] * 1e3,
            "p99_ms": delays[len(delays) * 99 // 100] * 1e3,
        }

    def _ask(self, connection: Connection, due: float) -> None:
        connection.due = due
        connection.socket.sendall(self._waiting.popleft())  # small enough for every socket's buffer
        self._busy += 1

    def _hear(self, connection: Connection) -> bool:
        """Read what there is; whether the answer is whole."""
        part = connection.socket.recv(_READ)
        if not part:
            raise ConnectionError("the issuer has closed a connection")
        connection.answer += part
        head, end, body = connection.answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return False
        self._delays.append(time.perf_counter() - connection.due)
        self._failed += not head.startswith(b"HTTP/1.1 200 ")
        connection.answer.clear()
        self._busy -= 1
        self._idle.append(connection)
        return True


def main() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        print(json.dumps(Load(json.loads(line)).run()), flush=True)


if __name__ == "__main__":
    main()
