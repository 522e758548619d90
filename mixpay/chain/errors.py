"""What can go wrong on the way to the chain, beyond the classes every module shares.

ChainUnavailable   no answer (mixpay.errors)
├── NotMined       sent, but not in a block yet
ChainError
└── RpcError       the node answered with an error of its own
TransactionFailed
└── Reverted       a contract refused; `error` is the name it gave
UserError
└── NoEther        the account cannot pay for gas
"""

from __future__ import annotations

from mixpay.errors import ChainError, ChainUnavailable, TransactionFailed, UserError


class RpcError(ChainError):
    """The node refused a request. `code` is its JSON-RPC code, `data` what it added."""

    def __init__(self, method: str, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.code = code
        self.message = message
        self.data = data


class NotMined(ChainUnavailable):
    """A transaction was sent and is in no block yet. It may still come: look before sending another."""


class Reverted(TransactionFailed):
    """A contract refused the call. `error` is the name of its error, "" when it gave none."""

    def __init__(self, what: str, error: str, text: str) -> None:
        super().__init__(f"{what} failed: {text}")
        self.error = error


class NoEther(UserError):
    """The account cannot pay for gas. The text names it and what it lacks."""
