"""Packet keys by epoch: made once, never made again; and who may send to whom under them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mixpay.types import Epoch, RelayId
from relay.keys.epoch_keys import PacketKeys
from relay.path.books import Side
from relay_parts import EPOCH, PRICE, Parts, frame, packet_secret


def numbered(secrets: dict[Epoch, bytes] | None = None, signed: Epoch | None = None) -> PacketKeys:
    """Keys that tell in which order they were made."""
    made = iter(range(1, 1000))
    return PacketKeys(secrets or {}, lambda size: next(made).to_bytes(size, "big"), signed)


def make(keys: PacketKeys, epoch: int) -> bytes | None:
    """Draw a key and hold it."""
    secret = keys.draw(Epoch(epoch))
    if secret is not None:
        assert keys.hold(Epoch(epoch), secret)
    return secret


def test_key_isMadeOnce() -> None:
    keys = numbered()
    assert keys.newest is None
    first = make(keys, 3)
    assert first == (1).to_bytes(32, "big")
    assert make(keys, 3) is None
    assert not keys.hold(Epoch(3), bytes(32))
    assert keys.get(Epoch(3)) == first
    assert keys.get(Epoch(4)) is None
    assert keys.newest == 3


def test_drawnKey_isNotUsedBeforeItIsHeld() -> None:
    keys = numbered()
    assert keys.draw(Epoch(3)) is not None
    assert (keys.get(Epoch(3)), keys.newest) == (None, None)


def test_expire_destroysWhatIsBelowTheFloor() -> None:
    keys = numbered()
    for epoch in (3, 4, 5):
        make(keys, epoch)
    assert keys.expire(Epoch(5)) == [3, 4]
    assert [keys.get(Epoch(epoch)) is None for epoch in (3, 4, 5)] == [True, True, False]
    assert keys.expire(Epoch(5)) == []


def test_destroyedKey_isNeverMadeAgain() -> None:
    keys = numbered()
    make(keys, 3), make(keys, 4)
    keys.expire(Epoch(4))
    assert make(keys, 3) is None
    assert keys.get(Epoch(3)) is None


def test_noOldKey_afterARestartWithALaggingClock() -> None:
    """The RPC endpoint is an epoch behind: a key for that epoch would be a second one."""
    keys = numbered({Epoch(5): bytes(32), Epoch(6): bytes(32)})
    assert make(keys, 4) is None
    assert keys.get(Epoch(4)) is None


def test_noKey_forWhatWasSignedInAnEarlierLife() -> None:
    """The database is lost, or an older copy was put back; the record is not."""
    for secrets in ({}, {Epoch(4): bytes(32)}):
        keys = numbered(secrets, signed=Epoch(6))
        assert keys.newest == 6
        assert make(keys, 5) is None and make(keys, 6) is None
        assert keys.get(Epoch(4)) == secrets.get(Epoch(4))
        assert make(keys, 7) is not None


def test_recordOfAnOlderEpoch_takesNothingAway() -> None:
    keys = numbered({Epoch(7): bytes(32)}, signed=Epoch(6))
    assert keys.newest == 7 and keys.get(Epoch(7)) == bytes(32)


def test_forgoneEpoch_getsNoKey_notEvenOneThatIsDrawn() -> None:
    keys = numbered()
    secret = keys.draw(Epoch(3))
    assert secret is not None
    keys.forgo(Epoch(3))
    assert not keys.hold(Epoch(3), secret)
    assert keys.get(Epoch(3)) is None
    assert make(keys, 4) is not None
    keys.forgo(Epoch(3))  # which is long over
    assert keys.newest == 4 and keys.get(Epoch(4)) is not None


@given(st.lists(st.tuples(st.sampled_from(["make", "forgo", "expire", "restart"]), st.integers(0, 12))))
def test_everyEpoch_hasAtMostOneKeyEver(calls: list[tuple[str, int]]) -> None:
    keys = numbered()
    ever: dict[int, bytes] = {}
    for what, epoch in calls:
        if what == "make":
            made = make(keys, epoch)
            assert made is None or epoch not in ever
            ever |= {epoch: made} if made is not None else {}
        elif what == "restart":  # from a database that has lost the keys from `epoch` on
            kept = {e: secret for e in map(Epoch, range(epoch)) if (secret := keys.get(e)) is not None}
            keys = PacketKeys(kept, keys._random, keys.newest)
        else:
            (keys.forgo if what == "forgo" else keys.expire)(Epoch(epoch))
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
    await node.keys.make()
    before = node.store.packet_keys()
    assert sorted(before) == [EPOCH, EPOCH + 1]

    again = await parts.restart(1)
    assert again.store.packet_keys() == before
    parts.chain.at(EPOCH + 1, 1)  # within the grace
    await again.keys.make()
    assert sorted(again.store.packet_keys()) == [EPOCH, EPOCH + 1]
    parts.chain.at(EPOCH + 1, 2_000)
    await again.keys.make()
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
    await node.keys.make()
    assert list(node.store.tags(Epoch(0))) == []
    await parts.close()


async def test_relayThatIsNotMember_makesNoKey(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.chain.register(10)
    node = await parts.node(10)
    assert node.state.epoch_keys() == {}
    assert node.store.packet_keys() == {}
    parts.chain.freeze(EPOCH + 1)
    await node.keys.make()
    assert sorted(node.store.packet_keys()) == [EPOCH + 1]
    await parts.close()
