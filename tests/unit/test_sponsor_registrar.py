"""Keys on the chain ahead of their periods, and the chain as the issuer follows it, also when it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sponsor_world import PASSWORD, World

from mixpay import keystore
from mixpay.chain.devchain import DevChain
from mixpay.chain.sender import Sender
from mixpay.errors import ChainUnavailable
from mixpay.parameters import DEMO
from mixpay.registry_replica import NotFrozen
from mixpay.sponsor.campaigns import SIGNER
from mixpay.sponsor.keys import KeyFolder, Period
from mixpay.sponsor.registrar import Registrar
from mixpay.sponsor.store import Store
from mixpay.sponsor.view import FollowedChain
from mixpay.types import Epoch, RelayId


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with DevChain() as chain:
        yield chain


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    return World(chain, tmp_path)


def registrar(world: World, folder: str = "keys") -> tuple[Registrar, Store]:
    number = 1
    path = world.home.folder / folder
    store = Store(
        world.home.folder / f"{folder}.db", world.deployment.chain_id, world.deployment.pool, number
    )
    signer = Sender(world.rpc, keystore.load(world.home.keystore, SIGNER, PASSWORD))
    made = Registrar(
        contracts=world.contracts,
        sender=signer,
        schedule=world.schedule,
        campaign=number,
        keys=KeyFolder(path / "pem", b"\1" * 32),
        store=store,
    )
    path.mkdir(exist_ok=True)
    return made, store


def both(*periods: int) -> set[Period]:
    return {Period(kind, period) for kind in (1, 2) for period in periods}


def test_registerKeys_aheadOnceAndWithTheHopPrice(world: World) -> None:
    world.settle_in()
    made, store = registrar(world)
    epoch = world.epoch()
    # The constructor's own touch fixed this epoch; the next one's beacon is not drawn yet.
    found = made.register_keys(epoch, 2)
    assert set(found.ours) == both(epoch + 1, epoch + 2) and set(found.late) == both(epoch)
    assert found.foreign == ()
    for period in found.ours:
        stored, on_chain = (
            store.key(period.kind, period.number),
            world.contracts.pool.key(1, period.kind, period.number),
        )
        assert stored is not None and stored.hop_price == on_chain.hop_price == DEMO.hop_price
    block = world.rpc.latest().number
    assert made.register_keys(epoch, 2) == found
    assert world.rpc.latest().number == block
    following = made.register_keys(world.next_epoch(), 2)
    assert set(following.ours) == both(epoch + 1, epoch + 2, epoch + 3)
    store.close()


def test_registerKeys_leavesPeriodsAloneThatAreDrawnOrTaken(world: World) -> None:
    world.settle_in()
    world.freeze()
    epoch = world.epoch()
    first, store = registrar(world)
    found = first.register_keys(epoch, 2)
    assert set(found.ours) == both(epoch + 2) and set(found.late) == both(epoch, epoch + 1)
    # Another folder under the same campaign: its keys are not the registered ones.
    second, other = registrar(world, "other")
    found = second.register_keys(epoch, 2)
    assert set(found.foreign) == both(epoch + 2) and found.ours == ()
    assert other.period_keys() == []
    store.close()
    other.close()


def test_registerKeys_takesUpWhatAnInterruptedCallRegistered(world: World) -> None:
    world.settle_in()
    epoch = world.epoch()
    first, store = registrar(world)
    first.register_keys(epoch, 2)
    store.close()
    (world.home.folder / "keys.db").unlink()
    again, store = registrar(world)
    assert set(again.register_keys(epoch, 2).ours) == both(epoch + 1, epoch + 2)
    assert len(store.period_keys()) == 4
    store.close()


def test_registerKeys_restoresWhatAReorganisationLost(world: World) -> None:
    world.settle_in()
    epoch = world.epoch()
    made, store = registrar(world)
    before = world.rpc.request("evm_snapshot")
    made.register_keys(epoch, 2)
    world.rpc.request("evm_revert", before)
    assert world.contracts.pool.key(1, 1, epoch + 1).key_hash == bytes(32)
    assert set(made.register_keys(epoch, 2).ours) == both(epoch + 1, epoch + 2)
    assert world.contracts.pool.key(1, 1, epoch + 1).key_hash != bytes(32)
    store.close()


def test_registerKeys_forgetsAKeyThatWasLostForGood(world: World) -> None:
    world.settle_in()
    epoch = world.epoch()
    made, store = registrar(world)
    before = world.rpc.request("evm_snapshot")
    made.register_keys(epoch, 2)
    world.rpc.request("evm_revert", before)
    world.freeze()
    found = made.register_keys(epoch, 2)
    assert set(found.ours) == both(epoch + 2) and set(found.late) == both(epoch, epoch + 1)
    assert {Period(key.kind, key.period) for key in store.period_keys()} == both(epoch + 2)
    store.close()


def test_view_followsRelaysAndTime(world: World) -> None:
    view = FollowedChain(world.rpc, world.deployment)
    with pytest.raises(ChainUnavailable):
        view.now()
    relay, operator = world.register("a")
    epoch = world.join()
    view.poll()
    assert view.now() == world.rpc.latest().timestamp
    snapshot = view.snapshot(epoch)
    snapshot.verify()
    record = snapshot.by_id(relay)
    assert record is not None and record.operator == operator
    frozen = world.contracts.registry.frozen(epoch)
    assert (snapshot.root, snapshot.count, snapshot.beacon) == (frozen.root, frozen.count, frozen.beacon)
    assert view.operator(relay) == operator and view.operator(RelayId(77)) is None
    with pytest.raises(NotFrozen):
        view.snapshot(Epoch(epoch + 2))


def test_view_keepsTheRelaysOfPastEpochs(world: World) -> None:
    view = FollowedChain(world.rpc, world.deployment)
    first, _ = world.register("a")
    epoch = world.join()
    world.leave("a", first)
    second, _ = world.register("b")
    later = world.join()
    view.poll()
    old, new = view.snapshot(epoch), view.snapshot(later)
    assert [r.id for r in old.relays] == [first] and [r.id for r in new.relays] == [second]
    assert old.relays[0].position == new.relays[0].position


def test_view_goesBackWhenTheChainReorganises(world: World) -> None:
    view = FollowedChain(world.rpc, world.deployment)
    first, _ = world.register("a")
    view.poll()
    before = world.rpc.request("evm_snapshot")
    world.register("lost")
    world.chain.mine(3)
    view.poll()
    world.rpc.request("evm_revert", before)
    second, _ = world.register("b")
    world.chain.mine(9)
    epoch = world.join()
    view.poll()
    snapshot = view.snapshot(epoch)
    snapshot.verify()
    assert [record.operator for record in snapshot.relays] == [
        world.contracts.registry.relay(relay).operator for relay in (first, second)
    ]


def test_view_readsAgainWhenItCannotGoBack(world: World) -> None:
    view = FollowedChain(world.rpc, world.deployment)
    before = world.rpc.request("evm_snapshot")
    world.register("lost")
    view.poll()
    view._copies.clear()
    world.rpc.request("evm_revert", before)
    relay, _ = world.register("b")
    world.chain.mine(9)
    epoch = world.join()
    view.poll()
    assert [record.id for record in view.snapshot(epoch).relays] == [relay]
