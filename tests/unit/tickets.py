"""What a relay checks of a ticket before it acknowledges the packet, for tests that walk along a path."""

from __future__ import annotations

import os

from mixpay import proof
from mixpay.crypto import secp256k1
from mixpay.packet import Deliver, Forward


def long_form(point: bytes) -> bytes:
    """A point in 65 bytes, as hints have it beside a packet."""
    return secp256k1.encode(secp256k1.parse(point), secp256k1.LONG_POINT_SIZE)


def check_ticket(peeled: Forward | Deliver, lock: bytes, hint: bytes) -> None:
    """Fails unless lock and hint are those of the packet: as `relay/path/opening.py`, one at a time."""
    proof.check_lock(peeled.own, lock, peeled.next_hint if isinstance(peeled, Forward) else None)
    assert proof.bad_acks([(peeled.ack, hint)], os.urandom) == []
