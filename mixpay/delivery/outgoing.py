"""The sender's side of one message that is to be acknowledged: what to send now, and when it ends.

    event             pieces                               ends
    begin             all are due                          -
    ack: whole        -                                    ACKNOWLEDGED
    ack: some         the others are missing               -
    silence           the first one is due, as a question  -
    too late          -                                    GIVEN_UP

Rules
  * Every piece that is due is a new packet over a new route: a relay drops one that it has seen.
  * A missing piece is due once its newest packet had time to arrive, and after the first few twice as long
    each time.
  * Silence is not loss: the receiver may be offline. So nothing is repeated into a mailbox but the first
    piece, after ever longer times. It carries the address; whoever gets it, even twice, says what is there.
    Who has just spoken is there, so questions are quick again: what is lost then is lost on the way.
  * The newest word counts, not the best one: a receiver that ran out of room has less than before.
  * Whatever a receiver says, or a stranger in its name: a piece is sent `copies` times at most, and all ends
    at `limit`. The address was fixed before the first packet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

import msgspec


class State(Enum):
    """How far a message is."""

    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds."""

    settled: int = 10
    """After which a packet has arrived, or is lost: far above the 1.7 s that 99 % of them take."""
    question: int = 15
    """Silence before each of the first `quick` questions since the receiver last spoke, as long as there were
    not more than `eager` in all; doubled for each one after them."""
    quick: int = 3
    """Packets for one piece, too, before it is waited longer for the next."""
    eager: int = 8
    longest_question: int = 86_400
    copies: int = 16
    """Packets for one piece at most, questions aside."""
    limit: int = 7 * 86_400
    """All in all: a mailbox keeps nothing for longer."""


class Record(msgspec.Struct, array_like=True):
    """What is known of a message on its way; kept on disk. Times are seconds."""

    began: int
    copies: list[int]
    """By piece: packets handed out."""
    sent_at: list[int]
    """By piece: when the newest left."""
    there: list[int] = []
    """Pieces that the receiver had when it last spoke."""
    missing: list[int] = []
    """Pieces that it lacked, and that were not sent again since."""
    whole: bool = False
    heard_at: int = 0
    questions: int = 0
    unanswered: int = 0
    """Questions since it last spoke."""


class Outgoing:
    """One message of `total` pieces."""

    def __init__(self, record: Record, patience: Patience | None = None) -> None:
        self.record, self._patience = record, patience or Patience()

    @classmethod
    def begin(cls, total: int, now: int, patience: Patience | None = None) -> Outgoing:
        """A message that was not sent yet."""
        return cls(Record(now, [0] * total, [now] * total), patience)

    @property
    def total(self) -> int:
        """Pieces in all."""
        return len(self.record.copies)

    @property
    def unconfirmed(self) -> int:
        """Pieces of which nobody said that they arrived."""
        return 0 if self.record.whole else self.total - len(self.record.there)

    @property
    def repeated(self) -> int:
        """Packets beyond the first for each piece, handed out so far."""
        return sum(max(copies - 1, 0) for copies in self.record.copies) + self.record.questions

    @property
    def until(self) -> int:
        """When it is given up."""
        return self.record.began + self._patience.limit

    def state(self, now: int) -> State:
        """Where it stands."""
        if self.record.whole:
            return State.ACKNOWLEDGED
        return State.GIVEN_UP if now >= self.until else State.WAITING

    def due(self, now: int) -> list[int]:
        """The pieces to send now, each in a new packet; tell `sent` of each before it leaves."""
        if self.state(now) is not State.WAITING:
            return []
        record = self.record
        unsent = [index for index, copies in enumerate(record.copies) if not copies]
        late = [index for index in record.missing if self._may_repeat(index, now)]
        if unsent or late:
            return sorted({*unsent, *late})
        return [0] if now >= self._question_at() else []

    def sent(self, index: int, now: int) -> None:
        """A packet for a piece is about to leave."""
        record, copies = self.record, self.record.copies[index]
        if not copies or (index in record.missing and copies < self._patience.copies):
            record.copies[index] += 1
        else:
            record.questions += 1
            record.unanswered += 1
        record.missing = [other for other in record.missing if other != index]
        record.sent_at[index] = now

    def heard(self, have: Collection[int] | None, now: int) -> None:
        """The receiver said what it has, None for all; the caller has checked that it was the receiver."""
        record = self.record
        if record.whole:
            return
        record.heard_at, record.whole, record.unanswered = now, have is None, 0
        record.there = [] if have is None else sorted(have)
        there = set(record.there)
        gone = (index for index, copies in enumerate(record.copies) if copies and index not in there)
        record.missing = [] if have is None else list(gone)

    def is_there(self, index: int) -> bool:
        """Whether the receiver had a piece when it last spoke."""
        return index in self.record.there

    def is_settled(self, index: int, now: int) -> bool:
        """Whether the newest packet of a piece has arrived by now, if it ever will."""
        return now >= self.record.sent_at[index] + self._patience.settled

    def _may_repeat(self, index: int, now: int) -> bool:
        copies = self.record.copies[index]
        wait = self._patience.settled << max(copies - self._patience.quick, 0)
        return copies < self._patience.copies and now >= self.record.sent_at[index] + wait

    def _question_at(self) -> int:
        patience, record = self._patience, self.record
        beyond = max(record.unanswered + 1 - patience.quick, record.questions + 1 - patience.eager, 0)
        doublings = min(beyond, 32)
        wait = min(patience.question << doublings, patience.longest_question)
        return max(record.heard_at, *record.sent_at) + wait
