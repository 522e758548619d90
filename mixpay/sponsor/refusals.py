"""How often an issuer said no, by reason, since it started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Refusals:
    """Counts of one process. Labels are those of `mixpay.sponsor.api`, so there are few."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, label: str) -> None:
        """One more."""
        self._counts[label] += 1

    def by_reason(self) -> Mapping[str, int]:
        """Label → count, the most frequent first."""
        return dict(self._counts.most_common())
