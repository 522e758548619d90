"""How an entry does, by its newest answers (`mixpay.client.profile` has the bounds)."""

from __future__ import annotations

from collections import deque

from mixpay.client.profile import Profile


class Judgement:
    """Of one entry. Refusals count like losses, so that an entry gains little by refusing until a packet's
    path suits it.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._recent: deque[bool] = deque(maxlen=profile.watched)

    def good(self) -> None:
        """A packet was acknowledged by its first mix."""
        self._recent.append(False)

    def bad(self) -> None:
        """One was refused, or never answered."""
        self._recent.append(True)

    def clear(self) -> None:
        """Another entry."""
        self._recent.clear()

    @property
    def is_lossy(self) -> bool:
        """Whether too many of the newest answers were failures, or all of the very last."""
        newest = list(self._recent)[-self._profile.in_a_row :]
        in_a_row = len(newest) == self._profile.in_a_row and all(newest)
        return sum(self._recent) > self._profile.tolerated or in_a_row
