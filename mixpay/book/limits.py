"""What a payee trusts a payer with, and the labels of every refusal (docs/design.md §7, §15).

    unsigned    tickets on this side that no batch signature covers       ≤ unsigned_window
    unsettled   value of tickets that no voucher covers                   ≤ max_unsettled
    unsettled   in tokens, while a channel exists                         ≤ deposit - max(claimed, vouchers)
    unsettled   in tokens, before one was ever funded                     ≤ credit_limit - vouchers

What vouchers promised counts against the channel although it is not claimed yet, and against the credit as
long as nothing was deposited: otherwise each voucher would open the same room again. The payer keeps to the
same rules with its own numbers, which are never lower while acknowledgements are on their way, so that an
honest payer waits instead of being refused; and it counts on more money than before only when its payee has
read of it, too (`relay/chainside.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.book.rows import MAX_SHORT, Channel
from mixpay.types import Amount, Value

# Refusals of a ticket by the payee, and reasons for the payer to wait.
UNSIGNED_WINDOW = "unsigned_window"
MAX_UNSETTLED = "max_unsettled"
CHANNEL_EXHAUSTED = "channel_exhausted"
CREDIT_EXHAUSTED = "credit_exhausted"
CHANNEL_CLOSING = "channel_closing"
LINK_REFUSED = "link_refused"
DRAINING = "draining"
"""The payee takes no new packets, for it is about to stop or to be restarted."""
RESTORED = "restored"
"""This side's book was put back from an older copy."""
LIMITS = frozenset(
    (
        UNSIGNED_WINDOW,
        MAX_UNSETTLED,
        CHANNEL_EXHAUSTED,
        CREDIT_EXHAUSTED,
        CHANNEL_CLOSING,
        LINK_REFUSED,
        DRAINING,
    )
)
"""Reasons that hold for the next ticket too: the payer pauses."""

# More refusals of a ticket by the payee.
STALE_TICKET = "stale_ticket"
# More reasons for the payer to wait.
PAYEE_REFUSES = "payee_refuses"
TOO_MANY_LOST = "too_many_lost"
TOO_MANY_LATE = "too_many_late"
# Why a ticket counts as lost.
NO_ACK = "no_ack"

# The payee's faults, as the payer sees them.
BAD_ACK = "bad_ack"
UNKNOWN_TICKET = "unknown_ticket"
CHANGED_ACK = "changed_ack"
ACK_AFTER_CUT = "ack_after_cut"
BAD_CUT = "bad_cut"
PADDED_TOTAL = "padded_total"
CHANGED_ROOT = "changed_root"
BAD_SAMPLE = "bad_sample"

# The payer's faults, as the payee sees them.
FORGED_BATCH = "forged_batch"
WRONG_COUNT = "wrong_count"
WRONG_ROOT = "wrong_root"
BAD_POINTS = "bad_points"
CHANGED_POINTS = "changed_points"
FORGED_VOUCHER = "forged_voucher"
WRONG_VOUCHER = "wrong_voucher"


_MAX_UNSETTLED = Value(200_000)
_CREDIT_LIMIT = Value(2_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """One side's settings. Counts in tickets, values in hop prices, times in seconds."""

    unsigned_window: int = 256
    batch_interval: float = 2.0
    max_unsettled: Value = _MAX_UNSETTLED
    credit_limit: Value = _CREDIT_LIMIT
    ack_timeout: float = 5.0
    """After it a ticket counts as lost, and its place in the window is free again."""
    response_timeout: float = 15.0
    """How long after the cut a batch waits for its last responses: above a packet's longest way on."""
    longest_wait: float = 600.0
    """The same while a relay is away that may have some of them: time to start a host again, which must not
    cost its neighbours what they have earned."""
    settle_tickets: int = 1_000
    settle_period: float = 3_600.0
    retry_interval: float = 5.0
    """Without any progress for so long, the payee repeats itself."""
    shorten_after: int = 1_024
    """Signed tickets of a batch are written down in short, at least so many at a time."""
    max_lost: int = 4_096
    """A payer keeps that many lost tickets in mind, then stops to promise more, but for probes."""
    probe_interval: float = 60.0
    """With too many lost, one ticket is promised after so long: the payee may be well again."""
    max_late: int = 512
    """A payer is paid nothing upstream for what is acknowledged too late, but owes it all the same. After so
    many late acks, beyond a sixteenth of the timely ones, it stops to promise more, so that withholding acks
    is no way to earn. Two windows: room for a payee that crashed honestly."""

    def __post_init__(self) -> None:
        if min(self.unsigned_window, self.settle_tickets, self.max_lost, self.max_unsettled) < 1:
            raise ValueError("window, max_unsettled, settle_tickets and max_lost are at least 1")
        if not 1 <= self.shorten_after <= MAX_SHORT // 2:
            raise ValueError(f"shorten_after is 1 to {MAX_SHORT // 2}")
        if self.credit_limit < 0:
            raise ValueError("credit_limit is not negative")


def room(limits: Limits, channel: Channel, cumulative: Amount, price: Amount) -> int:
    """Return what unsettled tickets may add up to, in token units; negative if too much is owed already.

    `cumulative` is the newest voucher's, `price` the hop price.
    """
    if not channel.deposit:
        return limits.credit_limit * price - cumulative
    return channel.deposit - (channel.claimed if channel.claimed > cumulative else cumulative)


def refusal(
    limits: Limits, channel: Channel, cumulative: Amount, price: Amount, *, unsigned: int, owed: int
) -> str | None:
    """Return why a ticket exceeds the limits, or None.

    `unsigned` are the tickets without it, `owed` the unsettled amount in token units with it.
    """
    if channel.closes_at:
        return CHANNEL_CLOSING
    if unsigned >= limits.unsigned_window:
        return UNSIGNED_WINDOW
    if owed > limits.max_unsettled * price:
        return MAX_UNSETTLED
    if owed <= room(limits, channel, cumulative, price):
        return None
    return CHANNEL_EXHAUSTED if channel.deposit else CREDIT_EXHAUSTED
