"""How a payer checks a batch's receipts without seeing the list (docs/design.md §7).

The payee commits to the root and sum of the receipts' Merkle-sum tree; the payer draws points below the
sum, and each point must be opened: by a leaf that the point falls on, with the value of the ticket at that
place and a response that opens its lock. If a fraction f of the sum is not backed by receipts, each point
hits it with probability f, so it goes unnoticed with (1 - f)^16: 44 % for 5 %, 3 % for 20 %, 0.002 % for 50
%, while the whole batch is at stake.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixpay import proof
from mixpay.book.rows import Commitment
from mixpay.book.run import Run
from mixpay.merkle import Opening, verify_opening
from mixpay.types import Random, Value
from mixpay.wire.frames import SAMPLES

_POINT_BYTES = 16  # against totals of 8 bytes: the draw is uniform up to 2^-64


def draw_points(total: Value, random: Random) -> tuple[int, ...]:
    """Draw SAMPLES independent, uniform points below `total` (at least 1)."""
    return tuple(int.from_bytes(random(_POINT_BYTES), "big") % total for _ in range(SAMPLES))


def openings_hold(run: Run, commitment: Commitment, openings: Sequence[Opening]) -> bool:
    """Say whether these are true openings of the commitment's points, in their order."""
    if len(openings) != len(commitment.points):
        return False
    return all(
        map(lambda point, opening: _holds(run, commitment, point, opening), commitment.points, openings)
    )


def _holds(run: Run, commitment: Commitment, point: int, opening: Opening) -> bool:
    if not verify_opening(commitment.root, commitment.total, run.count, point, opening):
        return False
    place = opening.position
    return opening.value == run.value_at(place) and proof.opens(opening.response, run.lock(place))
