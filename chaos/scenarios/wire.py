"""A wire between relays that somebody pulls out, holds back or lets hang: TCP, below TLS."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass, field


@dataclass(eq=False)
class _Line:
    """One connection through the wire, in both directions."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    dead: bool = False
    """Half open: nothing passes any more, and neither end is told."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear while what comes is kept back."""


class Wire:
    """Listens on `here`, forwards to `there`. Every connection made through it can be troubled."""

    def __init__(self, here: tuple[str, int], there: tuple[str, int]) -> None:
        self._here, self._there = here, there
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay: tuple[float, float] = (0.0, 0.0)
        """Seconds, least and most, by which every piece is late; within a connection order is kept."""
        self.connections = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, *self._here)

    async def stop(self) -> None:
        """Pull it out for good."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections at once, rudely: what is under way is lost."""
        for line in list(self._lines):
            for end in (line.near, line.far):
                with contextlib.suppress(OSError):
                    end.transport.abort()

    def hang(self) -> None:
        """Let all present connections hang: each end still believes in the other."""
        for line in self._lines:
            line.dead = True

    def forsake(self) -> None:
        """Tell the dialling ends alone that their connections are over: what is held back may still come."""
        for line in self._lines:
            line.near.transport.abort()

    def hold(self) -> list[asyncio.Event]:
        """Keep back what present connections carry, until each event is set."""
        for line in self._lines:
            line.held.clear()
        return [line.held for line in self._lines]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._there)
        except OSError:
            writer.transport.abort()
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _Line(writer, far_writer)
        line.held.set()
        self._lines.add(line)
        ways = [self._carry(line, reader, far_writer), self._carry(line, far_reader, writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        self._tasks.update(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.difference_update(tasks)
        self._lines.discard(line)

    async def _carry(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                if self.delay[1]:
                    await asyncio.sleep(random.uniform(*self.delay))  # noqa: S311 -- a fault, not a secret
                await line.held.wait()
                if not line.dead:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            if not line.dead:
                writer.close()
