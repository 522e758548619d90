"""A relay is restored from a copy that was taken while it carried packets: real sockets, a real chain."""

from __future__ import annotations

import asyncio
import os

import pytest

from mixpay.errors import PeerError
from mixpay.packet import Built
from mixpay.types import Epoch
from relay.daemon import Daemon, assemble
from relay.keys.restored import SERVES_NO_MORE, Restored
from relay.path.books import Side
from relay.store import copies
from relay_world import RelayWorld, until

EPOCH = Epoch(2)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def packet(world: RelayWorld, entry: Daemon, first: Daemon) -> Built:
    """A packet through one first mix."""
    mailbox = next(daemon for daemon in reversed(world.daemons) if daemon not in (entry, first))
    path = world.layers().draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
    return world.packet((first.me, *path[1:]), mailbox.me, os.urandom(16))


async def send(entry: Daemon, built: Built) -> None:
    await entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)


async def carry(world: RelayWorld, entry: Daemon, first: Daemon, packets: int) -> None:
    for _ in range(packets):
        await send(entry, packet(world, entry, first))


async def settle(world: RelayWorld) -> None:
    """Everybody with everybody."""

    def is_settled() -> bool:
        for daemon in world.daemons:
            daemon.desk.settle()
        books = [book for daemon in world.daemons for book in daemon.books.payees.values()]
        return not any(book.totals(1).unsettled for book in books)

    await until(is_settled, "all batches to be settled", 60)


async def test_restoredRelay_getsItsVouchersBack_andHarmsNobody(world: RelayWorld) -> None:
    layer = set(world.layers().members(1))
    mix = next(daemon for daemon in world.daemons if daemon.me in layer)
    entry = next(daemon for daemon in world.daemons if daemon.me not in layer)
    await carry(world, entry, mix, 5)
    await settle(world)
    await carry(world, entry, mix, 5)
    copy = mix.home.path / "copy.sqlite"
    await asyncio.to_thread(copies.copy, mix.home.database, copy)
    before = mix.books.payees[entry.me].totals(1).cumulative
    for _ in range(2):
        await carry(world, entry, mix, 5)
        await settle(world)
    await carry(world, entry, mix, 5)  # not settled, and lost
    owed = {payer: book.totals(1).cumulative for payer, book in mix.books.payees.items()}
    ours = {payee: book.totals(1).cumulative for payee, book in mix.books.payers.items()}
    assert owed[entry.me] > before

    late = packet(world, entry, mix)
    await mix.stop()
    mix.home.database.unlink()
    copy.rename(mix.home.database)
    (mix.home.path / "keys").mkdir(exist_ok=True)
    Restored(1).write(mix.home.path / "keys" / "restored")
    back = assemble(mix.home)
    world.daemons[world.daemons.index(mix)] = back
    await back.start()
    assert back.books.payees[entry.me].totals(1).cumulative == before

    def are_back() -> bool:
        return all(back.books.payee(payer).totals(1).cumulative == total for payer, total in owed.items())

    await until(are_back, "payers to repeat their vouchers")
    assert back.keys.notes() == [SERVES_NO_MORE]
    assert back.state.keys.get(EPOCH) is None
    with pytest.raises(PeerError, match="wrong_epoch"):
        await send(entry, late)
    for other in world.daemons:
        sides = ((Side.PAYER, other.books.payees), (Side.PAYEE, other.books.payers))
        assert [peer for _, books in sides for peer, book in books.items() if book.refused] == []
    for payee, total in ours.items():  # it has forgotten some of what it signed, and signs nothing beyond it
        assert back.books.payer(payee).totals(1).cumulative <= total
        assert world.relay(payee).books.payee(back.me).totals(1).cumulative == total
