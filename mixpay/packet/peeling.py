"""One layer off a packet: what each relay on its way finds."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import field
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mixpay.crypto import lioness, x25519
from mixpay.geometry import GEOMETRY, MAILBOX_ROUTING, MIX_ROUTING, Geometry
from mixpay.packet.keys import KIND_REPLY, NONCE, KeyContext, Layer, LowOrder, Malformed, Replayed, derive
from mixpay.records import record
from mixpay.types import RelayId


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
    """The mailbox's layer: mailbox id (16 bytes), kind (u8) and the user's data.

    Of a reply, which only the maker of its block can read: the whole payload.
    """

    mailbox_id: bytes = field(repr=False)
    kind: int
    user_data: bytes = field(repr=False)


Found: TypeAlias = Forward | Deliver


def peel(
    context: KeyContext,
    secret_key: x25519.SecretKey,
    public_key: bytes,
    layer: int,
    packet: bytes,
    is_replay: Callable[[bytes], bool],
    geometry: Geometry = GEOMETRY,
) -> Found:
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
    keys = derive(context, shared, ephemeral, public_key)
    if is_replay(keys.tag):
        raise Replayed
    try:
        sealed = packet[x25519.KEY_SIZE : header_size]
        opened = ChaCha20Poly1305(keys.header_key).decrypt(NONCE, sealed, None)
    except InvalidTag as error:
        raise Malformed("header") from error
    payload = lioness.decrypt(keys.payload_key, packet[first_size:])
    if layer == geometry.layers:
        return _delivered(keys, opened, payload, geometry)
    relay, delay_ms, next_lock, next_hint = MIX_ROUTING.unpack_from(opened)
    inner = opened[MIX_ROUTING.size :]
    forwarded = b"".join((inner, bytes(first_size - len(inner)), payload))
    return Forward(keys.tag, keys.own, keys.ack, RelayId(relay), delay_ms, next_lock, next_hint, forwarded)


def without_check(payload: bytes, user_size: int) -> bytes:
    """So many bytes of user data in an innermost payload. Raises Malformed if anything in it was changed."""
    check_size = len(payload) - user_size
    if not hmac.compare_digest(payload[:check_size], bytes(check_size)):
        raise Malformed("payload")
    return payload[check_size:]


def _delivered(keys: Layer, routing: bytes, payload: bytes, geometry: Geometry) -> Deliver:
    mailbox_id, kind = MAILBOX_ROUTING.unpack(routing)
    user_data = payload if kind == KIND_REPLY else without_check(payload, geometry.user_size)
    return Deliver(keys.tag, keys.own, keys.ack, mailbox_id, kind, user_data)
