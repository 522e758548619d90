"""Worker processes that open packets, so that a relay uses more than one core (docs/design.md §12).

Jobs that came together go to the worker that has least to do, and come back together. A worker that dies is
replaced; what it had is opened here, so no packet is lost with it. Without workers everything is opened here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

from mixpay.types import Epoch
from relay.path.opening import Done, InlineOpener, Job, Key
from relay.path.worker import LENGTH, jobs_out, pack, unpack, verdicts_in

log = logging.getLogger(__name__)

_RESTART_AFTER = 1.0
"""Seconds: a worker that dies at once must not keep the daemon busy with starting it."""
_STOP_TIMEOUT = 5.0


class _Worker(asyncio.Protocol):
    """One process, and the jobs it has."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.waiting: deque[tuple[Sequence[Job], Done]] = deque()
        self.jobs = 0

    async def start(self, keys: Mapping[Epoch, Key]) -> None:
        """Start the process and tell it the keys."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "relay.path.worker", str(theirs.fileno())]
            self.process = await asyncio.to_thread(subprocess.Popen, command, pass_fds=[theirs.fileno()])
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        self.tell(keys)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def tell(self, keys: Mapping[Epoch, Key]) -> None:
        """Send the keys; jobs that were sent before are done with the earlier ones."""
        if self._transport is not None:
            self._transport.write(pack(dict(keys)))

    def give(self, jobs: Sequence[Job], done: Done) -> None:
        """Send jobs."""
        self.waiting.append((jobs, done))
        self.jobs += len(jobs)
        if self._transport is not None:
            self._transport.write(pack(jobs_out(jobs)))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._buffer)
            end = LENGTH.size + size
            if len(self._buffer) < end:
                return
            message = bytes(memoryview(self._buffer)[LENGTH.size : end])
            del self._buffer[:end]
            jobs, done = self.waiting.popleft()
            self.jobs -= len(jobs)
            done(verdicts_in(unpack(message)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.lost(self)

    async def stop(self) -> None:
        """End the process: it sees its socket close."""
        if self._transport is not None:
            self._transport.close()
        if self.process is not None:
            try:
                await asyncio.to_thread(self.process.wait, _STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                await asyncio.to_thread(self.process.wait)


class WorkerPool:
    """`Opener` by several processes. `inline` opens what no worker can."""

    def __init__(self, count: int, inline: InlineOpener) -> None:
        self._count = count
        self._inline = inline
        self._keys: Mapping[Epoch, Key] = {}
        self._workers: list[_Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def pids(self) -> list[int]:
        """Of the living workers."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def start(self) -> None:
        """Start the processes. Raises OSError when that cannot be done."""
        await asyncio.gather(*(self._start_one() for _ in range(self._count)))

    async def _start_one(self) -> None:
        worker = _Worker(self)
        await worker.start(self._keys)
        self._workers.append(worker)

    def use(self, keys: Mapping[Epoch, Key]) -> None:
        """See `Opener`."""
        self._keys = keys
        self._inline.use(keys)
        for worker in self._workers:
            worker.tell(keys)

    def open(self, jobs: Sequence[Job], done: Done) -> None:
        """See `Opener`."""
        if self._workers:
            min(self._workers, key=lambda worker: worker.jobs).give(jobs, done)
        else:
            self._inline.open(jobs, done)

    def lost(self, worker: _Worker) -> None:
        """A worker's connection is gone, because the process is, or because it was stopped."""
        if worker in self._workers:
            self._workers.remove(worker)
        while worker.waiting:
            self._inline.open(*worker.waiting.popleft())
        if self._stopped:
            return
        log.error("a worker process died; its packets are opened by the daemon, and it is replaced")
        task = asyncio.get_running_loop().create_task(self._replace(worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, worker: _Worker) -> None:
        await worker.stop()
        await asyncio.sleep(_RESTART_AFTER)
        try:
            await self._start_one()
        except OSError as error:
            log.error("cannot start a worker process: %s", error)

    async def stop(self) -> None:
        """End all processes. What they had is opened here."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in list(self._workers)))
