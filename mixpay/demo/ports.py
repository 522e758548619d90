"""Ports of this host for programs that are started later.

Between finding a port and listening on it another program may take it. So each process keeps a block of ports
to itself, by listening on its first; processes that ask here never meet.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from itertools import count

_BLOCK = 200
_BLOCKS = range(10_000, 32_000, _BLOCK)
"""Below the ports that systems give to outgoing connections, which would collide."""


def _listens(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


class PortBlock:
    """The ports of a block nobody else of this host uses, for as long as this object lives."""

    def __init__(self) -> None:
        for first in random.sample(_BLOCKS, len(_BLOCKS)):
            if (held := _listens(first)) is not None:
                self._held = held
                self._next = count()
                self._ports = range(first + 1, first + _BLOCK)
                return
        raise OSError("every block of ports on this host is taken")

    def free(self, wanted: int) -> list[int]:
        """So many ports nobody listens on, all different, those given longest ago first.
        Raises OSError if there are too few."""
        ports = list(self._untaken(wanted))
        if len(ports) < wanted:
            raise OSError(f"this host has no {wanted} free ports in one block")
        return ports

    def _untaken(self, wanted: int) -> Iterator[int]:
        for _ in self._ports:
            if wanted == 0:
                return
            port = self._ports[next(self._next) % len(self._ports)]
            if (probe := _listens(port)) is not None:
                probe.close()
                wanted -= 1
                yield port


_blocks: list[PortBlock] = []


def free_ports(wanted: int) -> list[int]:
    """So many ports of this host that nobody listens on, all different, and that no other process gets here.
    Raises OSError if there are too few."""
    if not _blocks:
        _blocks.append(PortBlock())
    return _blocks[0].free(wanted)
