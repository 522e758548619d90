"""What can go wrong for a client that is neither its user's mistake nor the chain's.

    ClientError (MixpayError)     the command line prints its text and exits 1
    ├── IssuerUnavailable         the sponsor's issuer does not answer, or answers nonsense
    │   └── NoKey                 it has no key for a kind and period (yet)
    ├── RelayUnavailable          a relay does not answer, is not the registered one, or broke the connection
    ├── RelayRefused              a relay answered no; carries its reason label
    ├── BudgetSpent               the sponsor's campaign pays for no more in this period
    └── NotSent                   a message could not be delivered to the network; says how far it came

Refusals of the issuer (quota, identity) are `IssuerRefused`, a UserError: one can get an invitation, or wait.
"""

from __future__ import annotations

from mixpay.errors import MixpayError, UserError


class ClientError(MixpayError):
    """Base of the errors above."""


class IssuerUnavailable(ClientError):
    """The sponsor's issuer does not answer, or answers nonsense."""


class NoKey(IssuerUnavailable):
    """The sponsor has no key for a kind and period: not yet, or its campaign is younger than the period."""


class IssuerRefused(UserError):
    """The issuer gives no pass. `label` is one of `mixpay.sponsor.api`."""

    def __init__(self, label: str, text: str) -> None:
        super().__init__(text)
        self.label = label


class RelayUnavailable(ClientError):
    """A relay does not answer, is not the registered one, or broke the connection."""


class RelayRefused(ClientError):
    """A relay answered no, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the relay refused: {reason}")
        self.reason = reason


class BudgetSpent(ClientError):
    """What the sponsor's campaign guarantees to relays in this period is used up."""


class NotSent(ClientError):
    """A message did not get through."""
