"""What the operator's HTTP interface (`api.py`) answers, as types for the daemon and the command line.

Amounts are decimal strings of the token's smallest unit, for they do not fit a JavaScript number. A "value"
is in hop prices. Accounts and signatures are hexadecimal with 0x. Readers ignore fields they do not know.
"""

from __future__ import annotations

import msgspec


class VoucherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher to be checked by anybody: EIP-712 Voucher(payer, payee, cumulative, uptoBatch)."""

    payer: str
    payee: str
    cumulative: str
    upto_batch: int
    signature: str


class PoolVoucherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """EIP-712 PoolVoucher(campaign, relay, period, cumulative); `relay` is the operator's account."""

    campaign: int
    relay: str
    period: int
    cumulative: str
    signature: str


class DueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what is not paid: why, what follows, and when (`at`: chain time; None: now, or if).

    All parts together are all that is unpaid.
    """

    amount: str
    why: str
    follows: str
    at: int | None


class AgendaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the daemon will do by itself; `at` in chain time, None: when `when` says."""

    what: str
    when: str
    at: int | None


class PayerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one relay owes us. `notes`: why something is not paid yet, and what happens next."""

    relay: int
    account: str
    linked: bool
    unsettled_value: int
    """Acknowledged tickets that no voucher covers."""
    proven_value: int
    """The part of them whose responses are in."""
    receipts: int
    """Tickets ever settled."""
    cumulative: str
    claimed: str
    claimable: str
    deposit: str
    closes_at: int
    voucher: VoucherAnswer | None
    refused: str | None
    """Why it is cut off, as a label."""
    refused_since: int | None = None
    """Chain time."""
    remedy: str | None = None
    """What brings it back."""
    notes: list[str]
    dues: list[DueAnswer] = []


class PayeeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What we owe one relay. `notes`: what happens next with its channel."""

    relay: int
    account: str
    linked: bool
    waiting: int
    """Packets that wait for its link or its limits."""
    unsettled_value: int
    lost: int
    """Tickets refused or never acknowledged since the start."""
    cumulative: str
    deposit: str
    claimed: str
    closes_at: int
    refused: str | None
    """Why it is cut off, as a label."""
    refused_since: int | None = None
    """Chain time."""
    remedy: str | None = None
    """What brings it back."""
    notes: list[str]
    dues: list[DueAnswer] = []


class CampaignAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign: passes held for it, and its newest voucher for us."""

    campaign: int
    issuer: str | None
    ticks: dict[str, int]
    """What passes that were shown are worth, by "epoch N" or "term N"."""
    claimed: str | None
    """All that the pool has paid; None while the chain was not asked yet."""
    paid_for_passes: str = "0"
    """The part of it that was paid for passes, not for a voucher."""
    payable: str = "0"
    """What the voucher still brings within budget and caps, as far as the chain was asked."""
    voucher: PoolVoucherAnswer | None
    notes: list[str]
    dues: list[DueAnswer] = []


class CaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A batch in court, or on its way there: how it stands, what happens next, and when (chain time).

    `at` is None where that is now, or does not depend on the time.
    """

    relay: int
    """The payer; the payee, if the case is against us."""
    against_us: bool
    batch: int
    amount: str
    """What is claimed; once judged, the all-time total."""
    state: str
    follows: str
    at: int | None


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Packets ever carried, by role."""

    entry: int = 0
    mix: int = 0
    mailbox: int = 0


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """Totals over all peers and campaigns.

    earned = vouchers received - vouchers given; claimed: paid to us on chain; unclaimed = received - claimed.
    Of a pool voucher only what the pool has paid or would pay is received, whatever its issuer signed (I5).
    """

    received: str
    given: str
    earned: str
    claimed: str
    unclaimed: str


class Balances(msgspec.Struct, frozen=True, kw_only=True):
    """Of the operator's account: in the Channels ledger, as tokens, and in wei."""

    ledger: str
    tokens: str
    ether: str


class ReleaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A release with contracts of its own, and this operator's relay in it."""

    number: int
    begins: int
    """First epoch in which its contracts are in force."""
    ends: int | None
    """First epoch in which they are not any more, as far as published."""
    relay: int | None
    """The operator's relay there, if a daemon runs for it."""
    state: str
    """`to come`, `serving`, `winding up`, `done`, `not registered`, `unknown`."""
    notes: list[str]
    """What the operator should do, or what is waited for."""


class CapacityAnswer(msgspec.Struct, frozen=True):
    """What the relay can carry, estimated at its start from how fast it opens packets."""

    packets: int
    """A second."""
    open_us: float
    """CPU to open one, in µs."""


class LeavingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A relay that has left: how far it has come, and when its capital is back (chain time)."""

    left_at: int
    serves_until: int
    channels_back: int
    stake_back: int
    stake: str
    progress: str


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one relay."""

    relay: int
    operator: str
    owner: str
    endpoint: str
    software: str
    chain_time: int
    epoch: int
    term: int
    layer: int | None
    """As a mix, 1 to 3; None in an epoch that this relay does not belong to."""
    hop_price: str
    links_in: list[int]
    """Payers with an open link."""
    links_out: list[int]
    """Payees with an open link."""
    roles: Roles
    income: Income
    balances: Balances | None
    payers: list[PayerAnswer]
    payees: list[PayeeAnswer]
    campaigns: list[CampaignAnswer]
    cases: list[CaseAnswer] = []
    leaving: LeavingAnswer | None = None
    draining: DrainAnswer | None = None
    """None while packets are taken."""
    drops: dict[str, int]
    refusals: dict[str, int]
    capacity: CapacityAnswer | None = None
    """None until it was measured."""
    notes: list[str]
    """What concerns the operator: trouble, and what it can do about it."""
    agenda: list[AgendaAnswer] = []
    """What the daemon does next, and when."""
    releases: list[ReleaseAnswer] = []
    """All releases, those included in which this operator runs no relay."""


class ActionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that was tried: `error` is None if it is done."""

    what: str
    error: str | None


class RedeemedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Passes of a period that became a voucher, or that the pool has paid for (`at_pool`)."""

    campaign: int
    period: int
    passes: int
    amount: str
    at_pool: bool = False


class SettleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a settlement did. `complete`: nothing of it is left to wait for."""

    complete: bool
    seconds: float
    unsettled_value: dict[str, int]
    """Payers, by relay id, that did not settle in time, and what they owe."""
    redeemed: list[RedeemedAnswer]
    actions: list[ActionAnswer]
    waiting: list[str]


class DrainAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How far draining has come: packets that are in the relay, by where they are."""

    draining: bool
    complete: bool
    """No new packets are taken and none is left: to stop now loses nothing."""
    opening: int = 0
    held: int = 0
    waiting: int = 0
    unacknowledged: int = 0
