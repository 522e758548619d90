"""The data path of one relay: what it takes, what it refuses and why, and what its next hops hear."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book import Limits
from mixpay.book.rows import Channel
from mixpay.crypto import x25519
from mixpay.errors import PeerError
from mixpay.mailbox import Created, mailbox_id_of
from mixpay.packet import Forward, Hop, build, open_reply, use_surb
from mixpay.types import Amount, Epoch
from mixpay.wire import frames
from registry_samples import name
from relay.path.books import Side
from relay.path.router import MAX_WAIT
from relay_parts import EPOCH, Node, Parts, frame, only, packet_secret, reasons
from tickets import long_form

INVENTED = "sorry_no_mood_today"


async def refused(parts: Parts, node: Node, packet: frames.Packet, reason: str) -> None:
    """The relay refuses it for this reason, counts it, and forwards nothing."""
    assert reasons(await parts.bring(node, packet)) == [reason]
    assert node.drops(reason) == 1
    assert len(node.mixer) == 0
    assert node.store.roles() == {}


# ---------------------------------------------------------------------- what is in order


async def test_packet_isAcknowledgedAndForwardedAfterItsDelay(parts: Parts, mix: Node) -> None:
    _, mix1, mix2, _, _ = parts.path()
    built = parts.packet(delay_ms=500)
    layer = parts.opened(built.packet, mix1, 1)
    assert isinstance(layer, Forward)

    (acks,) = await parts.bring(mix, frame(built))
    assert acks == frames.Acks((frames.Ack(1, 0, 1, built.first_ack),))
    assert mix.store.roles() == {"mix": 1}
    to_next = mix.wires[Side.PAYEE][mix2]
    await mix.pass_time(0.49)
    assert to_next.take() == []
    await mix.pass_time(0.02)
    (sent,) = to_next.take()
    assert sent == frames.Packet(1, EPOCH, layer.next_lock, long_form(layer.next_hint), 3, layer.packet)


async def test_delay_countsFromThePacketsArrival_notFromItsCommit(parts: Parts, mix: Node) -> None:
    built, to_next = parts.packet(delay_ms=500), mix.wires[Side.PAYEE][parts.path()[2]]
    mix.desk.received(Side.PAYER, parts.path()[0], [frame(built)])
    await mix.pass_time(0.4)  # so long its commit takes
    await mix.pass_time(0.11)
    assert len(to_next.take()) == 1


async def test_packetThatWaits_saysForWhichLimit(parts: Parts, mix: Node) -> None:
    mix2 = parts.path()[2]

    def closing_at(when: int) -> None:
        with mix.books.step() as step:
            channel = Channel(Amount(10**18), Amount(0), when)
            step.add(Side.PAYEE, mix2, mix.books.payer(mix2).on_channel(channel))

    closing_at(99)
    await parts.bring(mix, frame(parts.packet()))
    await mix.pass_time(0.02)
    assert mix.router.waits == {mix2: "channel_closing"}
    closing_at(0)
    await mix.pass_time(0.02)
    assert mix.router.waits == {}
    assert mix.count("tickets_issued") == 1


async def test_ackOfNextHop_completesTheResponse(parts: Parts, mix: Node) -> None:
    entry, _, mix2, _, _ = parts.path()
    built = parts.packet()
    await parts.bring(mix, frame(built))
    await mix.pass_time(0.02)
    (sent,) = mix.wires[Side.PAYEE][mix2].take()
    ack = parts.opened(sent.packet, mix2, 2).ack
    assert mix.books.payee(entry).totals(1).opened == 0
    await mix.hear(Side.PAYEE, mix2, frames.Acks((frames.Ack(1, 0, sent.seq, ack),)))
    assert mix.books.payee(entry).totals(1).opened == 4
    assert mix.count("receipts") == 1


async def test_mailbox_keepsTheMessageAndHasItsReceiptAtOnce(parts: Parts) -> None:
    *_, mix3, mailbox = parts.path()
    node = await parts.node(mailbox)
    node.link(Side.PAYER, mix3)
    key = name("fetch key", 1)
    box, body = mailbox_id_of(key), parts.random(2048)
    assert isinstance(node.mailboxes.create(box, key, 2**40, parts.view.chain_time), Created)
    sent = parts.last_frame(parts.packet(box=box, data=body).packet)

    (acks,) = await node.hear(Side.PAYER, mix3, sent)
    assert len(only([acks], frames.Acks)) == 1
    assert node.books.payee(mix3).totals(1).opened == 1
    assert node.store.messages(box, 1, 9) == [(1, body)]
    assert node.store.roles() == {"mailbox": 1}


async def test_mailboxUnknown_packetIsPaidAndDropped(parts: Parts) -> None:
    *_, mix3, mailbox = parts.path()
    node = await parts.node(mailbox)
    node.link(Side.PAYER, mix3)
    (acks,) = await node.hear(Side.PAYER, mix3, parts.last_frame(parts.packet().packet))
    assert isinstance(acks, frames.Acks)
    assert node.drops("mailbox_unknown_mailbox") == 1
    assert node.mailboxes.counts == (0, 0)


async def test_reply_waitsForItsClient_andItsReceiptIsThereAtOnce(parts: Parts) -> None:
    *_, mix3, entry = parts.path()
    node = await parts.node(entry)
    node.link(Side.PAYER, mix3)
    box = node.router.passing.open(b"passing!")
    block, keys = parts.block(b"passing!" + b"number 1")
    said = parts.random(2056)
    (acks,) = await node.hear(Side.PAYER, mix3, parts.last_frame(use_surb(block, said).packet))
    assert len(only([acks], frames.Acks)) == 1
    assert node.books.payee(mix3).totals(1).opened == 1
    assert node.store.roles() == {"mailbox": 1}
    waiting = box.take()
    assert waiting is not None and waiting.number == b"number 1"
    assert open_reply(keys, waiting.payload) == said


async def test_replyToWhoHasLeft_isPaidAndDropped_andNothingOfItIsKept(parts: Parts) -> None:
    *_, mix3, entry = parts.path()
    node = await parts.node(entry)
    node.link(Side.PAYER, mix3)
    block, _ = parts.block(b"passing!" + b"number 1")
    (acks,) = await node.hear(Side.PAYER, mix3, parts.last_frame(use_surb(block, bytes(2056)).packet))
    assert isinstance(acks, frames.Acks)
    assert node.drops("passing_gone") == 1
    assert node.mailboxes.counts == (0, 0)


async def test_packetOfAKindThatThereIsNot_isDropped(parts: Parts) -> None:
    *_, mix3, mailbox = parts.path()
    node = await parts.node(mailbox)
    node.link(Side.PAYER, mix3)
    await node.hear(Side.PAYER, mix3, parts.last_frame(parts.packet(kind=77).packet))
    assert node.drops("unknown_kind") == 1


# ---------------------------------------------------------------------- what is refused


async def test_samePacketInAnotherTicket_isReplayed(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    assert only(await parts.bring(mix, frame(built)), frames.Acks)
    answers = await parts.bring(mix, frame(built, seq=2))
    assert reasons(answers) == ["replayed"]
    assert len(mix.mixer) == 1
    assert mix.store.roles() == {"mix": 1}


async def test_samePacketTwiceAtOnce_isReplayed(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    answers = await parts.bring(mix, frame(built), frame(built, seq=2))
    assert reasons(answers) == ["replayed"]
    assert len(mix.mixer) == 1


async def test_sameTicketAgain_getsTheSameAckAndIsForwardedOnce(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    first = await parts.bring(mix, frame(built))
    assert await parts.bring(mix, frame(built)) == first
    assert await parts.bring(mix, frame(parts.packet())) == first  # whatever it carries now
    assert len(mix.mixer) == 1


async def test_sameTicketTwiceAtOnce_getsTheSameAckAndIsForwardedOnce(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    answers = await parts.bring(mix, frame(built), frame(built), frame(parts.packet()))
    acks = only(answers, frames.Acks)[0].acks
    assert len(acks) == 3
    assert len(set(acks)) == 1
    assert len(mix.mixer) == 1


async def test_replay_isKnownAfterARestart(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    await parts.bring(mix, frame(built))
    again = await parts.restart(mix.me)
    again.link(Side.PAYER, parts.path()[0])
    assert reasons(await parts.bring(again, frame(built, seq=2))) == ["replayed"]  # I9


async def test_lockOfAnotherPacket_isWrongLock(parts: Parts, mix: Node) -> None:
    built, other = parts.packet(), parts.packet()
    await refused(parts, mix, frame(built, lock=other.lock), "wrong_lock")
    assert only(await parts.bring(mix, frame(built)), frames.Acks)  # the packet is not used up by it


async def test_hintOfAnotherRelay_isWrongHint(parts: Parts, mix: Node) -> None:
    built, other = parts.packet(), parts.packet()
    await refused(parts, mix, frame(built, hint=other.hint), "wrong_hint")


async def test_wrongHintsAmongMany_areRefusedAlone(parts: Parts, mix: Node) -> None:
    """Many hints are checked at once; the packets that came with a wrong one are none the worse."""
    built = [parts.packet() for _ in range(12)]
    sent = [frame(packet, seq=seq) for seq, packet in enumerate(built, start=1)]
    sent[3] = frame(built[3], seq=4, hint=built[4].hint)
    sent[7] = frame(built[7], seq=8, hint=bytes(65))
    answers = await parts.bring(mix, *sent)
    refusals = [answer for answer in answers if isinstance(answer, frames.RefuseTickets)]
    assert [(ticket.seq, ticket.reason) for ticket in refusals[0].tickets] == [
        (4, "wrong_hint"),
        (8, "wrong_hint"),
    ]
    acks = next(answer for answer in answers if isinstance(answer, frames.Acks)).acks
    assert [ack.seq for ack in acks] == [1, 2, 3, 5, 6, 7, 9, 10, 11, 12]
    assert len(mix.mixer) == 10
    again = await parts.bring(mix, frame(built[3], seq=13))  # it was not used up
    assert only(again, frames.Acks)


async def test_hintThatIsNoPoint_isWrongHint(parts: Parts, mix: Node) -> None:
    await refused(parts, mix, frame(parts.packet(), hint=b"\x05" + bytes(64)), "wrong_hint")


@pytest.mark.parametrize("epoch", [0, EPOCH - 1, EPOCH + 1, 2**32 - 1])
async def test_keyOfAnotherEpoch_isWrongEpoch(parts: Parts, mix: Node, epoch: int) -> None:
    await refused(parts, mix, frame(parts.packet(), epoch=epoch), "wrong_epoch")


@pytest.mark.parametrize("value", [0, 5, 255])
async def test_valueOfNoLayer_isWrongValue(parts: Parts, mix: Node, value: int) -> None:
    await refused(parts, mix, frame(parts.packet(), value=value), "wrong_value")


async def test_payerOfAnotherLayer_isWrongPredecessor(parts: Parts, mix: Node) -> None:
    layer3 = parts.members(3)[0]
    mix.link(Side.PAYER, layer3)
    answers = await mix.hear(Side.PAYER, layer3, frame(parts.packet(), value=3))
    assert reasons(answers) == ["wrong_predecessor"]


async def test_valueOfAnotherLayer_isWrongPredecessor(parts: Parts, mix: Node) -> None:
    """Mix 1 is paid 4; with 2 the payer says that it is mix 3, which is not where this relay is."""
    await refused(parts, mix, frame(parts.packet(), value=2), "wrong_predecessor")


async def test_nextHopOfTheSameLayer_isWrongSuccessor(parts: Parts, mix: Node) -> None:
    _, mix1, _, mix3, mailbox = parts.path()
    neighbour = next(relay for relay in parts.members(1) if relay != mix1)
    built = parts.packet((mix1, neighbour, mix3), mailbox)
    await refused(parts, mix, frame(built), "wrong_successor")


async def test_nextHopThatIsNoRelay_isWrongSuccessor(parts: Parts, mix: Node) -> None:
    _, mix1, _, mix3, mailbox = parts.path()
    await refused(parts, mix, frame(parts.packet((mix1, 77, mix3), mailbox)), "wrong_successor")


def changed(packet: bytes, at: int) -> bytes:
    return packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :]


@pytest.mark.parametrize("at", [40, 385])
async def test_changedHeader_isMalformed(parts: Parts, mix: Node, at: int) -> None:
    built = parts.packet()
    await refused(parts, mix, frame(built, packet=changed(built.packet, at)), "malformed")


async def test_changedPayload_isMalformedAtTheMailbox(parts: Parts) -> None:
    """Mixes cannot see it; the mailbox's reader finds all of it destroyed."""
    *_, mix3, mailbox = parts.path()
    node = await parts.node(mailbox)
    node.link(Side.PAYER, mix3)
    sent = parts.last_frame(changed(parts.packet().packet, 2449))
    assert reasons(await node.hear(Side.PAYER, mix3, sent)) == ["malformed"]


async def test_keyOfLowOrder_isRefused(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    await refused(parts, mix, frame(built, packet=bytes(32) + built.packet[32:]), "low_order")


async def test_packetForAnotherDirectory_isMalformed(parts: Parts, mix: Node) -> None:
    """A client who was shown a forged directory makes packets that honest relays drop."""
    _, mix1, mix2, mix3, mailbox = parts.path()
    hops = [Hop(relay, x25519.public_key(packet_secret(relay)), 0) for relay in (mix1, mix2, mix3, mailbox)]
    context = replace(parts.view.key_context(EPOCH), root=bytes(32))
    built = build(context, hops[:3], hops[3], bytes(16), 0, bytes(2048), parts.random)
    await refused(parts, mix, frame(built), "malformed")


async def test_limit_isAskedBeforeThePacketIsOpened(tmp_path: Path) -> None:
    parts = Parts(tmp_path, limits=Limits(unsigned_window=2))
    entry, mix1, *_ = parts.path()
    node = await parts.node(mix1)
    node.link(Side.PAYER, entry)
    fine = [frame(parts.packet(), seq=seq) for seq in (1, 2)]
    rubbish = frames.Packet(3, EPOCH, bytes(20), bytes(65), 4, bytes(len(fine[0].packet)))
    answers = await node.hear(Side.PAYER, entry, *fine, rubbish)
    assert reasons(answers) == ["unsigned_window"]
    await parts.close()


async def test_tagsFull_isARefusal(parts: Parts) -> None:
    entry, mix1, *_ = parts.path()
    node = await parts.node(mix1, tags=1)
    node.link(Side.PAYER, entry)
    answers = await parts.bring(node, frame(parts.packet()), frame(parts.packet(), seq=2))
    assert reasons(answers) == ["tags_full"]


# ---------------------------------------------------------------------- full queues, silent hops


async def test_mixerFull_dropsTheNewPacket(parts: Parts) -> None:
    entry, mix1, mix2, _, _ = parts.path()
    node = await parts.node(mix1, mixer=1)
    node.link(Side.PAYER, entry)
    wire = node.link(Side.PAYEE, mix2)
    answers = await parts.bring(node, frame(parts.packet()), frame(parts.packet(), seq=2))
    (acks,) = only(answers, frames.Acks)
    assert len(acks.acks) == 2  # it was taken in good faith; without the next ack it is not paid
    assert node.drops("mixer_full") == 1
    await node.pass_time(1)
    assert len(only(wire.take(), frames.Packet)) == 1


async def test_linkQueueFull_dropsTheNewPacket(parts: Parts) -> None:
    entry, mix1, *_ = parts.path()
    node = await parts.node(mix1, queue=2)
    node.link(Side.PAYER, entry)
    await parts.bring(node, *(frame(parts.packet(), seq=seq) for seq in (1, 2, 3)))
    await node.pass_time(0.02)
    assert node.drops("link_queue_full") == 1
    assert node.router.waiting(parts.path()[2]) == 2


async def test_packetsWaitForTheirLink(parts: Parts) -> None:
    entry, mix1, mix2, _, _ = parts.path()
    node = await parts.node(mix1)
    node.link(Side.PAYER, entry)
    await parts.bring(node, frame(parts.packet()))
    await node.pass_time(0.02)
    assert node.router.waiting(mix2) == 1
    assert list(node.router.awaited()) == [mix2]
    wire = node.link(Side.PAYEE, mix2)
    await node.pass_time(MAX_WAIT / 2)
    assert len(only(wire.take(), frames.Packet)) == 1
    assert node.router.waiting(mix2) == 0
    assert not node.router.awaited()


async def test_packetThatWaitedTooLong_isDropped(parts: Parts) -> None:
    entry, mix1, mix2, _, _ = parts.path()
    node = await parts.node(mix1)
    node.link(Side.PAYER, entry)
    await parts.bring(node, frame(parts.packet()))
    await node.pass_time(0.02)
    await node.pass_time(MAX_WAIT + 0.1)
    assert node.drops("waited_too_long") == 1
    assert node.router.waiting(mix2) == 0


async def test_packetOfAnEpochThatEnded_isDropped(parts: Parts, mix: Node) -> None:
    await parts.bring(mix, frame(parts.packet(delay_ms=50)))
    parts.chain.freeze(EPOCH + 1)
    parts.chain.at(EPOCH + 1, 4_000 // 2)
    await mix.keys.make()
    await mix.pass_time(0.1)
    assert mix.drops("expired_key") == 1


# ---------------------------------------------------------------------- a client's packets


@pytest_asyncio.fixture
async def entry(parts: Parts) -> Node:
    """The entry of the usual path, with a link to its mix 1."""
    node = await parts.node(parts.path()[0], queue=4)
    node.link(Side.PAYEE, parts.path()[1])
    return node


def submit(parts: Parts, node: Node) -> tuple[asyncio.Future[bytes], bytes]:
    """A client's packet; its answer, and what that must be."""
    built = parts.packet()
    node.router.check_first_mix(built.first_relay, EPOCH)
    return node.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet), built.first_ack


async def lost(future: asyncio.Future[bytes]) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await future
    return caught.value


async def test_submitted_bringsTheAckOfItsFirstMix(parts: Parts, entry: Node) -> None:
    mix1 = parts.path()[1]
    future, ack = submit(parts, entry)
    await entry.written()
    (sent,) = entry.wires[Side.PAYEE][mix1].take()
    assert (sent.value, sent.key_epoch) == (4, EPOCH)
    await entry.hear(Side.PAYEE, mix1, frames.Acks((frames.Ack(1, 0, sent.seq, ack),)))
    assert await future == ack


async def test_submitted_withoutAnAck_isLostInTime(parts: Parts, entry: Node) -> None:
    future, _ = submit(parts, entry)
    await entry.written()
    await entry.pass_time(parts.limits.ack_timeout + 0.1)
    assert (await lost(future)).reason == "no_ack"
    assert entry.drops("no_ack") == 1


@pytest.mark.parametrize("label", ["wrong_lock", "busy", "wrong_epoch", INVENTED])
async def test_labelOfAMix_doesNotPassForOurs(parts: Parts, entry: Node, label: str) -> None:
    """A hostile mix must not make the entry tell its clients to wait, or to look for another epoch."""
    future, _ = submit(parts, entry)
    await entry.written()
    refusal = frames.RefuseTickets((frames.RefusedTicket(1, label),))
    await entry.hear(Side.PAYEE, parts.path()[1], refusal)
    error = await lost(future)
    assert (error.reason, error.detail) == ("refused_by_mix", label)


async def test_labelsOfAMix_doNotFillTheMetrics(parts: Parts, entry: Node) -> None:
    mix1 = parts.path()[1]
    futures = [submit(parts, entry)[0] for _ in range(3)]
    await entry.written()
    labels = ["replayed", INVENTED, "one_more_invention"]
    tickets = tuple(frames.RefusedTicket(seq, label) for seq, label in enumerate(labels, start=1))
    await entry.hear(Side.PAYEE, mix1, frames.RefuseTickets(tickets))
    for future in futures:
        await lost(future)
    assert entry.drops("replayed") == 1
    assert entry.drops("refused_by_mix") == 2
    assert entry.drops(INVENTED) == 0


async def test_badAck_answersEveryClientOfThatMixAtOnce(parts: Parts, entry: Node) -> None:
    mix1 = parts.path()[1]
    under_way = [submit(parts, entry)[0] for _ in range(2)]
    await entry.written()
    entry.wires[Side.PAYEE][mix1].is_open = False
    waiting, _ = submit(parts, entry)
    entry.wires[Side.PAYEE][mix1].is_open = True
    entry.wires[Side.PAYEE][mix1].take()
    await entry.hear(Side.PAYEE, mix1, frames.Acks((frames.Ack(1, 0, 1, b"\1" * 32),)))
    for future in (*under_way, waiting):
        assert (await lost(future)).reason == "link_refused"
    with pytest.raises(PeerError, match="link_refused"):
        submit(parts, entry)


async def test_ackOfATicketOfAnEarlierRun_answersNobodyElse(parts: Parts, entry: Node) -> None:
    mix1 = parts.path()[1]
    submit(parts, entry)
    await entry.written()
    (old,) = entry.wires[Side.PAYEE][mix1].take()
    old_ack = parts.opened(old.packet, mix1, 1).ack
    again = await parts.restart(entry.me)
    again.link(Side.PAYEE, mix1)
    future, ack = submit(parts, again)
    await again.written()
    (new,) = only(again.wires[Side.PAYEE][mix1].take(), frames.Packet)
    assert new.seq == old.seq + 1
    await again.hear(Side.PAYEE, mix1, frames.Acks((frames.Ack(1, 0, old.seq, old_ack),)))
    assert not future.done()
    await again.hear(Side.PAYEE, mix1, frames.Acks((frames.Ack(1, 1, new.seq, ack),)))
    assert await future == ack


async def test_clientThatLeft_isNotAnswered(parts: Parts, entry: Node) -> None:
    mix1 = parts.path()[1]
    future, ack = submit(parts, entry)
    await entry.written()
    future.cancel()
    await entry.hear(Side.PAYEE, mix1, frames.Acks((frames.Ack(1, 0, 1, ack),)))
    assert future.cancelled()


async def test_firstMix_isChecked(parts: Parts, entry: Node) -> None:
    check = entry.router.check_first_mix
    first, second = parts.members(1)[0], parts.members(2)[0]
    check(first, EPOCH)
    for relay in (second, 77, 0):
        with pytest.raises(PeerError, match="no_such_mix"):
            check(relay, EPOCH)
    for epoch in (EPOCH - 1, EPOCH + 1):
        with pytest.raises(PeerError, match="wrong_epoch"):
            check(first, Epoch(epoch))


async def test_queueHalfFull_isBusyForClients(parts: Parts, entry: Node) -> None:
    """The other half is for packets that were paid for already."""
    entry.wires[Side.PAYEE].clear()
    futures = [submit(parts, entry)[0] for _ in range(2)]
    with pytest.raises(PeerError, match="busy"):
        submit(parts, entry)
    await entry.pass_time(MAX_WAIT + 1)
    for future in futures:
        assert (await lost(future)).reason == "waited_too_long"
