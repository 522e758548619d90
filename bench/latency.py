"""`make latency`: how long a message takes, sender and receiver in the foreground; reports/latency.json.

    python -m bench.latency [--short]

A devnet is the network: nine relay processes, a chain, a sponsor; all packets are paid for. The users are
clients of this process, each with a line of its own: senders send a message now and then, receivers watch
their mailboxes. Counted is the time from `post` until the receiver is handed the message: the sender's
Poisson clock, three mixes, the mailbox, three mixes more, and the beat of the receiver's entry.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import ROOT, machine
from bench.first_packet import Devnet, at_home, devnet, mixpay
from bench.running import BenchFailed
from mixpay import envelope
from mixpay.address import Address, parse
from mixpay.client import app
from mixpay.client.home import Home
from mixpay.client.inbox import Arrived
from mixpay.client.line import Line
from mixpay.client.presence import LinePost, Presence
from mixpay.client.profile import FOREGROUND, PROFILES, Profile
from mixpay.client.report import Report
from mixpay.client.session import Session
from mixpay.errors import MixpayError
from mixpay.keystore import Kdf

REPORT = ROOT / "reports/latency.json"
PROMISED = {"fast": 5.0, "strong": 10.0}
"""Seconds, of 99 in 100 messages."""
_UP, _DRAIN = 90.0, 60.0
_PASSWORD = "devnet"  # noqa: S105 -- what the devnet itself proposes


@dataclass(frozen=True, slots=True)
class Scale:
    """Pairs of sender and receiver, seconds for each profile, mean seconds between a sender's messages."""

    pairs: int = 6
    seconds: float = 300.0
    between: float = 4.0


SHORT = Scale(1, 15.0, 3.0)


@dataclass(slots=True)
class Times:
    """When messages were sent and came, by their texts; seconds of one clock."""

    sent: dict[str, float] = field(default_factory=dict)
    came: dict[str, float] = field(default_factory=dict)

    def deliver(self, arrived: Arrived) -> None:
        """A receiver has a message."""
        self.came.setdefault(arrived.text, time.monotonic())

    def figures(self) -> dict[str, Any]:
        """Percentiles in seconds, and how many were sent and lost."""
        took = sorted(self.came[text] - self.sent[text] for text in self.came)
        if len(took) < 2:
            raise BenchFailed(f"{len(took)} of {len(self.sent)} messages arrived")
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        shares = {f"p{share}": round(cuts[share - 1], 3) for share in (50, 90, 99)}
        return shares | {"sent": len(self.sent), "lost": len(self.sent) - len(took), "seconds": took}


def prepare(network: Devnet, folder: Path, pairs: int) -> list[tuple[Path, Path, Address]]:
    """Homes of senders and receivers, and the receivers' addresses."""
    found = []
    for number in range(pairs):
        sender, receiver = folder / f"sender{number}", folder / f"receiver{number}"
        for home in (sender, receiver):
            mixpay(at_home(network.words("mixpay init"), home))
        address = mixpay(at_home(network.words("mixpay address"), receiver))
        found.append((sender, receiver, parse(address)))
    return found


async def measure(users: list[tuple[Path, Path, Address]], profile: Profile, scale: Scale) -> dict[str, Any]:
    """One profile's figures."""
    times = Times()
    async with AsyncExitStack() as stack:
        posts = []
        for _, receiver, _ in users:
            await stack.enter_async_context(_present(receiver, profile, times))
        for sender, _, address in users:
            posts.append((await stack.enter_async_context(_line(sender, profile)), address))
        until = time.monotonic() + scale.seconds
        await asyncio.gather(*(_send(post, to, times, until, scale) for post, to in posts))
        end = time.monotonic() + _DRAIN
        while len(times.came) < len(times.sent) and time.monotonic() < end:
            await asyncio.sleep(0.1)
    return times.figures()


async def _send(post: LinePost, to: Address, times: Times, until: float, scale: Scale) -> None:
    dice, sending = random.SystemRandom(), set[asyncio.Task[None]]()
    while time.monotonic() < until:
        await asyncio.sleep(dice.expovariate(1 / scale.between))
        text = os.urandom(8).hex()
        pieces = envelope.fragments(envelope.text_message(text), os.urandom)
        times.sent[text] = time.monotonic()
        sending.add(
            asyncio.create_task(post.post(to, pieces, lambda *_: None, (), Report(b"", 1)))
        )
    await asyncio.gather(*sending)


@asynccontextmanager
async def _client(home: Path, profile: Profile) -> AsyncIterator[app.Client]:
    tell = partial(_tell, home.name)
    async with app.connected(Home(home), tell) as client:
        yield replace(client, profile=profile)


@asynccontextmanager
async def _line(home: Path, profile: Profile) -> AsyncIterator[LinePost]:
    """A sender's line."""
    async with _client(home, profile) as client:
        session = Session(client.http, client.view, client.wallet, os.urandom, client.tell)
        line = Line(session, client.view, client.wallet, profile, FOREGROUND, os.urandom)
        async with line:
            await asyncio.wait_for(line.stay(), _UP)
            post = LinePost(client.parts)
            post.line = line
            yield post


@asynccontextmanager
async def _present(home: Path, profile: Profile, times: Times) -> AsyncIterator[None]:
    """A receiver who stays, from the moment that its mailbox's relay has its blocks."""
    async with _client(home, profile) as client:
        identity = client.home.identity(lambda new: _PASSWORD, Kdf.LIGHT)
        presence = Presence(client, identity, times.deliver, FOREGROUND, silent=True)
        running = asyncio.create_task(presence.run())
        try:
            watched = asyncio.create_task(presence.watched.wait())
            done, _ = await asyncio.wait(
                [running, watched], timeout=_UP, return_when=asyncio.FIRST_COMPLETED
            )
            if running in done:
                running.result()
            if watched not in done:
                watched.cancel()
                raise BenchFailed(f"{home.name} does not get to watch its mailbox")
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _tell(name: str, line: str) -> None:
    print(f"{name}: {line}", file=sys.stderr)


def run(scale: Scale) -> dict[str, Any]:
    """The report."""
    found: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="mixpay-latency-") as scratch:
        folder = Path(scratch)
        with devnet(folder) as network:
            users = prepare(network, folder, scale.pairs)
            for profile in PROFILES.values():
                found[profile.name] = asyncio.run(measure(users, profile, scale))
    found["lost"] = sum(found[name]["lost"] for name in PROFILES)
    return found


def main() -> int:
    """Measure, print, write the report."""
    parser = argparse.ArgumentParser(description="how long a message takes", prog="python -m bench.latency")
    parser.add_argument("--short", action="store_true", help="tiny sizes: to see that it runs, not how fast")
    options = parser.parse_args()
    try:
        found = run(SHORT if options.short else Scale())
    except (BenchFailed, MixpayError) as error:
        print(f"make latency: {error}", file=sys.stderr)
        return 1
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
    for name, promised in PROMISED.items():
        one = found[name]
        word = "as promised" if one["p99"] <= promised else f"NOT within the {promised:.0f} s promised"
        print(f"{name:7} p50 {one['p50']:.2f} s  p90 {one['p90']:.2f}  p99 {one['p99']:.2f}  {word}")
        print(f"        {one['sent']} messages, {one['lost']} lost")
    print(f"written: {REPORT.relative_to(ROOT)}")
    return 0 if not found["lost"] else 1


if __name__ == "__main__":
    sys.exit(main())
