"""Sizes of the layered packet, derived once (DESIGN §5). The formats themselves stand in `mixpay.packet`."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from mixpay.crypto.x25519 import KEY_SIZE
from mixpay.types import MIX_LAYERS

MAILBOX_ID_SIZE = 16
REPLAY_TAG_SIZE = 16
AEAD_TAG_SIZE = 16

MIX_ROUTING = struct.Struct(">IH20s33s")
"""Next relay id, delay in ms, next lock, next hint."""

MAILBOX_ROUTING = struct.Struct(f">{MAILBOX_ID_SIZE}sB")
"""Mailbox id, kind."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """All sizes of a packet in bytes, derived from three. Raises ValueError for sizes that make no packet."""

    user_size: int = 2048
    check_size: int = 16
    mixes: int = MIX_LAYERS
    header_sizes: tuple[int, ...] = field(init=False)
    """Size of the header of layer i at index i - 1."""
    payload_size: int = field(init=False)
    reply_size: int = field(init=False)
    """User data of a reply: it has eight bytes more, for half as many zero bytes are enough where only its
    reader checks them, and what it carries is sealed or asked for."""
    packet_size: int = field(init=False)

    def __post_init__(self) -> None:
        if self.mixes < 1:
            raise ValueError("a packet has at least one mix")
        if self.check_size < 16:
            raise ValueError("fewer than 16 zero bytes would let forgeries through")
        if self.user_size < 48:
            raise ValueError("a wide-block cipher needs a packet of 48 user bytes or more")
        overhead = KEY_SIZE + AEAD_TAG_SIZE
        last = overhead + MAILBOX_ROUTING.size
        each = overhead + MIX_ROUTING.size
        sizes = tuple(last + each * (self.mixes - index) for index in range(self.mixes + 1))
        object.__setattr__(self, "header_sizes", sizes)
        object.__setattr__(self, "payload_size", self.check_size + self.user_size)
        object.__setattr__(self, "reply_size", self.payload_size - self.check_size // 2)
        object.__setattr__(self, "packet_size", sizes[0] + self.payload_size)

    @property
    def layers(self) -> int:
        """Number of layers; the last one is the mailbox's."""
        return len(self.header_sizes)


GEOMETRY = Geometry()
