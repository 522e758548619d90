"""Policy `open`: everybody gets passes; what is counted is the network address.

For tests, demonstrations and closed networks: addresses are cheap, and many people may share one. Of IPv6 the
first 64 bits count, a site. Credential: none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec

from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policy import QUOTAS, Asked, Identified, PolicyRefusal, Quotas

_IPV6_SITE = 64


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None of its own."""


class OpenPolicy:
    """Whoever comes, by address."""

    kind = "open"

    def __init__(self, quotas: Quotas = QUOTAS, name: str = "open") -> None:
        self.quotas, self.name = quotas, name

    def terms(self) -> Mapping[str, str]:
        return {}

    async def identify(self, asked: Asked) -> Identified:
        return Identified(self.name, b"address:" + site_of(asked.remote), self.quotas)

    async def close(self) -> None:
        pass


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> OpenPolicy:
    """From the settings."""
    return OpenPolicy(quotas, name)


def site_of(remote: str) -> bytes:
    """A network address, 4 bytes, or of IPv6 its site, 8. Raises PolicyRefusal if it is none."""
    try:
        address = ipaddress.ip_address(remote.split("%", 1)[0])
    except ValueError:
        raise PolicyRefusal("identity_refused", "the request came from no network address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None:
        address = mapped
    return address.packed if address.version == 4 else address.packed[: _IPV6_SITE // 8]
