"""Reply blocks (SURBs): the header of a return path, made in advance by who wants an answer.

Chaum: *Untraceable electronic mail, return addresses, and digital pseudonyms*, 1981; the payload as in Sphinx
(Danezis, Goldberg, 2009). Who replies ciphers the payload under one key out of the block; each relay takes
its layer off, as it does with any payload, which turns it into noise; the maker of the block, who knows all
the layers' keys, puts them on again and takes off the one key. So nobody on the way can tell a reply from
another packet, and who replies does not recognise his own at a relay behind the first one. The last relay is
told the kind, for it cannot check the payload: the maker does.

    block = version u8 ‖ epoch u32 ‖ first relay u32 ‖ lock 20 ‖ hint 33 ‖ first ack 32 ‖ seed 32 ‖ header 386

A block is good for one reply, for the second one is a replay, and as long as the keys of its epoch.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from hashlib import shake_256

from mixpay.crypto import lioness, secp256k1
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY, Geometry
from mixpay.packet.building import Built, Hop, head
from mixpay.packet.keys import KIND_REPLY, KeyContext, Malformed
from mixpay.packet.peeling import without_check
from mixpay.types import Epoch, Random, RelayId

VERSION = 1
SEED_SIZE = 32
_LABEL = b"mixpay-reply-v1"
_START = struct.Struct(f">BII20s{secp256k1.POINT_SIZE}s{secp256k1.SCALAR_SIZE}s{SEED_SIZE}s")


class BadBlock(PeerError):
    """What should be a reply block is none. Reasons: `block_size`, `block_version`, `block_hint`."""


@dataclass(frozen=True, slots=True)
class ReplyBlock:
    """What is given away: key epoch and first mix of the path, lock (20 bytes) and hint (33) of its first
    ticket, the ack (32) that the entry must bring back, a seed (32) for the payload's key, and the header.

    Who has it can send one packet of 2,056 bytes, and learns nothing of where it goes.
    """

    epoch: Epoch
    first_relay: RelayId
    lock: bytes = field(repr=False)
    hint: bytes = field(repr=False)
    first_ack: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    header: bytes = field(repr=False)

    def encode(self) -> bytes:
        """512 bytes."""
        words = self.epoch, self.first_relay, self.lock, self.hint, self.first_ack, self.seed
        return _START.pack(VERSION, *words) + self.header

    @classmethod
    def decode(cls, data: bytes, geometry: Geometry = GEOMETRY) -> ReplyBlock:
        """Read a block that a stranger made. Raises BadBlock."""
        if len(data) != block_size(geometry):
            raise BadBlock("block_size", f"a reply block has {block_size(geometry)} bytes, not {len(data)}")
        version, epoch, relay, lock, hint, ack, seed = _START.unpack_from(data)
        if version != VERSION:
            raise BadBlock("block_version", str(version))
        try:
            secp256k1.parse(hint)
        except ValueError as error:
            raise BadBlock("block_hint", str(error)) from None
        return cls(Epoch(epoch), RelayId(relay), lock, hint, ack, seed, data[_START.size :])


@dataclass(frozen=True, slots=True)
class ReplyKeys:
    """What the maker of a block keeps to open the reply: the seed, and the payload keys (128 bytes) of all
    layers.
    """

    seed: bytes = field(repr=False)
    layers: tuple[bytes, ...] = field(repr=False)


def block_size(geometry: Geometry = GEOMETRY) -> int:
    """Bytes of a block."""
    return _START.size + geometry.header_sizes[0]


def build_surb(
    context: KeyContext,
    epoch: Epoch,
    mixes: Sequence[Hop],
    last: Hop,
    mailbox_id: bytes,
    random: Random,
    geometry: Geometry = GEOMETRY,
) -> tuple[ReplyBlock, ReplyKeys]:
    """Make a block whose reply comes through three mixes to the relay `last`, for a mailbox (16 bytes) there.

    Draws 32 bytes from `random` for each layer, in order of the path, then the seed. Errors: as `build`.
    """
    made = head(context, mixes, last, mailbox_id, KIND_REPLY, random, geometry)
    keys = ReplyKeys(random(SEED_SIZE), tuple(layer.payload_key for layer in made.layers))
    ticket = made.lock, secp256k1.encode(made.hint), made.layers[0].ack
    return ReplyBlock(epoch, mixes[0].relay, *ticket, keys.seed, made.header), keys


def use_surb(block: ReplyBlock, user_data: bytes, geometry: Geometry = GEOMETRY) -> Built:
    """Make the one packet of a block; user_data: exactly `geometry.reply_size` bytes, else ValueError."""
    if len(user_data) != geometry.reply_size:
        raise ValueError(f"a reply has {geometry.reply_size} bytes of user data")
    checked = bytes(geometry.payload_size - geometry.reply_size) + user_data
    payload = lioness.encrypt(_reply_key(block.seed), checked)
    hint = secp256k1.encode(secp256k1.parse(block.hint), secp256k1.LONG_POINT_SIZE)
    return Built(block.first_relay, block.lock, hint, block.first_ack, block.header + payload)


def open_reply(keys: ReplyKeys, payload: bytes, geometry: Geometry = GEOMETRY) -> bytes:
    """Read what came by a block, `geometry.payload_size` bytes as the last relay found them; returns
    `geometry.reply_size` bytes.

    Raises Malformed if it was changed on its way, is no answer to this block, or has another size.
    """
    if len(payload) != geometry.payload_size:
        raise Malformed("size")
    sealed = reduce(lambda inner, key: lioness.encrypt(key, inner), reversed(keys.layers), payload)
    return without_check(lioness.decrypt(_reply_key(keys.seed), sealed), geometry.reply_size)


def _reply_key(seed: bytes) -> bytes:
    return shake_256(_LABEL + seed).digest(lioness.KEY_SIZE)
