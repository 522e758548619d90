"""A sponsor that issues passes and is never heard of again: the pool pays its entry relays all the same.

Real daemons on a real chain. One network and one clock: the tests are its story, in their order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from mixpay.chain.devchain import DevChain
from mixpay.chain.events import PassesRedeemed
from mixpay.chain.follower import Follower
from mixpay.mailbox import STORAGE_TICKS
from mixpay.parameters import DEMO, TOKEN
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.types import Amount, RelayId
from mixpay.wire.client import DownStatus
from relay.config import PassSettings, TreasuryRules
from relay.daemon import Daemon, Home, assemble
from relay.operator.status_text import status_text
from relay_world import CAMPAIGN, EPOCH, RelayWorld, until
from users import Box, User, packet

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 600
SETTLED = 900
PAUSE = 300
"""More than daemons wait between two tries, and than the chain's clock goes on by itself meanwhile."""
TICK = 5 * DEMO.hop_price
PACKETS = 20
FEW = 3
"""Packets of a user whose pass is not worth gas."""


class SilentWorld(RelayWorld):
    """Nine relays that soon turn to the pool, for passes of ten packets or more; nobody answers as issuer."""

    def _home(self, number: int, ports: list[int]) -> Home:
        home = super()._home(number, ports)
        settings = {
            "passes": PassSettings(redeem_after=PATIENCE, redeem_at=50),
            "treasury": TreasuryRules(
                float_=TOKEN // DEMO.hop_price
            ),  # nothing is swept: balances are compared
        }
        return replace(home, config=msgspec.structs.replace(home.config, **settings))

    def after_the_period(self, seconds: int) -> None:
        """Move the clock to so many seconds after the passes' period, or to now if that is over."""
        moment = self.deployment.genesis + (EPOCH + 1) * self.deployment.epoch_length + seconds
        self.chain.advance_time(to=max(moment, self.rpc.latest().timestamp + 1))

    def carried(self, relay: RelayId) -> int:
        """Packets that a relay took from users."""
        return self.relay(relay).store.roles().get("entry", 0)

    def paid(self) -> dict[RelayId, Amount]:
        """What the campaign has paid, by relay."""
        claimed = self.contracts.pool.claimed_by
        return {daemon.me: claimed(CAMPAIGN, daemon.account).claimed for daemon in self.daemons}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SilentWorld]:
    with DevChain() as chain:
        world = SilentWorld(chain, tmp_path_factory.mktemp("world"))
        world.open_campaign()
        world.register()
        try:
            await world.start()
            await until(lambda: all(d.state.campaigns for d in world.daemons), "the campaign to be known")
            yield world
        finally:
            await world.stop()


@pytest.fixture(scope="module")
def owed() -> dict[RelayId, int]:
    """What passes that are worth gas owe each entry, in ticks."""
    return {}


@pytest.fixture(scope="module")
def kept() -> dict[RelayId, int]:
    """The same of the relay that keeps the mailbox, for that."""
    return {}


async def send(user: User, box: Box, packets: int) -> None:
    assert await user.enter() == 0
    for _ in range(packets):
        down = await user.ask(user.send(packet(user.world, user.entry, box.keeper, box.id)))
        assert down.answers[0].status is DownStatus.ACKNOWLEDGED
    await user.socket.close()


async def test_usersSend_withPassesOfASponsorThatIsGone(
    world: SilentWorld, owed: dict[RelayId, int], kept: dict[RelayId, int]
) -> None:
    async with aiohttp.ClientSession() as http:
        box = Box(world, http)
        await box.make()
        kept[box.keeper] = STORAGE_TICKS
        for packets in (PACKETS, PACKETS + 5, FEW):
            user = User(world, http)
            while user.entry == box.keeper:  # whose second scope would wait until the first is settled
                user = User(world, http)
            await send(user, box, packets)
            if packets > FEW:
                owed[user.entry] = owed.get(user.entry, 0) + packets
            else:
                owed.setdefault(user.entry, 0)
    assert sum(world.carried(relay) for relay in owed) == 2 * PACKETS + 5 + FEW


async def test_untilTheyAreDue_theEntriesWait_andSayForWhat(
    world: SilentWorld, owed: dict[RelayId, int], kept: dict[RelayId, int]
) -> None:
    world.after_the_period(PATIENCE - PAUSE)
    for relay, ticks in owed.items():
        daemon = world.relay(relay)
        await until(lambda d=daemon: said(d, "does not answer"), "the issuer to be missed")
        assert said(daemon, "are redeemed at the pool from") == bool(ticks or relay in kept)
        assert f"{world.carried(relay)} ticks of epoch {EPOCH}" in shown(daemon)
    assert set(world.paid().values()) == {0}


async def test_whenTheyAreDue_thePoolPays_evenIfTheDaemonEndsMeanwhile(
    world: SilentWorld, owed: dict[RelayId, int], kept: dict[RelayId, int]
) -> None:
    world.after_the_period(PATIENCE)
    relay = max(owed, key=lambda relay: owed[relay])
    before = world.relay(relay)
    await until(lambda: world.paid()[relay] > 0, "the pool to pay")
    await before.stop()  # wherever it is, between the chain and its disk
    world.daemons[world.daemons.index(before)] = after = assemble(before.home)
    await after.start()
    due = {relay: owed.get(relay, 0) + kept.get(relay, 0) for relay in {*owed, *kept}}
    expected = {relay: Amount(ticks * TICK) for relay, ticks in due.items() if ticks}
    await until(lambda: {r: a for r, a in world.paid().items() if a} == expected, "all entries to be paid")
    for entry, amount in expected.items():
        assert world.contracts.channels.balance_of(world.relay(entry).account) >= amount


async def test_onceThatIsSettled_passesAreForgotten_andItShows(
    world: SilentWorld, owed: dict[RelayId, int], kept: dict[RelayId, int]
) -> None:
    world.after_the_period(PATIENCE + PAUSE)
    for relay, ticks in owed.items():
        daemon = world.relay(relay)
        if ticks:
            await until(
                lambda d=daemon: d.money.redeemer.paid_at_pool() != {}, "the pool's payment to be seen"
            )
    world.after_the_period(PATIENCE + PAUSE + SETTLED + PAUSE)
    few = [relay for relay, ticks in owed.items() if world.carried(relay) > ticks]
    for relay, ticks in owed.items():
        daemon = world.relay(relay)
        if relay not in few:
            await until(lambda d=daemon: not d.passes.scopes(), "the passes to be forgotten")
        if ticks:
            amount = daemon.money.redeemer.paid_at_pool()[CAMPAIGN]
            assert amount == (ticks + kept.get(relay, 0)) * TICK
            assert "tokens paid by the pool for passes" in shown(daemon)
            assert int(daemon.operations.status().income.received) >= amount
    assert len(few) == 1  # the one that is not worth gas is its issuer's until the window closes


async def test_theChainSaysWhichPassesWerePaidFor(world: SilentWorld) -> None:
    """So an issuer that comes back can count them."""
    follower = Follower(world.rpc, world.deployment, contracts=["SubsidyPool"])
    events = [event for event in follower.poll().events if isinstance(event, PassesRedeemed)]
    ticks: dict[int, dict[bytes, int]] = {KIND_ENTRY: {}, KIND_MAILBOX: {}}
    for event in events:
        assert (event.campaign, event.period) == (CAMPAIGN, EPOCH)
        assert event.amount == sum(event.ticks) * TICK
        ticks[event.kind] |= dict(zip(event.anchors, event.ticks, strict=True))
    assert sorted(ticks[KIND_ENTRY].values()) == [PACKETS, PACKETS + 5]
    assert list(ticks[KIND_MAILBOX].values()) == [STORAGE_TICKS]


def said(daemon: Daemon, text: str) -> bool:
    return any(text in waiting.why for waiting in daemon.money.redeemer.last.waiting)


def shown(daemon: Daemon) -> str:
    return status_text(daemon.operations.status())
