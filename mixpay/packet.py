"""The layered packet: built by a client, peeled once by each relay on its way (DESIGN §5).

One Diffie-Hellman operation a layer, after Rial, Piotrowska, Halpin: *Outfox, a packet format for a layered
mixnet*, arXiv 2412.19937. Four layers: three mixes and the mailbox; the entry relay only forwards.

    packet    = header ‖ zero bytes up to the size of the first header ‖ payload         always 2,450 bytes
    header_i  = E_i 32 ‖ ChaCha20-Poly1305(header key, routing_i ‖ header_{i+1}) ‖ tag 16
    routing_i = next relay u32 ‖ delay ms u16 ‖ next lock 20 ‖ next hint 33              a mix
              = mailbox id 16 ‖ kind u8                                                  the mailbox
    payload_i = LIONESS(payload key, payload_{i+1}); the innermost is 16 zero bytes ‖ 2,048 user bytes

Keys of layer i: SHAKE-256(label 16 ‖ chain id u64 ‖ registry 20 ‖ root 32 ‖ shared 32 ‖ E_i 32 ‖ K_i 32),
where shared = X25519(e_i, K_i), cut into replay tag 16, header key 32, payload key 128, own seed 48, ack
seed 48. A header key is used once, so its nonce is zero. The padding needs no secrecy: links are encrypted,
and a relay knows its layer from the ticket. But it must be zero: a packet has one encoding.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import shake_256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mixpay import proof
from mixpay.crypto import lioness, secp256k1, x25519
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY, MAILBOX_ID_SIZE, MAILBOX_ROUTING, MIX_ROUTING, REPLAY_TAG_SIZE, Geometry
from mixpay.records import record
from mixpay.types import Random, RelayId

__all__ = [
    "GEOMETRY",
    "MAILBOX_ID_SIZE",
    "Built",
    "Deliver",
    "Forward",
    "Geometry",
    "Hop",
    "KeyContext",
    "LowOrder",
    "Malformed",
    "PacketError",
    "Peeled",
    "Replayed",
    "build",
    "peel",
]

LABEL = b"mixpay-packet-v1"

_NONCE = bytes(12)
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
class Peeled:
    """What every layer holds for its relay: replay tag (16 bytes) and proof scalars (32 bytes each)."""

    tag: bytes = field(repr=False)
    own: bytes = field(repr=False)
    ack: bytes = field(repr=False)


@record
class Forward(Peeled):
    """A mix's layer: where to send the packet next, after how long, and the next ticket's lock and hint."""

    next_relay: RelayId
    delay_ms: int
    next_lock: bytes = field(repr=False)
    next_hint: bytes = field(repr=False)
    packet: bytes = field(repr=False)


@record
class Deliver(Peeled):
    """The mailbox's layer: mailbox id (16 bytes), kind (u8) and the user's data."""

    mailbox_id: bytes = field(repr=False)
    kind: int
    user_data: bytes = field(repr=False)


@record
class _Layer:
    """Keys of one layer."""

    tag: bytes = field(repr=False)
    header_key: bytes = field(repr=False)
    payload_key: bytes = field(repr=False)
    own: bytes = field(repr=False)
    ack: bytes = field(repr=False)


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

    mailbox_id: 16 bytes; kind: u8; user_data: exactly `geometry.user_size` bytes; the mailbox's delay: 0.
    Draws 32 bytes from `random` for each layer, in order of the path.

    Raises ValueError for other sizes, LowOrder if a relay's packet key is unfit.
    """
    if len(mixes) != geometry.mixes or len(user_data) != geometry.user_size:
        raise ValueError(f"a packet has {geometry.mixes} mixes and {geometry.user_size} bytes of user data")
    if len(mailbox_id) != MAILBOX_ID_SIZE or not 0 <= kind < 2**8 or mailbox.delay_ms != 0:
        raise ValueError(f"a mailbox is {MAILBOX_ID_SIZE} bytes, a kind one; a mailbox does not delay")
    hops = [*mixes, mailbox]
    ephemerals, layers = zip(*(_start_layer(context, hop, random) for hop in hops), strict=True)
    hints = [secp256k1.multiply_base(layer.ack) for layer in layers]
    locks = _locks(layers)

    header = b""
    payload = bytes(geometry.check_size) + user_data
    for index in reversed(range(len(hops))):
        if index == geometry.mixes:
            routing = MAILBOX_ROUTING.pack(mailbox_id, kind)
        else:
            relay, delay_ms = hops[index + 1].relay, hops[index].delay_ms
            routing = MIX_ROUTING.pack(relay, delay_ms, locks[index + 1], secp256k1.encode(hints[index + 1]))
        sealed = ChaCha20Poly1305(layers[index].header_key).encrypt(_NONCE, routing + header, None)
        header = ephemerals[index] + sealed
        payload = lioness.encrypt(layers[index].payload_key, payload)
    hint = secp256k1.encode(hints[0], secp256k1.LONG_POINT_SIZE)
    return Built(mixes[0].relay, locks[0], hint, layers[0].ack, header + payload)


def peel(
    context: KeyContext,
    secret_key: x25519.SecretKey,
    public_key: bytes,
    layer: int,
    packet: bytes,
    is_replay: Callable[[bytes], bool],
    geometry: Geometry = GEOMETRY,
) -> Forward | Deliver:
    """Take one layer off a packet with a relay's X25519 key pair of the packet's key epoch.

    layer: 1 .. geometry.layers, as the ticket's value says. `is_replay` is asked with the 16-byte tag right
    after the Diffie-Hellman, before anything is deciphered, so that a replay costs no more. It need only
    look: who keeps the tags adds this one once the whole packet was found good.

    Raises Malformed, LowOrder, Replayed; ValueError for a layer that does not exist.
    """
    if not 1 <= layer <= geometry.layers:
        raise ValueError(f"layers go from 1 to {geometry.layers}")
    header_size, first_size = geometry.header_sizes[layer - 1], geometry.header_sizes[0]
    if len(packet) != geometry.packet_size:
        raise Malformed("size")
    if packet.count(0, header_size, first_size) != first_size - header_size:
        raise Malformed("padding")
    ephemeral = packet[: x25519.KEY_SIZE]
    try:
        shared = secret_key.exchange(ephemeral)
    except x25519.WeakKey as error:
        raise LowOrder(str(error)) from error
    keys = _derive(context, shared, ephemeral, public_key)
    if is_replay(keys.tag):
        raise Replayed
    try:
        sealed = packet[x25519.KEY_SIZE : header_size]
        opened = ChaCha20Poly1305(keys.header_key).decrypt(_NONCE, sealed, None)
    except InvalidTag as error:
        raise Malformed("header") from error
    payload = lioness.decrypt(keys.payload_key, packet[first_size:])
    if layer == geometry.layers:
        return _delivered(keys, opened, payload, geometry)
    relay, delay_ms, next_lock, next_hint = MIX_ROUTING.unpack_from(opened)
    inner = opened[MIX_ROUTING.size :]
    forwarded = b"".join((inner, bytes(first_size - len(inner)), payload))
    return Forward(keys.tag, keys.own, keys.ack, RelayId(relay), delay_ms, next_lock, next_hint, forwarded)


def _delivered(keys: _Layer, routing: bytes, payload: bytes, geometry: Geometry) -> Deliver:
    if not hmac.compare_digest(payload[: geometry.check_size], bytes(geometry.check_size)):
        raise Malformed("payload")
    mailbox_id, kind = MAILBOX_ROUTING.unpack(routing)
    return Deliver(keys.tag, keys.own, keys.ack, mailbox_id, kind, payload[geometry.check_size :])


def _start_layer(context: KeyContext, hop: Hop, random: Random) -> tuple[bytes, _Layer]:
    """Draw a layer's ephemeral key; return its public half and the layer's keys."""
    secret = random(x25519.KEY_SIZE)
    ephemeral = x25519.public_key(secret)
    try:
        shared = x25519.exchange(secret, hop.packet_key)
    except x25519.WeakKey as error:
        raise LowOrder(str(error)) from error
    return ephemeral, _derive(context, shared, ephemeral, hop.packet_key)


def _derive(context: KeyContext, shared: bytes, ephemeral: bytes, public_key: bytes) -> _Layer:
    stream = shake_256(b"".join((context.prefix, shared, ephemeral, public_key))).digest(_KEYS.size)
    tag, header_key, payload_key, own_seed, ack_seed = _KEYS.unpack(stream)
    own, ack = secp256k1.scalar_from(own_seed), secp256k1.scalar_from(ack_seed)
    return _Layer(tag, header_key, payload_key, own, ack)


def _locks(layers: Sequence[_Layer]) -> list[bytes]:
    """Locks of all layers. The sender knows each response, so a lock costs it no addition of points."""
    next_acks = [*(layer.ack for layer in layers[1:]), None]
    return [
        secp256k1.base_address(proof.response(layer.own, next_ack))
        for layer, next_ack in zip(layers, next_acks, strict=True)
    ]
