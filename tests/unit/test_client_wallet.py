"""Passes: whose key signs them, what a crash costs, what the user is told when there are none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from client_world import CAMPAIGN, DEPLOYMENT, EPOCH, PLACE, PRICE, User, World
from mixpay.chain import events
from mixpay.client import wallet as wallets
from mixpay.client.errors import IssuerRefused, IssuerUnavailable, NoKey
from mixpay.client.issuer import Issuer
from mixpay.client.wallet import MOST_FULL, MOST_NEW_PASSES, RESERVED_TICKS, NoPass, Ticks
from mixpay.crypto import rsa_permutation
from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.errors import UserError
from mixpay.passes import (
    KIND_ENTRY,
    KIND_MAILBOX,
    TICKS,
    ForgedTick,
    OwnedPass,
    PassExhausted,
    PassSpender,
    drawn_position,
)
from mixpay.sponsor import api
from mixpay.sponsor.keys import PassKeys
from mixpay.sponsor.policy import Quotas
from mixpay.types import Epoch
from pass_keys import pass_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    world = World(tmp_path, keys)
    world.quotas = Quotas(entry=2, mailbox=1)
    async with world.running():
        yield world


@pytest_asyncio.fixture
async def alice(world: World) -> AsyncIterator[User]:
    user = User(world, "alice")
    yield user
    await user.close()


async def test_draw_givesAPassForTheRelayItDraws(world: World, alice: User):
    drawn = await alice.wallet.draw(KIND_ENTRY)
    snapshot = world.view.snapshot(EPOCH)
    position = drawn_position(drawn.stored.owned.signature, snapshot.beacon, snapshot.count)
    assert drawn.relay == snapshot.at(position)
    assert drawn.stored.owned.scope.campaign == CAMPAIGN


async def test_draw_takesTheSamePass_untilItIsSetAside(alice: User):
    first = await alice.wallet.draw(KIND_ENTRY)
    assert await alice.wallet.draw(KIND_ENTRY) == first
    alice.wallet.set_aside(first, "it does not answer")
    second = await alice.wallet.draw(KIND_ENTRY)
    assert second.stored.row != first.stored.row
    assert alice.told == ["it does not answer; taking another pass"]
    alice.restart()
    assert await alice.wallet.draw(KIND_ENTRY) == second, "the newest first: the last one that worked"


async def test_draw_saysWhatToDo_whenTheQuotaIsUsedUp(alice: User):
    for _ in range(2):
        alice.wallet.set_aside(await alice.wallet.draw(KIND_ENTRY), "no")
    with pytest.raises(IssuerRefused, match="you have had all passes of this period") as refusal:
        await alice.wallet.draw(KIND_ENTRY)
    assert refusal.value.label == "quota_exceeded"
    assert (await alice.wallet.draw(KIND_MAILBOX)).stored.owned.scope.kind == KIND_MAILBOX


async def test_draw_repeatsARequestAfterACrash_andItCountsOnce(world: World, alice: User):
    drawn = await alice.wallet.draw(KIND_ENTRY)
    # As if the program had died before the answer came: the request is there, the pass is not.
    request = await alice.wallet._prepare(KIND_ENTRY, EPOCH)
    await Issuer(alice.http, world.url, world.deployment.pool).sign(KIND_ENTRY, EPOCH, request.blinded)
    alice.restart()
    alice.wallet.set_aside(drawn, "no")
    again = await alice.wallet.draw(KIND_ENTRY)
    assert again.stored.owned.seed == request.seed
    assert alice.store.request(KIND_ENTRY, EPOCH) is None


async def test_draw_refusesAKeyThatTheChainDoesNotHold(world: World, alice: User):
    world.view.feed([events.KeySet(*PLACE, CAMPAIGN, KIND_ENTRY, EPOCH, b"\x09" * 32, PRICE)], EPOCH)
    with pytest.raises(IssuerUnavailable, match="another key than the chain holds"):
        await alice.wallet.draw(KIND_ENTRY)
    assert alice.store.request(KIND_ENTRY, EPOCH) is None


async def test_draw_refusesAKeyThatNothingProves(world: World, alice: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rsa_permutation, "prove", lambda key: bytes(PROOF_SIZE))
    with pytest.raises(IssuerUnavailable, match="nothing proves that the key is a permutation"):
        await alice.wallet.draw(KIND_ENTRY)
    assert alice.store.request(KIND_ENTRY, EPOCH) is None


async def test_draw_refusesAnotherCampaign_thanTheFirst(world: World, alice: User):
    assert alice.store.settle_fact("campaign", "7") == "7"
    with pytest.raises(UserError, match="campaign is number 3, not 7 as before"):
        await alice.wallet.draw(KIND_ENTRY)
    alice.restart(campaign=CAMPAIGN)
    await alice.wallet.draw(KIND_ENTRY)


async def test_draw_refusesASponsorOfAnotherDeployment(world: World, alice: User):
    world.view.deployment = replace(DEPLOYMENT, chain_id=1)
    with pytest.raises(UserError, match="another deployment"):
        await alice.wallet.draw(KIND_ENTRY)


async def test_draw_leavesOutPassesThatDrawEmptyPlaces(world: World, alice: User):
    for relay in world.view.snapshot(EPOCH).relays:
        world.view.feed([events.Left(*PLACE, relay.id, relay.position, 0)], EPOCH)
    replica = world.view._state.replica
    frozen = events.Frozen(*PLACE, EPOCH + 1, replica.root, replica.count, bytes(32))
    world.view.feed([frozen], EPOCH + 1)
    with pytest.raises(IssuerRefused, match="quota_exceeded"):
        await alice.wallet.draw(KIND_ENTRY)
    assert ["where no relay is" in line for line in alice.told] == [True, True]
    alice.restart()
    with pytest.raises(IssuerRefused, match="quota_exceeded"):
        await alice.wallet.draw(KIND_ENTRY)


async def test_draw_countsAnew_inEachPeriod(tmp_path: Path, keys: PassKeys):
    """A program may run for weeks: what some relays did in one epoch keeps nobody from a pass in the next."""
    world = World(tmp_path, keys)
    async with world.running():
        user = User(world, "carol")
        for _ in range(MOST_NEW_PASSES):
            user.wallet.set_aside(await user.wallet.draw(KIND_ENTRY), "it does not answer")
        with pytest.raises(NoPass):
            await user.wallet.draw(KIND_ENTRY)
        world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
        assert (await user.wallet.draw(KIND_ENTRY)).stored.owned.scope.period == EPOCH + 1
        await user.close()


async def test_budget_isNotSpent_becauseRelaysSaidSoInOtherPeriods(world: World, alice: User):
    for relay in world.relays[: MOST_FULL - 1]:
        alice.take_pass(relay.id)
        alice.wallet.full(await alice.wallet.draw(KIND_ENTRY))
    world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
    alice.take_pass(world.relays[MOST_FULL].id, Epoch(EPOCH + 1))
    alice.wallet.full(await alice.wallet.draw(KIND_ENTRY))
    assert "takes no more" in alice.told[-1]


async def test_draw_leavesOutOtherPasses_ofARelayThatTakesNoMore(world: World, alice: User):
    full, other = world.relays[:2]
    for relay in (other, full, full):
        alice.take_pass(relay.id)
    alice.wallet.full(await alice.wallet.draw(KIND_ENTRY))
    assert (await alice.wallet.draw(KIND_ENTRY)).relay.id == other.id


async def test_draw_triesRelaysAgain_whichWereSetAside_whenThereIsNothingElse(world: World, alice: User):
    drawn = [await alice.wallet.draw(KIND_ENTRY)]
    alice.wallet.set_aside(drawn[0], "it does not answer")
    drawn.append(await alice.wallet.draw(KIND_ENTRY))
    alice.wallet.set_aside(drawn[1], "it does not answer")
    with pytest.raises(IssuerRefused, match="you have had all passes"):
        await alice.wallet.draw(KIND_ENTRY)
    assert await alice.wallet.draw(KIND_ENTRY) == drawn[1], "in a program that goes on"


async def test_sponsorThatDoesNotAnswer_isUnavailable(alice: User, unused_tcp_port: int):
    issuer = Issuer(alice.http, f"http://127.0.0.1:{unused_tcp_port}", DEPLOYMENT.pool)
    with pytest.raises(IssuerUnavailable, match="does not answer: cannot connect"):
        await issuer.campaign()


async def test_somethingElseThanASponsor_isUnavailable(alice: User):
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>welcome</html>")

    app = web.Application()
    app.router.add_get("/v1/campaign", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        with pytest.raises(IssuerUnavailable, match="answers nonsense"):
            await Issuer(alice.http, url, DEPLOYMENT.pool).campaign()
        with pytest.raises(IssuerUnavailable, match="answers nonsense"):
            await Issuer(alice.http, url, DEPLOYMENT.pool).sign(1, 2, bytes(256))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("url", ["sponsor.example", "http://[v1.]/", "http://[::1"])
async def test_sponsorWithAMalformedAddress_isTheUsersMistake(alice: User, url: str):
    with pytest.raises(UserError, match="not the address of a sponsor"):
        Issuer(alice.http, url, DEPLOYMENT.pool)


async def test_ticks_areNeverHandedOutTwice_whateverHappens(alice: User):
    stored = (await alice.wallet.draw(KIND_ENTRY)).stored
    ticks = Ticks(alice.store, stored, 0)
    first = [ticks.next().number for _ in range(3)]
    # A crash: what was reserved is gone.
    (stored,) = alice.store.passes(KIND_ENTRY, EPOCH)
    ticks = Ticks(alice.store, stored, 0)
    second = [ticks.next().number for _ in range(3)]
    ticks.close()
    # A clean end: nothing is.
    (stored,) = alice.store.passes(KIND_ENTRY, EPOCH)
    third = Ticks(alice.store, stored, 0).next().number
    assert first == [1, 2, 3]
    assert second == [RESERVED_TICKS + 1, RESERVED_TICKS + 2, RESERVED_TICKS + 3]
    assert third == RESERVED_TICKS + 4


def link(owned: OwnedPass, number: int) -> bytes:
    """Of a tick."""
    spender = PassSpender(owned, number - 1)
    spender.reserve(1)
    return spender.next_tick().link


async def test_ticks_stepOverWhatTheEntryHolds(alice: User):
    stored = (await alice.wallet.draw(KIND_ENTRY)).stored
    assert Ticks(alice.store, stored, 100, link(stored.owned, 100)).next().number == 101
    (stored,) = alice.store.passes(KIND_ENTRY, EPOCH)
    assert stored.counter >= 101


async def test_ticks_stepOverNothing_thatARelayOnlyClaimsToHold(alice: User):
    stored = (await alice.wallet.draw(KIND_ENTRY)).stored
    for furthest in (1, 100, TICKS, TICKS + 1):
        with pytest.raises(ForgedTick):
            Ticks(alice.store, stored, furthest, os.urandom(32))
    (stored,) = alice.store.passes(KIND_ENTRY, EPOCH)
    assert stored.counter == 0


async def test_aSpentPass_isNotDrawnAgain(alice: User):
    drawn = await alice.wallet.draw(KIND_ENTRY)
    ticks = Ticks(alice.store, drawn.stored, TICKS - 1, link(drawn.stored.owned, TICKS - 1))
    ticks.next()
    with pytest.raises(PassExhausted):
        ticks.next()
    assert (await alice.wallet.draw(KIND_ENTRY)).stored.row != drawn.stored.row


async def test_aPausedSponsor_givesNoPass_saysSo_andIsAskedOnce(world: World, alice: User):
    first = await alice.wallet.draw(KIND_ENTRY)
    world.issuer.is_paused = True
    assert await alice.wallet.draw(KIND_ENTRY) == first, "what was given out stays good"
    alice.wallet.condemn(first, "no")
    asked = world.refusals.by_reason().get("paused", 0)
    with pytest.raises(IssuerRefused, match="the sponsor has paused giving out passes") as said:
        await alice.wallet.draw(KIND_ENTRY)
    assert said.value.label == "paused"
    assert world.refusals.by_reason()["paused"] == asked + 1, "nobody asks again and again"
    # The request is kept, and answered when the sponsor goes on; it counts once.
    request = alice.store.request(KIND_ENTRY, EPOCH)
    assert request is not None
    world.issuer.is_paused = False
    assert (await alice.wallet.draw(KIND_ENTRY)).stored.owned.seed == request.seed


# ---------------------------------------------------------------------- an issuer that is behind


def behind(world: World, monkeypatch: pytest.MonkeyPatch, answers: int, epochs: int = 1) -> list[int]:
    """For so many answers the issuer is so many epochs behind, and knows no key; the epochs that it says."""
    told: list[int] = []
    describe = world.issuer.describe

    def say(epoch: Epoch, policies: list[api.PolicyOffer]) -> api.CampaignAnswer:
        answer = describe(epoch, policies)
        if len(told) < answers:
            answer = msgspec.structs.replace(answer, epoch=Epoch(epoch - epochs), keys=[])
        told.append(answer.epoch)
        return answer

    monkeypatch.setattr(world.issuer, "describe", say)
    monkeypatch.setattr(wallets, "LAG_SECONDS", 0.0)
    return told


async def test_draw_waitsForAnIssuerThatHasNotSeenOurEpoch(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = behind(world, monkeypatch, 3)
    assert (await alice.wallet.draw(KIND_ENTRY)).stored.owned.scope.period == EPOCH
    assert told == [EPOCH - 1] * 3 + [EPOCH]


async def test_draw_doesNotWaitForever_forOneThatStaysBehind(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = behind(world, monkeypatch, 10**6)
    with pytest.raises(NoKey, match="try again later"):
        await alice.wallet.draw(KIND_ENTRY)
    assert len(told) == 20


async def test_draw_isToldAtOnce_ofAKeyThatThereIsNot(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = behind(world, monkeypatch, 10**6, epochs=0)
    with pytest.raises(NoKey, match="offers no key of kind 1"):
        await alice.wallet.draw(KIND_ENTRY)
    assert told == [EPOCH]
