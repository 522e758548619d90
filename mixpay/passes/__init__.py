"""Passes: blind-signed, anonymous rights to send packets through one relay that nobody chose.

    wallet     spender.py      asks for a pass, derives its hash chains, spends one link a packet
    entry      entry.py        checks a pass, keeps the furthest link, hands it in after the period
    issuer     redemption.py   turns what entries hand in into one total for each relay

What the three agree on is in `terms.py`: the signed message, the chains, the drawn relay. Nothing here does
I/O, reads a clock or stores anything: every change comes back as a frozen record for the caller to keep.
"""

from mixpay.passes.entry import EntryPassBook, HeldPass, PassRecord, Presented, TickTaken
from mixpay.passes.redemption import Credit, RedeemedPass, RedemptionBook, RelayTotal
from mixpay.passes.spender import ForgedTick, OwnedPass, PassExhausted, PassRequest, PassSpender
from mixpay.passes.terms import (
    CHAINS,
    KIND_ENTRY,
    KIND_MAILBOX,
    LINKS,
    PASS_SIZE,
    REDEMPTION_SIZE,
    TICK_VALUE,
    TICKS,
    Pass,
    PassError,
    PassRules,
    Redemption,
    Scope,
    Tick,
    drawn_position,
)

__all__ = [
    "CHAINS",
    "KIND_ENTRY",
    "KIND_MAILBOX",
    "LINKS",
    "PASS_SIZE",
    "REDEMPTION_SIZE",
    "TICKS",
    "TICK_VALUE",
    "Credit",
    "EntryPassBook",
    "ForgedTick",
    "HeldPass",
    "OwnedPass",
    "Pass",
    "PassError",
    "PassExhausted",
    "PassRecord",
    "PassRequest",
    "PassRules",
    "PassSpender",
    "Presented",
    "RedeemedPass",
    "Redemption",
    "RedemptionBook",
    "RelayTotal",
    "Scope",
    "Tick",
    "TickTaken",
    "drawn_position",
]
