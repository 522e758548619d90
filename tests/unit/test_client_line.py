"""The line into the network: what leaves at which time, what comes back, and which entries are left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import EPOCH, HASTY, User, World
from mixpay.client.errors import NotSent, RelayUnavailable
from mixpay.client.line import Line, Moved, Parcel, Stay
from mixpay.client.profile import BACKGROUND, FOREGROUND, Pace
from mixpay.client.route import NoPath, Packed, packed
from mixpay.client.session import Session
from mixpay.packet import GEOMETRY, KIND_COVER
from mixpay.passes import KIND_ENTRY
from mixpay.sponsor.keys import PassKeys
from mixpay.types import Epoch, RelayId
from mixpay.wire import client as wire
from mixpay.wire.client import DownStatus, Send
from pass_keys import pass_keys

PROFILE = replace(HASTY, ack_timeout=1.0)
PACE = Pace("hasty", 0.02, 0)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


@pytest_asyncio.fixture
async def bob(world: World) -> AsyncIterator[User]:
    user = User(world, "bob")
    yield user
    await user.close()


@asynccontextmanager
async def line_of(bob: User, pace: Pace = PACE) -> AsyncIterator[Line]:
    view = bob.world.view
    session = Session(bob.http, view, bob.wallet, os.urandom, bob.told.append)
    async with Line(session, view, bob.wallet, PROFILE, pace, os.urandom) as line:
        yield line


def cover(stay: Stay) -> Packed:
    """For nobody, by whoever wants to know that it was taken."""
    end = min(stay.paths.directory.descriptors.keys() - {stay.relay})
    nothing = os.urandom(2048)
    return packed(stay.paths, stay.relay, end, os.urandom(16), KIND_COVER, nothing, os.urandom)


def parcel(stay: Stay | None = None) -> Parcel:
    return Parcel(cover, asyncio.get_running_loop().create_future(), stay=stay)


async def until(condition, limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.005)


async def test_coverLeaves_whereNothingWaits_andSomeOfItComesBack(world: World, bob: User):
    async with line_of(bob) as line:
        await line.stay()
        await until(lambda: line.cover.scores.sent >= 5)
        assert line.cover.scores.lost == 0
    assert sum(relay.covers for relay in world.relays) >= 5
    entry = world.relay((await bob.wallet.draw(KIND_ENTRY)).relay.id)
    assert entry.served > 10, "at a single entry"
    assert sum(relay.served for relay in world.relays) == entry.served


async def test_relayThatLosesLoops_isAvoided(world: World, bob: User):
    async with line_of(bob) as line:
        stay = await line.stay()
        mixes = [mix for mix in world.view.layers(EPOCH).members(2) if mix != stay.relay]
        world.dead.add(mixes[0])
        scores = line.cover.scores
        now = asyncio.get_running_loop().time()
        for _ in range(20):
            scores.add((RelayId(77), mixes[0], RelayId(78)), now, back=False)
            scores.add((RelayId(77), mixes[-1], RelayId(78)), now, back=True)
        line.cover.make(stay, now)
        for _ in range(50):
            path, _, _ = stay.paths.draw(stay.relay, stay.relay, os.urandom)
            assert mixes[0] not in path


async def test_parcels_leaveInTheirOrder_andTheirSendersHearOfIt(bob: User):
    left: list[int] = []
    async with line_of(bob) as line:
        parcels = [parcel() for _ in range(5)]
        for number, one in enumerate(parcels):
            one.leaving = lambda _packed, number=number: left.append(number)
            line.put(one)
        taken = await asyncio.wait_for(asyncio.gather(*(one.taken for one in parcels)), 20)
    assert left == [0, 1, 2, 3, 4]
    assert all(isinstance(one, Packed) for one in taken)


async def test_parcelThatIsRefused_goesByAnotherPath(world: World, bob: User):
    entry = world.relay((await bob.wallet.draw(KIND_ENTRY)).relay.id)
    entry.faults.statuses = [DownStatus.MIX_UNREACHABLE, DownStatus.NO_ACK]
    async with line_of(bob) as line:
        one = parcel()
        line.put(one)
        assert await asyncio.wait_for(one.taken, 20)


async def test_parcelThatCannotBeMade_isSaid_andTheOthersLeave(bob: User):
    def nowhere(stay: Stay) -> Packed:
        raise NoPath("relay 9 is down")

    async with line_of(bob) as line:
        bad, good = Parcel(nowhere, asyncio.get_running_loop().create_future()), parcel()
        line.put(bad)
        line.put(good)
        with pytest.raises(NoPath, match="relay 9"):
            await asyncio.wait_for(bad.taken, 20)
        await asyncio.wait_for(good.taken, 20)


@pytest.mark.parametrize("fault", ["drops", "hangs_up", "forge_acks"])
async def test_entryThatIsNoGood_isLeft_andWhatWaitsMovesAlong(world: World, bob: User, fault: str):
    first = world.relay((await bob.wallet.draw(KIND_ENTRY)).relay.id)
    setattr(first.faults, fault, True)
    async with line_of(bob) as line:
        stay = await line.stay()
        assert stay.relay == first.id
        bound, free = parcel(stay), parcel()
        line.put(bound)
        line.put(free)
        with pytest.raises(Moved):
            await asyncio.wait_for(bound.taken, 30)
        await asyncio.wait_for(free.taken, 30)
        assert (await line.stay()).relay != first.id


async def test_connectionThatIsLost_costsNoPass(world: World, bob: User):
    drawn = await bob.wallet.draw(KIND_ENTRY)
    first = world.relay(drawn.relay.id)
    async with line_of(bob) as line:
        stay = await line.stay()
        await until(lambda: first.served >= 3)
        await asyncio.gather(*first.hang_up())
        await until(stay.over.done)
        assert (await line.stay()).relay == first.id, "the same pass again"


async def test_entriesThatAllTakeNothing_endTheLine(world: World, bob: User):
    for relay in world.relays:
        relay.faults.hangs_up = True
    async with line_of(bob) as line:
        one = parcel()
        line.put(one)
        with pytest.raises(RelayUnavailable, match="carried nothing"):
            await asyncio.wait_for(one.taken, 30)
        with pytest.raises(RelayUnavailable):
            await line.stay()
        late = parcel()
        line.put(late)
        with pytest.raises(RelayUnavailable):
            await late.taken


async def test_parcelThatNoMixTakes_isGivenUp(world: World, bob: User):
    for relay in world.relays:
        relay.faults.statuses = [DownStatus.REFUSED_BY_MIX] * 10_000
    async with line_of(bob) as line:
        one = parcel()
        line.put(one)
        with pytest.raises((NotSent, RelayUnavailable)):
            await asyncio.wait_for(one.taken, 30)


async def test_newEpoch_isMetAtAnotherEntry_byItself(world: World, bob: User):
    async with line_of(bob) as line:
        stay = await line.stay()
        world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
        await until(stay.over.done)
        assert (await line.stay()).paths.epoch == EPOCH + 1


async def test_blocksOfAnEntryThatIsLeft_areNoUse(world: World, bob: User):
    async with line_of(bob) as line:
        stay = await line.stay()
        _, reply = stay.block(min(stay.paths.directory.descriptors))
        await asyncio.gather(*world.relay(stay.relay).hang_up())
        with pytest.raises(Moved):
            await asyncio.wait_for(reply, 20)


async def test_lineThatIsClosed_leavesNothingBehind(bob: User):
    async with line_of(bob) as line:
        await line.stay()
        one = parcel()
        line.put(one)
    assert one.taken.done()
    assert not [task for task in asyncio.all_tasks() if "Line." in repr(task)]


def megabytes(pace: Pace, seconds: float) -> tuple[float, float]:
    """What goes up and comes down, with 90 bytes of WebSocket, TLS, TCP and IP for each frame."""
    send = Send(1, 0, 1, bytes(32), RelayId(1), 1, bytes(20), bytes(65), bytes(GEOMETRY.packet_size))
    up, down = (len(wire.encode(frame)) + 90 for frame in (send, wire.down([])))
    return seconds / pace.interval * up / 1e6, seconds / (pace.beat / 1000) * down / 1e6


def test_paces_costWhatIsSaid() -> None:
    assert [round(each) for each in megabytes(FOREGROUND, 86_400)] == [308, 262]
    assert [round(each) for each in megabytes(BACKGROUND, 86_400)] == [24, 21]
    phone = sum(megabytes(FOREGROUND, 3_600)) + sum(megabytes(BACKGROUND, 23 * 3_600))
    assert 60 < phone < 80
