"""Packets for one relay, made in advance: to it they are as those of clients, in size and in form.

Only the first layer is real: the relay under test opens no other. What is inside is noise with the packet's
number in front, by which the load process knows it again when it has come through. The scalars of the layers
behind come from a small stock, and payloads are alike: no relay can tell, and making a packet costs a fifth.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from itertools import cycle

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mixpay import proof
from mixpay.client.profile import FAST, mix_delay
from mixpay.crypto import secp256k1
from mixpay.geometry import GEOMETRY, MIX_ROUTING
from mixpay.packet import Hop, KeyContext, building
from mixpay.types import Random, RelayId

NUMBER = struct.Struct(">Q")
_STOCK = 256
_NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class Behind:
    """What the next relay holds for a packet: its ack, and the response that opens its own ticket."""

    ack: bytes = field(repr=False)
    response: bytes = field(repr=False)
    hint: bytes
    lock: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A packet to be sent, with its ticket's lock (20 bytes) and hint (65)."""

    number: int
    delay_ms: int
    lock: bytes = field(repr=False)
    hint: bytes = field(repr=False)
    header: bytes = field(repr=False)
    payload: bytes = field(repr=False)

    @property
    def packet(self) -> bytes:
        """Its bytes on the wire."""
        return self.header + self.payload


class Supply:
    """Makes packets under one packet key (`public`, 32 bytes), for these next relays by turns."""

    def __init__(self, context: KeyContext, public: bytes, nexts: list[RelayId], random: Random) -> None:
        self._context, self._public, self._random = context, public, random
        self._nexts = cycle(nexts)
        self._payload = random(GEOMETRY.payload_size)
        self._stock = [self._behind() for _ in range(_STOCK)]
        self._made = 0
        self._ready: deque[Ready] = deque()

    def _behind(self) -> Behind:
        ack, response = (secp256k1.scalar_from(self._random(secp256k1.SEED_SIZE)) for _ in range(2))
        return Behind(ack, response, secp256k1.base_mult(ack), secp256k1.base_address(response))

    def behind(self, number: int) -> Behind:
        """What the next relay holds for the packet of this number."""
        return self._stock[number % _STOCK]

    def prepare(self, count: int) -> None:
        """Have so many packets ready."""
        while len(self._ready) < count:
            self._ready.append(self.make())

    def take(self) -> Ready:
        """A packet that was prepared; one made now if there is none."""
        return self._ready.popleft() if self._ready else self.make()

    def make(self, delay_ms: int | None = None) -> Ready:
        """The next packet; its delay is a client's draw, unless it is given."""
        number, self._made = self._made, self._made + 1
        behind = self.behind(number)
        delay = mix_delay(FAST, self._random) if delay_ms is None else delay_ms
        ephemeral, keys = building.start_layer(  # the first layer, as `build` makes it
            self._context, Hop(RelayId(0), self._public, 0), self._random
        )
        routing = MIX_ROUTING.pack(next(self._nexts), delay, behind.lock, behind.hint)
        inside = NUMBER.pack(number).ljust(GEOMETRY.header_sizes[1], b"\0")
        sealed = ChaCha20Poly1305(keys.header_key).encrypt(_NONCE, routing + inside, None)
        lock = secp256k1.base_address(proof.response(keys.own, behind.ack))
        hint = secp256k1.base_mult(keys.ack, secp256k1.LONG_POINT_SIZE)
        return Ready(number, delay, lock, hint, ephemeral + sealed, self._payload)


def number_of(forwarded: bytes) -> int:
    """The number of a packet that has come through the relay."""
    number: int = NUMBER.unpack_from(forwarded)[0]
    return number
