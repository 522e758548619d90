"""Packets and their tickets for whoever opens them."""

from __future__ import annotations

from random import Random

from mixpay.crypto import x25519
from mixpay.packet import GEOMETRY, Hop, KeyContext, build
from mixpay.types import Epoch, RelayId
from relay.path.opening import Job, Key

EPOCH = Epoch(3)
DICE = Random(5)  # noqa: S311 -- the same packets in every run
SECRET = DICE.randbytes(32)
KEY = Key(KeyContext(31337, bytes(20), bytes(32)), x25519.public_key(SECRET), x25519.SecretKey(SECRET))


def job() -> Job:
    """A packet for our relay as mix 1 of a path in which all keys are ours."""
    hops = [Hop(RelayId(number), KEY.public, 7) for number in (1, 2, 3)]
    data = DICE.randbytes(GEOMETRY.user_size)
    built = build(KEY.context, hops, Hop(RelayId(4), KEY.public, 0), bytes(16), 0, data, DICE.randbytes)
    return Job(EPOCH, 1, built.lock, built.hint, built.packet)
