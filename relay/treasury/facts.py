"""What the treasury's planner is told. Amounts in token units; times in seconds of chain time."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.book import PayeeBook, PayerBook
from mixpay.chain.views import Campaign, PaidToRelay
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.store import StoredPoolVoucher

_NOTHING = Amount(0)


@dataclass(frozen=True, slots=True)
class PayeeFacts:
    """Our debts to one payee, and our channel to it (all-time totals)."""

    relay: RelayId
    account: Account
    cumulative: Amount
    """The newest voucher that we signed, or what was judged."""
    unsettled: Amount
    """Promised beyond it: tickets that no voucher covers yet."""
    deposit: Amount = _NOTHING
    claimed: Amount = _NOTHING
    closes_at: int = 0
    """When a requested close can be finished; 0 if none is requested."""
    waiting: int = 0
    """Packets that wait for this payee."""
    refused: bool = False
    """The payee broke the rules: nothing more is promised to it, ever."""

    @property
    def owed(self) -> Amount:
        """Everything ever promised."""
        return Amount(self.cumulative + self.unsettled)

    @property
    def uncovered(self) -> Amount:
        """What the newest voucher promises beyond the channel's deposit."""
        return Amount(max(0, self.cumulative - self.deposit))


@dataclass(frozen=True, slots=True)
class PayerFacts:
    """The newest voucher of one payer, or what was judged, and its channel to us (all-time totals)."""

    relay: RelayId
    account: Account
    cumulative: Amount
    upto_batch: int
    signature: bytes = field(repr=False)
    """65 bytes; empty before the first voucher, and for a judgement."""
    deposit: Amount = _NOTHING
    claimed: Amount = _NOTHING
    closes_at: int = 0

    @property
    def payable(self) -> Amount:
        """What a claim would pay now."""
        return Amount(max(0, min(self.cumulative, self.deposit) - self.claimed))

    @property
    def unpaid(self) -> Amount:
        """What the voucher promises beyond what was claimed."""
        return Amount(max(0, self.cumulative - self.claimed))


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The newest voucher of one campaign, and what the pool has paid."""

    voucher: StoredPoolVoucher
    claimed: Amount
    """All-time total paid by this campaign to us."""
    latest: Epoch
    """Period last claimed for; the pool takes no earlier one."""
    allowed: Amount
    """What budget and caps leave for the voucher's period."""
    closes_at: int
    """Last second in which the voucher's period can be claimed."""
    window: int
    """Seconds of a period's claim window."""
    reserved: bool = False
    """Passes that the voucher might cover are redeemed at the pool first: it is not claimed yet."""

    @property
    def unpaid(self) -> Amount:
        """What the voucher promises beyond what was claimed."""
        return Amount(max(0, self.voucher.cumulative - self.claimed))

    @property
    def payable(self) -> Amount:
        """What a claim would pay now, if its period can be claimed."""
        return Amount(min(self.unpaid, self.allowed))


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the operator's account has: in the Channels ledger, as tokens, as native currency (wei)."""

    ledger: Amount
    tokens: Amount
    ether: int
    in_flight: int = 0
    """Transactions sent from the account that are in no block yet."""


@dataclass(frozen=True, slots=True)
class Debts:
    """What the books and the store say: everything but the chain's own state. `price` of a hop."""

    price: Amount
    now: int
    payees: tuple[PayeeFacts, ...]
    payers: tuple[PayerFacts, ...]
    vouchers: tuple[StoredPoolVoucher, ...]
    winding_up: bool = False
    """This relay serves in no epoch any more: nothing new will be promised to anybody."""
    overdue: bool = False
    """And has not for so long that its stake is free: who has not settled or claimed by now had the time."""
    reserved: frozenset[int] = frozenset()
    """Campaigns whose voucher must not be claimed yet."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan follows from."""

    price: Amount
    now: int
    holdings: Holdings
    payees: tuple[PayeeFacts, ...] = ()
    payers: tuple[PayerFacts, ...] = ()
    pool: tuple[PoolFacts, ...] = ()
    winding_up: bool = False
    overdue: bool = False


def payee_facts(
    relay: RelayId, book: PayerBook, price: Amount, waiting: int = 0, judged: Amount = _NOTHING
) -> PayeeFacts:
    """What a payer's book says about its payee. `waiting`: packets that wait for it; `judged`: what the court
    says, which the book may not know yet."""
    totals, channel = book.totals(price), book.channel
    return PayeeFacts(
        relay=relay,
        account=book.payee,
        cumulative=max(totals.cumulative, judged),
        unsettled=Amount(totals.unsettled * price),
        deposit=channel.deposit,
        claimed=channel.claimed,
        closes_at=channel.closes_at,
        waiting=waiting,
        refused=totals.refused is not None,
    )


def payer_facts(
    relay: RelayId, book: PayeeBook, price: Amount, signature: bytes, judged: Amount = _NOTHING
) -> PayerFacts:
    """What a payee's book says about its payer. `signature`: of the newest voucher; `judged`: what the court
    says, which the book may not know yet."""
    totals, channel = book.totals(price), book.channel
    by_court = judged > totals.cumulative
    return PayerFacts(
        relay=relay,
        account=book.payer,
        cumulative=judged if by_court else totals.cumulative,
        upto_batch=totals.upto_batch,
        signature=b"" if by_court else signature,
        deposit=channel.deposit,
        claimed=channel.claimed,
        closes_at=channel.closes_at,
    )


def pool_facts(
    voucher: StoredPoolVoucher,
    campaign: Campaign,
    paid: PaidToRelay,
    paid_in_period: Amount,
    period_ends: int,
    window: int,
) -> PoolFacts:
    """Facts of a pool voucher: the same limits as SubsidyPool.claim has.

    `paid_in_period`: what all relays got for the voucher's period; `period_ends`: the first second after it.
    """
    in_period = paid.in_period if paid.period == voucher.period else 0
    allowed = min(campaign.relay_cap - in_period, campaign.period_cap - paid_in_period, campaign.budget)
    return PoolFacts(
        voucher=voucher,
        claimed=paid.claimed,
        latest=paid.period,
        allowed=Amount(max(0, allowed)),
        closes_at=period_ends + window,
        window=window,
    )
