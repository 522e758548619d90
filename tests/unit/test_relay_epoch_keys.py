"""Packet keys by epoch: made once, never made again; and who may send to whom under them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mixpay.types import Epoch, RelayId
from relay.books import Side
from relay.epoch_keys import PacketKeys
from relay_parts import EPOCH, PRICE, Parts, frame, packet_secret


def numbered() -> PacketKeys:
    """Keys that tell in which order they were made."""
    made = iter(range(1, 1000))
    return PacketKeys({}, lambda size: next(made).to_bytes(size, "big"))


def test_need_makesAKeyOnce() -> None:
    keys = numbered()
    first = keys.need(Epoch(3))
    assert first == (1).to_bytes(32, "big")
    assert keys.need(Epoch(3)) is None
    assert keys.get(Epoch(3)) == first
    assert keys.get(Epoch(4)) is None


def test_expire_destroysWhatIsBelowTheFloor() -> None:
    keys = numbered()
    for epoch in (3, 4, 5):
        keys.need(Epoch(epoch))
    assert keys.expire(Epoch(5)) == [3, 4]
    assert [keys.get(Epoch(epoch)) is None for epoch in (3, 4, 5)] == [True, True, False]
    assert keys.expire(Epoch(5)) == []


def test_need_neverMakesADestroyedKeyAgain() -> None:
    keys = numbered()
    keys.need(Epoch(3)), keys.need(Epoch(4))
    keys.expire(Epoch(4))
    assert keys.need(Epoch(3)) is None
    assert keys.get(Epoch(3)) is None


def test_need_afterARestartWithALaggingClock_makesNoOldKey() -> None:
    """The RPC endpoint is an epoch behind: a key for that epoch would be a second one."""
    keys = PacketKeys({Epoch(5): bytes(32), Epoch(6): bytes(32)}, lambda size: b"\1" * size)
    assert keys.need(Epoch(4)) is None
    assert keys.get(Epoch(4)) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=40))
def test_everyEpoch_hasAtMostOneKeyEver(calls: list[tuple[bool, int]]) -> None:
    keys = numbered()
    ever: dict[int, bytes] = {}
    for is_need, epoch in calls:
        if is_need:
            made = keys.need(Epoch(epoch))
            assert made is None or epoch not in ever
            ever |= {epoch: made} if made is not None else {}
        else:
            keys.expire(Epoch(epoch))
        found = keys.get(Epoch(epoch))
        assert found is None or found == ever[epoch]


def test_secrets_areNotShown() -> None:
    keys = PacketKeys({EPOCH: packet_secret(1)}, bytes)
    assert packet_secret(1).hex() not in repr(keys) and repr(packet_secret(1)) not in repr(keys)


async def test_epochKeys_showNoSecretAndHaveThePrice(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    node = await parts.node(1)
    keys = node.state.epoch_keys()[EPOCH]
    assert keys.hop_price == PRICE
    assert keys.secret == packet_secret(1)
    assert repr(keys.secret) not in repr(keys)
    await parts.close()


async def test_may_followsTheLayers(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    keys = (await parts.node(1)).state.epoch_keys()[EPOCH]
    entry, mix1, mix2, mix3, mailbox = parts.path()
    hops = [(entry, mix1, 1), (mix1, mix2, 2), (mix2, mix3, 3), (mix3, mailbox, 4)]
    for payer, relay, layer in hops:
        for other in (1, 2, 3, 4):
            right = other == layer or (other == 4 and payer in parts.members(3))
            right = right or (other == 1 and relay in parts.members(1))  # everybody is an entry
            assert keys.may_come(payer, relay, other) is right, (payer, relay, other)
    assert keys.may_go(mix1, mix2, 1) and not keys.may_go(mix1, mix3, 1)
    assert keys.may_go(mix3, mailbox, 3) and not keys.may_go(mix3, mailbox, 4)
    for stranger in (0, 77, 2**32 - 1):
        assert not keys.may_come(RelayId(stranger), mix1, 1)
        assert not keys.may_come(entry, RelayId(stranger), 1)
        assert not keys.may_go(mix3, RelayId(stranger), 3)
    await parts.close()


async def test_keys_areKeptOverARestart_andDestroyedAfterTheirGrace(tmp_path: Path) -> None:
    drawn = iter(range(1, 100))
    parts = Parts(tmp_path, random=lambda size: next(drawn).to_bytes(size, "big"))
    node = await parts.node(1)
    parts.chain.freeze(EPOCH + 1)
    await node.chain.update_keys()
    before = node.store.packet_keys()
    assert sorted(before) == [EPOCH, EPOCH + 1]

    again = await parts.restart(1)
    assert again.store.packet_keys() == before
    parts.chain.at(EPOCH + 1, 1)  # within the grace
    await again.chain.update_keys()
    assert sorted(again.store.packet_keys()) == [EPOCH, EPOCH + 1]
    parts.chain.at(EPOCH + 1, 2_000)
    await again.chain.update_keys()
    assert again.store.packet_keys() == {EPOCH + 1: before[Epoch(EPOCH + 1)]}
    await parts.close()


async def test_tagsGoWithTheirKey(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    entry, mix1, *_ = parts.path()
    node = await parts.node(mix1)
    node.link(Side.PAYER, entry)
    await node.hear(Side.PAYER, entry, frame(parts.packet()))
    assert len(list(node.store.tags(Epoch(0)))) == 1
    parts.chain.freeze(EPOCH + 1)
    parts.chain.at(EPOCH + 1, 2_000)
    await node.chain.update_keys()
    assert list(node.store.tags(Epoch(0))) == []
    await parts.close()


async def test_relayThatIsNotMember_makesNoKey(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.chain.register(10)
    node = await parts.node(10)
    assert node.state.epoch_keys() == {}
    assert node.store.packet_keys() == {}
    parts.chain.freeze(EPOCH + 1)
    await node.chain.update_keys()
    assert sorted(node.store.packet_keys()) == [EPOCH + 1]
    await parts.close()
