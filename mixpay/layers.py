"""Layers, next hops and paths of one term (DESIGN §10).

Layer: positions are shuffled by the beacon of the term's first epoch over the count frozen then; place mod 3,
plus 1. A relay that was not in that snapshot takes keccak(beacon ‖ id u32) mod 3, plus 1.

Next hops: an entry serves mixes of layer 1, a mix those of the next layer; all of them while the layer has at
most 256, else the 256 with the smallest keccak(beacon ‖ role u8 ‖ relay u32 ‖ candidate u32). Such a draw
outlasts arrivals and departures in the term: each displaces at most one.

A mix of layer 3 serves mailboxes, and every relay is one. While layer 3 began the term with at most 256
places, it serves all. Beyond that, a mix and a mailbox are linked if their keccak, as a fraction of 2^256, is
below 256 / (places of layer 3): about 256 mixes reach each mailbox and a mix serves about 768, at any size.
This is a coin for each pair and not a draw of 256, because a client must find the mixes before its mailbox
without ranking all mailboxes for each of them, and a relay must check one pair at once.

No relay is a next hop of its own, as an entry in layer 1 or a mailbox in layer 3 would be: it has no link to
itself, and a packet with such a path is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from heapq import nsmallest

from mixpay.crypto import uniform
from mixpay.crypto.hashing import keccak256
from mixpay.errors import MixpayError
from mixpay.shuffle import Shuffle
from mixpay.snapshot import Snapshot
from mixpay.types import MIX_LAYERS, Position, Random, RelayId

MAX_SUCCESSORS = 256
_ATTEMPTS = 64
"""Draws before giving up: at 100,000 relays one in seven finds no mix between mix 2 and the mailbox."""

Path = tuple[RelayId, RelayId, RelayId]
Usable = Callable[[RelayId], bool]


class PathError(MixpayError):
    """No path can be drawn; says which relay or layer is missing."""


class Role(IntEnum):
    """What a relay is to a packet, in the order of the path."""

    ENTRY = 0
    MIX1 = 1
    MIX2 = 2
    MIX3 = 3


def layer_of(position_at_start: Position | None, relay: RelayId, beacon: bytes, count: int) -> int:
    """Return a relay's layer, 1 to 3, from the beacon (32 bytes) and count of its term's first epoch.

    `position_at_start` is None for a relay that was not in that snapshot. Takes about 150 µs, the shuffle of
    one position. Raises ValueError if the position is not below the count.
    """
    if position_at_start is None:
        return _layer_of_late(relay, beacon)
    return Shuffle(beacon, count).forward(position_at_start) % MIX_LAYERS + 1


def _layer_of_late(relay: RelayId, beacon: bytes) -> int:
    return int.from_bytes(keccak256(beacon + relay.to_bytes(4, "big")), "big") % MIX_LAYERS + 1


class TermLayers:
    """The layers of a term as they are in one of its epochs.

    `start` is the snapshot of the term's first epoch, `current` that of the epoch. Keeps what it computed.
    """

    def __init__(self, start: Snapshot, current: Snapshot, most: int = MAX_SUCCESSORS) -> None:
        self._start = start
        self._current = current
        self._most = most
        self._shuffle = Shuffle(start.beacon, start.count) if start.count else None
        self._layers: dict[RelayId, int] = {}
        self._members: tuple[tuple[RelayId, ...], ...] | None = None
        self._successors: dict[tuple[RelayId, Role], tuple[RelayId, ...]] = {}
        self._gateways: dict[RelayId, frozenset[RelayId]] = {}

    def in_epoch(self, current: Snapshot) -> TermLayers:
        """Return the same term in another of its epochs; the shuffle is not computed again."""
        twin = TermLayers(self._start, current, self._most)
        twin._shuffle, twin._layers = self._shuffle, self._layers
        return twin

    def layer(self, relay: RelayId) -> int:
        """Return a relay's layer, 1 to 3; it need not be in the epoch."""
        layer = self._layers.get(relay)
        if layer is None:
            record = self._start.by_id(relay)
            if record is None or self._shuffle is None:
                layer = _layer_of_late(relay, self._start.beacon)
            else:
                layer = self._shuffle.forward(record.position) % MIX_LAYERS + 1
            self._layers[relay] = layer
        return layer

    def members(self, layer: int) -> tuple[RelayId, ...]:
        """Return the relays of a layer, 1 to 3, in this epoch."""
        if self._members is None:
            by_layer: list[list[RelayId]] = [[] for _ in range(MIX_LAYERS)]
            for record in self._current.relays:
                by_layer[self.layer(record.id) - 1].append(record.id)
            self._members = tuple(map(tuple, by_layer))
        return self._members[layer - 1]

    def successors(self, relay: RelayId, role: Role) -> tuple[RelayId, ...]:
        """Return the next hops of a relay in a role; for `MIX3` the mailboxes, found by trying every relay.

        Raises PathError if the relay is not in this epoch.
        """
        self._require(relay)
        known = self._successors.get((relay, role))
        if known is None:
            known = self._mailboxes(relay) if role is Role.MIX3 else self._next_mixes(relay, role)
            self._successors[relay, role] = known
        return known

    def gateways(self, mailbox: RelayId) -> frozenset[RelayId]:
        """Return the mixes of layer 3 that forward to a mailbox."""
        known = self._gateways.get(mailbox)
        if known is None:
            known = frozenset(mix for mix in self.members(MIX_LAYERS) if self._linked(mix, mailbox))
            self._gateways[mailbox] = known
        return known

    def serves(self, relay: RelayId, role: Role, next_relay: RelayId) -> bool:
        """Say whether a relay forwards to another in a role: what it checks for each packet."""
        if role is not Role.MIX3:
            return next_relay in self.successors(relay, role)
        return self._current.by_id(next_relay) is not None and self._linked(relay, next_relay)

    def _next_mixes(self, relay: RelayId, role: Role) -> tuple[RelayId, ...]:
        chosen: Iterable[RelayId] = self.members(role + 1)
        if len(self.members(role + 1)) > self._most:
            chosen = sorted(nsmallest(self._most, chosen, key=lambda other: self._rank(role, relay, other)))
        return tuple(other for other in chosen if other != relay)

    def _mailboxes(self, mix: RelayId) -> tuple[RelayId, ...]:
        return tuple(record.id for record in self._current.relays if self._linked(mix, record.id))

    def _linked(self, mix: RelayId, mailbox: RelayId) -> bool:
        if mix == mailbox:
            return False
        size = self._start.count // MIX_LAYERS
        if size <= self._most:
            return True
        return self._rank(Role.MIX3, mix, mailbox) * size < self._most << 256

    def _rank(self, role: Role, relay: RelayId, other: RelayId) -> int:
        pair = bytes([role]) + relay.to_bytes(4, "big") + other.to_bytes(4, "big")
        return int.from_bytes(keccak256(self._start.beacon + pair), "big")

    def _require(self, relay: RelayId) -> None:
        if self._current.by_id(relay) is None:
            raise PathError(f"relay {relay} is not in the directory of epoch {self._current.epoch}")

    def draw_path(self, entry: RelayId, mailbox: RelayId, usable: Usable, random: Random) -> Path:
        """Draw mixes 1, 2 and 3 uniformly among the usable next hops, from entry to mailbox.

        None of them is the entry or the mailbox, unless nobody else is left to choose; and none is its own
        next hop even then. Raises PathError naming the relay that is not in this epoch, or the layer without
        a usable relay.
        """
        self._require(entry)
        self._require(mailbox)
        ends = (entry, mailbox)
        for _ in range(_ATTEMPTS):
            mix1 = _pick(self.successors(entry, Role.ENTRY), ends, usable, random)
            mix2 = mix1 and _pick(self.successors(mix1, Role.MIX1), ends, usable, random)
            mix3 = mix2 and _pick(self._before(mix2, mailbox), ends, usable, random)
            if mix1 and mix2 and mix3:
                return mix1, mix2, mix3
        raise PathError(self._obstacle(entry, mailbox, usable))

    def _before(self, mix2: RelayId, mailbox: RelayId) -> Iterable[RelayId]:
        gateways = self.gateways(mailbox)
        return (mix for mix in self.successors(mix2, Role.MIX2) if mix in gateways)

    def _obstacle(self, entry: RelayId, mailbox: RelayId, usable: Usable) -> str:
        for layer in range(1, MIX_LAYERS + 1):
            if not any(map(usable, self.members(layer))):
                return f"layer {layer} has no usable relay in epoch {self._current.epoch}"
        return f"no usable relays lead from entry {entry} to mailbox {mailbox}"


def _pick(
    candidates: Iterable[RelayId], avoid: tuple[RelayId, ...], usable: Usable, random: Random
) -> RelayId | None:
    """Draw one uniformly, None if there is none; those to avoid only when there is no other."""
    reachable = [relay for relay in candidates if usable(relay)]
    others = [relay for relay in reachable if relay not in avoid] or reachable
    return others[uniform.below(len(others), random)] if others else None
