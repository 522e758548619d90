"""Mailboxes are paid for: storage when they are made, pages when they are emptied; and what people try."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from nacl.signing import SigningKey

import redeem_world
from mixpay import eip712
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.epochs import Schedule
from mixpay.mailbox import PAGE_MESSAGES, STORAGE_TICKS, mailbox_id_of, page_ticks
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICK_VALUE, TICKS, OwnedPass, PassSpender, Scope
from mixpay.registry_replica import NotFrozen
from mixpay.snapshot import Snapshot
from mixpay.sponsor.issuer import Campaign, Issuer
from mixpay.sponsor.keys import Period
from mixpay.sponsor.policies.open import OpenPolicy
from mixpay.sponsor.policy import Policies
from mixpay.sponsor.service import Service, ServiceLimits
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Account, Amount, Epoch
from mixpay.wire import client
from relay.clients.exposure import pass_limit
from relay.clients.mailbox_desk import MailboxDesk
from relay.redeem.issuer_desk import IssuerDesk, RelayIdentity
from relay.redeem.redeemer import PassRedeemer, Redeemed
from relay.redeem.rules import RedeemRules
from relay_parts import CAMPAIGN, DEPLOYMENT, EPOCH, PRICE, Node, Parts, account, campaign, passes_for
from relay_parts import signing_key as campaign_key

TERM = 1
"""Two epochs long here: `EPOCH` and the one after it."""
KEY = ProvenKey.of(campaign_key(1))
SEED, OTHER = bytes(range(32)), bytes(32)
SIGNER = b"\7" * 32
WINDOW = 7200


def fetch_key(seed: bytes) -> bytes:
    return SigningKey(seed).verify_key.encode()


def box(seed: bytes = SEED) -> bytes:
    return mailbox_id_of(fetch_key(seed))


def toll(owned: OwnedPass, number: int) -> client.ShownTick:
    spender = PassSpender(owned, number - 1)
    spender.reserve(1)
    tick = spender.next_tick()
    return client.ShownTick(tick.chain, tick.k, tick.link)


class Desk:
    """What a relay's owner-facing desk answers, without sockets."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.state.campaigns[CAMPAIGN] = campaign()
        parts = node.state, node.passes, node.mailboxes, node.store, node.metrics
        self.desk = MailboxDesk(*parts)

    async def create(
        self,
        owned: OwnedPass,
        number: int = STORAGE_TICKS,
        seed: bytes = SEED,
        tick: client.ShownTick | None = None,
    ) -> client.ClientFrame:
        paid = tick or toll(owned, number)
        shown = owned.shown().encode()
        return await self.desk.create(
            client.MailboxCreate(KEY.modulus, KEY.proof, shown, fetch_key(seed), paid)
        )

    async def delete(self, upto: int, tick: client.ShownTick | None = None) -> client.ClientFrame:
        return await self.desk.delete(box(), client.MailboxDelete(upto, () if tick is None else (tick,)))

    async def terms(self) -> client.MailboxTerms:
        answer = await self.desk.fetch(client.MailboxFetch(box(), 0, bytes(64)))
        assert isinstance(answer, client.MailboxMessages)
        return answer.terms

    def deliver(self, count: int) -> None:
        with self.node.books.step() as step:
            for _ in range(count):
                now = self.node.state.chain_time
                step.changes.mailbox(self.node.mailboxes.deliver(box(), os.urandom(2048), now).effects)

    @property
    def stored(self) -> int:
        return self.node.mailboxes.counts[1]

    def furthest(self, owned: OwnedPass) -> int:
        found = self.node.passes.standing(owned.shown().id)
        return 0 if found is None else found[1]


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path)
    schedule = made.view.schedule
    made.view.schedule = Schedule(schedule.genesis, schedule.epoch_length, 2)
    made.chain.set_key(campaign_key(1), KIND_MAILBOX, TERM)
    for epoch in (EPOCH + 1, EPOCH + 2):
        made.chain.freeze(epoch)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def desk(parts: Parts) -> Desk:
    return Desk(await parts.node(parts.path()[0]))


def mine(desk: Desk, count: int = 1) -> list[OwnedPass]:
    return passes_for(desk.node.view, desk.node.me, KIND_MAILBOX, TERM, count)


def refused(reason: str) -> client.Refused:
    return client.Refused(reason)


# ---------------------------------------------------------------------- making one


async def test_create_takesAWholeChain_andSaysWhatItHolds(desk: Desk) -> None:
    (owned,) = mine(desk)
    terms = await desk.create(owned)
    assert isinstance(terms, client.MailboxTerms)
    assert (terms.furthest, desk.furthest(owned)) == (STORAGE_TICKS, STORAGE_TICKS)
    assert terms.room > 10 * TICKS


@pytest.mark.parametrize("number", [1, STORAGE_TICKS - 1])
async def test_create_withATickThatIsTooSmall_isUnpaid_andThePassIsGoodStill(
    desk: Desk, number: int
) -> None:
    (owned,) = mine(desk)
    assert await desk.create(owned, number) == refused("unpaid")
    assert (desk.node.mailboxes.counts, desk.furthest(owned)) == ((0, 0), 0)
    assert isinstance(await desk.create(owned), client.MailboxTerms)


async def test_create_withAnothersTick_orNone_orAnEnormousOne_isRefused(desk: Desk) -> None:
    owned, other = mine(desk, 2)
    for tick, reason in (
        (toll(other, STORAGE_TICKS), "bad_link"),
        (client.ShownTick(64, 1, bytes(32)), "tick_out_of_range"),
        (client.ShownTick(0, 0, bytes(32)), "tick_out_of_range"),
        (toll(owned, 1025), "tick_gap"),
    ):
        assert await desk.create(owned, tick=tick) == refused(reason)
    assert (desk.node.mailboxes.counts, desk.furthest(owned)) == ((0, 0), 0)


async def test_passShownAgain_changesNothing(desk: Desk) -> None:
    (owned,) = mine(desk)
    first = await desk.create(owned)
    assert await desk.create(owned) == first, "the answer was lost"
    assert await desk.create(owned, STORAGE_TICKS + 1) == first, "a wallet shows no link twice"
    assert await desk.create(owned, seed=OTHER) == refused("pass_used")
    assert desk.furthest(owned) == STORAGE_TICKS
    assert desk.node.mailboxes.counts == (1, 0)


async def test_passShownAgain_forAnothersMailbox_isUsed(desk: Desk) -> None:
    one, two = mine(desk, 2)
    await desk.create(one)
    await desk.create(two, seed=OTHER)
    assert await desk.create(two) == refused("pass_used")
    assert desk.node.mailboxes.payer(box()) == one.shown().id


async def test_fullRelay_takesNoTick_andThePassIsKeptForAnotherTry(desk: Desk, parts: Parts) -> None:
    one, two = mine(desk, 2)
    limits = desk.node.mailboxes._limits
    desk.node.mailboxes._limits = replace(limits, max_mailboxes=1)
    await desk.create(one)
    assert await desk.create(two, seed=OTHER) == refused("full")
    assert desk.furthest(two) == 0
    desk.node.mailboxes._limits = limits
    assert isinstance(await desk.create(two, STORAGE_TICKS + 1, seed=OTHER), client.MailboxTerms)
    assert desk.furthest(two) == STORAGE_TICKS + 1


# ---------------------------------------------------------------------- emptying it


async def test_delete_costsATickForEachPage_whateverIsInIt(desk: Desk) -> None:
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.deliver(2 * PAGE_MESSAGES + 1)
    assert await desk.delete(1, toll(owned, STORAGE_TICKS + 1)) == client.Done()
    assert await desk.delete(1 + PAGE_MESSAGES, toll(owned, STORAGE_TICKS + 2)) == client.Done()
    assert desk.stored == PAGE_MESSAGES
    assert await desk.delete(2**64 - 1, toll(owned, STORAGE_TICKS + 3)) == client.Done()
    assert (desk.stored, desk.furthest(owned)) == (0, STORAGE_TICKS + 3)


async def test_delete_withoutEnough_isUnpaid_andDeletesNothing(desk: Desk) -> None:
    owned, other = mine(desk, 2)
    await desk.create(owned)
    await desk.create(other, seed=OTHER)
    desk.deliver(PAGE_MESSAGES + 1)
    for tick, reason in (
        (None, "unpaid"),
        (toll(owned, STORAGE_TICKS), "tick_used"),
        (toll(owned, 1), "tick_used"),
        (toll(owned, STORAGE_TICKS + 1), "unpaid"),
        (toll(other, STORAGE_TICKS + 2), "bad_link"),
        (replace(toll(owned, STORAGE_TICKS + 2), link=bytes(32)), "bad_link"),
        (toll(owned, STORAGE_TICKS + 1025), "tick_gap"),
        (client.ShownTick(70, 1, bytes(32)), "tick_out_of_range"),
    ):
        assert await desk.delete(2**64 - 1, tick) == refused(reason)
    assert (desk.stored, desk.furthest(owned)) == (PAGE_MESSAGES + 1, STORAGE_TICKS)
    assert await desk.delete(2**64 - 1, toll(owned, STORAGE_TICKS + 2)) == client.Done()


async def test_deleteOfWhatIsGone_isFree(desk: Desk) -> None:
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.deliver(3)
    await desk.delete(3, toll(owned, STORAGE_TICKS + 1))
    assert await desk.delete(3) == client.Done(), "the answer was lost"
    assert await desk.delete(3, toll(owned, STORAGE_TICKS + 1)) == client.Done()
    assert desk.furthest(owned) == STORAGE_TICKS + 1


async def test_whatTooOldMessagesWere_isFree(desk: Desk, parts: Parts) -> None:
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.node.mailboxes._limits = replace(desk.node.mailboxes._limits, ttl_seconds=1)
    desk.deliver(5)
    parts.chain.at(EPOCH + 1, 3599)
    assert await desk.delete(5) == client.Done()
    assert desk.stored == 0


async def test_whenTheTermIsOver_theRestIsFree(desk: Desk, parts: Parts) -> None:
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.deliver(5)
    parts.chain.at(EPOCH + 1)
    assert await desk.delete(1) == refused("unpaid"), "a later epoch of its term"
    parts.chain.at(EPOCH + 2)
    desk.node.passes.close(KIND_MAILBOX, TERM)
    terms = await desk.terms()
    assert (terms.furthest, terms.room) == (0, 0)
    assert await desk.delete(2) == client.Done()
    desk.node.passes.forget(owned.scope)
    assert await desk.delete(5) == client.Done(), "its pass was redeemed, and is forgotten"


async def test_mailboxOfAnEarlierRelease_orOfACampaignNotServed_isFree(desk: Desk) -> None:
    (owned,) = mine(desk)
    now = desk.node.state.chain_time
    desk.node.mailboxes.create(box(), fetch_key(SEED), now + 10**6, now)
    desk.deliver(2)
    assert await desk.delete(1) == client.Done()
    await desk.create(owned)
    assert await desk.delete(2) == refused("unpaid")
    desk.node.state.campaigns.clear()
    assert await desk.delete(2) == client.Done()


async def test_campaignThatTheChainWasNotAskedForYet_isNotReady_andMailboxesArePaid(desk: Desk) -> None:
    """After a start, or without an endpoint: a client that is told `wrong_campaign` throws its pass away."""
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.deliver(2)
    desk.node.state.served = {CAMPAIGN: "http://127.0.0.1:9"}
    desk.node.state.campaigns.clear()
    assert await desk.create(owned) == refused("not_ready")
    assert (await desk.terms()).furthest == STORAGE_TICKS
    assert await desk.delete(1) == refused("unpaid")
    assert await desk.delete(1, toll(owned, STORAGE_TICKS + 1)) == client.Done()
    assert desk.furthest(owned) == STORAGE_TICKS + 1


async def test_mailbox_isEmptied_whileTheEpochIsNotFixed(
    desk: Desk, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relays of an epoch may be known late. What held before holds on; a new mailbox has to wait."""
    mailbox, other = mine(desk, 2)
    await desk.create(mailbox)
    desk.deliver(2)
    parts.chain.at(EPOCH + 1)
    known = desk.node.view.snapshot

    def snapshot(epoch: Epoch) -> Snapshot:
        if epoch > EPOCH:
            raise NotFrozen(f"epoch {epoch} is not frozen")
        return known(epoch)

    monkeypatch.setattr(desk.node.view, "snapshot", snapshot)
    assert (await desk.terms()).furthest == STORAGE_TICKS
    assert await desk.delete(1, toll(mailbox, STORAGE_TICKS + 1)) == client.Done()
    assert await desk.create(other, seed=OTHER) == refused("not_ready")


async def test_campaignLimit_counts_andIsSaidBefore(desk: Desk) -> None:
    (owned,) = mine(desk)
    desk.node.state.campaigns[CAMPAIGN] = campaign(budget=1)
    passes = desk.node.passes
    passes._totals[owned.scope] = TICKS - STORAGE_TICKS + 1
    assert await desk.create(owned) == refused("campaign_limit")
    passes._totals[owned.scope] -= 2
    assert (await desk.create(owned)).room == 1  # type: ignore[union-attr]
    desk.deliver(PAGE_MESSAGES + 1)
    assert await desk.delete(2**64 - 1, toll(owned, STORAGE_TICKS + 2)) == refused("campaign_limit")
    assert await desk.delete(PAGE_MESSAGES, toll(owned, STORAGE_TICKS + 1)) == client.Done()
    assert (await desk.terms()).room == 0
    desk.node.state.campaigns[CAMPAIGN] = campaign()
    assert (await desk.terms()).room > TICKS, "the sponsor has paid in"


async def test_campaignLimit_isSharedWithEntryPasses_inTheTermsLastEpoch(desk: Desk, parts: Parts) -> None:
    """The pool's caps are an epoch's, and mailbox passes count in their term's last one."""
    state, passes, place = desk.node.state, desk.node.passes, (DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN)
    mailbox, last = Scope(*place, KIND_MAILBOX, TERM), Scope(*place, KIND_ENTRY, EPOCH + 1)
    for scope in (Scope(*place, KIND_ENTRY, EPOCH), last):
        parts.chain.set_key(campaign_key(1), scope.kind, scope.period)
        passes._totals[scope] = 1_000
    passes._totals[mailbox] = 300
    state.campaigns[CAMPAIGN] = replace(campaign(), budget=Amount(10**25))
    whole = state.pass_limit(mailbox)
    assert pass_limit(state, passes, mailbox) == whole - 1_000
    assert pass_limit(state, passes, last) == whole - 300
    assert pass_limit(state, passes, Scope(*place, KIND_ENTRY, EPOCH)) == whole


async def test_budget_isSharedWithAllThatIsNotRedeemedYet(desk: Desk, parts: Parts) -> None:
    """A mailbox pass waits a term for its money: entry passes of all epochs until then are paid before."""
    state, passes, place = desk.node.state, desk.node.passes, (DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN)
    mailbox, now = Scope(*place, KIND_MAILBOX, TERM), Scope(*place, KIND_ENTRY, EPOCH)
    for scope in (mailbox, now):
        parts.chain.set_key(campaign_key(1), scope.kind, scope.period)
    count = state.view.snapshot(EPOCH).count
    ample, share = 10**24, Amount(20_000 * TICK_VALUE * PRICE)  # of the budget, for each relay
    state.campaigns[CAMPAIGN] = replace(campaign(ample), budget=Amount(count * share))
    passes._totals[mailbox] = 1_500
    assert pass_limit(state, passes, now) == 20_000 - 1_500
    passes._totals[now] = 18_000
    assert pass_limit(state, passes, mailbox) == 2_000


async def test_campaignLimit_holdsForConnectionsThatAreOpen(desk: Desk, parts: Parts) -> None:
    """What mailboxes take meanwhile, or the sponsor withdraws, is not taken by open entry connections too."""
    at_end = EPOCH + 1
    node, place = desk.node, (DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN)
    mailbox, last = Scope(*place, KIND_MAILBOX, TERM), Scope(*place, KIND_ENTRY, at_end)
    for scope in (mailbox, last):
        parts.chain.set_key(campaign_key(1), scope.kind, scope.period)
    node.passes._totals[last] = 1_000
    node.passes.limit(last, pass_limit(node.state, node.passes, last))  # as when a pass was shown
    room = node.passes.room(last)
    (owned,) = mine(desk)
    await desk.create(owned)
    assert node.passes.room(last) == room - STORAGE_TICKS


async def test_manyMailboxes_arePaid_afterARestartToo(desk: Desk, parts: Parts) -> None:
    """The limit of a scope is known before any pass is shown again."""
    (owned,) = mine(desk)
    await desk.create(owned)
    desk.deliver(1)
    await desk.node.written()
    again = Desk(await parts.restart(desk.node.me, crash=True))
    again.node.passes._totals[owned.scope] = TICKS
    assert await again.delete(1, toll(owned, STORAGE_TICKS)) == refused("tick_used")
    assert await again.delete(1, toll(owned, STORAGE_TICKS + 1)) == client.Done()
    assert await again.create(owned) == await again.terms()
    last = Desk(await parts.restart(desk.node.me, crash=True))
    assert (await last.terms()).furthest == STORAGE_TICKS + 1


async def test_crashBeforeTheDisk_leavesThePassGood(desk: Desk, parts: Parts) -> None:
    (owned,) = mine(desk)
    desk.desk._create(  # and nothing of it reaches the disk
        client.MailboxCreate(
            KEY.modulus, KEY.proof, owned.shown().encode(), fetch_key(SEED), toll(owned, STORAGE_TICKS)
        )
    )
    again = Desk(await parts.restart(desk.node.me, crash=True))
    assert again.node.mailboxes.counts == (0, 0)
    assert isinstance(await again.create(owned, STORAGE_TICKS + 1), client.MailboxTerms)


def test_pageTicks() -> None:
    assert [page_ticks(count) for count in (0, 1, 32, 33, 4096)] == [0, 1, 1, 2, 128]


# ---------------------------------------------------------------------- paid


class OneKey:
    """The issuer's keys: that of the campaign."""

    def get(self, _: Period) -> SecretKey:
        return campaign_key(1)


class Pool(redeem_world.PoolOf):
    """The relay's view of the pool."""

    def hop_price(self, scope: Scope) -> Amount:
        return Amount(PRICE)


@asynccontextmanager
async def issuer(parts: Parts, folder: Path) -> AsyncIterator[str]:
    """The campaign's real issuer, over HTTP; its URL."""
    place = DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN
    store = Store(folder / "issuer.db", *place)
    store.put_key(StoredKey(KIND_MAILBOX, TERM, KEY.modulus, Amount(PRICE)))
    made = Issuer(
        campaign=Campaign(*place, SIGNER, b"\6" * 32),
        schedule=parts.view.schedule,
        claim_window=WINDOW,
        store=store,
        keys=OneKey(),  # type: ignore[arg-type]
    )
    policies = Policies([OpenPolicy()])
    runner = web.AppRunner(Service(made, policies, parts.view, ServiceLimits()).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        store.close()


async def test_relay_isPaidForStorageAndPages_whenTheTermIsOver(
    desk: Desk, parts: Parts, tmp_path: Path
) -> None:
    one, two = mine(desk, 2)
    node, view = desk.node, desk.node.view
    await desk.create(one)
    await desk.create(two, seed=OTHER)
    desk.deliver(3 * PAGE_MESSAGES)
    await desk.delete(PAGE_MESSAGES, toll(one, STORAGE_TICKS + 1))
    await desk.delete(3 * PAGE_MESSAGES, toll(one, STORAGE_TICKS + 3))
    ticks = 2 * STORAGE_TICKS + 3
    signer = Account(eip712.account_of(SIGNER))
    pool = Pool(redeem_world.Chain(signer=signer))
    me = RelayIdentity(
        node.me, account(node.me), eip712.pool_domain(DEPLOYMENT.chain_id, DEPLOYMENT.pool)
    )
    async with issuer(parts, tmp_path) as url:
        issuers = IssuerDesk(me, {CAMPAIGN: url}, view.schedule, pool, patience=5)
        rules = RedeemRules(view.schedule, WINDOW, 1_000, 50)
        redeemer = PassRedeemer(rules, node.passes, node.store, issuers, pool)
        parts.chain.at(EPOCH + 1, 10)
        assert (await redeemer.run_once(view.chain_time)).redeemed == (), "its term is not over"
        parts.chain.at(EPOCH + 2, 10)
        report = await redeemer.run_once(view.chain_time)
    worth = ticks * TICK_VALUE * PRICE
    assert report.redeemed == (Redeemed(CAMPAIGN, TERM, 2, Amount(worth)),)
    voucher = redeemer.vouchers[CAMPAIGN]
    assert (voucher.period, voucher.cumulative) == (Epoch(EPOCH + 1), worth), "of the term's last epoch"
    assert node.store.passes(DEPLOYMENT.chain_id, DEPLOYMENT.pool) == []
    assert await desk.delete(2**64 - 1) == client.Done(), "the mailbox is there still, and free"
