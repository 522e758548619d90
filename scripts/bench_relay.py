"""Measure what one packet costs a relay process, as a first mix with its real parts: CPU time, microseconds.

Router, channel books, database, mixer and frame codec are those of the daemon; only TLS and the network are
left out, and the neighbours' side is prepared in advance. Prints a table, writes reports/bench_relay.json.
The database's writer is a thread of its own; its CPU time is the process's less the event loop's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixpay import eip712, proof
from mixpay.book import Limits
from mixpay.crypto import secp256k1, x25519
from mixpay.layers import TermLayers
from mixpay.mailbox import Mailboxes
from mixpay.packet import Hop, KeyContext, build, peel
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

ROOT = Path(__file__).resolve().parent.parent
EPOCH = Epoch(1)
PRICE = Amount(10**12)
GROUP = 32
"""Packets that arrive together, as under load."""
LIMITS = Limits(unsigned_window=1 << 20, max_unsettled=Value(1 << 40), credit_limit=Value(1 << 40))


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


class Bench:
    """One relay between an entry and a second mix."""

    def __init__(self, folder: Path) -> None:
        self.operators = {RelayId(n): os.urandom(32) for n in range(1, 10)}
        self.secrets = {relay: os.urandom(32) for relay in self.operators}
        relays = tuple(
            RelayRecord(relay, Position(relay - 1), eip712.account_of(key), bytes([relay]) * 32, "a:1:2")
            for relay, key in self.operators.items()
        )
        draft = Snapshot(EPOCH, bytes(32), 9, os.urandom(32), relays)
        snapshot = Snapshot(EPOCH, draft.recompute_root(), 9, draft.beacon, relays)
        self.layers = TermLayers(snapshot, snapshot)
        self.context = KeyContext(31337, bytes(20), snapshot.root)
        self.me, self.mix2, self.mix3 = (self.layers.members(layer)[0] for layer in (1, 2, 3))
        self.entry = next(r for r in self.operators if r not in (self.me, self.mix2, self.mix3))
        self.spent: dict[str, float] = {}
        self.metrics = Metrics()
        self.hooks = RelayHooks(self.metrics)
        self.wires = {Side.PAYER: Wire(), Side.PAYEE: Wire()}
        self.hooks.links = {side: lambda _, wire=wire: wire for side, wire in self.wires.items()}  # type: ignore[misc]
        self.store = RelayStore(folder / "relay.sqlite")
        self._assemble(snapshot)

    def _assemble(self, snapshot: Snapshot) -> None:
        key = self.operators[self.me]
        purse = Purse(key, Account(eip712.account_of(key)), eip712.channels_domain(31337, Account(bytes(20))))
        accounts = {relay: Account(eip712.account_of(key)) for relay, key in self.operators.items()}
        self.books = Books(purse, LIMITS, self.store, self.hooks, accounts.__getitem__, os.urandom, 0.0)
        mixer: Mixer[Outgoing] = Mixer(1 << 20)
        tags = TagStore(EPOCH, 1 << 20)
        self.router = Router(
            self.me, self.books, tags, mixer, Mailboxes(self.me), self.metrics,
            time.monotonic, lambda: 0, self.hooks.link, 1 << 20, InlineOpener(os.urandom, tags.seen),
        )  # fmt: skip
        self.hooks.router = self.router
        self.desk = Desk(self.books, self.router, self.metrics, time.monotonic)
        secret = self.secrets[self.me]
        public = x25519.public_key(secret)
        self.router.use_epochs(
            {EPOCH: EpochKeys(self.context, snapshot, self.layers, PRICE, public, secret)}, EPOCH
        )

    def packets(self, count: int) -> list[bytes]:
        """Encoded PACKET frames from the entry."""
        hops = [Hop(r, x25519.public_key(self.secrets[r]), 0) for r in (self.me, self.mix2, self.mix3)]
        mailbox = Hop(self.entry, x25519.public_key(self.secrets[self.entry]), 0)
        made = []
        for seq in range(1, count + 1):
            built = build(self.context, hops, mailbox, bytes(16), 0, bytes(2048), os.urandom)
            packet = frames.Packet(seq, EPOCH, built.lock, built.hint, 4, built.packet)
            made.append(frames.encode(packet))
        return made

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Do something, and book its CPU time in this thread under a name."""
        began = time.thread_time()
        result = work()
        self.spent[part] = self.spent.get(part, 0.0) + time.thread_time() - began
        return result

    def acks(self, packets: list[frames.Packet], first: int) -> frames.Acks:
        """The second mix's acknowledgements of what was forwarded to it."""
        return frames.Acks(
            tuple(
                frames.Ack(1, first + n, packet.seq, self._ack_of(packet)) for n, packet in enumerate(packets)
            )
        )

    def _ack_of(self, packet: frames.Packet) -> bytes:
        secret = self.secrets[self.mix2]
        public = x25519.public_key(secret)
        return peel(self.context, secret, public, 2, packet.packet, lambda tag: False).ack

    async def run(self, count: int) -> dict[str, float]:
        """Carry packets and their acks; µs a packet by part."""
        encoded, deframer, process = self.packets(count), frames.Deframer(), 0.0
        for start in range(0, count, GROUP):
            data = b"".join(encoded[start : start + GROUP])
            began = time.process_time()
            arrived = self.timed("decode PACKET", lambda data=data: list(deframer.feed(data)))
            self.timed(
                "peel, replay, lock, hint, book",
                lambda arrived=arrived: self.desk.received(Side.PAYER, self.entry, arrived),
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
                lambda acks=acks: self.desk.received(Side.PAYEE, self.mix2, [acks]),
            )
            await self.store.written(())
            process += time.process_time() - began
        await self.store.close()
        parts = {part: seconds / count * 1e6 for part, seconds in self.spent.items()}
        parts["database, sending acks and packets"] = process / count * 1e6 - sum(parts.values())
        parts["whole relay, without TLS"] = process / count * 1e6
        return parts


def floor_us() -> float:
    """One X25519, two secp256k1 base multiplications, one addition (docs/design.md §6)."""
    secret, other = os.urandom(32), x25519.public_key(os.urandom(32))
    point = secp256k1.base_mult(secret)
    began = time.thread_time()
    for _ in range(2_000):
        x25519.exchange(secret, other)
        secp256k1.multiply_base(secret)
        proof.lock_of(secret, point)
    return (time.thread_time() - began) / 2_000 * 1e6


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=3_000)
    count = parser.parse_args().packets // GROUP * GROUP
    with tempfile.TemporaryDirectory() as folder:

        async def run() -> dict[str, float]:
            return await Bench(Path(folder)).run(count)

        parts = {"floor: X25519, 2 base multiplications, 1 addition": floor_us(), **asyncio.run(run())}
    for part, microseconds in parts.items():
        print(f"{microseconds:8.1f} µs  {part}")
    report = ROOT / "reports" / "bench_relay.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({part: round(value, 2) for part, value in parts.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
