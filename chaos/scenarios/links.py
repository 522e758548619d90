"""Links that fail in every way a wire can, and frames that come wrong within TLS."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from chaos.scenario import require, scenario
from chaos.scenarios.liar import speaks
from chaos.scenarios.world import FaultWorld, sees, world
from mixpay.types import RelayId
from mixpay.wire import WIRE_VERSION
from mixpay.wire.frames import LinkFrame, Ping, encode
from relay.daemon import Daemon
from relay.links import LinkLimits
from relay.path.books import Side

QUICK = LinkLimits(ping_after=0.5, dead_after=1.5, retry_first=0.1, retry_most=0.5, retry_wanted=0.2)
"""Half a minute's waiting in two seconds."""
SIDES = (Side.PAYER, Side.PAYEE)


def _impatient(daemon: Daemon) -> None:
    daemon.dialer.limits = daemon.server.limits = QUICK


async def _cut(folder: Path) -> None:
    async with world(folder, wired=True) as net:
        work = asyncio.ensure_future(net.carry(150, pause=0.02))
        cuts = 0
        while not work.done():
            await asyncio.sleep(0.15)
            for wire in net.wires.values():
                wire.cut()
            cuts += 1
        ends = await work
        require(cuts >= 5 and ends[None] > 0, f"nothing was tried: {cuts} cuts, {ends}")
        await net.all_is_well()


async def _half_open(folder: Path) -> None:
    """Both ends believe in a connection that carries nothing: each finds out, and they meet again."""
    async with world(folder, wired=True, prepare=_impatient) as net:
        await net.carry(20)
        for wire in net.wires.values():
            wire.hang()
        lost = await net.carry(20, pause=0.02)
        require(lost[None] < 20, "nothing hung")
        await sees("every link to be open again", lambda: _are_open(net))
        after = await net.carry(20)
        require(after == {None: 20}, f"links are back, but packets end so: {after}")
        await net.all_is_well()


def _are_open(net: FaultWorld) -> bool:
    return all(link.is_open for daemon in net.daemons for link in daemon.dialer.links.values())


async def _delayed(folder: Path) -> None:
    """Slow lines lose nothing: acknowledgements come in their time, and responses in theirs."""
    async with world(folder, wired=True) as net:
        for wire in net.wires.values():
            wire.delay = (0.05, 0.4)
        ends = await net.carry(100, pause=0.01)
        require(ends == {None: 100}, f"packets were lost on slow lines: {ends}")
        await net.all_is_well(lossless=True)


async def _reordered(folder: Path) -> None:
    """What an old connection carries arrives after the new one has begun, and much was said on that."""
    async with world(folder, wired=True) as net:
        for _ in range(4):
            held = [event for wire in net.wires.values() for event in wire.hold()]
            work = asyncio.ensure_future(net.carry(20, pause=0.01))
            await asyncio.sleep(0.3)
            for wire in net.wires.values():
                wire.forsake()
            await sees("new connections", lambda: _are_open(net))
            await net.carry(5)
            for event in held:
                event.set()
            await work
        await net.all_is_well()


async def _repeated(folder: Path) -> None:
    """Every frame is said twice, and all of them once more on the connection after: also after settling."""
    async with world(folder, wired=True) as net:
        said: list[tuple[Daemon, Side, RelayId, LinkFrame]] = []
        for daemon in net.daemons:
            for side in SIDES:
                _stutters(daemon, side, said)
        ends = await net.carry(60, pause=0.01)
        require(ends == {None: 60}, f"repetitions cost packets: {ends}")
        for _ in range(2):
            await net.all_arrived()
            before = list(said)
            for wire in net.wires.values():
                wire.cut()
            await sees("new connections", lambda: _are_open(net) and _are_linked(net))
            for daemon, side, peer, frame in before:
                link = (daemon.server.links if side is Side.PAYER else daemon.dialer.links)[peer]
                link.send(frame)
            require(len(before) > 300, f"only {len(before)} frames were there to repeat")
            await net.all_is_well(lossless=True)
        require(not any(daemon.hooks.cut_off for daemon in net.daemons), "an honest relay was cut off")


def _stutters(daemon: Daemon, side: Side, said: list[tuple[Daemon, Side, RelayId, LinkFrame]]) -> None:
    def twice(peer: RelayId, frame: LinkFrame) -> tuple[LinkFrame, ...]:
        said.append((daemon, side, peer, frame))
        return frame, frame

    speaks(daemon, side, twice)


def _are_linked(net: FaultWorld) -> bool:
    return all(
        daemon.me in net.relay(payee).server.links for daemon in net.daemons for payee in daemon.dialer.links
    )


async def _truncated(folder: Path) -> None:
    """Half a frame, and then another one: that connection ends, for a reason that is counted; no other."""
    async with world(folder) as net:
        await net.carry(20)
        await net.all_arrived()
        payer = net.daemons[0]
        payee = net.relay(next(iter(payer.dialer.links)))
        others = {relay: link for relay, link in payee.server.links.items() if relay != payer.me}
        link = payer.dialer.links[payee.me]
        half = encode(Ping(1))[:-3]
        link._connection._transport.write(half + encode(Ping(2)) * 3)  # type: ignore[union-attr]
        await sees("the link to end", lambda: "malformed_frame" in net.status(payee.me).refusals)
        await sees("the link to come back", lambda: _are_open(net) and _are_linked(net))
        require(all(payee.server.links[relay] is link for relay, link in others.items()), "others suffered")
        ends = await net.carry(20)
        require(ends == {None: 20}, f"packets after it: {ends}")
        await net.all_is_well(lossless=True)


async def _versions(folder: Path) -> None:
    """An older and a newer relay hold no links; each refusal is counted and told; the others go on."""
    odd = {RelayId(1): WIRE_VERSION - 1, RelayId(2): WIRE_VERSION + 1}

    def age(daemon: Daemon) -> None:
        version = odd.get(daemon.me, WIRE_VERSION)
        for end in (daemon.server, daemon.dialer):
            end.identity = replace(end.identity, version=version)

    async with world(folder, 8, prepare=age, apart=odd) as net:
        ends = await net.carry(40, lambda: net.draw(without=odd))
        require(ends == {None: 40}, f"packets between those of one version: {ends}")
        for daemon in net.daemons:
            counted = net.status(daemon.me).refusals.get("wrong_version", 0)
            meets = daemon.me in odd or set(daemon.dialer.links) & set(odd)
            require(counted or not meets, f"relay {daemon.me} counts no wrong version")
        await net.all_is_well(aside=odd, lossless=True)


SCENARIOS = (
    scenario("links_cut", _cut),
    scenario("links_half_open", _half_open),
    scenario("links_delayed", _delayed),
    scenario("links_reordered", _reordered),
    scenario("frames_repeated", _repeated),
    scenario("frames_truncated", _truncated),
    scenario("wire_versions", _versions),
)
