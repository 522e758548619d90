"""What a user shows to get a pass: which of the sponsor's policies, and the credential that it asks for.

A dApp's own client plugs in a `CredentialSource`: a callable that is given what is wanted and returns what is
shown. `Configured` is the one of the command line. It takes the policy that the user's settings name, or else
the first one offered that it can satisfy:

    open                  nothing
    invitation            `invitation`
    any other kind        what a plug-in of this program's caller makes (`makers`)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
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
        """What to show for this pass. Raises UserError if there is nothing to show, ClientError."""


Maker = Callable[[PolicyOffer, Wanted], Awaitable[str]]
"""Makes the credential of one kind of policy."""


async def _nothing(_offer: PolicyOffer, _wanted: Wanted) -> str:
    return ""


class Configured:
    """By the user's settings: `policy`, the name of one ("": the first that can be satisfied), and makers."""

    def __init__(self, policy: str, makers: Mapping[str, Maker]) -> None:
        self._policy, self._makers = policy, {"open": _nothing, **makers}

    async def __call__(self, wanted: Wanted) -> Shown:
        offer = self._choose(wanted.campaign.policies)
        return Shown(offer.name, await self._makers[offer.kind](offer, wanted))

    def _choose(self, offers: list[PolicyOffer]) -> PolicyOffer:
        named = [offer for offer in offers if self._policy in ("", offer.name)]
        able = [offer for offer in named if offer.kind in self._makers]
        if able:
            return able[0]
        there = ", ".join(f"{offer.name} ({offer.kind})" for offer in offers) or "none"
        wanted = f"the policy {self._policy!r}" if self._policy else "a policy for which you have anything"
        raise UserError(
            f"the sponsor does not offer {wanted}; it offers: {there}. "
            "Put what one of them asks for into the configuration"
        )


NOTHING = Configured("", {})
"""For sponsors who ask for nothing."""


def text_maker(text: str) -> Maker:
    """Shows the same text every time."""

    async def show(_offer: PolicyOffer, _wanted: Wanted) -> str:
        return text

    return show
