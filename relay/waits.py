"""What has to wait, until when, and why: said once in the log, and as long as it lasts to the operator."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

log = logging.getLogger(__name__)


class Matter(NamedTuple):
    """What waits: the passes or the voucher of a campaign and period."""

    campaign: int
    period: int
    what: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Until when (chain time, unless told otherwise), and why. `unanswered`: a credit may be outstanding."""

    until: int
    why: str
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The same, for the operator."""

    campaign: int
    period: int
    why: str


class Waits:
    """All that waits."""

    def __init__(self) -> None:
        self._waits: dict[Matter, Wait] = {}

    def put(self, matter: Matter, wait: Wait) -> None:
        """Let something wait."""
        known = self._waits.get(matter)
        self._waits[matter] = wait
        if known is None or known.why != wait.why:
            log.warning("campaign %d, period %d: %s", matter.campaign, matter.period, wait.why)

    def drop(self, matter: Matter) -> None:
        """It waits no more."""
        self._waits.pop(matter, None)

    def is_due(self, matter: Matter, now: int) -> bool:
        """Whether it may be tried at chain time `now`."""
        wait = self._waits.get(matter)
        return wait is None or now >= wait.until

    def is_unanswered(self, matter: Matter) -> bool:
        """Whether its last try may have been credited without our knowing."""
        wait = self._waits.get(matter)
        return wait is not None and wait.unanswered

    def all(self) -> Iterator[Waiting]:
        """In order of campaign and period."""
        for matter, wait in sorted(self._waits.items(), key=lambda item: item[0]):
            yield Waiting(matter.campaign, matter.period, wait.why)
