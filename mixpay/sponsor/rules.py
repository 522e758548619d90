"""What signing and redeeming share: which campaign it is, and how a request is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.errors import MixpayError
from mixpay.passes import Scope
from mixpay.sponsor.keys import Period
from mixpay.types import Account


class IssuerError(MixpayError):
    """A request is refused. `label` is for programs (see `api`), the text for people."""

    def __init__(self, label: str, detail: str) -> None:
        super().__init__(detail)
        self.label = label


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which campaign this is, and the two secrets (32 bytes each) of its issuer."""

    chain_id: int
    pool: Account
    number: int
    signer_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False)

    def scope(self, period: Period) -> Scope:
        """What a pass of a period is for."""
        return Scope(self.chain_id, self.pool, self.number, period.kind, period.number)
