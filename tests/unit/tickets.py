"""What a relay checks of a ticket before it acknowledges the packet, for tests that walk along a path."""

from __future__ import annotations

import os

from mixpay import proof
from mixpay.packet import Deliver, Forward


def check_ticket(peeled: Forward | Deliver, lock: bytes, hint: bytes) -> None:
    """Fails unless lock and hint are those of the packet: as `relay/path/opening.py`, one at a time."""
    proof.check_lock(peeled.own, lock, peeled.next_hint if isinstance(peeled, Forward) else None)
    assert proof.bad_acks([(peeled.ack, hint)], os.urandom) == []
