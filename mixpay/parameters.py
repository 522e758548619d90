"""Parameters of a network: two presets, the inequalities that keep money safe, and ranges (DESIGN §15).

The deployment file carries the set a network was deployed with, so daemons, clients and contracts agree on
it. Durations are whole seconds of chain time unless the name says otherwise; amounts are the token's smallest
unit; "value" means units of the hop price. What an operator may choose for itself is in its own
configuration; the limits of risk here are its defaults. docs/deploying.md shows all of it as tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mixpay.types import Amount, Value

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TOKEN = 10**18
"""Smallest units in one token of 18 decimals."""

MAX_SUCCESSORS = 256
"""Next hops that one relay serves at most in a term (DESIGN §10)."""

SERVING_EPOCHS = 2
"""A relay that leaves is frozen for the next epoch first: it serves to that one's end, this long at most."""

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
    """Of every relay; without the penalty it covers what a relay can owe all its successors at once."""
    hop_price: Amount
    """What one relay earns for one packet: an active user-day with cover costs 16,384 * 5 of it."""
    chains: int
    """Hash chains of a pass."""
    chain_links: int
    """Links of a chain: what a contract replays of one at most."""
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
    answer_window: int
    """From the opening of a case: how long the payer has to show the voucher it owes."""
    finish_window: int
    """After it: how long the payee can open its samples. A case holds a closing channel for both windows."""
    grace: int
    """From a judgement: how long the payer has to fill its channel before its stake is used."""
    court_cost: Amount
    """Added to a judgement for the payee's gas, so that small defaults are worth a case too."""
    penalty: Amount
    """What a relay that signed two packet keys for one epoch loses of its stake; judgements take the rest."""
    unbonding: int
    """Between leaving and the pay-out of the stake: everything a relay owes must be judged before."""
    claim_window: int
    """How long after its end a period can be claimed from the pool."""
    withdrawal_notice: int
    """Before a sponsor gets budget back: longer than the claim window, so carried traffic is paid first."""
    key_grace: int
    """How long an epoch's packet keys are accepted after it: longer than the longest path delay."""
    timelock_delay: int
    """Before anything the governor publishes can take effect: whoever disagrees has left by then."""

    def __post_init__(self) -> None:
        for holds, rule in self.rules():
            if not holds:
                raise ValueError(f"parameters contradict each other: {rule} does not hold")

    def rules(self) -> list[tuple[bool, str]]:
        """Every inequality: whether it holds, and its text."""
        names = self.__dataclass_fields__
        return [
            (min(getattr(self, name) for name in names) > 0, "every parameter > 0"),
            (max(getattr(self, name) for name in names) < 1 << 96, "every parameter < 2^96"),
            (max(self.timelock_delay, self.term_length) < 1 << 32, "timelock_delay, term_length < 2^32"),
            *self._court_rules(),
            *self._exit_rules(),
            (self.notice > self.settle_interval, "notice > settle_interval"),
            (self.key_grace > LONGEST_PATH_DELAY, "key_grace > longest path delay"),
            (self.key_grace < self.epoch_length, "key_grace < epoch_length"),
            (self.batch_tickets <= self.settle_tickets, "batch_tickets ≤ settle_tickets"),
            (self.credit_limit <= self.max_unsettled, "credit_limit ≤ max_unsettled"),
            (self.window <= self.ticks, "window ≤ chains * chain_links"),
        ]

    def _court_rules(self) -> list[tuple[bool, str]]:
        owed = MAX_SUCCESSORS * ((self.credit_limit + self.max_unsettled) * self.hop_price + self.court_cost)
        return [
            (
                self.stake - self.penalty >= owed,
                "stake - penalty ≥ successors * ((credit_limit + max_unsettled) * hop_price + court_cost)",
            ),
            (self.hold <= self.notice, "hold = answer_window + finish_window ≤ notice"),
        ]

    def _exit_rules(self) -> list[tuple[bool, str]]:
        served = SERVING_EPOCHS * self.epoch_length + self.settle_interval
        judged = served + self.notice + self.hold + self.grace
        return [
            (
                self.unbonding > judged,
                "unbonding > 2 * epoch_length + settle_interval + notice + hold + grace",
            ),
            (self.claim_window >= self.epoch_length, "claim_window ≥ epoch_length"),
            (self.claim_window < self.withdrawal_notice, "claim_window < withdrawal_notice"),
            (self.withdrawal_notice < self.unbonding, "withdrawal_notice < unbonding"),
            (self.unbonding <= 365 * DAY, "unbonding ≤ 365 days"),
            (self.unbonding < self.timelock_delay, "unbonding < timelock_delay"),
        ]

    @property
    def hold(self) -> int:
        """Seconds for which one case can keep a closing channel open."""
        return self.answer_window + self.finish_window

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
    answer_window=1 * DAY,
    finish_window=12 * HOUR,
    grace=1 * DAY,
    court_cost=Amount(1 * TOKEN),
    penalty=Amount(500 * TOKEN),
    unbonding=14 * DAY,
    claim_window=3 * DAY,
    withdrawal_notice=7 * DAY,
    key_grace=5 * MINUTE,
    timelock_delay=30 * DAY,
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
    answer_window=20 * MINUTE,
    finish_window=20 * MINUTE,
    grace=10 * MINUTE,
    court_cost=Amount(TOKEN // 10),
    penalty=Amount(20 * TOKEN),
    unbonding=6 * HOUR,
    claim_window=2 * HOUR,
    withdrawal_notice=3 * HOUR,
    key_grace=PRODUCTION.key_grace,
    timelock_delay=8 * HOUR,
)

PRESETS = {"production": PRODUCTION, "demo": DEMO}
"""By the name that `--parameters` takes."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a parameter may be where real money is at stake, both ends included, and why."""

    low: int
    high: int
    why: str


RANGES: Mapping[str, Range] = {
    "epoch_length": Range(
        6 * HOUR, 7 * DAY, "shorter: directories all day; longer: keys and replay tags live on"
    ),
    "term_length": Range(1, 90, "mailboxes and links move that often"),
    "stake": Range(100 * TOKEN, 10**6 * TOKEN, "must hurt to lose, and be within an operator's reach"),
    "hop_price": Range(10**9, 10**15, "sums of a batch stay exact; a pass stays below a hundred tokens"),
    "chains": Range(64, 64, "the pool redeems passes of this shape"),
    "chain_links": Range(256, 256, "the pool redeems passes of this shape"),
    "window": Range(16, 1_024, "a slow client stalls below; an entry can waste as many above"),
    "ack_timeout": Range(2, 30, "shorter than a bad network's round trip makes false losses"),
    "batch_tickets": Range(16, 4_096, "a signature for each few packets costs more than the packets"),
    "batch_interval_ms": Range(200, 10_000, "the payee's risk between two signatures"),
    "settle_tickets": Range(256, 65_536, "the court's samples for a larger batch cost too much gas"),
    "settle_interval": Range(10 * MINUTE, 1 * DAY, "the payee's risk on a quiet link"),
    "max_unsettled": Range(
        10_000, 10_000_000, "two settlements' traffic at least; a payee can lose all of it"
    ),
    "credit_limit": Range(100, 100_000, "a first batch at least; lost to a payer that opens no channel"),
    "notice": Range(
        1 * DAY, 14 * DAY, "an outage must not cost a claim; a payer waits that long for its rest"
    ),
    "answer_window": Range(6 * HOUR, 7 * DAY, "an honest payer's outage must not cost it the court's costs"),
    "finish_window": Range(2 * HOUR, 2 * DAY, "a payee's outage must not cost it the bond"),
    "grace": Range(6 * HOUR, 7 * DAY, "time to fill the channel instead of losing the place"),
    "court_cost": Range(
        TOKEN // 100, 10 * TOKEN, "about what 700,000 gas cost; a default must not be cheaper"
    ),
    "penalty": Range(10 * TOKEN, 10**6 * TOKEN, "more than splitting one's clients can be worth"),
    "unbonding": Range(7 * DAY, 90 * DAY, "debts reach the court first; longer scares operators off"),
    "claim_window": Range(1 * DAY, 14 * DAY, "an outage, or a silent sponsor, must not cost a period"),
    "withdrawal_notice": Range(
        2 * DAY, 30 * DAY, "carried traffic is paid first; sponsors want the rest back"
    ),
    "key_grace": Range(200, 1 * HOUR, "old packets arrive; old keys are soon forgotten"),
    "timelock_delay": Range(14 * DAY, 180 * DAY, "everybody can leave, and some days to notice"),
}
"""By parameter. The presets beside PRODUCTION need not keep them, nor does a development chain."""


def out_of_range(parameters: Parameters) -> list[str]:
    """What is outside its range, one text each; nothing if all is inside."""
    values = ((name, getattr(parameters, name), bounds) for name, bounds in RANGES.items())
    return [
        f"{name} is {value}, and has to be from {bounds.low} to {bounds.high}: {bounds.why}"
        for name, value, bounds in values
        if not bounds.low <= value <= bounds.high
    ]
