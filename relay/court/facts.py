"""What the court's planner is told. Amounts in token units; times in seconds of chain time."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.book import PayeeBook, PayerBook
from mixpay.chain.views import Case
from mixpay.parameters import Parameters
from mixpay.types import Account, Amount, RelayId
from relay.court.docket import Docket, Pair

_NOTHING = Amount(0)


@dataclass(frozen=True, slots=True)
class Terms:
    """The court's own, and the notice of a channel. In seconds."""

    answer_window: int
    finish_window: int
    grace: int
    notice: int

    @classmethod
    def of(cls, parameters: Parameters) -> Terms:
        """Those of a network."""
        p = parameters
        return cls(p.answer_window, p.finish_window, p.grace, p.notice)

    def provable_from(self, case: Case) -> int:
        """First second in which a case can be proven by its samples."""
        return case.opened_at + self.answer_window

    def ends(self, case: Case) -> int:
        """First second in which it cannot any more."""
        return self.provable_from(case) + self.finish_window


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is, and what we have: `block` is the newest one that was read."""

    now: int
    block: int
    ledger: Amount
    tokens: Amount
    ether: int
    in_flight: int = 0
    """Transactions sent from the account that are in no block yet."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """The newest between two relays; the signature is empty where there is none, or only a judgement."""

    cumulative: Amount = _NOTHING
    upto_batch: int = 0
    signature: bytes = field(default=b"", repr=False)

    def covers(self, case: Case) -> bool:
        """Whether it answers the case."""
        return bool(self.signature) and self.upto_batch >= case.batch.number and self.cumulative >= case.total


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """An open case, as reported. `seed`: empty before it is recorded."""

    case: Case
    seed: bytes = b""
    is_open: bool = True
    """Whether the chain says so now. If not, it has ended, and we shall read how."""
    admitted: bool = False
    """Whether the payer has shown a voucher up to a later batch: proven, the case has no costs."""

    @property
    def state(self) -> str:
        """For the operator."""
        state = "seed drawn" if self.seed else "opened"
        return f"{state}, admitted" if self.admitted else state

    @property
    def answer_from(self) -> int:
        """Newest block after which we show a voucher that ends our own case: the payer had its time, and the
        seed can still be recorded for as long again, so that nobody can take the bond meanwhile."""
        return self.case.open_block + 128

    @property
    def record_from(self) -> int:
        """Newest block after which the seed can be recorded: the block that it is the hash of is then known
        to calls that are tried on the newest block, too."""
        return self.case.open_block + 5

    @property
    def record_until(self) -> int:
        """Newest block after which it still can."""
        return self.case.open_block + 259

    def is_unrecorded(self, block: int) -> bool:
        """Whether there is no seed, and it is too late for one."""
        return not self.seed and block > self.record_until


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest judgement between two relays, and what there is to pay it. `judged_at`: 0 if not asked."""

    total: Amount
    number: int
    judged_at: int = 0
    deposit: Amount = _NOTHING
    """The channel's, all-time total."""
    stake: Amount = _NOTHING
    """What judgements can still take of the payer's: all that is left but the penalty."""

    @property
    def lacking(self) -> Amount:
        """What the channel lacks."""
        return Amount(max(0, self.total - self.deposit))


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A batch that was cut has no voucher."""

    number: int
    """The batch that a case is to be about: that one, or the next if there is nothing to prove of it."""
    since: int
    """When we noticed that it waits."""
    amount: Amount
    """What a case can claim: receipts under the payer's signature."""
    in_all: Amount
    """The same with a batch that follows, whose case builds on this one's."""
    expired: int = 0
    """Cases about it that ended without a judgement."""

    @property
    def bond(self) -> Amount:
        """What a case costs until it is won: half of the amount, rounded up."""
        return Amount((self.amount + 1) // 2)


@dataclass(frozen=True, slots=True)
class PayerFacts:
    """One payer, and what we have against it."""

    relay: RelayId
    account: Account
    voucher: Voucher = Voucher()
    """Its newest for us."""
    unsettled: Unsettled | None = None
    case: CaseFacts | None = None
    evidence: bool = False
    """Whether our book holds what the case was opened with."""
    judged: Judged | None = None
    closes_at: int = 0
    """When a requested close of its channel can be finished; 0 if none is requested."""


@dataclass(frozen=True, slots=True)
class PayeeFacts:
    """One payee, and what it has against us."""

    relay: RelayId
    account: Account
    voucher: Voucher = Voucher()
    """Our newest for it."""
    case: CaseFacts | None = None
    admits: bool = False
    """Whether our book owes as much as the case claims. It does, unless it lacks something."""
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan follows from."""

    moment: Moment
    payers: tuple[PayerFacts, ...] = ()
    payees: tuple[PayeeFacts, ...] = ()


# ---------------------------------------------------------------------- what books and docket say


def payer_facts(relay: RelayId, book: PayeeBook, docket: Docket, since: int | None) -> PayerFacts | None:
    """What we have against a payer; None if nothing. `since`: when the batch that it has to settle was
    noticed, if there is one. What only the chain knows is filled in later."""
    pair, number = Pair(book.payer, book.payee), book.case_batch
    case, judged = docket.case(pair), _judged(docket, pair, book.channel.deposit)
    unsettled = None
    if number is not None and since is not None:
        unsettled = Unsettled(number, since, *book.provable(), expired=docket.expired(pair, number))
    if case is None and unsettled is None and (judged is None or not judged.lacking):
        return None
    return PayerFacts(
        relay=relay,
        account=book.payer,
        voucher=_voucher(book),
        unsettled=unsettled,
        case=_case(docket, pair, case),
        evidence=case is not None and _holds(book, case),
        judged=judged,
        closes_at=book.channel.closes_at,
    )


def payee_facts(relay: RelayId, book: PayerBook, docket: Docket) -> PayeeFacts | None:
    """What a payee has against us; None if nothing."""
    pair = Pair(book.payer, book.payee)
    case, judged = docket.case(pair), _judged(docket, pair, book.channel.deposit)
    if case is None and (judged is None or not judged.lacking):
        return None
    return PayeeFacts(
        relay=relay,
        account=book.payee,
        voucher=_voucher(book),
        case=_case(docket, pair, case),
        admits=case is not None and book.admits(case.batch.number, case.total, docket.costs(pair)),
        judged=judged,
    )


def _case(docket: Docket, pair: Pair, case: Case | None) -> CaseFacts | None:
    return CaseFacts(case, admitted=docket.is_admitted(pair)) if case is not None else None


def _voucher(book: PayeeBook | PayerBook) -> Voucher:
    return Voucher(book.state.cumulative, book.state.upto_batch, book.state.signature)


def _judged(docket: Docket, pair: Pair, deposit: Amount) -> Judged | None:
    found = docket.judged(pair)
    return Judged(found.total, found.number, deposit=deposit) if found is not None else None


def _holds(book: PayeeBook, case: Case) -> bool:
    """Whether a book can prove this very case."""
    demand = book.demand
    if demand is None:
        return False
    ours = demand.number, demand.count, demand.locks_root, demand.root
    return ours == (case.batch.number, case.batch.count, case.batch.locks_root, case.receipts_root)
