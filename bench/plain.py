"""A relay without incentives: the daemon's parts, with books that book nothing. Of the bench only.

    python -m bench.plain SCRIPT

Same links, frames, packets, replay tags on disk, delays and pulse as the daemon's. What is not there: checks
of lock and hint, channel books, their rows, acks, settlements. No daemon can be started so: an operator has
no switch for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.world import EPOCH
from mixpay import packet as packets
from mixpay import tls
from mixpay.crypto import secp256k1, x25519
from mixpay.packet import Forward, KeyContext
from mixpay.replay import TagStore
from mixpay.types import HOPS, RelayId
from mixpay.wire import frames
from relay.links import Identity, Link, LinkDialer, LinkServer
from relay.path.mixer import PULSE, Mixer
from relay.process import collect_seldom
from relay.store import Changes, IssuedTickets, RelayStore

_TAGS = 50_000_000
_REST = bytes(secp256k1.LONG_POINT_SIZE - secp256k1.POINT_SIZE)
"""Makes a hint as long as it is beside a packet."""


class PlainRelay:
    """Opens packets, holds them, sends them on. Both sides' `LinkEvents`."""

    def __init__(self, script: dict[str, Any], folder: Path) -> None:
        root, registry = bytes.fromhex(script["root"]), bytes.fromhex(script["registry"])
        self._context = KeyContext(script["chain_id"], registry, root)
        secret = bytes.fromhex(script["secret"])
        self._secret, self._public = x25519.SecretKey(secret), x25519.public_key(secret)
        self._tags = TagStore(EPOCH, _TAGS)
        self._mixer: Mixer[tuple[int, Forward]] = Mixer(1 << 20, PULSE)
        self._store = RelayStore(folder / "plain.sqlite")
        self._script = script
        self._links: dict[RelayId, Link] = {}
        self._seq = 0
        identity = Identity(RelayId(script["me"]["relay"]), bytes.fromhex(script["me"]["seed"]))
        self._dialer = LinkDialer(identity, self)
        keys = {p["relay"]: tls.link_key_of(bytes.fromhex(p["seed"])) for p in script["payers"]}
        self._server = LinkServer(identity, lambda payer: keys[payer], self)

    async def serve(self) -> None:
        """Until the process is ended."""
        await self._server.start("127.0.0.1", self._script["me"]["port"])
        for one in self._script["payees"]:
            key = tls.link_key_of(bytes.fromhex(one["seed"]))
            peer = RelayId(one["relay"])
            self._links[peer] = self._dialer.dial(peer, "127.0.0.1", one["port"], key)
        while True:
            self._release()
            await asyncio.sleep(PULSE)

    def _release(self) -> None:
        for value, out in self._mixer.due(time.monotonic()):
            self._seq += 1
            self._links[out.next_relay].send(
                frames.Packet(self._seq, EPOCH, out.next_lock, out.next_hint + _REST, value - 1, out.packet)
            )

    # ------------------------------------------------------------------ LinkEvents

    def opened(self, link: Link) -> None:
        """See `LinkEvents`."""

    def closed(self, link: Link, reason: str) -> None:
        """See `LinkEvents`."""

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        """See `LinkEvents`."""

    def failed(self, peer: RelayId | None, reason: str) -> None:
        """See `LinkEvents`."""

    def received(self, link: Link, arrived: Sequence[frames.LinkFrame]) -> None:
        """See `LinkEvents`."""
        new = [one for frame in arrived if isinstance(frame, frames.Packet) and (one := self._open(frame))]
        if new:
            changes = Changes(IssuedTickets())
            for _, out in new:
                changes.tag(EPOCH, out.tag)
            self._store.write(changes.ops(), lambda: self._hold(new))

    def _open(self, frame: frames.Packet) -> tuple[int, Forward] | None:
        out = packets.peel(
            self._context, self._secret, self._public, HOPS - frame.value, frame.packet,
            lambda tag: self._tags.seen(EPOCH, tag),
        )  # fmt: skip
        if not isinstance(out, Forward) or not self._tags.add(EPOCH, out.tag):
            return None
        return frame.value, out

    def _hold(self, new: Sequence[tuple[int, Forward]]) -> None:
        now = time.monotonic()
        for value, out in new:
            self._mixer.add(now, out.delay_ms / 1000, (value, out))


def main() -> None:
    """Serve until ended."""
    script = json.loads(Path(sys.argv[1]).read_text())
    with tempfile.TemporaryDirectory(dir=os.path.dirname(sys.argv[1])) as folder:  # noqa: PTH120

        async def run() -> None:
            collect_seldom()
            await PlainRelay(script, Path(folder)).serve()

        asyncio.run(run())


if __name__ == "__main__":
    main()
