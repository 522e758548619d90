"""The relay's process: the relay of its folder, and beside it those of retired keys; locks and signals.

SIGTERM or SIGINT   no new packets are taken; those that are here go on their way, for as long as a packet may
                    ask to be held; then everything stops. What is owed is on disk
a second one        stops at once
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from relay.draining import LONGEST
from relay.home import Home
from relay.home_lock import HomeLock
from relay.retired import RetiredRelays
from relay.rotation.plan import require_whole
from relay.supervisor import Supervisor

log = logging.getLogger(__name__)

_GARBAGE = (50_000, 20, 50)
"""New objects before a look, looks before a wider one, and before one at all: Python's are 700, 10, 10."""
_THREADS = 64
"""Some six parts of the daemon of each release, and of each retired key, ask the chain."""


def run(path: Path, password: str) -> None:
    """Serve until SIGINT or SIGTERM, or nothing is left to do.

    Raises UserError, also when another daemon uses the folder, ChainError, OSError, StoreFailed.
    """
    with HomeLock(path):
        require_whole(path)
        asyncio.run(_serve(Home.open(path, password), RetiredRelays.open(path, password)))


def collect_seldom() -> None:
    """Look for objects that hold each other less often: a packet makes dozens of objects, none of which does,
    and what was loaded at the start stays.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _allow_files() -> None:
    """Open as many files as the system allows: links and clients may be more than the usual 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _allow_waiting() -> None:
    """Let many threads wait for a chain that says nothing: what names stand for is looked up in threads, too,
    and links must not wait for the chain.
    """
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="waiting")
    asyncio.get_running_loop().set_default_executor(executor)


class Signals:
    """How often the process was told to stop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()

    def listen(self) -> None:
        """Take SIGINT and SIGTERM from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.came)

    def came(self) -> None:
        """One came."""
        (self.at_once if self.stop.is_set() else self.stop).set()


async def _serve(home: Home, retired: RetiredRelays) -> None:
    collect_seldom()
    _allow_files()
    _allow_waiting()
    signals = Signals()
    signals.listen()
    await serve(home, retired, signals)


async def serve(home: Home, retired: RetiredRelays, signals: Signals) -> None:
    """Run everything until told to stop, or nothing is left to do. Raises what made the relay fail."""
    supervisor = Supervisor(home, retired)
    try:
        await supervisor.start()
        retired.start()
        await _first(_everything_ends(supervisor, retired), signals.stop.wait())
        if signals.stop.is_set():
            await _first(drained(supervisor), signals.at_once.wait())
    finally:
        await retired.stop()
        await supervisor.stop()
    if supervisor.ended.done():
        supervisor.ended.result()


async def _everything_ends(supervisor: Supervisor, retired: RetiredRelays) -> None:
    await asyncio.shield(supervisor.ended)
    await retired.ended()


async def drained(supervisor: Supervisor) -> None:
    """Let the packets that are here go on their way, within the longest time that it can take."""
    answer = await supervisor.drain(LONGEST)
    if not answer.complete:
        log.warning("stopping with packets that could not be sent on in %.0f s", LONGEST)


async def _first(*works: object) -> None:
    """Do all until one of them has ended; the others are given up. Raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
