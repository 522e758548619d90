"""What the service refused, by reason: an addition for each, and nothing of who asked."""

from __future__ import annotations

from collections import Counter


class Refusals:
    """Counts by reason, since the start of the process. Belongs to the event loop."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, reason: str, times: int = 1) -> None:
        """One more. Reasons are ours, so there are only so many."""
        self._counts[reason] += times

    def counts(self) -> dict[str, int]:
        """How often each was given."""
        return dict(self._counts)
