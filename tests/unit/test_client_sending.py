"""Sending through relays that are down, slow, forgetful or dishonest: what arrives, is told, is spent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import CAMPAIGN, EPOCH, HASTY, PLACE, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.chain import events
from mixpay.client.errors import BudgetSpent, NotSent
from mixpay.client.inbox import Inbox
from mixpay.client.receiving import Round
from mixpay.client.route import NoPath
from mixpay.client.wallet import MOST_FULL, NoPass
from mixpay.descriptors import Equivocation
from mixpay.envelope import file_message, text_message
from mixpay.errors import UserError
from mixpay.passes import TICKS
from mixpay.sponsor.keys import PassKeys
from mixpay.sponsor.policy import Quotas
from mixpay.types import Epoch, RelayId
from mixpay.wire.client import DownStatus
from pass_keys import pass_keys

IMPATIENT = replace(HASTY, ack_timeout=1.0)
"""For answers that do not come."""
FILE = bytes(range(256)) * 64
"""Nine fragments."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


@pytest_asyncio.fixture
async def alice(world: World) -> AsyncIterator[User]:
    user = User(world, "alice")
    yield user
    await user.close()


@pytest_asyncio.fixture
async def bob(world: World) -> AsyncIterator[User]:
    user = User(world, "bob")
    yield user
    await user.close()


async def received(bob: User) -> list[bytes]:
    """The contents of all messages in Bob's mailbox."""
    found: list[bytes] = []
    inbox, round_ = Inbox(bob.store, bob.identity, bob.world.view.mark), Round()
    inbox.restore(0)
    await bob.mailboxes.empty(inbox, 0, lambda new: found.extend(a.message.content for a in new), round_)
    assert round_.troubles == []
    return found


async def entry_of(alice: User) -> RelayId:
    """The relay that Alice's pass draws."""
    return (await alice.wallet.draw(1)).relay.id


def counter(alice: User) -> int:
    return alice.store.passes(1, EPOCH)[0].counter


async def test_run_sendsAFile_thatTheReceiverGets(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    progress: list[tuple[int, int]] = []
    sending = alice.sending(to)
    sending._progress = lambda *now: progress.append(now)
    report = await sending.run(file_message("a.bin", FILE))
    assert await received(bob) == [FILE]
    assert (report.packets_sent, report.packets_accepted, report.ticks) == (9, 9, 9)
    assert progress[-1] == (9, 9)
    duties = report.hops.values()
    assert [sum(column) for column in zip(*((d.entry, d.mix, d.mailbox) for d in duties), strict=True)] == [
        9,
        27,
        9,
    ]
    assert report.hops[to.relay].mailbox == 9
    assert counter(alice) == 9, "ticks that were reserved and not needed are kept"
    assert alice.told == []


async def test_run_usesOnePassForSeveralMessages_behindWhatWasSpent(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    for number in range(3):
        alice.restart()
        await alice.sending(to).run(text_message(f"message {number}"))
    assert await received(bob) == [b"message 0", b"message 1", b"message 2"]
    assert counter(alice) == 3


async def test_run_takesAnotherPass_whenTheEntryIsDown(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    first = world.relay(await entry_of(alice))
    await first.stop()
    report = await alice.sending(to).run(text_message("hello"))
    assert [relay for relay, duties in report.hops.items() if duties.entry] != [first.id]
    assert any(f"relay {first.id} at" in line and "taking another pass" in line for line in alice.told)
    await first.start()
    assert await received(bob) == [b"hello"]
    assert len(alice.store.passes(1, EPOCH)) >= 2, "it may be up again in the next run"


async def test_run_speaksOnlyToTheRegisteredRelay(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    first = world.relay(await entry_of(alice))
    await first.stop()
    # Somebody else at the same address.
    mine, first.seed = first.seed, b"\x66" * 32
    await first.start()
    await alice.sending(to).run(text_message("hello"))
    assert any("it is not the registered relay (wrong link key)" in line for line in alice.told)
    assert first.shown_to == []
    assert first.directories_served == 0
    await first.stop()
    first.seed = mine
    await first.start()
    assert await received(bob) == [b"hello"]


async def test_run_waitsForAnEntryThatHasNotSeenTheEpochYet(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    entry.faults.lag = 1
    report = await alice.sending(to).run(text_message("hello"))
    assert report.hops[entry.id].entry == 1
    assert len(alice.store.passes(1, EPOCH)) == 1


async def test_run_givesUp_whenNoEntryAnswers(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    for relay in world.relays:
        relay.faults.refuse = "too_busy"
    with pytest.raises(NoPass, match="5 passes were fetched"):
        await alice.sending(to).run(text_message("hello"))
    assert len(alice.told) == 5


@pytest.mark.parametrize("fault", ["forged_ack", "refused", "directory", "bad_tick"])
async def test_run_condemnsAnEntryThatCheats(world: World, alice: User, bob: User, fault: str):
    to = await bob.mailboxes.make(bob.wallet)
    cheat = world.relay(await entry_of(alice))
    if fault == "forged_ack":
        cheat.faults.forge_acks = True
    elif fault == "refused":
        cheat.faults.refuse = "bad_signature"
    elif fault == "directory":
        cheat.faults.directory = world.directory(EPOCH).replace(b"127.0.0.1", b"127.0.0.2", 1)
    else:
        cheat.faults.statuses = [DownStatus.BAD_TICK]
    report = await alice.sending(to).run(text_message("hello"))
    assert report.packets_accepted >= 1
    assert b"hello" in await received(bob)
    rows = [stored.row for stored in alice.store.passes(1, EPOCH)]
    assert 1 not in rows, "the pass is not used again, in later runs either"
    assert any(f"relay {cheat.id} is given up" in line for line in alice.told)


@pytest.mark.parametrize("fault", ["hangs_up", "wrong_epoch"])
async def test_run_goesOnAtAnotherEntry_whenOneTakesPassesAndNothingElse(
    world: World, alice: User, bob: User, fault: str
):
    """What may happen to an honest relay, but always: it must not keep its users from sending for a day."""
    to = await bob.mailboxes.make(bob.wallet)
    other, cheat = [relay for relay in world.relays if relay.id != to.relay][:2]
    for relay in (other, cheat):  # the second is drawn first
        alice.take_pass(relay.id)
    cheat.faults.hangs_up = fault == "hangs_up"
    cheat.faults.statuses = [DownStatus.WRONG_EPOCH] * 10_000 if fault == "wrong_epoch" else []
    report = await alice.sending(to).run(text_message("hello"))
    assert (report.packets_accepted, await received(bob)) == (1, [b"hello"])
    assert f"relay {cheat.id} takes nothing" in alice.told[-1]
    assert len(alice.store.passes(1, EPOCH)) == 2, "nothing is proven: in a later run it is tried again"


async def test_run_goesOnAtAnotherEntry_whenOneTakesNoMoreForTheCampaign(
    world: World, alice: User, bob: User
):
    """In mid-conversation: the rest of the message goes through another pass, and this one is kept."""
    to = await bob.mailboxes.make(bob.wallet)
    other, full = [relay for relay in world.relays if relay.id != to.relay][:2]
    for relay in (other, full):  # the second is spent first
        alice.take_pass(relay.id)
    scope = alice.store.passes(1, EPOCH)[0].owned.scope
    full.faults.limit = TICKS
    full.passes._totals[scope] = TICKS - 3  # what others spent there
    report = await alice.sending(to).run(file_message("a.bin", FILE))
    assert await received(bob) == [FILE]
    assert report.hops[full.id].entry == 3
    assert f"relay {full.id} takes no more for the sponsor's campaign; taking another pass" in alice.told
    kept = alice.store.passes(1, EPOCH)
    assert kept[0].counter >= 3, "the pass stays good: the sponsor may add money"
    assert [relay.id for relay in world.relays if relay.shown_to] == sorted((other.id, full.id))
    assert len(kept) == 2


def spend_all(world: World, alice: User) -> None:
    """Nowhere is there anything left of the budget."""
    scope = alice.store.passes(1, EPOCH)[0].owned.scope
    for relay in world.relays:
        relay.faults.limit = TICKS
        relay.passes._totals[scope] = TICKS


async def test_run_saysThatTheBudgetIsUsedUp_andFetchesNoPassAfterPass(
    world: World, alice: User, bob: User
):
    to = await bob.mailboxes.make(bob.wallet)
    asked = [relay for relay in world.relays if relay.id != to.relay][:MOST_FULL]
    for relay in asked:
        alice.take_pass(relay.id)
    spend_all(world, alice)
    for _ in range(4):
        with pytest.raises(BudgetSpent) as said:
            await alice.sending(to).run(text_message("hello"))
        with pytest.raises(BudgetSpent):  # in the same run of the program, too
            await alice.sending(to).run(text_message("hello"))
        alice.restart()
    for words in (
        f"campaign {CAMPAIGN} pays for no more packets in this period: its budget is used up",
        "You have lost nothing",
        "when the sponsor has added money (ask it), or in the next period, from 1970-01-12 16:46:40 UTC on",
    ):
        assert words in str(said.value)
    held = alice.store.passes(1, EPOCH)
    assert [stored.counter for stored in held] == [0] * MOST_FULL, "nothing spent, no other one fetched"
    assert [relay.id for relay in world.relays if relay.shown_to] == [relay.id for relay in asked]
    # The sponsor adds money: the same passes are good again.
    for relay in world.relays:
        relay.faults.limit = 1 << 20
    await alice.sending(to).run(text_message("hello"))
    assert await received(bob) == [b"hello"]
    assert len(alice.store.passes(1, EPOCH)) == MOST_FULL


async def test_run_saysThatTheBudgetIsUsedUp_ratherThanTheQuota(tmp_path: Path, keys: PassKeys):
    world = World(tmp_path, keys)
    world.quotas = Quotas(entry=1, mailbox=1)
    async with world.running():
        alice = User(world, "alice")
        to = await alice.mailboxes.make(alice.wallet)
        await entry_of(alice)
        spend_all(world, alice)
        for _ in range(2):
            with pytest.raises(BudgetSpent, match=r"budget is used up, as relay . says"):
                await alice.sending(to).run(text_message("hello"))
        await alice.close()


async def test_run_findsKeysThatTheEntryHides(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    entry.faults.hidden = {relay.id for relay in world.relays if relay.id != entry.id}
    await alice.sending(to).run(text_message("hello"))
    assert await received(bob) == [b"hello"]
    assert sum(relay.directories_served for relay in world.relays) == 3


async def test_run_avoidsARelayThatWhispersTwoKeys_andTellsOthers(world: World, alice: User, bob: User):
    """Only clients of one entry are shown the second key."""
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    liar = next(relay for relay in world.relays if relay.id not in (entry.id, to.relay))
    entry.faults.whispered = {liar.id}
    report = await alice.sending(to).run(text_message("hello " * 5_000))
    assert report.packets_accepted > 10
    assert liar.id not in report.hops
    assert f"relay {liar.id} signed two packet keys to tell users apart: it is not used" in alice.told
    proof = Equivocation.of(liar.descriptor(EPOCH), liar.descriptor(EPOCH, whispered=True))
    witnesses = [relay for relay in world.relays if relay.directories_served and relay.id != liar.id]
    assert len(witnesses) >= 2
    for relay in world.relays:
        assert relay.proofs == ([proof] if relay in witnesses else [])


async def test_run_givesUpAnEntryThatWhispersTwoKeys(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    liar, other, *_ = (relay for relay in world.relays if relay.id != to.relay)
    for relay in (other, liar):
        alice.take_pass(relay.id)
    liar.faults.whispered = {liar.id}
    report = await alice.sending(to).run(text_message("hello"))
    assert liar.id not in report.hops
    assert any(f"relay {liar.id} is given up: relay {liar.id} signed two" in line for line in alice.told)


async def test_run_refusesAMailboxWhoseRelayWhispersTwoKeys(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    liar, other = world.relay(to.relay), next(relay for relay in world.relays if relay.id != to.relay)
    for relay in (other, liar):
        alice.take_pass(relay.id)
    liar.faults.whispered = {liar.id}
    with pytest.raises(UserError, match=f"relay {liar.id}, which keeps the receiver's mailbox, signed two"):
        await alice.sending(to).run(text_message("hello"))


async def test_run_usesNoRelayThatIsCondemned(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = await entry_of(alice)
    liar = next(relay for relay in world.relays if relay.id not in (entry, to.relay))
    world.view.feed([events.Condemned(*PLACE, liar.id, bytes(20))], EPOCH)
    report = await alice.sending(to).run(text_message("hello " * 5_000))
    assert liar.id not in report.hops


async def test_run_refusesAMailboxAtACondemnedRelay(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.view.feed([events.Condemned(*PLACE, to.relay, bytes(20))], EPOCH)
    with pytest.raises(UserError, match="signed two packet keys to tell users apart: ask the receiver"):
        await alice.sending(to).run(text_message("hello"))


async def test_draw_takesAnotherPass_forOneThatDrewACondemnedRelay(world: World, alice: User):
    drawn = await alice.wallet.draw(1)
    world.view.feed([events.Condemned(*PLACE, drawn.relay.id, bytes(20))], EPOCH)
    assert (await alice.wallet.draw(1)).relay.id != drawn.relay.id
    assert drawn.stored.row not in [stored.row for stored in alice.store.passes(1, EPOCH)]
    assert f"a pass drew relay {drawn.relay.id}, which was condemned; another pass is taken" in alice.told


async def test_run_waits_whenTheEntryIsBusy(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.statuses = [DownStatus.BUSY] * 20
    report = await alice.sending(to).run(text_message("hello"))
    assert await received(bob) == [b"hello"]
    assert (report.packets_sent, report.packets_accepted) == (21, 1)


async def test_run_triesOtherPaths_whenAMixIsUnreachable(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.statuses = [DownStatus.MIX_UNREACHABLE] * 3
    report = await alice.sending(to).run(text_message("hello"))
    assert await received(bob) == [b"hello"]
    assert report.packets_sent == 4


async def test_run_avoidsMixesThatTheEntryCannotReach(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    first_mixes = world.view.layers(EPOCH).members(1)
    entry.faults.unreachable = set([mix for mix in first_mixes if mix not in (entry.id, to.relay)][:-1])
    patient = replace(HASTY, window=1, in_a_row=100, tolerated=100)
    report = await alice.sending(to, patient).run(file_message("a.bin", FILE))
    assert await received(bob) == [FILE]
    assert 9 <= report.packets_sent <= 9 + len(entry.faults.unreachable), "each is tried once at most"


async def test_run_countsWhatIsAcknowledgedLate(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.hold_answers = 1
    report = await alice.sending(to, IMPATIENT).run(text_message("hello"))
    assert (report.packets_sent, report.packets_accepted) == (2, 2), "both were relayed, both are paid for"
    assert await received(bob) == [b"hello"]


async def test_run_sendsAgain_whatWasNotAnswered(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.silent = 2
    report = await alice.sending(to, IMPATIENT).run(file_message("a.bin", FILE))
    assert report.packets_sent == 11
    assert report.packets_accepted == 9
    assert await received(bob) == [FILE], "what came twice is delivered once"


async def test_run_goesOnAtTheSameEntry_whenTheConnectionBreaks(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    entry.faults.hang_up_after = 4
    report = await alice.sending(to).run(file_message("a.bin", FILE))
    assert await received(bob) == [FILE]
    assert len(entry.shown_to) == 2
    assert len(alice.store.passes(1, EPOCH)) == 1
    assert report.packets_sent > 9


@pytest.mark.parametrize("status", [DownStatus.WRONG_EPOCH, DownStatus.BAD_TICK])
async def test_run_followsTheChainIntoTheNextEpoch(world: World, alice: User, bob: User, status: DownStatus):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    entry.faults.statuses = [status]
    world.view.coming = [(world.next_epoch(), Epoch(EPOCH + 1))]
    await alice.sending(to).run(text_message("hello"))
    assert world.view.epoch == EPOCH + 1
    assert alice.told == ["a new epoch has begun: going on with a new pass"]
    assert len(alice.store.passes(1, EPOCH + 1)) == 1, "the new epoch has a pass of its own"
    assert alice.store.passes(1, EPOCH) == []


async def test_run_saysThatTheNetworkHasMoved_whenThatHappensMeanwhile(world: World, alice: User, bob: User):
    """The rest cannot go to this address: the pieces that were taken are in a mailbox of the old release."""
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.hang_up_after = 4
    known = world.view.release
    elsewhere = replace(known, registry=known.pool, activation_epoch=Epoch(EPOCH + 1))
    moved = events.ReleasePublished(*PLACE, 1, elsewhere.activation_epoch, elsewhere)
    world.view.coming = [([moved], Epoch(EPOCH + 1))]
    with pytest.raises(NotSent, match=r"of its 9 pieces were not taken .*moved to a new release"):
        await alice.sending(to).run(file_message("a.bin", FILE))


async def test_run_goesOnWithoutTheChain(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(await entry_of(alice)).faults.hang_up_after = 2
    world.view.outage = True
    await alice.sending(to).run(file_message("a.bin", FILE))
    assert await received(bob) == [FILE]
    assert any("going on with what is known" in line for line in alice.told)


async def test_run_raisesNotSent_whenEntryAfterEntryLosesEverything(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    for relay in world.relays:
        relay.faults.statuses = [DownStatus.REFUSED_BY_MIX] * 1_000
    with pytest.raises(NotSent, match=r"1 of its 1 pieces were not taken \(refused_by_mix\)"):
        await alice.sending(to, replace(HASTY, in_a_row=100, tolerated=100)).run(text_message("hello"))


async def test_run_keepsTheTicks_whenItIsInterrupted(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    entry = world.relay(await entry_of(alice))
    few = alice.sending(to, replace(HASTY, window=8))
    task = asyncio.create_task(few.run(file_message("a.bin", FILE * 8)))
    while entry.served < 5:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 5 <= counter(alice) < 32
    alice.restart()
    await alice.sending(to).run(text_message("hello"))
    assert b"hello" in await received(bob)


async def test_run_refusesAnAddressWhoseRelayIsGone(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    with pytest.raises(UserError, match="relay 77 of this address is not in the network"):
        elsewhere = Address(to.mark, RelayId(77), to.mailbox_id, to.identity)
        await alice.sending(elsewhere).run(text_message("hello"))


async def test_run_saysSo_whenTheMailboxRelayHasPublishedNoKey(world: World, alice: User, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    for relay in world.relays:
        relay.faults.hidden = {to.relay}
    with pytest.raises(NoPath, match=f"relay {to.relay}, which keeps the receiver's mailbox, is down"):
        await alice.sending(to).run(text_message("hello"))


async def test_runPieces_avoidsRelays_andTellsOfEachPacketBeforeItLeaves(
    world: World, alice: User, bob: User
):
    to = await bob.mailboxes.make(bob.wallet)
    entry = await entry_of(alice)
    avoided = {next(mix for mix in world.view.layers(EPOCH).members(2) if mix not in (entry, to.relay))}
    pieces = envelope.fragments(file_message("a.bin", FILE), os.urandom)
    left: list[int] = []
    sending = alice.sending(to)
    sending._avoided, sending._leaving = avoided, lambda index, packed: left.append(index)
    report = await sending.run_pieces(pieces[3:7])
    assert sorted(left) == [3, 4, 5, 6]
    assert sorted(index for index, _ in report.carried) == [3, 4, 5, 6]
    assert not avoided & report.hops.keys()
    assert all(len(path) == 5 and path[0] == entry and path[-1] == to.relay for _, path in report.carried)
