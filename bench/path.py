"""The relay's data path in one process: what one packet costs it, part by part, as a mix with its real parts.

Desk, router, channel books, database, mixer and frame codec are those of the daemon; only TLS and the network
are left out. The database's writer is a thread of its own: its CPU is the process's less the event loop's.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import Found, Scale
from bench.hop import GROUP, PRICE, WIDE
from bench.supply import Supply, number_of
from mixpay import eip712
from mixpay.book.rows import Channel
from mixpay.crypto import x25519
from mixpay.layers import TermLayers
from mixpay.mailbox import Mailboxes
from mixpay.packet import KeyContext
from mixpay.replay import TagStore
from mixpay.snapshot import RelayRecord, Snapshot
from mixpay.types import Account, Amount, Epoch, Position, RelayId, Value
from mixpay.wire import frames
from relay.keys.epoch_keys import EpochKeys
from relay.metrics import Metrics
from relay.path.arrivals import Outgoing
from relay.path.books import Books, Purse, Side
from relay.path.desk import Desk, RelayHooks
from relay.path.mixer import Mixer
from relay.path.opening import InlineOpener
from relay.path.router import Router
from relay.store import RelayStore

EPOCH = Epoch(1)
_VALUE = Value(4)
LARGE = 1 << 20
"""Packets that may wait for a link."""
_PER_TURN = 20
"""Packets for each slice of other layers."""


class Wire:
    """A link that keeps what is sent on it, encoded as the daemon would."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[frames.LinkFrame] = []

    def send(self, frame: frames.LinkFrame) -> bool:
        """Encode and keep."""
        frames.encode(frame)
        self.sent.append(frame)
        return True

    def refuse(self, reason: str) -> None:
        """Nobody is refused here."""
        raise RuntimeError(reason)


class PathBench:
    """One relay between an entry and a second mix."""

    def __init__(self, folder: Path) -> None:
        operators = {RelayId(n): os.urandom(32) for n in range(1, 10)}
        accounts = {relay: Account(eip712.account_of(key)) for relay, key in operators.items()}
        relays = tuple(
            RelayRecord(relay, Position(relay - 1), account, bytes([relay]) * 32, "a:1:2")
            for relay, account in accounts.items()
        )
        draft = Snapshot(EPOCH, bytes(32), 9, os.urandom(32), relays)
        snapshot = Snapshot(EPOCH, draft.recompute_root(), 9, draft.beacon, relays)
        layers = TermLayers(snapshot, snapshot)
        me, self.next, self.entry = (layers.members(layer)[0] for layer in (1, 2, 3))
        self.wires = {side: Wire() for side in Side}
        metrics = Metrics()
        hooks = RelayHooks(metrics)
        hooks.links = {side: lambda _, wire=wire: wire for side, wire in self.wires.items()}  # type: ignore[misc]
        self.store = RelayStore(folder / "relay.sqlite")
        purse = Purse(operators[me], accounts[me], eip712.channels_domain(31337, bytes(20)))
        self.books = Books(purse, WIDE, self.store, hooks, accounts.__getitem__, os.urandom, 0.0)
        mixer: Mixer[Outgoing] = Mixer(1 << 20)
        tags = TagStore(EPOCH, 1 << 20)
        self.router = Router(
            me, self.books, tags, mixer, Mailboxes(me), metrics, time.monotonic, lambda: 0, hooks.link, LARGE,
            InlineOpener(os.urandom, tags.seen),
        )  # fmt: skip
        hooks.router = self.router
        self.desk = Desk(self.books, self.router, metrics, time.monotonic)
        secret = os.urandom(32)
        public, context = x25519.public_key(secret), KeyContext(31337, bytes(20), snapshot.root)
        self.router.use_epochs({EPOCH: EpochKeys(context, snapshot, layers, PRICE, public, secret)}, EPOCH)
        self.supply = Supply(context, public, [self.next], os.urandom)
        self.spent: dict[str, float] = {}

    def packets(self, count: int) -> list[bytes]:
        """Encoded PACKET frames from the entry, none of which is delayed."""
        made = (self.supply.make(0) for _ in range(count))
        return [
            frames.encode(frames.Packet(one.number + 1, EPOCH, one.lock, one.hint, _VALUE, one.packet))
            for one in made
        ]

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Do something, and book its CPU time in this thread under a name."""
        began = time.thread_time()
        result = work()
        self.spent[part] = self.spent.get(part, 0.0) + time.thread_time() - began
        return result

    def acks(self, forwarded: list[frames.Packet], first: int) -> frames.Acks:
        """The second mix's acknowledgements of what was forwarded to it."""
        found = (self.supply.behind(number_of(packet.packet)).ack for packet in forwarded)
        return frames.Acks(
            tuple(
                frames.Ack(1, first + n, p.seq, ack)
                for n, (p, ack) in enumerate(zip(forwarded, found, strict=True))
            )
        )

    async def run(self, count: int) -> dict[str, float]:
        """Carry packets and their acks; µs a packet by part."""
        rich = Channel(Amount(10**27))
        with self.books.step() as step:
            step.add(Side.PAYER, self.entry, self.books.payee(self.entry).on_channel(rich, 0.0))
            step.add(Side.PAYEE, self.next, self.books.payer(self.next).on_channel(rich))
        encoded, deframer, process = self.packets(count), frames.Deframer(), 0.0
        for start in range(0, count, GROUP):
            data = b"".join(encoded[start : start + GROUP])
            began = time.process_time()
            arrived = self.timed("decode PACKET", partial(_all_frames, deframer, data))
            self.timed(
                "open, check, book",
                partial(self.desk.received, Side.PAYER, self.entry, arrived),
            )
            await self.store.written(())
            self.timed("mixer, next ticket", self.router.release)
            await self.store.written(())
            process += time.process_time() - began
            forwarded = [f for f in self.wires[Side.PAYEE].sent if isinstance(f, frames.Packet)]
            self.wires[Side.PAYEE].sent.clear()
            acks = self.acks(forwarded, start)
            began = time.process_time()
            self.timed(
                "check acks, receipts",
                partial(self.desk.received, Side.PAYEE, self.next, [acks]),
            )
            await self.store.written(())
            process += time.process_time() - began
        await self.store.close()
        parts = {part: seconds / count * 1e6 for part, seconds in self.spent.items()}
        whole = process / count * 1e6
        return {**parts, "database, frames sent": whole - sum(parts.values()), "all, without TLS": whole}


def _all_frames(deframer: frames.Deframer, data: bytes) -> list[frames.LinkFrame]:
    return list(deframer.feed(data))


def measure(scale: Scale) -> Found:
    """µs of a packet by part. Groups are committed one by one, so the database costs more than under load."""
    count = scale.slices * _PER_TURN // GROUP * GROUP or GROUP
    with tempfile.TemporaryDirectory() as folder:

        async def run() -> dict[str, float]:
            return await PathBench(Path(folder)).run(count)

        return Found(detail={"us": asyncio.run(run()), "packets": count})
