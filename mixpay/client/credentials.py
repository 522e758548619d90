"""What a user shows to get a pass: which of the sponsor's policies, and the credential that it asks for.

A dApp's own client plugs in a `CredentialSource`: a callable that is given what is wanted and returns what is
shown. `Configured` is the one of the command line. It takes the policy that the user's settings name, or else
the first one offered that it has a maker for (`mixpay.client.makers`):

    open        nothing is shown
    invitation  the code `invitation`
    callback    the token of the dApp: `token`, `token_file` or `token_command`
    wallet      a message signed with the key in `wallet_key_file`
    work        a proof of work
    other       the token, if the settings name the policy: what it is, is between the dApp and its users
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mixpay.errors import UserError
from mixpay.passes import Scope
from mixpay.sponsor.api import CampaignAnswer, PolicyOffer


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pass to be asked for: the sponsor's answer of which policies there are, and the blinded message."""

    campaign: CampaignAnswer
    kind: int
    period: int
    blinded: bytes

    @property
    def scope(self) -> Scope:
        """What the pass is to be good for."""
        where = self.campaign.chain_id, self.campaign.pool, self.campaign.campaign
        return Scope(*where, self.kind, self.period)


@dataclass(frozen=True, slots=True)
class Shown:
    """The name of a policy, and the credential for it."""

    policy: str
    credential: str = field(default="", repr=False)


class CredentialSource(Protocol):
    """Makes a credential for each pass, also for one that was asked for before: it may have to be fresh."""

    async def __call__(self, wanted: Wanted) -> Shown:
        """What to show for this pass.

        Raises UserError if there is nothing to show, IssuerUnavailable if the sponsor's offer makes no sense.
        """


Maker = Callable[[PolicyOffer, Wanted], Awaitable[str]]
"""Makes the credential of one kind of policy."""


class Configured:
    """By the user's settings: makers by kind, and `policy`, the name of one ("": the first one possible).

    `other`: for the named policy, if it is of none of the kinds.
    """

    def __init__(self, policy: str, makers: Mapping[str, Maker], other: Maker | None = None) -> None:
        self._policy, self._makers, self._other = policy, makers, other

    async def __call__(self, wanted: Wanted) -> Shown:
        offer, maker = self._choose(wanted.campaign.policies)
        return Shown(offer.name, await maker(offer, wanted))

    def _choose(self, offers: Sequence[PolicyOffer]) -> tuple[PolicyOffer, Maker]:
        for offer in offers:
            maker = self._makers.get(offer.kind)
            if self._policy == offer.name:
                maker = maker or self._other
            elif self._policy:
                continue
            if maker is not None:
                return offer, maker
        raise self._nothing_to_show(offers)

    def _nothing_to_show(self, offers: Sequence[PolicyOffer]) -> UserError:
        there = ", ".join(f"{offer.name} ({offer.kind}{_login(offer)})" for offer in offers) or "none"
        if self._policy and all(offer.name != self._policy for offer in offers):
            return UserError(f"the sponsor has no policy {self._policy!r}; set another: {there}")
        return UserError(
            f"the sponsor asks who you are. Its policies: {there}. Put what one of them asks for into the "
            "configuration, which explains them"
        )


def _login(offer: PolicyOffer) -> str:
    url = offer.terms.get("login_url")
    return f", log in at {url}" if url else ""


async def nothing(_offer: PolicyOffer, _wanted: Wanted) -> str:
    """For policies that ask for nothing."""
    return ""


NOTHING = Configured("", {"open": nothing})
"""For sponsors who ask for nothing."""
