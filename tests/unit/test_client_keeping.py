"""A keeper and its wallet: fetched once by however many commands, stored before use, outlasting troubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import EPOCH, User, World
from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.client.home import Home
from mixpay.client.issuer import Issuer as IssuerClient
from mixpay.client.keeping import Keeper, plan_of
from mixpay.client.prefetch import SPARE_BELOW, Plan
from mixpay.client.wallet import Ticks, Wallet, drawn_relay
from mixpay.errors import ChainUnavailable
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICKS
from mixpay.registry_replica import NotFrozen
from mixpay.sponsor.api import SignAnswer
from mixpay.sponsor.keys import PassKeys
from mixpay.sponsor.policy import Quotas
from mixpay.types import Epoch
from pass_keys import pass_keys

NEXT = Epoch(EPOCH + 1)


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


def plan(user: User) -> Plan:
    return plan_of(user.store, user.world.view, os_random, 1)


def os_random(size: int) -> bytes:
    return b"\x05" * size


def keeper(user: User) -> Keeper:
    return Keeper(user.store, user.world.view, user.wallet, plan(user), user.told.append)


def at(world: World, moment: int) -> None:
    world.view._chain_time = moment


def all_held(user: User) -> list[int]:
    return [user.store.held(*place).fetched for place in plan(user).periods(EPOCH)]


async def test_once_fetchesWhatIsMissing_andEachNextPassAtItsMoment(world: World, alice: User):
    moments = {kind: plan(alice).moments(kind, NEXT)[0] for kind in (KIND_ENTRY, KIND_MAILBOX)}
    first, second = sorted(moments.values())
    assert await keeper(alice).once() == 2
    assert await keeper(alice).once() == 0
    assert all_held(alice) == [1, 1, 0, 0]
    at(world, first)
    assert await keeper(alice).once() == 1
    at(world, second)
    alice.restart()
    assert await keeper(alice).once() == 1
    assert all_held(alice) == [1, 1, 1, 1]


async def test_nextPass_becomesCurrent_withoutAnotherFetch(world: World, alice: User):
    at(world, world.view.schedule.end(EPOCH) - 1)
    assert await keeper(alice).once() == 4
    (waiting,) = alice.store.passes(KIND_ENTRY, NEXT)
    with pytest.raises(NotFrozen):
        drawn_relay(waiting.owned, world.view)
    world.view.feed(world.next_epoch(), NEXT)
    issued = alice.store.held(KIND_ENTRY, NEXT)
    drawn = await alice.wallet.draw(KIND_ENTRY)
    assert drawn.stored == waiting
    assert alice.store.held(KIND_ENTRY, NEXT) == issued
    assert alice.store.held(KIND_ENTRY, EPOCH).fetched == 0, "what is over is gone"
    assert alice.store.passes(KIND_ENTRY, EPOCH) == []


async def test_forgetPast_deletesRequestsToo_andLeavesNothingOfThemInTheFile(world: World, alice: User):
    stored = (await alice.wallet.draw(KIND_ENTRY)).stored
    request = await alice.wallet._prepare(KIND_ENTRY, EPOCH)
    world.view.feed(world.next_epoch(), NEXT)
    alice.wallet.forget_past()
    assert (alice.store.listed(), alice.store.asked()) == ([], [])
    alice.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = (world.folder / "alice" / "state.sqlite").read_bytes()
    assert stored.owned.seed not in file
    assert request.seed not in file


async def test_spare_isFetchedLater_onceHalfIsSpent(world: World, alice: User):
    at(world, world.view.schedule.end(EPOCH) - 3000)
    await keeper(alice).once()
    drawn = await alice.wallet.draw(KIND_ENTRY)
    alice.store.set_counter(drawn.stored.row, TICKS - SPARE_BELOW)
    assert await keeper(alice).once() == 0
    wanted = alice.store.spare(EPOCH)
    assert wanted is not None
    assert wanted >= world.view.chain_time
    alice.restart()
    await keeper(alice).once()
    assert alice.store.spare(EPOCH) == wanted, "drawn once"
    at(world, wanted)
    assert await keeper(alice).once() == 1
    assert alice.store.spare(EPOCH) is None
    assert await keeper(alice).once() == 0, "a whole pass is left"
    for stored in alice.store.passes(KIND_ENTRY, EPOCH):
        alice.store.set_counter(stored.row, TICKS)
    await keeper(alice).once()
    at(world, alice.store.spare(EPOCH) or 0)
    assert await keeper(alice).once() == 0, "the quota is used up: that is no error"


async def test_twoCommands_fetchOnce(world: World, alice: User):
    home = Home(world.folder / "alice")
    waited: list[str] = []
    turn = partial(home.locked, "passes", lambda: waited.append("waiting"))

    def command() -> Wallet:
        issuer = IssuerClient(alice.http, world.url, world.deployment.pool)
        return Wallet(alice.store, issuer, world.view, os_random, turn=turn)

    wallets = [command() for _ in range(3)]
    keepers = [Keeper(alice.store, world.view, wallet, plan(alice)) for wallet in wallets]
    drawn, *fetched = await asyncio.gather(
        wallets[0].draw(KIND_ENTRY), *(keeper.once() for keeper in keepers)
    )
    assert all_held(alice)[:2] == [1, 1]
    assert sum(fetched) in (1, 2), "the entry pass may have been fetched by `draw`"
    assert (await wallets[1].draw(KIND_ENTRY)).stored.row == drawn.stored.row
    assert waited


async def test_aRowIsNeverUsedAgain_forACommandMayStillSpendItsPass(alice: User):
    old = (await alice.wallet.draw(KIND_ENTRY)).stored
    ticks = Ticks(alice.store, old, 0)
    ticks.next()
    alice.store.forget_before(KIND_ENTRY, NEXT)
    await alice.wallet.fetch(KIND_ENTRY, EPOCH)
    ticks.close()
    (new,) = alice.store.passes(KIND_ENTRY, EPOCH)
    assert new.row != old.row
    assert new.counter == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_keep_outlastsTroubles_andTellsEachOnce(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mixpay.client.keeping._FIRST_PAUSE", 0.01)
    url, world.url = world.url, "http://127.0.0.1:9"
    alice.restart()
    rounds = 0

    async def refresh() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            raise ChainUnavailable("the chain is away")

    keeping = asyncio.create_task(keeper(alice).keep(refresh))
    await until(lambda: len(alice.told) == 3)
    keeping.cancel()
    sponsor, chain, again = alice.told
    assert sponsor == again
    assert "sponsor at http://127.0.0.1:9 does not answer" in sponsor
    assert chain == "no pass was fetched ahead: the chain is away; trying on"
    world.url = url
    alice.restart()
    keeping = asyncio.create_task(keeper(alice).keep(refresh))
    await until(lambda: all_held(alice)[:2] == [1, 1])
    keeping.cancel()


async def test_once_fetchesNothing_forPeriodsInWhichTheNetworkIsElsewhere(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
):
    at(world, world.view.schedule.end(EPOCH) - 1)
    monkeypatch.setattr(world.view, "works_in", lambda epoch: epoch <= EPOCH)
    assert await keeper(alice).once() == 2
    assert all_held(alice) == [1, 1, 0, 0]


async def test_once_saysWhatIsWrong(world: World, alice: User, unused_tcp_port: int):
    world.url = f"http://127.0.0.1:{unused_tcp_port}"
    alice.restart()
    with pytest.raises(IssuerUnavailable):
        await keeper(alice).once()


async def test_once_fetchesTheOthers_whenTheSponsorHasNoKeyOfAPeriod(world: World, alice: User):
    """A campaign that began in the middle of a term has no mailbox passes for it: entry passes come all the
    same, and the sponsor is not asked in every round.
    """
    at(world, world.view.schedule.end(EPOCH) - 1)
    world.issuer._store.drop_key(KIND_MAILBOX, EPOCH)
    keeping = keeper(alice)
    assert await keeping.once() == 3
    assert all_held(alice) == [1, 0, 1, 1]
    assert len([line for line in alice.told if "no key of kind 2" in line]) == 1
    alice.wallet._issuer = IssuerClient(alice.http, "http://127.0.0.1:9", world.deployment.pool)
    assert await keeping.once() == 0, "nobody is asked again soon"


async def test_once_fetchesTheOthers_thenSaysWhatWasRefused(world: World, alice: User):
    class Refusing(IssuerClient):
        async def sign(self, kind: int, period: int, blinded: bytes) -> SignAnswer:
            if kind == KIND_ENTRY:
                raise IssuerRefused("share_exceeded", "the sponsor has given all passes that it has")
            return await super().sign(kind, period, blinded)

    alice.wallet._issuer = Refusing(alice.http, world.url, world.deployment.pool)
    with pytest.raises(IssuerRefused, match="all passes"):
        await keeper(alice).once()
    assert all_held(alice)[:2] == [0, 1]
