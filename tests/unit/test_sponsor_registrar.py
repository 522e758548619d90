"""Keys on the chain ahead of their periods, also when it reorganises."""

from __future__ import annotations

import logging
from pathlib import Path
from unittest.mock import Mock

import pytest

from mixpay import keystore
from mixpay.chain.devchain import DevChain
from mixpay.chain.records import Call, Receipt
from mixpay.chain.sender import Sender
from mixpay.parameters import DEMO
from mixpay.sponsor.campaigns import SIGNER
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.registrar import Registrar
from mixpay.sponsor.store import Store
from mixpay.types import Term
from sponsor_world import PASSWORD, World


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
        keys=PassKeys(store, b"\1" * 32),
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
    # Another database under the same campaign: its keys are not the registered ones.
    second, other = registrar(world, "other")
    found = second.register_keys(epoch, 2)
    assert set(found.foreign) == both(epoch + 2) and found.ours == ()
    assert other.period_keys() == []
    store.close()
    other.close()


def test_registerKeys_saysOnce_withWhichEpochPassesBegin(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.settle_in()
    epoch = world.epoch()
    made, store = registrar(world)
    next_term = world.schedule.first_epoch(Term(world.schedule.term_of(epoch) + 1))
    with caplog.at_level(logging.INFO):
        made.register_keys(epoch, 2)
        made.register_keys(epoch, 2)
    said = [line for line in caplog.messages if "too late" in line]
    assert [line.split(":")[0] for line in said] == [
        f"entry passes begin with epoch {epoch + 1}",
        f"mailbox passes begin with epoch {next_term}",
    ]
    store.close()


class Killed(BaseException):
    """The process ends here."""


def test_registerKeys_takesUpWhatAnInterruptedCallRegistered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settle_in()
    epoch = world.epoch()
    first, store = registrar(world)
    with monkeypatch.context() as patched:
        patched.setattr(store, "put_key", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            first.register_keys(epoch, 2)
    assert world.contracts.pool.key(1, 1, epoch + 1).key_hash != bytes(32)
    store.close()
    again, store = registrar(world)
    assert store.period_keys() == []
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


def test_twoInstancesOnOneDatabase_registerTheSameKeys_whicheverIsFirst(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is overtaken at the last moment: its transaction finds the other's key, which is its
    own.
    """
    world.settle_in()
    epoch = world.epoch()
    first, store = registrar(world)
    second, other = registrar(world)
    send = Sender.send

    def overtaken(sender: Sender, call: Call) -> Receipt:
        with monkeypatch.context() as patched:
            patched.setattr(Sender, "send", send)
            first.register_keys(epoch, 2)
        return send(sender, call)

    monkeypatch.setattr(Sender, "send", overtaken)
    found = second.register_keys(epoch, 2)
    assert set(found.ours) == both(epoch + 1, epoch + 2) and found.foreign == ()
    assert store.period_keys() == other.period_keys()
    store.close()
    other.close()
