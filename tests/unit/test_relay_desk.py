"""Frames between relays: whole settlements, and every way a peer can break the rules or fall over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
import pytest_asyncio

from mixpay import eip712
from mixpay.book.rows import Channel, LinkState, Settlements
from mixpay.crypto.hashing import keccak256
from mixpay.errors import PeerError
from mixpay.mailbox import mailbox_id_of
from mixpay.types import Account, Amount, RelayId, Value
from mixpay.wire import frames
from registry_samples import operator_key
from relay.path.books import Side
from relay.path.desk import SideEvents
from relay_parts import DEPLOYMENT, EPOCH, PRICE, Node, Parts, account, frame, only, reasons

DOMAIN = eip712.channels_domain(DEPLOYMENT.chain_id, DEPLOYMENT.channels)
STRANGER = keccak256(b"a stranger's key")


class Link:
    """Entry and mix 1 of the usual path, and the link between them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.entry, self.mix1 = parts.path()[:2]

    @property
    def payer(self) -> Node:
        return self.parts.nodes[self.entry]

    @property
    def payee(self) -> Node:
        return self.parts.nodes[self.mix1]

    async def open(self) -> Link:
        await self.parts.connect(self.entry, self.mix1)
        await self.parts.flow()
        return self

    async def carry(self, packets: int = 1, *, opened: bool = True) -> None:
        """Tickets that are acknowledged, and opened as if the next hop had acknowledged them too."""
        for _ in range(packets):
            built = self.parts.packet()
            future = self.payer.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
            future.cancel()
        await self.parts.flow()
        if opened:
            await self.parts.connect(self.mix1, self.parts.path()[2])
            await self.parts.run(0.5)
            await self.parts.flow()

    def say(self, frame: frames.LinkFrame) -> None:
        """The payer says something to its payee."""
        self.payee.desk.received(Side.PAYER, self.entry, [frame])

    def answer(self, frame: frames.LinkFrame) -> None:
        """The payee says something to its payer."""
        self.payer.desk.received(Side.PAYEE, self.mix1, [frame])

    async def payee_refuses(self, reason: str) -> None:
        await self.parts.flow()
        assert self.payee.wires[Side.PAYER][self.entry].refused == reason
        assert self.payee.hooks.cut_off[Side.PAYER, self.entry] == reason
        assert self.payee.refusals(reason) >= 1
        assert self.payee.books.payees[self.entry].refused == reason

    async def payer_refuses(self, reason: str) -> None:
        await self.parts.flow()
        assert self.payer.wires[Side.PAYEE][self.mix1].refused == reason
        assert self.payer.hooks.cut_off[Side.PAYEE, self.mix1] == reason
        assert self.payer.refusals(reason) >= 1
        assert self.payer.books.payers[self.mix1].refused == reason

    def agree(self) -> tuple[int, int]:
        """Both books say the same (I7); returns what the newest voucher says, and what is not settled."""
        ours = self.payee.books.payees[self.entry].totals(PRICE)
        theirs = self.payer.books.payers[self.mix1].totals(PRICE)
        assert (ours.cumulative, ours.upto_batch) == (theirs.cumulative, theirs.upto_batch)
        assert ours.unsettled == theirs.unsettled
        return ours.cumulative, ours.unsettled


@pytest_asyncio.fixture
async def link(parts: Parts) -> Link:
    return await Link(parts).open()


# ---------------------------------------------------------------------- all in order


async def test_wholePath_isSettledToTheUnit(parts: Parts) -> None:
    path, packets = parts.path(), 5
    for payer, payee in pairwise(path):
        await parts.connect(payer, payee)
    entry = parts.nodes[path[0]]
    for _ in range(packets):
        built = parts.packet()
        entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
    await parts.run(2)
    for node in parts.nodes.values():
        node.desk.settle()
    await parts.flow()
    for value, (payer, payee) in zip((4, 3, 2, 1), pairwise(path), strict=False):
        book, mirror = parts.nodes[payee].books.payees[payer], parts.nodes[payer].books.payers[payee]
        assert book.totals(PRICE).cumulative == mirror.totals(PRICE).cumulative == packets * value * PRICE
        assert book.totals(PRICE).unsettled == mirror.totals(PRICE).unsettled == 0  # I7
    kept = [
        row for node in parts.nodes.values() for rows in dict(node.store.book_rows()).values() for row in rows
    ]
    assert {type(row) for row in kept} == {LinkState, Settlements}  # nothing of any ticket remains (I10)


async def test_settle_withoutResponses_paysForNothingAndForgetsAll(link: Link) -> None:
    await link.carry(2, opened=False)
    link.payee.desk.settle()
    await link.parts.run(link.parts.limits.response_timeout + 1)
    assert link.agree() == (0, 0)


async def test_aLinkThatFell_goesOnWhereItWas(link: Link) -> None:
    await link.carry(2)
    for _ in range(3):
        await link.open()
    await link.carry(1)
    link.payee.desk.settle()
    await link.parts.run(1)
    assert link.agree() == (3 * 4 * PRICE, 0)


@pytest.mark.parametrize("who", ["payer", "payee", "both"])
@pytest.mark.parametrize("after", range(7))
async def test_restartInTheMiddleOfASettlement_losesNothing(link: Link, who: str, after: int) -> None:
    """The link falls after so many frames of it; one side, or both, come back from their files."""
    await link.carry(3)
    link.payee.desk.settle()
    for _ in range(after):
        await deliver_one(link)
    for side, relay in (("payer", link.entry), ("payee", link.mix1)):
        if who in (side, "both"):
            await link.parts.restart(relay)
    await link.open()
    await link.parts.run(link.parts.limits.response_timeout + 10)
    link.payee.desk.settle()
    await link.parts.run(1)
    assert link.agree() == (3 * 4 * PRICE, 0)


async def deliver_one(link: Link) -> None:
    """Let one frame through, in either direction."""
    for node, side, peer, other in (
        (link.payee, Side.PAYER, link.entry, link.answer),
        (link.payer, Side.PAYEE, link.mix1, link.say),
    ):
        await link.payer.written()
        await link.payee.written()
        waiting = node.wires[side][peer].sent
        if waiting:
            other(waiting.pop(0))
            return


async def test_restartBeforeTheForwarding_keepsWhatWasAcknowledged(link: Link) -> None:
    await link.carry(1, opened=False)
    assert len(link.payee.mixer) == 1
    await link.parts.restart(link.mix1)
    await link.open()
    assert len(link.payee.mixer) == 0  # the packet is lost, and worth nothing to anybody
    link.payee.desk.settle()
    await link.parts.run(link.parts.limits.response_timeout + 1)
    assert link.agree() == (0, 0)


async def test_ackAfterARestart_completesTheOldResponse(link: Link) -> None:
    """What came from whom is with the ticket on disk, so a response is not lost with the memory."""
    parts, mix2 = link.parts, link.parts.path()[2]
    await link.carry(1, opened=False)
    await parts.connect(link.mix1, mix2)
    link.payee.clock.now += 1
    link.payee.router.release()
    await link.payee.written()
    (sent,) = only(link.payee.wires[Side.PAYEE][mix2].take(), frames.Packet)
    await parts.restart(link.mix1)
    await link.open()
    await parts.connect(link.mix1, mix2)
    parts.nodes[mix2].desk.received(Side.PAYER, link.mix1, [sent])
    await parts.run(1)
    link.payee.desk.settle()
    await parts.run(1)
    assert link.agree() == (4 * PRICE, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_anyTroubleOnAWholePath_endsInEqualBooks_andNothingTwice(parts: Parts, seed: int) -> None:
    """Packets, restarts, crashes, broken links and settlements in any order, on five relays."""
    dice = Random(seed)  # noqa: S311 - tests repeat
    path = parts.path()
    links = list(pairwise(path))
    key = bytes(32)
    box = mailbox_id_of(key)
    keeper = await parts.node(path[4])
    with keeper.books.step() as step:
        step.changes.mailbox(keeper.mailboxes.create(box, key, 2**40, parts.view.chain_time).effects)

    async def mend() -> None:
        for payer, payee in links:
            if payee not in (await parts.node(payer)).wires[Side.PAYEE]:
                await parts.connect(payer, payee)

    sent = 0
    for _ in range(40):
        await mend()
        match dice.randrange(7):
            case 0 | 1 | 2:
                built = parts.packet(box=box, delay_ms=dice.randrange(2_000))
                entry = parts.nodes[path[0]].router
                entry.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet).cancel()
                sent += 1
            case 3:
                await parts.restart(dice.choice(path))
            case 4:
                payer, payee = dice.choice(links)
                parts.nodes[payer].wires[Side.PAYEE].pop(payee)
                parts.nodes[payee].wires[Side.PAYER].pop(payer)
            case 5:
                dice.choice(list(parts.nodes.values())).desk.settle()
            case 6:
                for _ in range(dice.randrange(4)):  # the disk lags behind what happens
                    parts.pass_time(dice.choice((0.1, 1.0)))
                    await asyncio.sleep(0)
                    parts.carry()
                await parts.restart(dice.choice(path), crash=True)
        await parts.run(dice.choice((0.5, 1.0)))
    for _ in range(2):
        await mend()
        await parts.run(60, step=5)
        for node in parts.nodes.values():
            node.desk.settle()
        await parts.flow()
    await parts.run(60, step=5)

    for payer, payee in links:
        ours = parts.nodes[payee].books.payees[payer].totals(PRICE)
        theirs = parts.nodes[payer].books.payers[payee].totals(PRICE)
        assert (ours.cumulative, ours.upto_batch) == (theirs.cumulative, theirs.upto_batch)  # I7
        assert ours.unsettled == theirs.unsettled == 0
        assert ours.refused is theirs.refused is None
    arrived = parts.nodes[path[4]].mailboxes.counts[1]
    assert 0 < arrived <= sent
    opened = [parts.nodes[payee].books.payees[payer].totals(PRICE).receipts for payer, payee in links]
    assert opened == sorted(opened, reverse=True)  # nobody is paid for what the one before did not carry
    assert opened[-1] == arrived


# ---------------------------------------------------------------------- a payee's faults


async def test_ackThatDoesNotOpenItsHint_endsTheLinkForGood(link: Link) -> None:
    await link.carry(1, opened=False)
    built = link.parts.packet()
    link.payer.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet).cancel()
    await link.payer.written()
    link.payer.wires[Side.PAYEE][link.mix1].take()
    link.answer(frames.Acks((frames.Ack(1, 1, 2, b"\1" * 32),)))
    await link.payer_refuses("bad_ack")

    again = await link.parts.restart(link.entry)
    assert again.books.payers[link.mix1].refused == "bad_ack"
    wire = again.link(Side.PAYEE, link.mix1)
    await again.written()
    assert wire.refused == "bad_ack"


@pytest.mark.parametrize(
    ("ack", "reason"),
    [
        (frames.Ack(1, 2, 77, bytes(32)), "unknown_ticket"),
        (frames.Ack(1, 0, 2, bytes(32)), "changed_ack"),
    ],
)
async def test_ackOfWhatWasNotPromised(link: Link, ack: frames.Ack, reason: str) -> None:
    await link.carry(2, opened=False)
    link.answer(frames.Acks((ack,)))
    await link.payer_refuses(reason)


@pytest.mark.parametrize("count", [0, 1])
async def test_cutBelowWhatWasAcknowledged_isBadCut(link: Link, count: int) -> None:
    await link.carry(2, opened=False)
    link.answer(frames.Cut(1, count))
    await link.payer_refuses("bad_cut")


async def cut(link: Link) -> tuple[frames.Redeem, list[frames.LinkFrame]]:
    """The payee asks for its money: its REDEEM, and nothing further delivered."""
    await link.carry(2)
    link.payee.desk.settle()
    for _ in range(10):
        await link.payee.written()
        waiting = link.payee.wires[Side.PAYER][link.entry].sent
        if only(waiting, frames.Redeem):
            (redeem,) = only(waiting, frames.Redeem)
            waiting.clear()
            return redeem, waiting
        await deliver_one(link)
    raise AssertionError("the payee did not redeem")


async def test_totalAboveTheBatch_isPadded(link: Link) -> None:
    redeem, _ = await cut(link)
    link.answer(frames.Redeem(redeem.number, redeem.root, redeem.total + 1))
    await link.payer_refuses("padded_total")


async def test_otherRootAfterThePoints_isChangedRoot(link: Link) -> None:
    redeem, _ = await cut(link)
    link.answer(redeem)
    link.answer(frames.Redeem(redeem.number, bytes(32), redeem.total))
    await link.payer_refuses("changed_root")


async def test_receiptThatThePayeeLacks_isBadSample_andPaysNothing(link: Link) -> None:
    redeem, _ = await cut(link)
    link.answer(redeem)
    empty = frames.Opening(0, b"\1" * 32, 4, (frames.Sibling(bytes(32), 4),))
    link.answer(frames.Openings(redeem.number, (empty,) * frames.SAMPLES))
    await link.payer_refuses("bad_sample")
    assert link.payer.books.payers[link.mix1].totals(PRICE).cumulative == 0


# ---------------------------------------------------------------------- a payer's faults


def batch(
    link: Link, *, key: bytes, count: int = 1, root: bytes = bytes(32), number: int = 1
) -> frames.Batch:
    parties = account(link.entry), account(link.mix1)
    message = eip712.Batch(*parties, number, count, Value(4 * count), PRICE, root)
    return frames.Batch(number, count, root, eip712.sign(key, message.digest(DOMAIN)))


def voucher(
    link: Link, *, key: bytes, cumulative: int, upto: int = 1, payee: Account | None = None
) -> frames.Voucher:
    message = eip712.Voucher(account(link.entry), payee or account(link.mix1), Amount(cumulative), upto)
    return frames.Voucher(cumulative, upto, eip712.sign(key, message.digest(DOMAIN)))


Wrong = Callable[[Link], frames.LinkFrame]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda link: batch(link, key=STRANGER), "forged_batch"),
        (lambda link: batch(link, key=operator_key(link.mix1)), "forged_batch"),
        (lambda link: frames.Batch(1, 1, bytes(32), bytes(65)), "forged_batch"),
        (lambda link: batch(link, key=operator_key(link.entry)), "wrong_root"),
        (lambda link: batch(link, key=operator_key(link.entry), count=3), "wrong_count"),
        (lambda link: batch(link, key=operator_key(link.entry), number=9), "wrong_count"),
        (lambda link: voucher(link, key=STRANGER, cumulative=4), "wrong_voucher"),  # nothing is due yet
    ],
)
async def test_falseSignature_closesTheLinkAndTakesNoTickets(link: Link, wrong: Wrong, reason: str) -> None:
    await link.carry(2, opened=False)
    link.say(wrong(link))
    await link.payee_refuses(reason)
    link.payee.wires[Side.PAYER][link.entry].is_open = True
    answers = await link.payee.hear(Side.PAYER, link.entry, frame(link.parts.packet(), seq=9))
    assert reasons(answers) == ["link_refused"]


async def redeemed(link: Link) -> int:
    """Everything up to the voucher is done; what the voucher must say."""
    redeem, _ = await cut(link)
    return redeem.total * PRICE


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda link, due: voucher(link, key=STRANGER, cumulative=due), "forged_voucher"),
        (lambda link, due: frames.Voucher(due, 1, bytes(65)), "forged_voucher"),
        (
            lambda link, due: voucher(link, key=operator_key(link.entry), cumulative=due, payee=account(9)),
            "forged_voucher",
        ),
        (lambda link, due: voucher(link, key=operator_key(link.entry), cumulative=due - 1), "wrong_voucher"),
        (
            lambda link, due: voucher(link, key=operator_key(link.entry), cumulative=due, upto=2),
            "wrong_voucher",
        ),
    ],
)
async def test_voucherThatIsNotDue_isRefused(
    link: Link, wrong: Callable[[Link, int], frames.LinkFrame], reason: str
) -> None:
    due = await redeemed(link)
    link.say(wrong(link, due))
    await link.payee_refuses(reason)
    assert link.payee.books.payees[link.entry].totals(PRICE).cumulative == 0


async def test_payerThatPutsItRight_isTrustedAgain(link: Link) -> None:
    due = await redeemed(link)
    link.say(voucher(link, key=STRANGER, cumulative=due))
    await link.payee_refuses("forged_voucher")
    link.say(voucher(link, key=operator_key(link.entry), cumulative=due))
    await link.payee.written()
    book = link.payee.books.payees[link.entry]
    assert book.totals(PRICE).cumulative == due
    assert book.refused is None
    assert link.payee.hooks.cut_off == {}


@pytest.mark.parametrize("points", [(2**63,) * 16, (0,) * 15 + (8,)])
async def test_pointsBeyondTheTotal_areBadPoints(link: Link, points: tuple[int, ...]) -> None:
    redeem, _ = await cut(link)
    assert redeem.total == 8
    link.say(frames.Samples(redeem.number, points))
    await link.payee_refuses("bad_points")


async def test_otherPointsThanBefore_areRefused(link: Link) -> None:
    """More openings would show which single packets have no response."""
    redeem, _ = await cut(link)
    link.say(frames.Samples(redeem.number, (0,) * 16))
    link.say(frames.Samples(redeem.number, (0,) * 15 + (1,)))
    await link.payee_refuses("changed_points")


# ---------------------------------------------------------------------- a closing channel


def tell(node: Node, payer: RelayId, channel: Channel) -> None:
    """The chain's news of a payer's channel."""
    with node.books.step() as step:
        step.add(Side.PAYER, payer, node.books.payee(payer).on_channel(channel, node.clock()))


async def test_closingChannel_takesNoTickets_settlesAndClaims(link: Link) -> None:
    await link.carry(2)
    tell(link.payee, link.entry, Channel(Amount(10**18), Amount(0), closes_at=2**31))
    await link.parts.flow()
    assert link.agree() == (8 * PRICE, 0)  # it did not wait for its time
    assert link.payee.hooks.claims == {link.entry}
    answers = await link.payee.hear(Side.PAYER, link.entry, frame(link.parts.packet(), seq=9))
    assert reasons(answers) == ["channel_closing"]


async def test_closingChannel_withAnUnclaimedVoucher_claimsAtOnce(link: Link) -> None:
    await link.carry(2)
    link.payee.desk.settle()
    await link.parts.run(1)
    assert link.payee.hooks.claims == set()
    tell(link.payee, link.entry, Channel(Amount(10**18), Amount(0), closes_at=2**31))
    await link.payee.written()
    assert link.payee.hooks.claims == {link.entry}


async def test_closingChannel_withNothingOwed_claimsNothing(link: Link) -> None:
    tell(link.payee, link.entry, Channel(Amount(10**18), Amount(0), closes_at=2**31))
    await link.payee.written()
    assert link.payee.hooks.claims == set()


# ---------------------------------------------------------------------- frames out of place


@pytest.mark.parametrize("side", Side)
async def test_frameOfTheOtherDirection_isUnexpected(link: Link, side: Side) -> None:
    to_payee = [batch(link, key=STRANGER), frames.Samples(1, (0,) * 16), frames.Voucher(0, 0, bytes(65))]
    to_payer = [
        frames.Cut(1, 1),
        frames.Redeem(1, bytes(32), 0),
        frames.Acks((frames.Ack(1, 0, 1, bytes(32)),)),
    ]
    node, peer = (link.payee, link.entry) if side is Side.PAYER else (link.payer, link.mix1)
    for wrong in to_payer if side is Side.PAYER else to_payee:
        with pytest.raises(PeerError, match="unexpected_frame"):
            node.desk.received(side, peer, [wrong])


async def test_goodFramesBeforeABadOne_count(link: Link) -> None:
    with pytest.raises(PeerError, match="unexpected_frame"):
        link.payee.desk.received(
            Side.PAYER, link.entry, [frame(link.parts.packet()), frames.Cut(1, 1), frame(link.parts.packet())]
        )
    await link.payee.written()
    (acks,) = link.payee.wires[Side.PAYER][link.entry].take()
    assert len(acks.acks) == 1
    assert len(link.payee.mixer) == 1
    again = await link.parts.restart(link.mix1)
    assert again.books.payees[link.entry].known(1)


async def test_refusalByAPeer_isCountedUnderOneLabel(link: Link) -> None:
    link.answer(frames.Refuse("any_label_at_all"))
    assert link.payer.refusals("by_peer") == 1
    assert link.payer.refusals("any_label_at_all") == 0


async def test_goodbyeOfAPeer_isNoRefusal(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    link.answer(frames.Refuse("shutting_down"))
    assert link.payer.refusals("by_peer") == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_lostFramesAndFailedLinks_areCounted(link: Link) -> None:
    events = SideEvents(Side.PAYER, link.payee.desk, link.payee.metrics)
    events.dropped(link.entry, "link_lost", 3)
    events.failed(None, "bad_proof")
    assert link.payee.drops("link_lost") == 3
    assert link.payee.refusals("bad_proof") == 1


@pytest.mark.parametrize(
    ("reason", "counted"),
    [("malformed_frame", 1), ("unexpected_frame", 1), ("connection_lost", 0), ("wrong_voucher", 0)],
)
async def test_faultThatEndsAnOpenLink_isCounted_once(link: Link, reason: str, counted: int) -> None:
    """What a book refuses is counted there."""
    events = SideEvents(Side.PAYER, link.payee.desk, link.payee.metrics)
    events.closed(link.payee.wires[Side.PAYER][link.entry], reason)
    assert link.payee.refusals(reason) == counted


async def test_closedLink_isNotWrittenTo(link: Link) -> None:
    wire = link.payer.wires[Side.PAYEE][link.mix1]
    assert link.payer.hooks.link(Side.PAYEE, link.mix1) is wire
    wire.is_open = False
    assert link.payer.hooks.link(Side.PAYEE, link.mix1) is None
    assert link.payer.hooks.link(Side.PAYER, link.mix1) is None


async def test_payerThatOpensALink_isKnownToBeUp_andMayBePaidAgainSoon(link: Link) -> None:
    back: list[RelayId] = []
    link.payer.desk.payer_is_there = back.append
    link.payer.desk.opened(Side.PAYEE, link.mix1)
    assert back == []
    link.payer.desk.opened(Side.PAYER, link.mix1)
    assert back == [link.mix1]


# ---------------------------------------------------------------------- what is written down


async def test_log_tellsNothingOfPackets(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    link = await Link(parts).open()
    built = parts.packet()
    link.payer.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet).cancel()
    await parts.flow()
    link.say(frame(built, seq=5))
    link.payee.desk.settle()
    await parts.run(20)
    link.answer(frames.Acks((frames.Ack(2, 0, 77, bytes(32)),)))
    await link.payer_refuses("unknown_ticket")
    assert "settled" in caplog.text
    secrets = (built.packet[:16], built.lock, built.hint, built.first_ack, operator_key(link.entry))
    for secret in secrets:
        assert secret.hex() not in caplog.text
        assert repr(secret)[2:-1] not in caplog.text
