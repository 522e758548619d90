"""When which fragment is sent, and what an answer means: the sender's state machine.

Rules
  * The clock strikes at exponential intervals. If something waits and the window has room, a packet is sent;
    otherwise the stroke passes unused. So the times of packets tell nothing about the message.
  * Every packet has its own number, never used again; the same fragment sent again is a new packet.
  * A fragment is done when one of its packets was acknowledged, however late.

    answer        fragment                      entry                           clock
    accepted      done                          judged well                     pause ends
    failed, or
    none in T     queued again, attempt used    judged badly                    -
    busy          queued again, attempt kept    -                               pause doubles
    unusable      queued again, attempt kept    must be changed                 stops until changed

An entry is changed when too many of its newest answers were failures, when it acknowledged nothing for the
profile's patience, or when it is unusable (connection gone, pass refused or spent, forged ack). Refusals
count like losses, so that an entry gains little by refusing until a packet's path suits it. Whoever runs the
machine then finds another entry and calls `entry_changed`, after which attempts count anew; how many entries
are tried is for the caller to say. A fragment out of attempts ends the message: given up.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

from mixpay.client.judgement import Judgement
from mixpay.client.profile import Profile, exponential
from mixpay.types import Random


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send fragment `fragment` now, as packet `number`."""

    number: int
    fragment: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless an answer arrives."""

    until: float


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    """This entry is of no more use, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Every fragment was accepted."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A fragment is out of attempts; the reason of its last failure."""

    reason: str


Step = Transmit | Wait | ChangeEntry | Finished | GivenUp


@dataclass(frozen=True, slots=True)
class _Flight:
    fragment: int
    overdue_at: float


class Sender:
    """One message on its way. Times are seconds of any steady clock; ask `step` again after every call."""

    def __init__(self, fragments: int, profile: Profile, random: Random, now: float) -> None:
        self._profile, self._random = profile, random
        self._open = set(range(fragments))
        self._queue = deque(range(fragments))
        self._failures: Counter[int] = Counter()
        self._last_failure = ""
        self._numbers = 0
        self._fly: dict[int, _Flight] = {}
        self._overdue: dict[int, int] = {}
        self._fault = ""
        self._pause = 0.0
        self._resume_at = now
        self._waiting_since: float | None = None
        self._judgement = Judgement(profile)
        self._next_at = now + self._gap()

    @property
    def sent(self) -> int:
        """Packets handed out so far."""
        return self._numbers

    @property
    def remaining(self) -> int:
        """Fragments not yet accepted."""
        return len(self._open)

    def step(self, now: float) -> Step:
        """What to do now."""
        self._expire(now)
        if not self._open:
            return Finished()
        fault = self._fault or self._verdict(now)
        if fault:
            return ChangeEntry(fault)
        if self._failures and max(self._failures.values()) >= self._profile.attempts:
            return GivenUp(self._last_failure)
        if now >= self._next_at:
            self._next_at = now + self._gap()
            if self._queue and len(self._fly) < self._profile.window and now >= self._resume_at:
                return self._transmit(now)
        return Wait(self._wake_at())

    def accepted(self, number: int, now: float) -> bool:
        """Packet `number` was acknowledged with the right ack. False if that was known, or it never left."""
        flight = self._fly.pop(number, None)
        fragment = flight.fragment if flight else self._overdue.pop(number, None)
        if fragment is None:
            return False
        if fragment in self._open:
            self._open.remove(fragment)
            self._failures.pop(fragment, None)
            # A copy may wait in the queue, if this answer was late.
            if fragment in self._queue:
                self._queue.remove(fragment)
        self._judgement.good()
        self._pause, self._resume_at = 0.0, now
        self._waiting_since = now if self._fly else None
        return True

    def failed(self, number: int, reason: str) -> None:
        """The entry says that it or mix 1 refused the packet, or that no ack came: try another path."""
        fragment = self._requeue(number)
        if fragment is not None:
            self._failures[fragment] += 1
            self._last_failure = reason
            self._judgement.bad()

    def busy(self, number: int, now: float) -> None:
        """The entry has no room: it is sent later, and everything else too."""
        if self._requeue(number) is not None:
            longest = self._profile.longest_pause
            self._pause = min(2 * self._pause, longest) if self._pause else self._profile.pause
            self._resume_at = now + self._pause

    def unusable(self, reason: str) -> None:
        """The entry, the pass or the connection is of no more use; packets in the air are sent again."""
        self._fault = self._fault or reason

    def entry_changed(self, now: float) -> None:
        """Another entry is ready. The old one's answers will not come any more."""
        for number in list(self._fly):
            self._requeue(number)
        self._overdue.clear()
        self._judgement.clear()
        self._failures.clear()
        self._fault, self._pause, self._resume_at = "", 0.0, now
        self._waiting_since = None
        self._next_at = now + self._gap()

    def _transmit(self, now: float) -> Transmit:
        number, fragment = self._numbers, self._queue.popleft()
        self._numbers += 1
        if self._waiting_since is None:
            self._waiting_since = now
        self._fly[number] = _Flight(fragment, now + self._profile.ack_timeout)
        return Transmit(number, fragment)

    def _expire(self, now: float) -> None:
        late = [number for number, flight in self._fly.items() if flight.overdue_at <= now]
        for number in late:
            self._overdue[number] = self._fly[number].fragment
            self.failed(number, "no_answer")

    def _verdict(self, now: float) -> str:
        if self._judgement.is_lossy:
            return "lossy"
        if self._waiting_since is not None and now - self._waiting_since >= self._profile.patience:
            return "stalled"
        return ""

    def _wake_at(self) -> float:
        return min(self._next_at, *(flight.overdue_at for flight in self._fly.values()), math.inf)

    def _requeue(self, number: int) -> int | None:
        flight = self._fly.pop(number, None)
        if flight is None:
            return None
        if flight.fragment in self._open and flight.fragment not in self._queue:
            # At the end: a fault that is over by then costs no second attempt.
            self._queue.append(flight.fragment)
        return flight.fragment

    def _gap(self) -> float:
        return exponential(self._profile.interval, self._random)
