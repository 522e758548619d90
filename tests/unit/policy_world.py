"""A request as a policy sees it, for the policies' tests."""

from __future__ import annotations

import asyncio

from mixpay.passes import Scope
from mixpay.sponsor.policy import Asked, Identified, Policy, PolicyRefusal

SCOPE = Scope(31337, b"\5" * 20, 3, 1, 7)
BLINDED = b"\6" * 256
NOW = 1_800_000_000.0


def asked(
    credential: str = "",
    *,
    remote: str = "192.0.2.1",
    scope: Scope = SCOPE,
    blinded: bytes = BLINDED,
    now: float = NOW,
) -> Asked:
    """A request that shows this."""
    return Asked(remote, scope, blinded, now, credential)


def identify(policy: Policy, request: Asked) -> Identified:
    """Whom the policy takes it for."""
    return asyncio.run(closing(policy, request))


def refused(policy: Policy, request: Asked) -> str:
    """The label that the policy refuses it with."""
    try:
        found = identify(policy, request)
    except PolicyRefusal as refusal:
        assert len(request.credential) < 16 or request.credential not in str(refusal)
        return refusal.label
    raise AssertionError(f"let in as {found}")


async def closing(policy: Policy, request: Asked) -> Identified:
    """Ask once."""
    try:
        return await policy.identify(request)
    finally:
        await policy.close()
