"""Packets as a client makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mixpay import proof
from mixpay.crypto import lioness, secp256k1, x25519
from mixpay.geometry import GEOMETRY, MAILBOX_ID_SIZE, MAILBOX_ROUTING, MIX_ROUTING, Geometry
from mixpay.packet.keys import KIND_REPLY, NONCE, KeyContext, Layer, LowOrder, derive
from mixpay.records import record
from mixpay.types import Random, RelayId


@dataclass(frozen=True, slots=True)
class Hop:
    """A relay as one layer of a path: its X25519 key of the epoch (32 bytes), its delay in ms (u16).

    Raises ValueError for other sizes.
    """

    relay: RelayId
    packet_key: bytes
    delay_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.relay < 2**32 or not 0 <= self.delay_ms < 2**16:
            raise ValueError("a relay id has 32 bits, a delay 16")
        if len(self.packet_key) != x25519.KEY_SIZE:
            raise ValueError(f"a packet key has {x25519.KEY_SIZE} bytes")


@dataclass(frozen=True, slots=True)
class Built:
    """A new packet, and what the client gives the entry with it: first mix, lock (20) and hint (65).

    `first_ack` (32 bytes) is what the entry must bring back from the first mix.
    """

    first_relay: RelayId
    lock: bytes
    hint: bytes
    first_ack: bytes = field(repr=False)
    packet: bytes = field(repr=False)


@record
class Head:
    """The header of a path, its layers' keys, and the lock (20 bytes) and hint of its first ticket."""

    header: bytes = field(repr=False)
    layers: Sequence[Layer] = field(repr=False)
    lock: bytes = field(repr=False)
    hint: secp256k1.Point = field(repr=False)


def build(
    context: KeyContext,
    mixes: Sequence[Hop],
    mailbox: Hop,
    mailbox_id: bytes,
    kind: int,
    user_data: bytes,
    random: Random,
    geometry: Geometry = GEOMETRY,
) -> Built:
    """Make a packet through three mixes to a mailbox.

    mailbox_id: 16 bytes; kind: u8, not that of replies; user_data: exactly `geometry.user_size` bytes; the
    mailbox's delay: 0. Draws 32 bytes from `random` for each layer, in order of the path.

    Raises ValueError for other sizes, LowOrder if a relay's packet key is unfit.
    """
    if len(user_data) != geometry.user_size:
        raise ValueError(f"a packet has {geometry.user_size} bytes of user data")
    if kind == KIND_REPLY:
        raise ValueError("a reply is made with the block that it answers")
    made = head(context, mixes, mailbox, mailbox_id, kind, random, geometry)
    payload = bytes(geometry.check_size) + user_data
    for layer in reversed(made.layers):
        payload = lioness.encrypt(layer.payload_key, payload)
    hint = secp256k1.encode(made.hint, secp256k1.LONG_POINT_SIZE)
    return Built(mixes[0].relay, made.lock, hint, made.layers[0].ack, made.header + payload)


def head(
    context: KeyContext,
    mixes: Sequence[Hop],
    mailbox: Hop,
    mailbox_id: bytes,
    kind: int,
    random: Random,
    geometry: Geometry,
) -> Head:
    """Make the header of a path. Arguments, draws and errors as in `build`."""
    if len(mixes) != geometry.mixes:
        raise ValueError(f"a packet has {geometry.mixes} mixes")
    if len(mailbox_id) != MAILBOX_ID_SIZE or not 0 <= kind < 2**8 or mailbox.delay_ms != 0:
        raise ValueError(f"a mailbox is {MAILBOX_ID_SIZE} bytes, a kind one; a mailbox does not delay")
    hops = [*mixes, mailbox]
    ephemerals, layers = zip(*(start_layer(context, hop, random) for hop in hops), strict=True)
    hints = [secp256k1.multiply_base(layer.ack) for layer in layers]
    locks = _locks(layers)
    header = b""
    for index in reversed(range(len(hops))):
        if index == geometry.mixes:
            routing = MAILBOX_ROUTING.pack(mailbox_id, kind)
        else:
            relay, delay_ms = hops[index + 1].relay, hops[index].delay_ms
            routing = MIX_ROUTING.pack(relay, delay_ms, locks[index + 1], secp256k1.encode(hints[index + 1]))
        sealed = ChaCha20Poly1305(layers[index].header_key).encrypt(NONCE, routing + header, None)
        header = ephemerals[index] + sealed
    return Head(header, layers, locks[0], hints[0])


def start_layer(context: KeyContext, hop: Hop, random: Random) -> tuple[bytes, Layer]:
    """Draw a layer's ephemeral key; return its public half and the layer's keys."""
    secret = random(x25519.KEY_SIZE)
    ephemeral = x25519.public_key(secret)
    try:
        shared = x25519.exchange(secret, hop.packet_key)
    except x25519.WeakKey as error:
        raise LowOrder(str(error)) from error
    return ephemeral, derive(context, shared, ephemeral, hop.packet_key)


def _locks(layers: Sequence[Layer]) -> list[bytes]:
    """Locks of all layers. The sender knows each response, so a lock costs it no addition of points."""
    next_acks = [*(layer.ack for layer in layers[1:]), None]
    return [
        secp256k1.base_address(proof.response(layer.own, next_ack))
        for layer, next_ack in zip(layers, next_acks, strict=True)
    ]
