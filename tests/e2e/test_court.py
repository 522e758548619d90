"""Real daemons in court, on a real chain: payers that fall silent, one that comes back, a payee that lies.

One network for all of it, and one clock: the tests are its story, in their order.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest
import pytest_asyncio

from mixpay.book import PayeeBook
from mixpay.book.receipt_run import ReceiptRun
from mixpay.chain.devchain import DevChain
from mixpay.chain.errors import Reverted
from mixpay.chain.sender import Sender
from mixpay.chain.views import Case, CaseBatch, Judgement
from mixpay.court import Evidence, Receipt
from mixpay.merkle import SumTree
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, RelayId, Value
from relay.config import CourtRules, TreasuryRules
from relay.court.docket import SETTLED_BLOCKS
from relay.daemon import Daemon, Home, assemble
from relay.operator.status_text import status_text
from relay_world import EPOCH, RelayWorld, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 300
PACKETS = 12
PRICE = DEMO.hop_price
NOTHING = bytes(32)
MADE_UP = b"\1" * 32
"""A response that opens no lock."""


class CourtWorld(RelayWorld):
    """Nine relays that go to court soon. Three mixes of the last layer pay one mailbox relay, the `payee`."""

    def _home(self, number: int, ports: list[int]) -> Home:
        home = super()._home(number, ports)
        settings = {
            "court": CourtRules(patience=PATIENCE, min_amount=1),
            "treasury": TreasuryRules(float_=TOKEN // PRICE),  # nothing is swept: balances are compared
        }
        return replace(home, config=msgspec.structs.replace(home.config, **settings))

    def cast(self) -> None:
        """Who plays what."""
        layers = {layer: self._members(layer) for layer in (1, 2, 3)}
        self.payee, self.entry, self.liar = layers[1]
        self.middle = layers[2][0]
        self.silent, self.late, self.poor = layers[3]

    def _members(self, layer: int) -> list[RelayId]:
        return [daemon.me for daemon in self.daemons if self.layers().layer(daemon.me) == layer]

    def account(self, relay: RelayId) -> Account:
        """A relay's operator."""
        return self.relay(relay).account

    def owed(self, payer: RelayId) -> PayeeBook:
        """What a payer owes the payee."""
        return self.relay(self.payee).books.payees[payer]

    # ------------------------------------------------------------------ what happens

    async def carry(self, last: RelayId) -> None:
        """Packets to the payee's mailbox, by way of this mix of the last layer; all are signed for."""
        entry, path = self.relay(self.entry), (self.liar, self.middle, last)
        box = os.urandom(16)
        for _ in range(PACKETS):
            built = self.packet(path, self.payee, box)
            await entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)

        def signed() -> bool:
            book = self.relay(self.payee).books.payees.get(last)
            return book is not None and book.provable()[1] == PACKETS * PRICE

        await until(signed, "the payer's signature")

    async def stop_one(self, relay: RelayId) -> None:
        """A relay falls silent."""
        await self.relay(relay).stop()

    async def start_again(self, relay: RelayId) -> Daemon:
        """A relay comes back."""
        before = self.relay(relay)
        daemon = self.daemons[self.daemons.index(before)] = assemble(before.home)
        await daemon.start()
        return daemon

    async def pass_time(self, seconds: int) -> None:
        """Of chain time; every living daemon sees it."""
        now = self.chain.advance_time(seconds)
        await until(lambda: self.relay(self.payee).state.chain_time >= now, "the chain's time to be seen")

    # ------------------------------------------------------------------ what is seen

    def case_hash(self, payer: RelayId, payee: RelayId) -> bytes:
        """Of the open case; 32 zero bytes if none is open."""
        return self.contracts.court.open_case(self.account(payer), self.account(payee))[0]

    def seed(self, payer: RelayId) -> bytes:
        """Of the payee's case against a payer."""
        return self.contracts.court.open_case(self.account(payer), self.account(self.payee))[1]

    def noticed(self, payer: RelayId) -> bool:
        """Whether the payee has written down since when it waits for a payer."""
        return self.relay(self.payee).store.setting(f"court:{payer}") is not None

    def judgement(self, payer: RelayId) -> Judgement:
        """For the payee."""
        return self.contracts.court.judgement(self.account(payer), self.account(self.payee))

    def claimed(self, payer: RelayId) -> int:
        """What the payee got through a payer's channel."""
        return self.contracts.channels.channel(self.account(payer), self.account(self.payee)).claimed

    def status(self, relay: RelayId) -> str:
        """What `mixpay-relay status` prints."""
        return status_text(self.relay(relay).operations.status())

    def balance(self, relay: RelayId) -> int:
        """In the ledger."""
        return self.contracts.channels.balance_of(self.account(relay))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CourtWorld]:
    with DevChain() as chain:
        world = CourtWorld(chain, tmp_path_factory.mktemp("court"))
        world.register()
        try:
            await world.start()
            world.cast()
            yield world
        finally:
            await world.stop()


async def test_silentPayers_areBroughtToCourt(world: CourtWorld) -> None:
    payee = world.relay(world.payee)
    rich = world.relay(world.silent).sender
    call = world.contracts.channels.fund(payee.account, Amount(TOKEN // 2))
    await asyncio.to_thread(rich.send, call)
    payers = (world.silent, world.late, world.poor)
    for payer in payers:
        await world.carry(payer)
    for payer in payers:
        await world.stop_one(payer)
    before = world.balance(world.payee)

    payee.desk.settle()
    await until(lambda: all(world.noticed(payer) for payer in payers), "the batches to be noticed")
    await world.pass_time(120)
    await until(lambda: len(payee.court.last.matters) == 3, "three batches that wait")
    assert f"relay {world.silent}, batch 1, 0.000012 tokens: unsettled; it is brought to court at" in (
        world.status(world.payee)
    )
    await world.pass_time(PATIENCE)
    await until(lambda: all(world.case_hash(p, world.payee) != NOTHING for p in payers), "three cases")
    assert world.balance(world.payee) == before - 3 * PACKETS * PRICE // 2
    world.chain.mine(6)
    await until(lambda: all(world.seed(payer) != NOTHING for payer in payers), "their seeds")
    await until(lambda: "seed drawn; the receipts are proven at" in world.status(world.payee), "the status")


async def test_aPayeeThatRestarts_goesOn(world: CourtWorld) -> None:
    await world.stop_one(world.payee)
    payee = await world.start_again(world.payee)
    await until(lambda: len(payee.court.last.matters) == 3, "its cases")
    assert all(matter.state == "seed drawn" for matter in payee.court.last.matters)


async def test_aPayerThatSignsAfterAll_endsItsCase(world: CourtWorld) -> None:
    await world.start_again(world.late)
    await until(lambda: world.case_hash(world.late, world.payee) == NOTHING, "the answer")
    judged, book = world.judgement(world.late), world.owed(world.late)
    assert judged.total == PACKETS * PRICE  # no costs
    assert book.state.cumulative == PACKETS * PRICE
    assert book.state.signature
    assert book.totals(PRICE).unsettled == 0
    mirror = world.relay(world.late).books.payers[world.payee]
    assert mirror.state.cumulative == book.state.cumulative  # I7
    await until(lambda: len(world.relay(world.payee).court.last.matters) == 2, "the case to be forgotten")


async def test_aPayerThatStoppedSigning_paysByJudgement(world: CourtWorld) -> None:
    await world.pass_time(DEMO.answer_window)
    await until(lambda: world.judgement(world.silent).number == 1, "the judgement")
    owed = PACKETS * PRICE + DEMO.court_cost
    assert world.judgement(world.silent).total == owed
    await until(lambda: world.claimed(world.silent) == owed, "the claim")
    world.chain.mine(SETTLED_BLOCKS)
    await until(lambda: world.owed(world.silent).state.is_judged, "the book")
    assert world.owed(world.silent).totals(PRICE).unsettled == 0

    back = await world.start_again(world.silent)
    mirror = back.books.payer(world.payee)
    await until(lambda: mirror.state.cumulative == owed, "the payer's book")
    await until(lambda: bool(world.owed(world.silent).state.signature), "its voucher over the judgement")
    assert mirror.totals(PRICE).unsettled == world.owed(world.silent).totals(PRICE).unsettled == 0  # I7
    assert mirror.state.upto_batch == world.owed(world.silent).state.upto_batch == 1


async def test_aPayerWhoseChannelIsEmpty_paysWithItsStake(world: CourtWorld) -> None:
    registry, owed = world.contracts.registry, PACKETS * PRICE + DEMO.court_cost
    await until(lambda: world.judgement(world.poor).number == 1, "the judgement")
    assert world.claimed(world.poor) == 0
    await until(lambda: "the payer's stake pays at" in world.status(world.payee), "the status")
    await world.pass_time(DEMO.grace)
    await until(lambda: world.claimed(world.poor) == owed, "its stake to pay")
    assert registry.stake_left(world.poor) == DEMO.stake - owed
    assert registry.relay(world.poor).leaf == NOTHING
    await until(lambda: world.relay(world.payee).view.relay(world.poor) is None, "everybody to see it leave")
    await until(lambda: not world.relay(world.payee).court.last.matters, "the end")


def mostly_made_up(run: ReceiptRun) -> Evidence:
    """Receipts of all tickets that the payer has signed for; of every four, three have no true response."""
    receipts = []
    for place in range(run.signed_count):
        response = run.response(place) if place % 4 == 0 else MADE_UP
        receipts.append(Receipt(run.lock(place), run.value_at(place), response))
    return Evidence(receipts, SumTree([(r.response or b"", r.value) for r in receipts]))


async def sue(world: CourtWorld, sender: Sender, run: ReceiptRun, root: bytes, claimed: int) -> Case:
    """The sender opens a case against the entry, upon nothing."""
    signed, court, payer = run.signed, world.contracts.court, world.account(world.entry)
    assert signed is not None
    batch = CaseBatch(signed.number, signed.count, Value(run.signed_value), run.price, signed.root)
    call = court.open(payer, (Amount(0), 0, b""), batch, signed.signature, root, Value(claimed))
    opened = await asyncio.to_thread(sender.send, call)
    block = world.rpc.block(opened.block)
    assert block is not None
    parts = Amount(0), Value(claimed), batch, root
    return Case(payer, sender.account, *parts, block.timestamp, opened.block)


async def test_aPayeeThatClaimsReceiptsItDoesNotHold_losesItsBond(world: CourtWorld) -> None:
    """It waits until the payer is away, which else would admit what it has signed for."""
    liar, court = world.relay(world.liar), world.contracts.court
    run, sender = liar.books.payees[world.entry]._open, Sender(world.rpc, liar.home.operator_key)
    await world.stop_one(world.liar)
    await world.stop_one(world.entry)
    evidence = mostly_made_up(run)
    root = evidence._tree.root
    with pytest.raises(Reverted, match="ExceedsBatch"):
        await sue(world, sender, run, root, run.signed_value + 1)
    case = await sue(world, sender, run, root, run.signed_value)
    world.chain.mine(6)
    await asyncio.to_thread(sender.send, court.record(case))
    _, seed = court.open_case(case.payer, case.payee)
    await world.pass_time(DEMO.answer_window)
    with pytest.raises(Reverted, match="NoReceipt"):
        await asyncio.to_thread(sender.send, court.finish(case, evidence.samples(seed)))

    before = world.balance(world.entry)
    await world.start_again(world.entry)
    late = "too late for us to answer: it has to be proven"
    await until(lambda: late in world.status(world.entry), "the payer's status")
    await world.pass_time(DEMO.finish_window)
    await until(lambda: world.case_hash(world.entry, world.liar) == NOTHING, "the case to expire")
    assert world.balance(world.entry) == before + case.bond
    assert court.judgement(case.payer, case.payee).total == 0
