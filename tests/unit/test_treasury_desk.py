"""The treasury's desk on a real chain: money moves once, and trouble with the chain loses nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from chain_world import ETHER, User, World
from mixpay import eip712
from mixpay.amounts import shown
from mixpay.chain.contracts import Contracts
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, RelayId
from relay.config import TreasuryRules
from relay.store import StoredPoolVoucher
from relay.treasury import Claim, ClaimPool, Debts, Deposit, Fund, PayeeFacts, PayerFacts, Sweep, TreasuryDesk

PRICE = DEMO.hop_price
OWNER = Account(b"\x0d" * 20)


class Till:
    """A relay's treasury, and books that say what a test wants."""

    def __init__(self, world: World, *, ledger: int = 0, own: int = 0) -> None:
        self.world = world
        self.me = world.user(tokens=1)
        if ledger:
            self.me.send(world.contracts.channels.deposit(tokens(ledger)))
        left = world.contracts.token.balance_of(self.me.account) - tokens(own)
        self.me.send(world.contracts.token.transfer(world.deployer.account, Amount(left)))
        self.debts = Debts(PRICE, world.rpc.latest().timestamp, (), (), ())
        self.desk = self.desk_at(world.rpc)

    def desk_at(self, rpc: Rpc) -> TreasuryDesk:
        return TreasuryDesk(
            rpc=rpc,
            contracts=Contracts(rpc, self.world.deployment),
            sender=self.me,
            owner=OWNER,
            rules=TreasuryRules(),
            schedule=self.world.schedule,
            claim_window=DEMO.claim_window,
            debts=lambda: self.debts,
        )

    def owes(self, payee: User, cumulative: int) -> None:
        """The books, which know nothing of a channel yet."""
        facts = PayeeFacts(RelayId(2), payee.account, tokens(cumulative), Amount(0))
        self.debts = Debts(PRICE, self.debts.now, (facts,), (), ())

    def is_owed(self, payer: User, cumulative: int) -> None:
        """The books with a voucher of the payer's, too; they know nothing of its channel yet."""
        domain = eip712.channels_domain(self.world.deployment.chain_id, self.world.deployment.channels)
        voucher = eip712.Voucher(payer.account, self.me.account, tokens(cumulative), 3)
        signature = eip712.sign(payer.key, voucher.digest(domain))
        relay = RelayId(3 + len(self.debts.payers))
        facts = PayerFacts(relay, payer.account, tokens(cumulative), 3, signature)
        self.debts = Debts(PRICE, self.debts.now, (), (*self.debts.payers, facts), ())

    def is_owed_by(self, count: int) -> list[User]:
        """The books with vouchers of so many, whose channels hold what they promise: 10, 20, 30 …"""
        channels = self.world.contracts.channels
        payers = [self.world.user(tokens=1) for _ in range(count)]
        for number, payer in enumerate(payers, start=1):
            payer.send(channels.deposit(tokens(10 * number)))
            payer.send(channels.fund(self.me.account, tokens(10 * number)))
            self.is_owed(payer, 10 * number)
        return payers

    def sent(self) -> int:
        """Transactions so far."""
        return self.world.rpc.nonce(self.me.account, "latest")

    def ledger(self) -> int:
        return self.world.contracts.channels.balance_of(self.me.account) // PRICE


def tokens(value: int) -> Amount:
    return Amount(value * PRICE)


async def test_funds_once_although_the_books_lag(world: World) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)
    report = await till.desk.run_once()
    assert [type(result.action) for result in report.results] == [Fund]
    assert world.contracts.channels.channel(till.me.account, payee.account).deposit == tokens(20_010)
    again = await till.desk.run_once()
    assert again.results == ()
    assert till.ledger() == 50_000 - 20_010
    assert again.holdings is not None
    assert again.holdings.ledger == tokens(50_000 - 20_010)


async def test_deposits_its_own_tokens_when_the_ledger_is_short(world: World) -> None:
    till, payee = Till(world, ledger=5, own=100_000), world.user()
    till.owes(payee, 10)
    report = await till.desk.run_once()
    assert [(type(r.action), r.error) for r in report.results] == [(Deposit, None), (Fund, None)]
    assert world.contracts.channels.channel(till.me.account, payee.account).deposit == tokens(20_010)
    assert world.contracts.token.balance_of(till.me.account) == tokens(100_000 - 20_005)


async def test_claims_with_the_channel_as_it_is_when_told(world: World) -> None:
    till, payer = Till(world), world.user(tokens=1)
    payer.send(world.contracts.channels.deposit(tokens(70)))
    payer.send(world.contracts.channels.fund(till.me.account, tokens(70)))
    till.is_owed(payer, 90)
    report = await till.desk.run_once(urgent=True)
    assert [type(result.action) for result in report.results] == [Claim]
    assert till.ledger() == 70
    assert "lacks 0.00002 tokens" in report.postponed[0].why
    assert (await till.desk.run_once(urgent=True)).results == ()


async def test_claims_from_all_payers_by_one_transaction(world: World) -> None:
    till = Till(world)
    payers, before = till.is_owed_by(9), till.sent()
    report = await till.desk.run_once(urgent=True)
    assert till.sent() == before + 1
    assert [(type(r.action), r.error) for r in report.results] == [(Claim, None)] * 9
    assert [r.action.why.split(":")[0] for r in report.results if isinstance(r.action, Claim)] == [
        f"{shown(tokens(10 * number))} tokens from relay {2 + number}" for number in range(9, 0, -1)
    ]
    assert till.ledger() == sum(range(10, 100, 10))
    for number, payer in enumerate(payers, start=1):
        assert world.contracts.channels.channel(payer.account, till.me.account).claimed == tokens(10 * number)
    assert (await till.desk.run_once(urgent=True)).results == ()


@pytest.mark.parametrize("bad", range(5))
async def test_bad_voucher_keeps_no_other_from_being_paid(
    world: World, caplog: pytest.LogCaptureFixture, bad: int
) -> None:
    till = Till(world)
    till.is_owed_by(5)
    payers = list(till.debts.payers)
    payers[bad] = replace(payers[bad], upto_batch=4)  # not what was signed
    till.debts = replace(till.debts, payers=tuple(payers))
    before = till.sent()
    with caplog.at_level(logging.WARNING):
        report = await till.desk.run_once(urgent=True)
        again = await till.desk.run_once(urgent=True)
    refused = [r for r in report.results if r.error is not None]
    assert [r.action.relay for r in refused if isinstance(r.action, Claim)] == [payers[bad].relay]
    assert "InvalidSignature" in str(refused[0].error)
    assert len(report.results) == 5
    assert till.ledger() == 150 - 10 * (bad + 1)
    assert till.sent() - before <= 3, "what is good is still claimed together"
    assert [len(again.results), len(caplog.records)] == [1, 1]
    assert report.trouble is None


async def test_claims_as_much_together_as_there_is_ether_for(world: World) -> None:
    till = Till(world, ledger=1)
    till.is_owed_by(8)
    world.chain.fund(till.me.account, 100_000 * till.me._market().most)  # four of them, not eight
    report = await till.desk.run_once(urgent=True)
    done = [r for r in report.results if r.error is None]
    assert 4 <= len(done) < 8
    assert till.ledger() >= 1 + 80 + 70 + 60 + 50, "those that pay most"
    assert report.trouble is not None
    assert "send it some" in report.trouble
    world.chain.fund(till.me.account, ETHER)
    assert len((await till.desk.run_once(urgent=True)).results) == 8 - len(done)
    assert till.ledger() == 1 + 360


async def test_nothing_is_lost_when_a_claim_of_all_is_in_no_block(world: World) -> None:
    till = Till(world)
    till.is_owed_by(3)
    till.me._limit = 0.2
    world.rpc.request("evm_setAutomine", False)
    try:
        report = await till.desk.run_once(urgent=True)
        assert [r.error is not None and "in no block" in r.error for r in report.results] == [True] * 3
        assert report.trouble == report.results[0].error
        waiting = await till.desk.run_once(urgent=True)
        assert (waiting.results, waiting.trouble) == ((), None)
    finally:
        world.rpc.request("evm_setAutomine", True)
        world.chain.mine()
    assert (await till.desk.run_once(urgent=True)).results == ()
    assert till.ledger() == 60


async def test_what_is_claimed_pays_what_was_short(world: World) -> None:
    till, payer, payee = Till(world), world.user(tokens=1), world.user()
    payer.send(world.contracts.channels.deposit(tokens(70)))
    payer.send(world.contracts.channels.fund(till.me.account, tokens(70)))
    till.is_owed(payer, 70)
    owed = till.debts.payers
    till.owes(payee, 30)
    till.debts = Debts(PRICE, till.debts.now, till.debts.payees, owed, ())
    report = await till.desk.run_once(urgent=True)
    assert [type(result.action) for result in report.results] == [Claim, Fund]
    assert world.contracts.channels.channel(till.me.account, payee.account).deposit == tokens(30)
    assert report.postponed == ()


async def test_claims_from_the_pool_within_its_caps(world: World) -> None:
    till, sponsor = Till(world), world.user(tokens=1)
    sponsor.send(world.contracts.pool.create_campaign(sponsor.account, tokens(1_000), tokens(600)))
    campaign = world.contracts.pool.campaign_count()
    sponsor.send(world.contracts.pool.fund(campaign, tokens(5_000)))
    epoch = world.contracts.network.current_epoch()
    domain = eip712.pool_domain(world.deployment.chain_id, world.deployment.pool)
    message = eip712.PoolVoucher(campaign, till.me.account, epoch, tokens(700))
    signature = eip712.sign(sponsor.key, message.digest(domain))
    voucher = StoredPoolVoucher(campaign, epoch, tokens(700), signature)
    till.debts = Debts(PRICE, till.debts.now, (), (), (voucher,))
    report = await till.desk.run_once(urgent=True)
    assert [type(result.action) for result in report.results] == [ClaimPool]
    assert till.ledger() == 600
    assert (await till.desk.run_once(urgent=True)).results == ()
    assert till.desk.last.pool[0].claimed == tokens(600)


async def test_sweeps_to_the_owner(world: World) -> None:
    till = Till(world, ledger=300_000)
    report = await till.desk.run_once()
    assert [type(result.action) for result in report.results] == [Sweep]
    assert world.contracts.token.balance_of(OWNER) == tokens(200_000)
    assert till.ledger() == 100_000


async def test_refused_action_is_said_once_and_does_not_stop_others(
    world: World,
    caplog: pytest.LogCaptureFixture,
) -> None:
    till, payer = Till(world, ledger=50_000), world.user(tokens=1)
    payer.send(world.contracts.channels.deposit(tokens(70)))
    payer.send(world.contracts.channels.fund(till.me.account, tokens(70)))
    till.is_owed(payer, 70)
    (forged,) = till.debts.payers
    payee = world.user()
    till.owes(payee, 30)
    bad = PayerFacts(forged.relay, forged.account, forged.cumulative, 4, forged.signature)
    till.debts = Debts(PRICE, till.debts.now, till.debts.payees, (bad,), ())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            report = await till.desk.run_once(urgent=True)
    assert [record.message for record in caplog.records if "InvalidSignature" in record.message][1:] == []
    assert report.results[0].error is not None
    assert world.contracts.channels.channel(till.me.account, payee.account).deposit == tokens(30)


async def test_without_ether_it_says_so_and_sends_nothing(world: World) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)
    world.chain.fund(till.me.account, 0)
    report = await till.desk.run_once()
    assert report.results == ()
    assert any("no ether" in item.why for item in report.postponed)
    world.chain.fund(till.me.account, ETHER)
    assert [result.error for result in (await till.desk.run_once()).results] == [None]


async def test_too_little_ether_ends_the_run(world: World) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)
    world.chain.fund(till.me.account, 1)
    report = await till.desk.run_once()
    assert report.trouble is not None
    assert "send it some" in report.trouble


async def test_survives_a_chain_that_is_away(world: World, caplog: pytest.LogCaptureFixture) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)

    away = till.desk_at(Rpc("http://127.0.0.1:9", attempts=1))
    with caplog.at_level(logging.WARNING):
        reports = [await away.run_once() for _ in range(2)]
    assert [report.results for report in reports] == [(), ()]
    assert "cannot connect" in str(away.last.trouble)
    assert len(caplog.records) == 1
    assert (await till.desk.run_once()).results[0].error is None


async def test_waits_for_a_transaction_that_is_in_no_block_yet(world: World) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)
    world.rpc.request("evm_setAutomine", False)
    try:
        draft = Call("transfer of ether", OWNER, b"", 1)
        till.me._submit(draft, 21_000, till.me._market())
        report = await till.desk.run_once()
        assert report.results == ()
        assert any("in no block yet" in item.why for item in report.postponed)
    finally:
        world.rpc.request("evm_setAutomine", True)
        world.chain.mine()
    assert (await till.desk.run_once()).results[0].error is None


async def test_replaces_what_an_earlier_run_left_stuck(world: World) -> None:
    till, payee = Till(world, ledger=50_000), world.user()
    till.owes(payee, 10)
    till.desk._stuck_after = 0.0
    before = world.rpc.balance(OWNER)
    world.rpc.request("evm_setAutomine", False)
    try:
        earlier = Sender(world.rpc, till.me.key)
        earlier._submit(Call("transfer of ether", OWNER, b"", 1), 21_000, earlier._market())
        assert (await till.desk.run_once()).results == ()
        replacing = asyncio.create_task(till.desk.run_once())
        async with asyncio.timeout(10):
            while world.rpc.balance(OWNER) == before and not _pays_itself(world, till.me.account):
                await asyncio.sleep(0.01)
    finally:
        world.rpc.request("evm_setAutomine", True)
        world.chain.mine()
    await replacing
    assert (await till.desk.run_once()).results[0].error is None
    assert world.rpc.balance(OWNER) == before


def _pays_itself(world: World, account: Account) -> bool:
    pool = world.rpc.request("txpool_content")["pending"].values()
    return any(tx["to"] == f"0x{account.hex()}" for txs in pool for tx in txs.values())
