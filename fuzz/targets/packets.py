"""What a relay peels: real packets that were changed, and what a hostile client may seal into one."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fuzz import world
from fuzz.target import Target, require
from mixpay import packet, proof
from mixpay.crypto import secp256k1, x25519
from mixpay.errors import PeerError
from mixpay.geometry import AEAD_TAG_SIZE, GEOMETRY, MAILBOX_ROUTING, MIX_ROUTING
from mixpay.packet import Deliver, Forward, Hop, KeyContext, PacketError, building
from mixpay.packet.keys import Layer
from mixpay.types import RelayId

_CONTEXT = KeyContext(world.DEPLOYMENT.chain_id, world.DEPLOYMENT.registry, bytes(32))
_FIRST = GEOMETRY.header_sizes[0]
_PATCH = 3
"""A change: u16 place, and a byte that is added to what stands there by xor."""


@cache
def _keys(layer: int) -> tuple[x25519.SecretKey, bytes]:
    secret = world.packet_secret(layer)
    return x25519.SecretKey(secret), x25519.public_key(secret)


def _peel(layer: int, data: bytes) -> Forward | Deliver:
    return packet.peel(_CONTEXT, *_keys(layer), layer, data, lambda tag: False)


@cache
def real(layer: int) -> bytes:
    """A good packet as the relay of a layer (1 to 4) gets it."""
    if layer > 1:
        before = _peel(layer - 1, real(layer - 1))
        if not isinstance(before, Forward):
            raise RuntimeError("only the last layer is the mailbox's")
        return before.packet
    hops = [Hop(RelayId(number), _keys(number)[1], 10 * (number < 4)) for number in range(1, 5)]
    user_data, random = world.dice(3).randbytes(GEOMETRY.user_size), world.dice(4).randbytes
    return packet.build(_CONTEXT, hops[:3], hops[3], bytes(16), 0, user_data, random).packet


# ------------------------------------------------------------------ changed packets


def _changed(original: bytes, changes: bytes) -> bytes:
    out = bytearray(original)
    for at in range(0, len(changes) - _PATCH + 1, _PATCH):
        out[int.from_bytes(changes[at : at + 2], "big") % len(out)] ^= changes[at + 2]
    return bytes(out)


def run_changed(data: bytes) -> None:
    """First byte: bits 0 and 1 the layer; bit 2: the packet itself follows, else changes to a real one."""
    if not data:
        return
    layer = 1 + data[0] % 4
    original = real(layer)
    given = data[1:] if data[0] & 4 else _changed(original, data[1:])
    try:
        peeled = _peel(layer, given)
    except PacketError:
        require(given != original, "a good packet is taken")
        return
    require(given[:_FIRST] == original[:_FIRST], "a header that was changed is refused")
    if isinstance(peeled, Deliver):
        require(given == original, "what was changed on its way is not delivered")
        require(len(peeled.user_data) == GEOMETRY.user_size, "user data has one size")
    else:
        require(len(peeled.packet) == len(given), "packets have one size")


def _changed_seeds() -> list[bytes]:
    places = (0, 31, 32, 100, _FIRST - 1, _FIRST, GEOMETRY.packet_size - 1)
    changes = [place.to_bytes(2, "big") + b"\x80" for place in places]
    single = [bytes((layer,)) + change for layer in range(4) for change in changes]
    whole = [bytes((4 + layer,)) + real(layer + 1) for layer in range(4)]
    return [*(bytes((layer,)) for layer in range(4)), *single, *whole]


# ------------------------------------------------------------------ hostile clients


@cache
def _sealing(layer: int) -> tuple[bytes, Layer]:
    """The public half of a hostile client's key for a layer, and what follows from it."""
    hop = Hop(RelayId(layer), _keys(layer)[1], 0)
    return building.start_layer(_CONTEXT, hop, world.dice(layer).randbytes)


def _sealed(layer: int, inside: bytes) -> bytes:
    """A packet with these bytes in its header, padded or cut to what belongs there."""
    ephemeral, keys = _sealing(layer)
    size = GEOMETRY.header_sizes[layer - 1]
    room = size - x25519.KEY_SIZE - AEAD_TAG_SIZE
    box = ChaCha20Poly1305(keys.header_key).encrypt(bytes(12), inside[:room].ljust(room, b"\0"), None)
    return ephemeral + box + bytes(_FIRST - size) + bytes(GEOMETRY.payload_size)


def run_sealed(data: bytes) -> None:
    """First byte: the layer; then what the client seals: routing, with lock and hint, and the next header."""
    if not data:
        return
    layer, inside = 1 + data[0] % 4, data[1:]
    try:
        peeled = _peel(layer, _sealed(layer, inside))
    except PacketError:
        require(layer == GEOMETRY.layers, "what is sealed rightly is opened")
        return
    if isinstance(peeled, Forward):
        require(len(peeled.packet) == GEOMETRY.packet_size, "packets have one size")
        _examine(peeled, inside)


def _examine(peeled: Forward, inside: bytes) -> None:
    """The ticket checks that a relay does with what it found."""
    lock = inside[-20:].rjust(20, b"\0")
    try:
        long_hint = proof.check_lock(peeled.own, lock, peeled.next_hint)
    except PeerError:
        long_hint = b""
    hints = [long_hint or peeled.next_hint, peeled.next_hint]
    bad = proof.bad_acks([(peeled.ack, hint) for hint in hints] * 8, world.dice(5).randbytes)
    require(bad in ([], list(range(16))), "equal pairs are judged alike")


def _sealed_seeds() -> list[bytes]:
    hint = secp256k1.base_mult(world.name("ack"))
    routing = MIX_ROUTING.pack(2, 10, bytes(20), hint)
    next_header = real(2)[: GEOMETRY.header_sizes[1]]
    mixes = [bytes((layer,)) + routing + next_header for layer in range(3)]
    odd = [
        b"\0" + MIX_ROUTING.pack(2**32 - 1, 65_535, bytes(20), first + bytes(32))
        for first in (b"\0", b"\2", b"\4")
    ]
    return [*mixes, *odd, b"\3" + MAILBOX_ROUTING.pack(bytes(16), 255), b"\0"]


TARGETS = (
    Target("packet_changed", 4, 2560, _changed_seeds, run_changed),
    Target("packet_sealed", 3, 512, _sealed_seeds, run_sealed),
)
