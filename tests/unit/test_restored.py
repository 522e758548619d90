"""The record of what was restored, and what a relay does no more because of it. Real books and keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mixpay.book import Limits
from mixpay.errors import UserError
from mixpay.passes import KIND_ENTRY, PassError, Scope
from mixpay.types import Epoch
from mixpay.wire.frames import Acks, LinkFrame
from relay.keys.gossip import Heard
from relay.keys.restored import SERVES_NO_MORE, Restored, read
from relay.path.books import Side
from relay.store import copies
from relay_parts import (
    CAMPAIGN,
    DEPLOYMENT,
    EPOCH,
    Chain,
    Clock,
    Node,
    Parts,
    campaign,
    frame,
    only,
    signing_key,
)


def test_record_isReadAsItWasWritten(tmp_path: Path) -> None:
    path = tmp_path / "restored"
    assert read(path) is None
    for record in (Restored(7), Restored(1_700_000_000, frozenset({"relay.sqlite", "relay-12.sqlite"}))):
        record.write(path)
        assert read(path) == record
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().startswith("# This relay was restored from a backup")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# only words\n",
        b"whole relay.sqlite\n",
        b"backup 1\nbackup 2\n",
        b"backup -1\n",
        b"\xff",
        b"backup 1\nwhole other.sqlite\n",
        b"backup 1\nwhole ../relay.sqlite\n",
        b"backup 1\n\n",
    ],
)
def test_damagedRecord_isNotTakenForNone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "restored"
    path.write_bytes(content)
    with pytest.raises(UserError, match="restored is damaged: put back a copy"):
        read(path)


def test_recordThatCannotBeRead_isTold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path)


async def test_restoredRelay_makesNoKey_takesNoPass_sendsNoTicket(parts: Parts) -> None:
    mix = await parts.node(parts.path()[1], restored=1)
    mix.state.campaigns[CAMPAIGN] = campaign()
    parts.chain.set_key(signing_key(1), KIND_ENTRY, EPOCH)
    await mix.keys.make()
    assert (mix.state.keys.newest, mix.record.read(), mix.asked) == (None, None, [])
    assert mix.keys.notes() == [SERVES_NO_MORE]
    # Not even to a relay that it has no book about: what there was may be lost.
    book = mix.books.payer(parts.path()[2])
    assert (book.restored, book.no_tickets) == (True, "restored")
    assert mix.books.payee(parts.path()[0]).restored
    scope = Scope(DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN, KIND_ENTRY, EPOCH)
    with pytest.raises(PassError, match="carries no packets"):
        mix.state.pass_rules(scope, signing_key(1).public)
    assert (await parts.node(parts.path()[0])).state.keys.newest == EPOCH  # as others do


async def replayed(
    parts: Parts, put_back: Callable[[Path], None], **settings: int
) -> tuple[Node, list[LinkFrame]]:
    """A mix forwards a packet, loses its disk, gets an older copy of it, and is sent the packet again."""
    entry, mix, _, _, _ = parts.path()
    packet = frame(parts.packet())
    node = await parts.node(mix)
    path = node.store.path
    await parts.restart(mix)  # so that all is in the file
    put_back(path)
    node = parts.nodes[mix]
    node.link(Side.PAYER, entry)
    assert len(only(await node.hear(Side.PAYER, entry, packet), Acks)) == 1
    await parts.nodes.pop(mix).close()
    path.unlink()
    path.with_suffix(".copy").rename(path)
    again = await parts.node(mix, **settings)
    again.link(Side.PAYER, entry)
    await again.written()
    again.wires[Side.PAYER][entry].take()
    return again, await again.hear(Side.PAYER, entry, packet)


async def test_naiveCopy_processesAPacketTwice(parts: Parts) -> None:
    """I9 broken: the tags of the lost hours are lost, but the packet keys are there."""
    node, answers = await replayed(parts, lambda path: shutil.copyfile(path, path.with_suffix(".copy")))
    assert len(only(answers, Acks)) == 1
    assert node.count("packets", role="mix") == 1


async def test_restoredRelay_processesNoPacketTwice(parts: Parts) -> None:
    """I9: it has no key any more, and takes no ticket."""
    node, answers = await replayed(
        parts, lambda path: copies.copy(path, path.with_suffix(".copy")), restored=1
    )
    assert only(answers, Acks) == []
    assert node.count("packets", role="mix") == 0
    assert (node.state.keys.get(EPOCH), node.books.payee(parts.path()[0]).totals(1).unsettled) == (None, 0)


async def keys_of_two_lives(folder: Path, **settings: int) -> tuple[bytes, bytes | None]:
    """A relay signs for the next epoch, loses everything, gets the copy from before, and nobody it asks has
    seen the first key yet: both keys."""
    chain, clock, kept = Chain().begin(), Clock(), folder / "kept"
    drawn = iter((b"1" * 32, b"2" * 32, b"3" * 32))

    async def life(place: Path, **more: int) -> Node:
        node = Node(chain.view, 1, place, clock, Limits(), lambda size: next(drawn), **more)
        node.heard = Heard(5, 5)
        await node.keys.use()
        await node.keys.make()
        return node

    (folder / "relay").mkdir()
    await (await life(folder / "relay")).close()
    shutil.copytree(folder / "relay", kept)
    chain.freeze(EPOCH + 1)
    node = await life(folder / "relay")
    first = node.state.keys.get(Epoch(EPOCH + 1))
    await node.close()
    again = await life(kept, **settings)
    second = again.state.keys.get(Epoch(EPOCH + 1))
    await again.close()
    assert first is not None
    return first, second


async def test_naiveCopy_signsTwoKeysForAnEpoch_whichCostsStake(tmp_path: Path) -> None:
    first, second = await keys_of_two_lives(tmp_path)
    assert second not in (None, first)


async def test_restoredRelay_signsNoSecondKey(tmp_path: Path) -> None:
    assert (await keys_of_two_lives(tmp_path, restored=1))[1] is None
