"""The load process: entries that offer packets to one relay, and the mixes behind it.

    python -m bench.load SCRIPT [--plain]

SCRIPT is a file of `World.script`. Orders come as lines of JSON on standard input, each is answered by one:

    {"do": "prepare", "packets": N}                          packets are made, so that it costs nothing later
    {"do": "run", "rate": R, "seconds": S, "warm": W, "pid": P}

A run offers R packets a second (a Poisson process) or, with null, as many as the relay takes. What happens in
the first W seconds is not counted. P is the relay's process, whose CPU time and memory are read meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import proc
from bench.peers import Entry, Next, Scene, Tally
from bench.supply import Supply
from bench.world import EPOCH
from mixpay import eip712, tls
from mixpay.crypto import x25519
from mixpay.packet import KeyContext
from mixpay.types import Account, Amount, RelayId

_STEP = 0.001
_TICK = 0.1
_AHEAD = 64
"""Packets that wait at each entry when the relay is given all it takes."""
MOST_UNDER_WAY = 3_000
"""The same for a relay without tickets: more than it holds for their delays, so that some always wait."""
_LEAST = 100
"""Packets that a run is to carry at least."""
_PATIENCE = 30.0
_DRAIN = 30.0
"""Seconds that the last packets are waited for, at most."""
_QUIET = 5.0
"""Seconds without an arrival after which nothing more is awaited."""
PERCENTILES = (50, 90, 99, 100)


@dataclass(slots=True)
class Reading:
    """What is read at a moment."""

    at: float
    arrived: int
    cpu: dict[int, float]
    own: float
    machine: tuple[float, float]


@dataclass(slots=True)
class Outcome:
    """What a run shows. Counts are of the whole run; rates, CPU and latency of the part that counts."""

    seconds: float
    packets: int
    cpu: dict[int, float]
    """Seconds of each of the relay's processes."""
    own_cpu: float
    others: float
    """Share of the machine that neither the relay nor this process used, but others did."""
    rss_mb: tuple[float, float]
    """Of the relay, before and after."""
    offered: int
    issued: int
    arrived: int
    acked: int
    lost: dict[str, int]
    late_ms: dict[str, float]
    """Percentiles of what a packet took from its ticket to its arrival, beyond its delay."""
    waited_ms: dict[str, float]
    """Percentiles of what it waited for its ticket before."""
    whole_ms: dict[str, float] = field(default_factory=dict)
    """Percentiles of both together."""


class Load:
    """All neighbours of one relay."""

    def __init__(self, script: dict[str, Any], *, plain: bool) -> None:
        self._script, self._plain = script, plain
        context = KeyContext(script["chain_id"], _hex(script["registry"]), _hex(script["root"]))
        nexts = [RelayId(payee["relay"]) for payee in script["payees"]]
        supply = Supply(context, x25519.public_key(_hex(script["secret"])), nexts, os.urandom)
        domain = eip712.channels_domain(script["chain_id"], _hex(script["channels"]))
        me = Account(eip712.account_of(_hex(script["me"]["key"])))
        price, deposit = Amount(script["price"]), Amount(script["deposit"])
        self.scene = Scene(domain, me, price, deposit, EPOCH, supply, time.monotonic, os.urandom)
        self.entries = [Entry(self.scene, _hex(one["key"]), plain=plain) for one in script["payers"]]
        self.nexts = [
            Next(self.scene, me, Account(eip712.account_of(_hex(one["key"]))), plain=plain)
            for one in script["payees"]
        ]
        self._dice = random.Random(1)  # noqa: S311 -- when packets are due, the same in every run

    async def connect(self) -> None:
        """Listen, dial, and wait until all links are open."""
        me = self._script["me"]
        key = tls.link_key_of(_hex(me["seed"]))
        for peer, one in zip(self.nexts, self._script["payees"], strict=True):
            await peer.listen(RelayId(one["relay"]), _hex(one["seed"]), one["port"], key)
        for entry, one in zip(self.entries, self._script["payers"], strict=True):
            entry.dial(RelayId(one["relay"]), _hex(one["seed"]), RelayId(me["relay"]), me["port"], key)
        await self.linked()

    async def linked(self, limit: float = 60.0) -> None:
        """Wait until all links are open. Raises TimeoutError."""
        async with asyncio.timeout(limit):
            while any(peer.link is None for peer in (*self.entries, *self.nexts)):
                await asyncio.sleep(0.02)

    async def ticking(self) -> None:
        """Let all books do what time asks for."""
        while True:
            for entry in self.entries:
                entry.tick()
            for mix in self.nexts:
                mix.tick()
            await asyncio.sleep(_TICK)

    # ------------------------------------------------------------------ a run

    async def run(self, rate: float | None, seconds: float, warm: float, pid: int) -> Outcome:
        """Offer packets for a while, and say what became of them."""
        scene = self.scene
        await self.linked()
        scene.tally, scene.due = Tally(), {}
        before, began = proc.rss_mb(pid), scene.clock()
        await self._offer(rate, began, warm)
        first = self._read(pid)
        scene.tally.late, scene.tally.waited = array("d"), array("d")
        await self._offer(rate, began + warm, seconds, scene.tally.arrived + _LEAST)
        last, tally = self._read(pid), scene.tally
        late, waited = list(tally.late), list(tally.waited)
        for entry in self.entries:
            entry.abandon()
        await self._drain()
        both = [a + b for a, b in zip(late, waited, strict=True)]
        after = proc.rss_mb(pid)
        took = last.at - first.at
        cpu = {one: used - first.cpu.get(one, 0.0) for one, used in last.cpu.items()}
        return Outcome(
            took, last.arrived - first.arrived, cpu, last.own - first.own, _others(first, last, cpu),
            (before, after), tally.offered, tally.issued, tally.arrived, tally.acked, dict(tally.lost),
            percentiles(late), percentiles(waited), percentiles(both),
        )  # fmt: skip

    def _read(self, pid: int) -> Reading:
        own = proc.cpu(os.getpid())
        busy = proc.machine_busy()
        return Reading(self.scene.clock(), self.scene.tally.arrived, proc.cpu_by_process(pid), own, busy)

    async def _offer(self, rate: float | None, began: float, seconds: float, least: int = 0) -> None:
        """For so long; and on, on a machine that has no time for us, until `least` have come through."""
        clock, due, end = self.scene.clock, began, began + seconds
        while (now := clock()) < end or (self.scene.tally.arrived < least and now < end + _PATIENCE):
            if rate is None:
                self._offer_all(now)
            else:
                while due <= now:
                    self._dice.choice(self.entries).offer(due)
                    due += self._dice.expovariate(rate)
            for entry in self.entries:
                entry.pump()
            await asyncio.sleep(_STEP)

    def _offer_all(self, now: float) -> None:
        """As many as the relay takes: tickets are the limit, and where there are none, what is under way."""
        for entry in self.entries:
            room = MOST_UNDER_WAY - len(self.scene.due) if self._plain else _AHEAD
            for _ in range(min(room, _AHEAD) - len(entry.queue)):
                entry.offer(now)

    async def _drain(self) -> None:
        """Wait for what is under way."""
        clock, tally = self.scene.clock, self.scene.tally
        end, seen, since = clock() + _DRAIN, tally.arrived, clock()
        while self.scene.due and clock() < end:
            await asyncio.sleep(0.02)
            if tally.arrived != seen:
                seen, since = tally.arrived, clock()
            elif clock() - since > _QUIET:
                return


def _others(first: Reading, last: Reading, cpu: dict[int, float]) -> float:
    """Raises nothing: a machine that was not there for a tick has nobody else on it."""
    there = last.machine[1] - first.machine[1]
    busy = last.machine[0] - first.machine[0] - sum(cpu.values()) - (last.own - first.own)
    return max(0.0, busy / there) if there else 0.0


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the most (p100), in ms; nothing of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        f"p{part}": 1000 * ordered[max(0, math.ceil(len(ordered) * part / 100) - 1)] for part in PERCENTILES
    }


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


async def serve(load: Load) -> None:
    """Carry out orders until standard input ends."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def mishap(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not failed.done():
            failed.set_exception(context.get("exception") or RuntimeError(context["message"]))

    loop.set_exception_handler(mishap)
    await load.connect()
    ticking = asyncio.create_task(load.ticking())
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        work = asyncio.ensure_future(_obey(load, order))
        tasks: set[asyncio.Future[Any]] = {work, failed, ticking}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for ended in (failed, ticking):
            if ended.done():
                ended.result()
        print(json.dumps(work.result()), flush=True)


async def _obey(load: Load, order: dict[str, Any]) -> dict[str, Any]:
    if order["do"] == "prepare":
        load.scene.supply.prepare(order["packets"])
        return {}
    outcome = await load.run(order["rate"], order["seconds"], order["warm"], order["pid"])
    return {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}


def main() -> None:
    """Read the script, connect, serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("script", type=Path)
    parser.add_argument("--plain", action="store_true", help="no tickets, no acks")
    given = parser.parse_args()
    script = json.loads(given.script.read_text())

    async def run() -> None:
        await serve(Load(script, plain=given.plain))

    asyncio.run(run())


if __name__ == "__main__":
    main()
