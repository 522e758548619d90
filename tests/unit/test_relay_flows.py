"""Flow caps in a relay's data path: where they are asked, what a refusal costs, and what is remembered."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from mixpay.crypto import x25519
from mixpay.descriptors import sign_descriptor
from mixpay.errors import PeerError
from mixpay.layers import Role
from mixpay.parameters import DEMO
from mixpay.types import RelayId
from mixpay.wire import frames
from registry_samples import operator_key
from relay.path.books import Side
from relay.path.flows import FLOW_CAP, KEEP_EVERY, SLOW
from relay_parts import EPOCH, RELAYS, Node, Parts, frame, only, packet_secret, reasons

MIX1 = (EPOCH, Role.MIX1)
ENTRY = (EPOCH, Role.ENTRY)


def publish(parts: Parts, node: Node, *relays: int) -> None:
    """The node knows the packet keys of these relays; of all, if none is named."""
    for number in relays or range(1, RELAYS + 1):
        relay, key = RelayId(number), x25519.public_key(packet_secret(number))
        if relay != node.me:
            domain = parts.view.registry_domain
            node.state.directories.learn(
                sign_descriptor(operator_key(number), relay, EPOCH, key, domain, software="test")
            )


def exhaust(node: Node, next_hop: int, role: Role = Role.MIX1) -> None:
    """Forward to one next hop as much as may be."""
    while node.router.flows.allows(EPOCH, role, RelayId(next_hop)):
        node.router.flows.add(EPOCH, role, RelayId(next_hop))


async def ready(parts: Parts, node: Node) -> Node:
    """Whatever layer 2 has is reachable, and known to be."""
    publish(parts, node)
    for relay in parts.members(2):
        node.link(Side.PAYEE, relay)
    await node.pass_time(0)
    return node


# ---------------------------------------------------------------------- where it is asked


async def test_mixBeyondTheCap_refusesBeforeTheAck_andNoMoneyMoves(parts: Parts, mix: Node) -> None:
    """The attack: all that a farmer's users send has the same next hop."""
    await ready(parts, mix)
    entry, _, mix2, mix3, mailbox = parts.path()
    exhaust(mix, mix2)
    assert reasons(await parts.bring(mix, frame(parts.packet()))) == [FLOW_CAP]
    assert mix.drops(FLOW_CAP) == 1
    totals = mix.books.payee(entry).totals(1)
    assert (totals.unsettled, totals.opened) == (0, 0)
    assert mix.books.payer(mix2).totals(1).unsettled == 0
    assert len(mix.mixer) == 0
    assert mix.store.roles() == {}
    other = parts.packet((mix.me, parts.members(2)[1], mix3), mailbox)
    assert only(await parts.bring(mix, frame(other, seq=2)), frames.Acks)


async def test_refusedAtTheCap_packetIsNotUsedUp(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    mix2, others = parts.path()[2], parts.members(2)[1:]
    exhaust(mix, mix2)
    built = parts.packet()
    assert reasons(await parts.bring(mix, frame(built))) == [FLOW_CAP]
    for other in others:
        mix.router.flows.add(EPOCH, Role.MIX1, other)
    mix.router.flows.add(EPOCH, Role.MIX1, others[0])
    assert only(await parts.bring(mix, frame(built, seq=2)), frames.Acks)


async def test_packet_countsOnce_whenItIsTaken(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    mix2, meter = parts.path()[2], mix.router.flows._meters[MIX1]
    await parts.bring(mix, frame(parts.packet()))
    for _ in range(2):
        assert meter.count(mix2) == meter.forwarded == 1
        await mix.pass_time(0.02)
    assert mix.router.flows._meters[ENTRY].forwarded == 0


async def test_packetsThatAreHeldForLong_keepToTheCap(parts: Parts, mix: Node) -> None:
    """The attack: a crowd that asks for a minute's delay is in before the first of it has left."""
    with patch("mixpay.flow.MOST_GRACE", 0):
        await ready(parts, mix)
        crowd = [frame(parts.packet(delay_ms=60_000), seq=seq) for seq in range(1, 161)]
        answers = await parts.bring(mix, *crowd)
    meter = mix.router.flows._meters[MIX1]
    assert len(mix.mixer) == meter.count(parts.path()[2]) < 120
    assert set(reasons(answers)) == {FLOW_CAP}


async def test_entryBeyondTheCap_refusesBeforeTheTick(parts: Parts) -> None:
    entry, mix1, *_ = parts.path()
    node = await parts.node(entry)
    publish(parts, node)
    for relay in parts.members(1):
        node.link(Side.PAYEE, relay)
    await node.pass_time(0)
    built = parts.packet()
    node.router.check_first_mix(mix1, EPOCH)
    node.router.submit(mix1, EPOCH, built.lock, built.hint, built.packet)
    meter = node.router.flows._meters[ENTRY]
    assert (meter.usable, meter.count(mix1)) == (3, 1)
    exhaust(node, mix1, Role.ENTRY)
    with pytest.raises(PeerError, match=FLOW_CAP):
        node.router.check_first_mix(mix1, EPOCH)
    node.router.check_first_mix(parts.members(1)[1], EPOCH)
    layer = parts.view.layers(EPOCH).layer(entry)
    assert node.router.flows._meters[EPOCH, layer].forwarded == 0  # as a mix it has forwarded nothing


async def test_mailboxOfAReceiver_hasNoCap(parts: Parts) -> None:
    """All messages of one receiver have the same last hop, however honest their senders are."""
    *_, mix3, mailbox = parts.path()
    node = await parts.node(mix3)
    for _ in range(50_000):
        node.router.flows.add(EPOCH, Role.MIX3, mailbox)
    assert node.router.flows.allows(EPOCH, Role.MIX3, mailbox)


async def test_refusalOfAMix_isCountedByItsReason_andToldToTheClientAsTheMixs(parts: Parts) -> None:
    entry, mix1, *_ = parts.path()
    node = await parts.node(entry)
    node.link(Side.PAYEE, mix1)
    built = parts.packet()
    future = node.router.submit(mix1, EPOCH, built.lock, built.hint, built.packet)
    await node.written()
    refusal = frames.RefuseTickets((frames.RefusedTicket(1, FLOW_CAP),))
    await node.hear(Side.PAYEE, mix1, refusal)
    with pytest.raises(PeerError, match="refused_by_mix"):
        await future
    assert node.drops(FLOW_CAP) == 1
    again = parts.packet()  # and the entry goes on: it is no limit of the link's
    node.router.submit(mix1, EPOCH, again.lock, again.hint, again.packet)
    await node.written()
    assert only(node.wires[Side.PAYEE][mix1].take(), frames.Packet)[-1].seq == 2


# ---------------------------------------------------------------------- who is usable


async def test_nextHopThatIsDown_raisesTheSharesOfOthersAtTheNextTick(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    meter, down = mix.router.flows._meters[MIX1], parts.members(2)[1]
    assert meter.usable == 3
    mix.wires[Side.PAYEE][down].is_open = False
    await mix.pass_time(0)
    assert meter.usable == 2
    mix.link(Side.PAYEE, down)
    await mix.pass_time(0)
    assert meter.usable == 3


async def test_nextHopWithoutAKnownKey_isNotUsable(parts: Parts, mix: Node) -> None:
    """Clients draw nobody whose key they do not know, so the others have more."""
    for relay in parts.members(2):
        mix.link(Side.PAYEE, relay)
    publish(parts, mix, *parts.members(2)[:2])
    await mix.pass_time(0)
    assert mix.router.flows._meters[MIX1].usable == 2
    publish(parts, mix, parts.members(2)[2])
    await mix.pass_time(0)
    assert mix.router.flows._meters[MIX1].usable == 3


async def test_nextHopThatSignedTwoKeys_isNotUsable(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    parts.chain.condemn(parts.members(2)[2], bytes(20))  # type: ignore[arg-type]
    await mix.pass_time(0)
    assert mix.router.flows._meters[MIX1].usable == 2


async def test_nextHopThatIsCutOff_isNotUsable(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    mix2 = parts.path()[2]
    await parts.bring(mix, frame(parts.packet()))
    await mix.pass_time(0.02)
    await mix.hear(Side.PAYEE, mix2, frames.Acks((frames.Ack(1, 0, 1, b"\1" * 32),)))
    mix.link(Side.PAYEE, mix2)
    await mix.pass_time(0)
    assert mix.router.flows._meters[MIX1].usable == 2


async def test_nextHopThatPacketsWaitFor_isNotUsable(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    mix2, meter = parts.path()[2], mix.router.flows._meters[MIX1]
    mix.books.payer(mix2)._paused_until = mix.clock.now + 60.0
    await parts.bring(mix, frame(parts.packet()))
    await mix.pass_time(0.02)
    await mix.pass_time(SLOW)
    assert (mix.router.waiting(mix2), meter.usable) == (1, 3)
    await mix.pass_time(0.01)
    assert meter.usable == 2


# ---------------------------------------------------------------------- what is remembered


async def test_counts_areKeptAcrossARestart(parts: Parts, mix: Node) -> None:
    await ready(parts, mix)
    mix2 = parts.path()[2]
    exhaust(mix, mix2)
    await mix.pass_time(KEEP_EVERY)
    cap = mix.router.flows._meters[MIX1].cap
    again = await ready(parts, await parts.restart(mix.me))
    meter = again.router.flows._meters[MIX1]
    assert (meter.count(mix2), meter.cap) == (cap, cap)
    again.link(Side.PAYER, parts.path()[0])
    assert reasons(await parts.bring(again, frame(parts.packet()))) == [FLOW_CAP]


async def test_crash_forgetsCountsAndSharesTogether(parts: Parts, mix: Node) -> None:
    """What is lost was fair, or not, as a whole: the rest is what it was a moment before."""
    await ready(parts, mix)
    flows, mix2 = mix.router.flows, parts.path()[2]
    flows.add(EPOCH, Role.MIX1, mix2)
    await mix.pass_time(KEEP_EVERY)
    kept = flows._meters[MIX1].state()
    for _ in range(5_000):
        flows.add(EPOCH, Role.MIX1, mix2)
    again = await parts.restart(mix.me, crash=True)
    assert again.router.flows._meters[MIX1].state() == kept


async def test_flows_areWrittenOnceASecondAndOnlyIfAnythingFlowed(parts: Parts, mix: Node) -> None:
    flows, mix2 = mix.router.flows, parts.path()[2]
    now = mix.clock.now
    assert flows.to_keep(now) == []
    written = 0
    for step in range(31):
        flows.add(EPOCH, Role.MIX1, mix2)
        written += len(flows.to_keep(now + step / 10))
    assert written == 4
    assert flows.to_keep(now + 100) == []


async def test_epochThatIsOver_isForgotten(parts: Parts, mix: Node) -> None:
    mix2 = parts.path()[2]
    mix.router.flows.add(EPOCH, Role.MIX1, mix2)
    parts.chain.freeze(EPOCH + 1)
    parts.chain.at(EPOCH + 1, DEMO.key_grace + 1)
    await mix.keys.make()
    await mix.pass_time(KEEP_EVERY)
    assert {epoch for epoch, _ in mix.router.flows._meters} == {EPOCH + 1}
    assert all(not meter.forwarded for meter in mix.router.flows._meters.values())
    assert mix.router.flows.allows(EPOCH, Role.MIX1, mix2)  # its packets are refused for their epoch
