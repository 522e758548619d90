"""The market: a registry's snapshot, its layers, next hops, and relays that one farmer owns.

Everything but the random numbers is the project's: records and root (`mixpay.snapshot`), layers and next hops
(`mixpay.layers`). All relays are up and have published their keys, so all next hops are usable.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from mixpay import merkle
from mixpay.flow import SMALL
from mixpay.layers import Role, TermLayers
from mixpay.snapshot import RelayRecord, Snapshot
from mixpay.types import MIX_LAYERS, Account, Epoch, Position, RelayId

PAYERS = (Role.ENTRY, Role.MIX1, Role.MIX2)
"""Roles with a flow cap."""


class Market:
    """`relays` relays, drawn by `seed`. Raises ValueError for so few that the caps have their grace."""

    def __init__(self, relays: int, seed: int) -> None:
        if relays < MIX_LAYERS * (SMALL + 1):
            raise ValueError("with so few relays a pass's worth is free of the caps")
        dice = Random(f"market {seed}")  # noqa: S311 -- a simulation repeats
        records = tuple(_record(number, dice) for number in range(relays))
        root = merkle.root([record.leaf() for record in records])
        self.snapshot = Snapshot(Epoch(0), root, relays, dice.randbytes(32), records)
        self.snapshot.verify()
        self.layers = TermLayers(self.snapshot, self.snapshot)
        self._bought = [record.id for record in records]
        dice.shuffle(self._bought)

    @property
    def size(self) -> int:
        """Relays in it."""
        return self.snapshot.count

    def at(self, position: Position) -> RelayId:
        """The relay that a drawn position stands for; none is empty here."""
        return self.snapshot.relays[position].id

    def payers(self, role: Role) -> Iterable[RelayId]:
        """Who can have a role: every relay is an entry, a mix has a layer."""
        if role is Role.ENTRY:
            return [record.id for record in self.snapshot.relays]
        return self.layers.members(role)

    def next_hops(self, relay: RelayId, role: Role) -> tuple[RelayId, ...]:
        """To whom a relay sends in a role."""
        return self.layers.successors(relay, role)

    def owned(self, stake: float) -> frozenset[RelayId]:
        """The relays of a farmer with this share of the stake, one at least; a larger farmer has them too."""
        return frozenset(self._bought[: max(1, round(stake * self.size))])

    def before_mailboxes(self, own: frozenset[RelayId]) -> frozenset[RelayId]:
        """The mixes of layer 3 that serve one of these relays as a mailbox."""
        found: set[RelayId] = set()
        last = len(self.layers.members(MIX_LAYERS))
        for mailbox in sorted(own):
            found |= self.layers.gateways(mailbox)
            if len(found) == last:
                break
        return frozenset(found)


def _record(number: int, dice: Random) -> RelayRecord:
    operator, link_key = Account(dice.randbytes(20)), dice.randbytes(32)
    return RelayRecord(
        RelayId(number + 1), Position(number), operator, link_key, f"relay{number + 1}.example:7000:7001"
    )
