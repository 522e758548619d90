"""What the users of a campaign know: what they sent, what was acknowledged, what came out of mailboxes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from chaos.judge import TrafficFacts
from mixpay.types import RelayId


@dataclass(slots=True)
class Ledger:
    """What all users together know. See `TrafficFacts`."""

    to: dict[bytes, RelayId] = field(default_factory=dict)
    """Every packet sent, by its message's id: the relay of its mailbox."""
    accepted: Counter[RelayId] = field(default_factory=Counter)
    by_pass: Counter[bytes] = field(default_factory=Counter)
    places: dict[tuple[RelayId, int], bytes] = field(default_factory=dict)
    """What lay where in a mailbox."""
    fetched: Counter[RelayId] = field(default_factory=Counter)
    repeated: int = 0
    strange: int = 0
    again: int = 0
    accepted_again: int = 0
    _came: set[bytes] = field(default_factory=set)

    def found(self, relay: RelayId, sequence: int, message_id: bytes | None) -> None:
        """Something lay in a mailbox; None for what could not be opened."""
        place = relay, sequence
        if message_id is not None and self.places.get(place) == message_id:
            return  # it was read before, and the relay died before it was deleted
        self.fetched[relay] += 1
        if message_id is None or self.to.get(message_id) != relay or place in self.places:
            self.strange += 1
            return
        self.places[place] = message_id
        self.repeated += message_id in self._came
        self._came.add(message_id)

    def facts(self) -> TrafficFacts:
        """For the judge."""
        return TrafficFacts(
            sent=len(self.to),
            accepted=dict(self.accepted),
            fetched=dict(self.fetched),
            repeated=self.repeated,
            strange=self.strange,
            again=self.again,
            accepted_again=self.accepted_again,
            by_pass=dict(self.by_pass),
        )
