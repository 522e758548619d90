"""Cases and reports, made up, for tests of what follows from them."""

from __future__ import annotations

from mixpay.chain import events
from mixpay.chain.views import Case, CaseBatch
from mixpay.types import Account, Amount, RelayId, Value
from relay.config import CourtRules
from relay.court.facts import Moment, Terms, Unsettled, Voucher

ME, OTHER, THIRD = (Account(bytes([n]) * 20) for n in (1, 2, 3))
RELAY = RelayId(7)
TERMS = Terms(answer_window=1_000, finish_window=500, grace=300, notice=2_000)
RULES = CourtRules(patience=600, min_amount=100)
NOW = 10_000
BLOCK = 1_000
PRICE = Amount(10)
SIGNATURE = b"\1" * 65
SEED = b"\2" * 32


def case(
    payer: Account = OTHER, payee: Account = ME, number: int = 1, amount: int = 40, base: int = 0
) -> Case:
    """Opened now, about tickets of so many hop prices."""
    batch = CaseBatch(number, 8, Value(amount), PRICE, b"\3" * 32)
    return Case(payer, payee, Amount(base), Value(amount), batch, b"\4" * 32, NOW, BLOCK)


def voucher(cumulative: int, upto: int = 1) -> Voucher:
    """Signed."""
    return Voucher(Amount(cumulative), upto, SIGNATURE)


def moment(now: int = NOW, block: int = BLOCK, **more: int) -> Moment:
    """Rich, unless told otherwise."""
    have = {"ledger": 10**6, "tokens": 10**6, "ether": 1, **more}
    return Moment(now, block, **have)  # type: ignore[arg-type]


def unsettled(amount: int = 400, in_all: int | None = None, since: int = NOW, expired: int = 0) -> Unsettled:
    """Batch 1, noticed now."""
    return Unsettled(1, since, Amount(amount), Amount(amount if in_all is None else in_all), expired)


# ---------------------------------------------------------------------- reports


def opened(about: Case, block: int = BLOCK) -> events.CaseOpened:
    return events.CaseOpened(block, 0, bytes(32), about.payer, about.payee, about)


def answered(about: Case, cumulative: int, upto: int, block: int = BLOCK) -> events.CaseAnswered:
    return events.CaseAnswered(
        block, 0, bytes(32), about.payer, about.payee, Amount(cumulative), upto, SIGNATURE
    )


def admitted(about: Case, cumulative: int, upto: int, block: int = BLOCK) -> events.CaseAdmitted:
    return events.CaseAdmitted(
        block, 0, bytes(32), about.payer, about.payee, Amount(cumulative), upto, SIGNATURE
    )


def judged(about: Case, total: int, block: int = BLOCK, upto: int = 0) -> events.Judged:
    """Up to its batch, unless told otherwise."""
    number = upto or about.batch.number
    return events.Judged(block, 1, bytes(32), about.payer, about.payee, number, Amount(total))


def expired(about: Case, block: int = BLOCK) -> events.CaseExpired:
    return events.CaseExpired(block, 0, bytes(32), about.payer, about.payee, about.bond)
