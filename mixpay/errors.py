"""The exception tree. Our user's fault, the peer's fault and the chain's fault are different classes.

    MixpayError
    ├── UserError        a mistake the user can mend; the command line prints its text and exits with 2
    ├── PeerError        a peer broke the protocol; carries a reason label for counters and refusals
    └── ChainError       the chain or its RPC failed us
        ├── ChainUnavailable   no answer, or a stale one: try again later
        └── TransactionFailed  a transaction would revert or did

Modules derive their own classes from these.
"""

from __future__ import annotations


class MixpayError(Exception):
    """Base of all errors raised on purpose."""


class UserError(MixpayError):
    """Something the user can mend; the text says what to do."""


class PeerError(MixpayError):
    """A peer broke the protocol. `reason` is a stable label: metrics, refusals and logs use it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)  # both, so that the error survives the way out of a worker process
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class ChainError(MixpayError):
    """The chain, or the way to it, failed."""


class ChainUnavailable(ChainError):
    """The RPC endpoint does not answer, or answers nonsense. Nothing is lost; try again later."""


class TransactionFailed(ChainError):
    """A transaction would revert, or did. The text carries the contract's error."""
