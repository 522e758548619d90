"""Parameters of a network: two presets, and the inequalities that keep money safe (DESIGN §15).

The deployment file carries the set a network was deployed with, so daemons, clients and contracts agree on
it. Durations are whole seconds of chain time unless the name says otherwise; amounts are the token's smallest
unit; "value" means units of the hop price. What an operator may choose for itself is in its own
configuration; the limits of risk here are its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.types import Amount, Value

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TOKEN = 10**18
"""Smallest units in one token of 18 decimals."""

MAX_SUCCESSORS = 256
"""Next hops that one relay serves at most in a term (DESIGN §10)."""

LONGEST_PATH_DELAY = 3 * 65_535 / 1_000
"""Seconds: three mixes, each holding a packet for what fits into the u16 of its header, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """One network's parameters. Raises ValueError when they contradict each other."""

    epoch_length: int
    """Key life and size of the replay store."""
    term_length: int
    """Epochs in a term: how long links, channels and mailbox passes last."""
    stake: Amount
    """Of every relay; covers what it can owe all its successors at once."""
    hop_price: Amount
    """What one relay earns for one packet: an active user-day with cover costs 16,384 * 5 of it."""
    chains: int
    """Hash chains of a pass."""
    chain_links: int
    """Links of a chain: the most hashes that a contract ever replays for one."""
    window: int
    """W: packets of a client at its entry that may lack their acknowledgement (bandwidth by round trip)."""
    ack_timeout: int
    """T: after it a missing acknowledgement counts as a lost packet."""
    batch_tickets: int
    """B: tickets that a payee accepts before it wants a batch signature: its risk before one."""
    batch_interval_ms: int
    """A payer signs its batch this often, in ms of real time, while there is something new in it."""
    settle_tickets: int
    """A batch is settled when it has this many tickets, …"""
    settle_interval: int
    """… or is this old."""
    max_unsettled: Value
    """What a payee lets one payer owe it between two settlements: its risk when the payer goes silent."""
    credit_limit: Value
    """What a payee carries before there is a channel, so that one is opened only where traffic flows."""
    notice: int
    """Between a close request and the closing of a channel: longer than an operator's weekend off."""
    unbonding: int
    """Between leaving and the pay-out of the stake: everything a relay owes must be settled before."""
    claim_window: int
    """How long after its end a period can be claimed from the pool."""
    withdrawal_notice: int
    """Before a sponsor gets budget back: longer than the claim window, so carried traffic is paid first."""
    key_grace: int
    """How long an epoch's packet keys are accepted after it: longer than the longest path delay."""

    def __post_init__(self) -> None:
        for holds, rule in self._rules():
            if not holds:
                raise ValueError(f"parameters contradict each other: {rule} does not hold")

    def _rules(self) -> list[tuple[bool, str]]:
        positive = min(getattr(self, name) for name in self.__dataclass_fields__)
        owed = MAX_SUCCESSORS * (self.credit_limit + self.max_unsettled) * self.hop_price
        return [
            (positive > 0, "every parameter > 0"),
            (self.stake >= owed, "stake ≥ successors * (credit_limit + max_unsettled) * hop_price"),
            (self.claim_window < self.withdrawal_notice, "claim_window < withdrawal_notice"),
            (self.withdrawal_notice < self.unbonding, "withdrawal_notice < unbonding"),
            (self.unbonding > self.notice + self.settle_interval, "unbonding > notice + settle_interval"),
            (self.notice > self.settle_interval, "notice > settle_interval"),
            (self.key_grace > LONGEST_PATH_DELAY, "key_grace > longest path delay"),
            (self.key_grace < self.epoch_length, "key_grace < epoch_length"),
            (self.batch_tickets <= self.settle_tickets, "batch_tickets ≤ settle_tickets"),
            (self.credit_limit <= self.max_unsettled, "credit_limit ≤ max_unsettled"),
            (self.window <= self.ticks, "window ≤ chains * chain_links"),
        ]

    @property
    def ticks(self) -> int:
        """N: packets that one pass pays for."""
        return self.chains * self.chain_links


PRODUCTION = Parameters(
    epoch_length=1 * DAY,
    term_length=28,
    stake=Amount(1_000 * TOKEN),
    hop_price=Amount(TOKEN // 10**6),
    chains=64,
    chain_links=256,
    window=64,
    ack_timeout=5,
    batch_tickets=256,
    batch_interval_ms=2_000,
    settle_tickets=1_000,
    settle_interval=1 * HOUR,
    max_unsettled=Value(200_000),
    credit_limit=Value(2_000),
    notice=2 * DAY,
    unbonding=14 * DAY,
    claim_window=3 * DAY,
    withdrawal_notice=7 * DAY,
    key_grace=5 * MINUTE,
)

DEMO = Parameters(
    epoch_length=1 * HOUR,
    term_length=1,
    stake=Amount(100 * TOKEN),
    hop_price=PRODUCTION.hop_price,
    chains=PRODUCTION.chains,
    chain_links=PRODUCTION.chain_links,
    window=PRODUCTION.window,
    ack_timeout=PRODUCTION.ack_timeout,
    batch_tickets=PRODUCTION.batch_tickets,
    batch_interval_ms=PRODUCTION.batch_interval_ms,
    settle_tickets=PRODUCTION.settle_tickets,
    settle_interval=1 * HOUR,  # the demo's phases end with their epoch, long before an hour of real time
    max_unsettled=PRODUCTION.max_unsettled,
    credit_limit=PRODUCTION.credit_limit,
    notice=2 * HOUR,
    unbonding=4 * HOUR,
    claim_window=2 * HOUR,
    withdrawal_notice=3 * HOUR,
    key_grace=PRODUCTION.key_grace,
)

PRESETS = {"production": PRODUCTION, "demo": DEMO}
"""By the name that `--parameters` takes."""
