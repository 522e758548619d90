"""When a wallet fetches which pass ahead of need, so that fetching does not show when its user sends. Pure.

Rules
  * The issuer signs for the current and for the next period of a kind (an epoch, a term): the passes of a
    period can be fetched while the one before it lasts. Each has a moment of its own in that time, uniform,
    which follows from a secret that the wallet drew once and stored. It does not depend on what the user
    does, nor on what is left of other passes; neither does their number.
  * A moment that has passed while nobody was there to keep it is kept by the next round, and so is the want
    of a pass in a period that has begun. Rounds are begun by a keeper or a timer, never by sending.
  * When half of a pass's ticks are left for the rest of the epoch, a spare is fetched at a random moment in
    the next twenty-fourth of an epoch (an hour), not when the last tick is gone. So far heavy use does show.

What needs a pass at once and has none fetches it then (`Wallet.draw`): a newcomer without a keeper, one whose
entry is dead, one who sends half a pass faster than the spare comes.

Times are seconds of chain time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from mixpay.crypto import uniform
from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICKS
from mixpay.types import Epoch, Random, Term

SECRET_BYTES = 32
SPARE_BELOW = TICKS // 2
"""A spare is wanted when no more ticks than these are left in an epoch."""

_SPREAD = 24
_PERSON = b"mixpay-fetch-v1"


@dataclass(frozen=True, slots=True)
class Held:
    """Of a kind and period: passes fetched, whatever became of them, and ticks left in those of use."""

    fetched: int
    left: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch one pass now. `spare`: the spare of the epoch, which is not wanted any more then."""

    kind: int
    period: int
    spare: bool = False


@dataclass(frozen=True, slots=True)
class WantSpare:
    """Store that a spare is to be fetched at this moment."""

    epoch: Epoch
    at: int


@dataclass(frozen=True, slots=True)
class DropSpare:
    """It is not wanted any more."""

    epoch: Epoch


Step = Fetch | WantSpare | DropSpare


class Plan:
    """One wallet's. `secret`: 32 bytes; `entry_passes`: how many are fetched ahead for an epoch."""

    def __init__(self, schedule: Schedule, secret: bytes, random: Random, entry_passes: int = 1) -> None:
        if len(secret) != SECRET_BYTES or entry_passes < 1:
            raise ValueError("a plan needs a secret of 32 bytes, and fetches at least one pass")
        self._schedule, self._secret, self._random = schedule, secret, random
        self._count = {KIND_ENTRY: entry_passes, KIND_MAILBOX: 1}

    def __repr__(self) -> str:
        return f"Plan({self._count})"

    def moments(self, kind: int, period: int) -> list[int]:
        """When the passes of a period are fetched, in the order of their numbers."""
        opens, closes = self._issued(kind, period)
        return [opens + self._draw(kind, period, n) % (closes - opens) for n in range(self._count[kind])]

    def periods(self, epoch: Epoch) -> list[tuple[int, int]]:
        """(kind, period) of all passes that are issued in an epoch: current ones first."""
        term = self._schedule.term_of(epoch)
        current = [(KIND_ENTRY, int(epoch)), (KIND_MAILBOX, int(term))]
        return current + [(kind, period + 1) for kind, period in current]

    def steps(
        self, now: int, epoch: Epoch, held: Callable[[int, int], Held], spare: int | None
    ) -> list[Step]:
        """What is due at `now`. `spare`: the stored moment of the epoch's spare."""
        due: list[Step] = []
        for kind, period in self.periods(epoch):
            passed = sum(moment <= now for moment in self.moments(kind, period))
            due += [Fetch(kind, period)] * (passed - held(kind, period).fetched)
        entry = held(KIND_ENTRY, epoch)
        if entry.fetched and Fetch(KIND_ENTRY, epoch) not in due:
            due += self._spare(now, epoch, entry.left, spare)
        return due

    def _spare(self, now: int, epoch: Epoch, left: int, spare: int | None) -> list[Step]:
        wanted = left <= SPARE_BELOW
        if spare is None:
            return [WantSpare(epoch, self._soon(now, epoch))] if wanted else []
        if not wanted:
            return [DropSpare(epoch)]
        return [Fetch(KIND_ENTRY, epoch, spare=True)] if spare <= now else []

    def _soon(self, now: int, epoch: Epoch) -> int:
        rest = self._schedule.end(epoch) - now
        return now + uniform.below(max(1, min(self._schedule.epoch_length // _SPREAD, rest)), self._random)

    def _issued(self, kind: int, period: int) -> tuple[int, int]:
        """From when until when the passes of a period are issued before it begins."""
        first = Epoch(period) if kind == KIND_ENTRY else self._schedule.first_epoch(Term(period))
        length = 1 if kind == KIND_ENTRY else self._schedule.term_length
        return self._schedule.start(Epoch(first - length)), self._schedule.start(first)

    def _draw(self, kind: int, period: int, number: int) -> int:
        """A uniform number below 2^256: the bias of a remainder by a period's seconds is below 2^-200."""
        place = bytes([kind]) + period.to_bytes(4, "big") + number.to_bytes(2, "big")
        keyed = blake2b(place, key=self._secret, digest_size=32, person=_PERSON)
        return int.from_bytes(keyed.digest(), "big")
