"""Who gets a pass, and how many: what a policy is, and several of them at one issuer.

A policy looks at what a request shows and names an identity, or refuses. The issuer counts passes for each
identity, kind and period. It stores a keyed hash that is different in each period, so that the database names
nobody and does not say that two periods' counts are the same person's.

The policies that come with Mixpay, and how to ship another: `mixpay.sponsor.policies`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mixpay.errors import MixpayError, UserError
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, Scope
from mixpay.sponsor import api
from mixpay.sponsor.statuses import STATUS

IDENTIFY_SECONDS = 10.0
"""How long a policy may take over one request."""

MOST_ASKED = 256
"""Requests that a policy looks at together; more are refused as busy."""

_log = logging.getLogger(__name__)


class PolicyRefusal(MixpayError):
    """No pass for this request. `label` is one of `mixpay.sponsor.api`'s, the text for people.

    A policy says identity_required (nothing was shown), identity_refused (it does not do), or
    policy_unavailable (what the policy relies on does not answer; clients try again). Raises ValueError for a
    label that there is not.
    """

    def __init__(self, label: str, detail: str) -> None:
        if label not in STATUS:
            raise ValueError(f"a policy refused with {label!r}: not one of `mixpay.sponsor.statuses`")
        super().__init__(detail)
        self.label = label


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a pass, as policies see it.

    `remote`: its network address, "" if it has none. `scope`: what the pass is to be good for. `blinded`: the
    blinded message of 256 bytes, which tells nothing about the pass; what is bound to it is good for this
    pass only. `credential`: what the policy asks for, "" if nothing was shown. `now`: seconds since 1970.
    """

    remote: str = field(repr=False)
    scope: Scope
    blinded: bytes
    now: float
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Passes that one identity gets in one period, by kind."""

    entry: int = 4
    mailbox: int = 4

    def of(self, kind: int) -> int:
        """The quota of a pass kind."""
        return {KIND_ENTRY: self.entry, KIND_MAILBOX: self.mailbox}[kind]


QUOTAS = Quotas()
"""What a sponsor gives that says nothing of quotas."""


@dataclass(frozen=True, slots=True)
class Share:
    """A second count that a pass belongs to, with others' passes: all of one API key, all of one policy.

    `quota`: so many of one kind and period, None: any number. `told` gets the new count; it may be called on
    any thread.
    """

    identity: bytes
    quota: int | None
    told: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Identified:
    """Whose quota a request counts against, and by which policy; `shares`: what else it counts against."""

    policy: str
    identity: bytes = field(repr=False)
    quotas: Quotas
    shares: tuple[Share, ...] = ()


class Policy(Protocol):
    """The plug-in. One object serves all campaigns of a sponsor, on one event loop."""

    @property
    def name(self) -> str:
        """What requests call it; of one sponsor's policies each has another."""

    @property
    def kind(self) -> str:
        """What clients know it by: how to make a credential for it."""

    @property
    def quotas(self) -> Quotas:
        """Passes for one identity and period."""

    def terms(self) -> Mapping[str, str]:
        """What a client needs to know to make a credential. Public."""

    async def identify(self, asked: Asked) -> Identified:
        """Whose quota the request counts against. Raises PolicyRefusal.

        What takes time waits or goes to a thread. It is cancelled after IDENTIFY_SECONDS.
        """

    async def close(self) -> None:
        """Let go of what it holds; nothing is asked any more."""


class Policies:
    """Several policies at once; a request names the one that it brings a credential for.

    Raises UserError if two have one name, or there is none.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = {policy.name: policy for policy in policies}
        if len(self._policies) < len(policies):
            raise UserError("two policies have the same name: give each another `name` in sponsor.toml")
        if not policies:
            raise UserError("there is no policy: write a [[policy]] into sponsor.toml")
        self._asked = Counter[str]()

    def offers(self) -> list[api.PolicyOffer]:
        """What users may choose from, in the order of the settings."""
        return [
            api.PolicyOffer(policy.name, policy.kind, _quotas(policy.quotas), dict(policy.terms()))
            for policy in self._policies.values()
        ]

    async def identify(self, name: str, asked: Asked) -> Identified:
        """Whose quota a request counts against, by the policy of that name; "": by the only one.

        Raises PolicyRefusal: besides what policies say, policy_required, policy_unknown, busy; TypeError for
        what a policy must not answer.
        """
        policy = self._find(name)
        if self._asked[policy.name] >= MOST_ASKED:
            raise PolicyRefusal("busy", "too many requests are waiting; try again in a moment")
        self._asked[policy.name] += 1
        try:
            async with asyncio.timeout(IDENTIFY_SECONDS):
                return _checked(policy.name, await policy.identify(asked))
        except TimeoutError:
            _log.warning("the policy %s took longer than %.0f s", policy.name, IDENTIFY_SECONDS)
            raise PolicyRefusal("policy_unavailable", "who you are could not be found out in time") from None
        finally:
            self._asked[policy.name] -= 1

    async def close(self) -> None:
        """Let go of what the policies hold."""
        for policy in self._policies.values():
            await policy.close()

    def _find(self, name: str) -> Policy:
        if not name and len(self._policies) == 1:
            return next(iter(self._policies.values()))
        if name in self._policies:
            return self._policies[name]
        label = "policy_unknown" if name else "policy_required"
        raise PolicyRefusal(label, f"name the policy that you bring something for: {self._named()}")

    def _named(self) -> str:
        return ", ".join(self._policies)


def _checked(policy: str, found: object) -> Identified:
    """A plug-in's mistake is its own users' trouble: what is counted together fails together."""
    if not isinstance(found, Identified) or not isinstance(found.identity, bytes):
        raise TypeError(f"the policy {policy} did not answer an Identified with bytes")
    return found


def counted_identity(secret: bytes, policy: str, identity: bytes, kind: int, period: int) -> bytes:
    """What the store knows of a policy's identity: 16 bytes, under a secret of 32; others in each period."""
    named = policy.encode()
    scope = bytes([kind]) + period.to_bytes(4, "big") + len(named).to_bytes(2, "big") + named
    keyed = hashlib.blake2b(scope + identity, key=secret, digest_size=16, person=b"mixpay-identity2")
    return keyed.digest()


def _quotas(quotas: Quotas) -> list[api.Quota]:
    return [api.Quota(kind, quotas.of(kind)) for kind in (KIND_ENTRY, KIND_MAILBOX)]
