"""Keys of a packet's layers, what they are bound to, and why a packet is dropped."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import shake_256

from mixpay.crypto import lioness, secp256k1
from mixpay.errors import PeerError
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.records import record

LABEL = b"mixpay-packet-v1"
NONCE = bytes(12)
"""A header key is used once."""

KIND_MESSAGE = 0
"""The kind of a packet whose data the mailbox keeps for its owner."""
KIND_REQUEST = 2
"""The kind of one whose data the mailbox's relay is asked by (`wire.requests`)."""
KIND_COVER = 3
"""The kind of one that is for nobody."""
KIND_REPLY = 1
"""The kind of a packet whose payload only the maker of its reply block can check; all others are checked by
the relay that delivers them.
"""

_KEYS = struct.Struct(f"{REPLAY_TAG_SIZE}s32s{lioness.KEY_SIZE}s{secp256k1.SEED_SIZE}s{secp256k1.SEED_SIZE}s")


class PacketError(PeerError):
    """A packet that is dropped; `reason` is the label of one of the classes below."""

    label = "bad_packet"

    def __init__(self, detail: str = "") -> None:
        super().__init__(self.label, detail)
        self.detail = detail

    def __reduce__(self) -> tuple[type[PacketError], tuple[str]]:
        return type(self), (self.detail,)  # packets are peeled in worker processes


class Malformed(PacketError):
    """Wrong size or padding; not made for this key, chain, directory or layer; or changed on its way."""

    label = "malformed"


class Replayed(PacketError):
    """The packet's tag was seen before."""

    label = "replayed"


class LowOrder(PacketError):
    """A public key of low order, or not in its one encoding."""

    label = "low_order"


@dataclass(frozen=True, slots=True)
class KeyContext:
    """What packet keys are bound to beside the Diffie-Hellman secret.

    chain_id: u64; registry: address, 20 bytes; root: the registry's frozen root of the key's epoch, 32 bytes,
    so that a client who was shown a forged directory makes packets that fail.

    Raises ValueError for other sizes.
    """

    chain_id: int
    registry: bytes
    root: bytes
    prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.chain_id < 2**64 or len(self.registry) != 20 or len(self.root) != 32:
            raise ValueError("a key context is a u64, 20 bytes and 32 bytes")
        prefix = LABEL + self.chain_id.to_bytes(8, "big") + self.registry + self.root
        object.__setattr__(self, "prefix", prefix)


@record
class Layer:
    """Keys of one layer: replay tag 16, header key 32, payload key 128, scalars of 32 bytes."""

    tag: bytes = field(repr=False)
    header_key: bytes = field(repr=False)
    payload_key: bytes = field(repr=False)
    own: bytes = field(repr=False)
    ack: bytes = field(repr=False)


def derive(context: KeyContext, shared: bytes, ephemeral: bytes, public_key: bytes) -> Layer:
    """The keys that follow from a Diffie-Hellman secret, and from everything that it is for."""
    stream = shake_256(b"".join((context.prefix, shared, ephemeral, public_key))).digest(_KEYS.size)
    tag, header_key, payload_key, own_seed, ack_seed = _KEYS.unpack(stream)
    own, ack = secp256k1.scalar_from(own_seed), secp256k1.scalar_from(ack_seed)
    return Layer(tag, header_key, payload_key, own, ack)
