"""The layered packet: built by a client, peeled once by each relay on its way; and reply blocks (DESIGN §5).

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

keys.py       keys of a layer        building.py   packets        peeling.py    one layer off
reply.py      reply blocks: made, used, and what comes back opened
"""

from __future__ import annotations

from mixpay.geometry import GEOMETRY, MAILBOX_ID_SIZE, Geometry
from mixpay.packet.building import Built, Hop, build
from mixpay.packet.keys import (
    KIND_COVER,
    KIND_MESSAGE,
    KIND_REPLY,
    KIND_REQUEST,
    KeyContext,
    LowOrder,
    Malformed,
    PacketError,
    Replayed,
)
from mixpay.packet.peeling import Deliver, Forward, Peeled, peel
from mixpay.packet.reply import BadBlock, ReplyBlock, ReplyKeys, build_surb, open_reply, use_surb

__all__ = [
    "GEOMETRY",
    "KIND_COVER",
    "KIND_MESSAGE",
    "KIND_REPLY",
    "KIND_REQUEST",
    "MAILBOX_ID_SIZE",
    "BadBlock",
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
    "ReplyBlock",
    "ReplyKeys",
    "build",
    "build_surb",
    "open_reply",
    "peel",
    "use_surb",
]
