"""Nine relays carry packets, refuse what is wrong, and settle: real sockets, real databases, a real chain.

One network for all tests; the first counts all that it has carried until then.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from mixpay.errors import PeerError
from mixpay.mailbox import Created, mailbox_id_of
from mixpay.types import Epoch
from relay_world import RelayWorld, until

EPOCH = Epoch(2)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_relays_carry_packets_and_are_paid_to_the_unit(world: RelayWorld) -> None:
    ids = [daemon.me for daemon in world.daemons]
    entry, mailbox = world.relay(ids[0]), world.relay(ids[-1])
    fetch_key = os.urandom(32)
    box = mailbox_id_of(fetch_key)
    created = mailbox.mailboxes.create(box, fetch_key, 2**40, mailbox.state.chain_time)
    assert isinstance(created, Created)

    packets = 40
    acks = []
    for _ in range(packets):
        path = world.layers().draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
        built = world.packet(path, mailbox.me, box)
        entry.router.check_first_mix(built.first_relay, EPOCH)
        future = entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
        acks.append((future, built.first_ack))
    for future, expected in acks:
        assert await asyncio.wait_for(future, 10) == expected
    await until(lambda: mailbox.mailboxes.counts[1] == packets, "all packets to arrive")

    for daemon in world.daemons:
        daemon.desk.settle()
    price = world.deployment.parameters.hop_price

    def settled() -> bool:
        return sum(
            book.totals(price).settled for daemon in world.daemons for book in daemon.books.payees.values()
        ) == packets * (4 + 3 + 2 + 1)

    await until(settled, "all batches to be settled")
    for daemon in world.daemons:
        for payer, book in daemon.books.payees.items():
            mirror = world.relay(payer).books.payers[daemon.me]
            ours, theirs = book.totals(price), mirror.totals(price)
            assert (ours.cumulative, ours.upto_batch) == (theirs.cumulative, theirs.upto_batch)  # I7
            assert ours.unsettled == theirs.unsettled == 0

    income = {daemon.me: 0 for daemon in world.daemons}
    for daemon in world.daemons:
        income[daemon.me] += sum(book.totals(price).settled for book in daemon.books.payees.values())
        income[daemon.me] -= sum(book.totals(price).settled for book in daemon.books.payers.values())
    assert sum(income.values()) == 0  # the entry owes 4 a packet here: nobody paid it with ticks
    carried = {daemon.me: sum(daemon.store.roles().values()) for daemon in world.daemons}
    for relay, amount in income.items():
        assert amount == carried[relay] - (4 * packets if relay == entry.me else 0)  # I8


async def test_a_packet_is_carried_once(world: RelayWorld) -> None:
    entry, mailbox = world.daemons[0], world.daemons[-1]
    path = world.layers().draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
    built = world.packet(path, mailbox.me, os.urandom(16))
    ack = await entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
    assert ack == built.first_ack
    with pytest.raises(PeerError, match="replayed"):
        await entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)


async def test_wrong_lock_and_wrong_hint_are_refused_before_they_are_acknowledged(world: RelayWorld) -> None:
    entry, mailbox = world.daemons[0], world.daemons[-1]
    path = world.layers().draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
    one, other = (world.packet(path, mailbox.me, os.urandom(16)) for _ in range(2))
    with pytest.raises(PeerError, match="wrong_lock"):
        await entry.router.submit(one.first_relay, EPOCH, other.lock, one.hint, one.packet)
    with pytest.raises(PeerError, match="wrong_hint"):
        await entry.router.submit(other.first_relay, EPOCH, other.lock, one.hint, other.packet)


async def test_aRelay_tellsItsOperatorWhatItCanCarry(world: RelayWorld) -> None:
    operations = world.daemons[0].operations
    told = operations.status().capacity
    assert told is not None
    assert told.packets > 0
    assert f"mixpay_capacity_packets {float(told.packets)}" in operations.metrics().decode()
