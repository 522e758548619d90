"""How far a payee is with the batches of a payer: for people who ask why they are not paid yet. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mixpay.book.receipt_run import ReceiptRun
from mixpay.types import Amount


class Stage(StrEnum):
    """What a batch waits for."""

    OPEN = "open"
    """More tickets, or its time."""
    UNSIGNED = "unsigned"
    """The payer's signature over all of it."""
    RESPONSES = "responses"
    """The last acknowledgements of next relays."""
    ASKED = "asked"
    """The payer's choice of samples."""
    SHOWN = "shown"
    """The payer's voucher: it has the samples."""
    COURT = "court"
    """A judgement, or a voucher after all."""
    GIVEN_UP = "given_up"
    """Nothing: a case about the next batch skips it, and only a voucher of the payer's can pay for it."""


@dataclass(frozen=True, slots=True)
class BatchStanding:
    """One batch. Amounts in token units; `proven`: of the tickets whose responses are in."""

    number: int
    tickets: int
    amount: Amount
    proven: Amount
    stage: Stage


@dataclass(frozen=True, slots=True)
class Standing:
    """Both living batches of a link."""

    open: BatchStanding
    cut: BatchStanding | None
    cut_in: float
    """Seconds until the open batch is cut, if nothing else cuts it before; not below 0."""
    redeemed_in: float
    """Seconds for which a cut batch still waits for responses; not below 0."""


def batch_standing(run: ReceiptRun, *, waits: bool) -> BatchStanding:
    """One batch. `waits`: whether responses are still waited for."""
    proven = Amount(run.opened * run.price)
    return BatchStanding(run.number, run.count, Amount(run.amount), proven, _stage(run, waits=waits))


def _stage(run: ReceiptRun, *, waits: bool) -> Stage:
    if run.given_up:
        return Stage.GIVEN_UP
    if run.demand is not None:
        return Stage.COURT
    if run.cut is None:
        return Stage.OPEN
    if run.commitment is not None:
        return Stage.SHOWN if run.commitment.points else Stage.ASKED
    if waits and run.opened < run.value:  # every ticket is worth something
        return Stage.RESPONSES
    return Stage.UNSIGNED if run.unsigned else Stage.ASKED
