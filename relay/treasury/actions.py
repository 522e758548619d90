"""What the treasury can do, and what waits: the words that its plans are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from mixpay.types import Account, Amount, Epoch, RelayId
from relay.treasury.closing import FinishClose, RequestClose


class Subject(StrEnum):
    """What something that waits is about."""

    PAYER = "payer"
    PAYEE = "payee"
    CAMPAIGN = "campaign"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Deposit:
    """Move tokens of the operator's account into its ledger balance."""

    amount: Amount
    why: str


@dataclass(frozen=True, slots=True)
class Fund:
    """Add to the channel to a payee, from the ledger balance; 0 only takes a close request back."""

    relay: RelayId
    payee: Account
    amount: Amount
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Submit a payer's newest voucher; without a signature, what the court has judged."""

    relay: RelayId
    payer: Account
    cumulative: Amount
    upto_batch: int
    signature: bytes = field(repr=False)
    why: str


@dataclass(frozen=True, slots=True)
class ClaimPool:
    """Submit a campaign's newest voucher."""

    campaign: int
    period: Epoch
    cumulative: Amount
    signature: bytes = field(repr=False)
    why: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Pay out from the ledger balance to the owner."""

    amount: Amount
    why: str


Action: TypeAlias = Deposit | Fund | Claim | ClaimPool | RequestClose | FinishClose | Sweep


@dataclass(frozen=True, slots=True)
class Together:
    """Several payers' vouchers, claimed by one transaction: all or nothing. Each has a result of its own."""

    claims: tuple[Claim, ...]

    @staticmethod
    def of(*claims: Claim) -> Claim | Together:
        """One voucher stays what it is."""
        return claims[0] if len(claims) == 1 else Together(claims)

    def halves(self) -> tuple[Claim | Together, Claim | Together]:
        """The same by two transactions."""
        half = len(self.claims) // 2
        return Together.of(*self.claims[:half]), Together.of(*self.claims[half:])


@dataclass(frozen=True, slots=True)
class Postponed:
    """What waits: about whom (relay id, campaign number; 0 for the operator's account), and why."""

    subject: Subject
    number: int
    why: str


_KINDS = {
    Deposit: "deposit",
    Fund: "fund",
    Claim: "claim",
    ClaimPool: "claim_pool",
    RequestClose: "request_close",
    FinishClose: "finish_close",
    Sweep: "sweep",
}


def kind(action: Action) -> str:
    """An action's kind, as metrics have it."""
    return _KINDS[type(action)]


def verb(action: Action) -> str:
    """What a log says of it, once it is done."""
    match action:
        case Deposit():
            return "deposited"
        case Fund():
            return "funded"
        case Claim() | ClaimPool():
            return "claimed"
        case RequestClose():
            return "gave"
        case FinishClose():
            return "took back"
        case _:
            return "swept"


def name(action: Action) -> str:
    """An action's kind and peer: one name for all its repetitions."""
    match action:
        case Fund():
            return f"funding relay {action.relay}"
        case RequestClose() | FinishClose():
            return f"closing the channel to relay {action.relay}"
        case Claim():
            return f"claim from relay {action.relay}"
        case ClaimPool():
            return f"claim from campaign {action.campaign}"
        case Deposit():
            return "deposit"
        case _:
            return "sweep"
