"""The packet layer: primitives of this machine, and a packet built and opened."""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bench.figures import Found, Scale
from bench.meter import Part, interleaved
from mixpay import packet
from mixpay.crypto import lioness, secp256k1, x25519
from mixpay.crypto.hashing import keccak256
from mixpay.geometry import GEOMETRY
from mixpay.packet import KeyContext
from mixpay.types import RelayId

CONTEXT = KeyContext(31337, bytes(20), bytes(32))
_CALLS = 50


def primitives() -> dict[str, Part]:
    """The primitives of one hop, on inputs of the sizes that a hop gives them."""
    scalar, other = os.urandom(32), x25519.public_key(os.urandom(32))
    header = ChaCha20Poly1305(scalar).encrypt(bytes(12), bytes(GEOMETRY.header_sizes[0] - 48), None)
    payload, wide_key = os.urandom(GEOMETRY.payload_size), os.urandom(lioness.KEY_SIZE)
    seed, binding = os.urandom(48), bytes(172)
    point = secp256k1.multiply_base(scalar)
    encoded = secp256k1.encode(point)
    return {
        "X25519": lambda: x25519.exchange(scalar, other),
        "secp256k1 base multiplication": lambda: secp256k1.multiply_base(scalar),
        "secp256k1 addition": lambda: secp256k1.sum_points([point, point]),
        "secp256k1 point parsed": lambda: secp256k1.parse(encoded),
        "secp256k1 address of a point": lambda: secp256k1.point_address(point),
        "SHAKE-256, 272 bytes, two scalars": lambda: (
            hashlib.shake_256(binding).digest(272),
            secp256k1.scalar_from(seed),
            secp256k1.scalar_from(seed),
        ),
        "ChaCha20-Poly1305 of a header": lambda: ChaCha20Poly1305(scalar).decrypt(bytes(12), header, None),
        "LIONESS of a payload": lambda: lioness.decrypt(wide_key, payload),
        "Keccak-256 of 64 bytes": lambda: keccak256(payload[:64]),
    }


def measure_primitives(scale: Scale) -> dict[str, float]:
    """µs of each."""
    return interleaved({name: (part, _CALLS) for name, part in primitives().items()}, scale.slices)


def measure(scale: Scale) -> Found:
    """A packet built by a client, and opened by its first mix."""
    drawn = os.urandom(32)
    secret, public = x25519.SecretKey(drawn), x25519.public_key(drawn)
    mixes = [packet.Hop(RelayId(number), public, 100) for number in (1, 2, 3)]
    mailbox, user_data = packet.Hop(RelayId(4), public, 0), os.urandom(GEOMETRY.user_size)

    def build() -> packet.Built:
        return packet.build(CONTEXT, mixes, mailbox, bytes(16), 0, user_data, os.urandom)

    made = build()
    parts: dict[str, tuple[Part, int]] = {
        "build, four layers": (build, 10),
        "peel, one layer": (
            lambda: packet.peel(CONTEXT, secret, public, 1, made.packet, lambda tag: False),
            _CALLS,
        ),
        "a replay, seen by its tag": (lambda: _replay(secret, public, made.packet), _CALLS),
    }
    return Found(detail={"us": interleaved(parts, scale.slices)})


def _replay(secret: x25519.SecretKey, public: bytes, made: bytes) -> None:
    try:
        packet.peel(CONTEXT, secret, public, 1, made, lambda tag: True)
    except packet.Replayed:
        return
    raise RuntimeError("a replay was opened")
