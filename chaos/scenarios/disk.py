"""Disks that are full, databases that are locked or damaged, clocks that jump."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import choice
from unittest import mock

from chaos.scenario import require, scenario
from chaos.scenarios.world import FaultWorld, Way, sees, world
from mixpay.keystore import PASSWORD_VARIABLE
from mixpay.types import Epoch, RelayId
from relay.store import StoreFailed

_ROOM = 150_000
"""Bytes that a full disk still takes."""
_LIMIT = 30.0
_YEARS = 10 * 365 * 86_400.0


class _Operator:
    """Who types `mixpay-relay` in one relay's folder."""

    def __init__(self, net: FaultWorld, relay: RelayId) -> None:
        place = next(at for at, daemon in enumerate(net.daemons) if daemon.me == relay)
        self.home = net.homes[place]
        names = {"MIXPAY_RELAY_HOME": str(self.home.path), PASSWORD_VARIABLE: net.passwords[place]}
        self._environment = {**os.environ, **names}

    def start(self, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Type a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "relay.cli", *arguments],
            env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=before,  # noqa: PLW1509 -- sets a limit, and nothing else
        )  # fmt: skip

    async def types(self, *arguments: str) -> tuple[int, str]:
        """The same, and wait: the exit status, and what was said."""
        process = self.start(*arguments)
        out, err = await asyncio.to_thread(process.communicate, timeout=_LIMIT)
        return process.returncode, out + err


def _first_mix(net: FaultWorld, relay: RelayId) -> Way:
    """A way on which a relay is the first mix, and nothing else."""
    ids = [daemon.me for daemon in net.daemons if daemon.me != relay]
    entry = choice([r for r in ids if r not in net.in_layer(1)])  # noqa: S311 -- no secret
    mailbox = choice([r for r in ids if r not in net.in_layer(3)])  # noqa: S311
    return entry, (relay, *net.in_layer(2), *net.in_layer(3)), mailbox


async def _full(folder: Path) -> None:
    """A relay's own process on a disk that fills: it ends with a word, promises nothing that is not written,
    and goes on where it was once there is room.
    """
    async with world(folder) as net:
        full = net.in_layer(1)[0]
        await net.carry(20, lambda: _first_mix(net, full))
        await net.all_arrived()
        await net.relay(full).stop()
        operator = _Operator(net, full)
        most = operator.home.database.stat().st_size + _ROOM
        process = operator.start(
            "run", before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        )
        try:
            await sees("the process to serve", (operator.home.path / "api.json").exists)
            await sees("links to it", lambda: all(_is_linked(net, d.me, full) for d in net.honest([full])))
            while process.poll() is None:
                await net.carry(20, lambda: _first_mix(net, full), limit=3.0)
            _, said = process.communicate(timeout=_LIMIT)
        finally:
            process.kill()
        require(process.returncode == 1, f"it ended with {process.returncode}: {said[-500:]}")
        require("cannot write" in said and "start the relay again" in said, f"no word of it: {said[-500:]}")
        await net.start_again(full)
        await sees("links to it", lambda: all(_is_linked(net, d.me, full) for d in net.honest([full])))
        await net.settle()
        net.nothing_twice()
        net.income_is_exact(aside=[full])
        await net.claim()


def _is_linked(net: FaultWorld, payer: RelayId, payee: RelayId) -> bool:
    links = net.relay(payer).dialer.links
    return payee not in links or links[payee].is_open


async def _locked(folder: Path) -> None:
    """A second daemon is refused. Another's lock is waited for; if it stays, the relay ends in order."""
    async with world(folder) as net:
        daemon = net.relay(net.in_layer(1)[0])
        status, said = await _Operator(net, daemon.me).types("run")
        require(
            status == 2 and "is in use by another relay daemon" in said, f"a second daemon: {status} {said}"
        )

        other = sqlite3.connect(daemon.home.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        work = asyncio.ensure_future(net.carry(10, lambda: _first_mix(net, daemon.me)))
        await asyncio.sleep(1.5)
        other.execute("ROLLBACK")
        ends = await work
        require(ends == {None: 10}, f"a short lock cost packets: {ends}")
        await net.all_arrived()
        await net.settle()

        other.execute("BEGIN IMMEDIATE")
        await net.send(_first_mix(net, daemon.me), limit=1.0)
        await sees("the relay to end", daemon.failed.done)
        other.close()
        error = daemon.failed.exception()
        told = isinstance(error, StoreFailed) and "start the relay again" in str(error)
        require(told, f"it ended with {error!r}")
        await daemon.stop()
        await net.start_again(daemon.me)
        await sees("links to it", lambda: all(_is_linked(net, d.me, daemon.me) for d in net.daemons))
        await net.all_is_well()


async def _corrupted(folder: Path) -> None:
    """A damaged database is refused, with the name of what mends it; the backup brings every voucher back."""
    async with world(folder) as net:
        broken = net.in_layer(1)[0]
        operator, backup = _Operator(net, broken), str(folder / "relay.backup")
        ways = lambda: _first_mix(net, broken)  # noqa: E731
        await net.carry(20, ways)
        await net.all_arrived()
        await net.settle()
        status, said = await operator.types("backup", backup)
        require(status == 0, f"no backup: {said}")
        await net.carry(20, ways)
        await net.all_arrived()
        await net.settle()
        owed = {payer: book.state.cumulative for payer, book in net.relay(broken).books.payees.items()}
        await net.relay(broken).stop()
        with operator.home.database.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(8 * 4096))

        status, said = await operator.types("run")
        require(status == 2 and "mixpay-relay restore" in said, f"it ran on a damaged file: {status} {said}")
        status, said = await operator.types("restore", backup)
        require(status == 0 and "damaged" in said, f"not restored: {status} {said}")
        back = await net.start_again(broken)
        await sees(
            "its payers to repeat their vouchers",
            lambda: all(back.books.payee(payer).state.cumulative == total for payer, total in owed.items()),
        )
        net.nothing_twice()
        await net.claim()
        require(not net.refused(), f"somebody was blamed: {net.refused()}")
        others = await net.carry(20, lambda: net.draw(without=[broken]))
        require(others == {None: 20}, f"the others' packets: {others}")


async def _clocks(folder: Path) -> None:
    """The computer's clock leaps years ahead and back; the chain's then over epochs that nobody fixed."""
    async with world(folder) as net:
        true = time.time
        for shift in (_YEARS, -_YEARS, 0.0):
            with mock.patch("time.time", lambda shift=shift: true() + shift):
                ends = await net.carry(20, pause=0.01)
                require(ends == {None: 20}, f"packets at {shift:+.0f} s: {ends}")
                await net.all_arrived()
                await net.settle()
        await net.carry(20)
        await net.all_arrived()
        later = Epoch(9)
        net.to_epoch(later)
        await sees("the leap to be seen", lambda: all(d.state.epoch == later for d in net.daemons))
        await net.all_is_well(lossless=True)
        following = Epoch(later + 1)
        await sees("the next epoch to be fixed", lambda: net.contracts.registry.is_frozen(following), 40)
        net.to_epoch(following)
        await sees("keys of it", lambda: all(following in d.state.epoch_keys() for d in net.daemons))


SCENARIOS = (
    scenario("disk_full", _full),
    scenario("database_locked", _locked),
    scenario("database_corrupted", _corrupted),
    scenario("clock_jumps", _clocks),
)
