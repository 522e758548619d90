"""How many strangers are let in, in all and from one address, and how fast they may come. Pure.

An address is an IPv4 address, or the /64 of an IPv6 one: whoever has a line has a whole /64, so single
addresses in it tell nobody apart. One address may take a part of the places only, so that it takes a crowd to
lock others out. Many a line has a /56 or a /48, so all addresses of a /48 together may take `_SITE` times as
much as one.

Work (a handshake, a request) is a leaky bucket for each address: `burst` at once, `per_second` in the long
run. A bucket that has run dry is forgotten; there are at most `_REMEMBERED`, and beyond that newcomers share
one.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv6Address, ip_address

TOO_MANY = "too_many_strangers"
TOO_MANY_OF_ADDRESS = "too_many_of_one_address"
TOO_FAST = "too_fast"

_REMEMBERED = 16_384
_SHARED = ""
_PREFIX, _SITE_BITS = 64, 128 - 48
_SITE = 4


@dataclass(frozen=True, slots=True)
class CrowdLimits:
    """Connections at once, in all and from one address; work a second from one address, and at once."""

    at_once: int
    of_address: int
    per_second: float
    burst: int = 0
    """0: five seconds' worth, at least what one address may have at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < (0 if field.name == "burst" else 1e-9):
                raise ValueError(f"{field.name} must be positive")

    @property
    def at_a_burst(self) -> float:
        """Work that an address may ask for at once."""
        return self.burst or max(5 * self.per_second, float(self.of_address))


def group_of(address: str) -> str:
    """What an address counts as. Text that is no address (a socket in the file system) is one group."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        inner: IPv4Address | None = parsed.ipv4_mapped
        if inner is None:
            return str(IPv6Address(int(parsed) >> _PREFIX << _PREFIX))
        parsed = inner
    return str(parsed)


def _wider(group: str) -> list[tuple[str, int]]:
    """What it counts as, and how many times as much as an address that may have."""
    found = [(group, 1)]
    if ":" in group:
        with suppress(ValueError):
            site = IPv6Address(int(IPv6Address(group)) >> _SITE_BITS << _SITE_BITS)
            found.append((f"{site}/48", _SITE))
    return found


class Crowd:
    """Who is inside. `now`: seconds of any steady clock."""

    def __init__(self, limits: CrowdLimits) -> None:
        self.limits = limits
        self._inside: Counter[str] = Counter()
        self._levels: dict[str, tuple[float, float]] = {}
        self.total = 0
        """Those inside."""

    def __repr__(self) -> str:
        return f"Crowd({self.total} inside)"

    def enter(self, group: str, now: float) -> str | None:
        """Let one in; else the reason why not."""
        if self.total >= self.limits.at_once:
            return TOO_MANY
        if any(self._inside[wide] >= part * self.limits.of_address for wide, part in _wider(group)):
            return TOO_MANY_OF_ADDRESS
        if not self.may_work(group, now):
            return TOO_FAST
        self.total += 1
        self._inside.update(wide for wide, _ in _wider(group))
        return None

    def leave(self, group: str) -> None:
        """One who was let in is gone."""
        self.total -= 1
        for wide, _ in _wider(group):
            self._inside[wide] -= 1
            if not self._inside[wide]:
                del self._inside[wide]

    def may_work(self, group: str, now: float) -> bool:
        """Whether one more piece of work may be done for an address now; if so, it is counted."""
        if group not in self._levels and len(self._levels) >= _REMEMBERED and not self._forget(now):
            group = _SHARED
        wider = [(wide, self._level(wide, now) + 1 / part) for wide, part in _wider(group)]
        if any(level > self.limits.at_a_burst for _, level in wider):
            return False
        self._levels.update((wide, (level, now)) for wide, level in wider)
        return True

    def _level(self, group: str, now: float) -> float:
        level, at = self._levels.get(group, (0.0, now))
        return max(0.0, level - (now - at) * self.limits.per_second)

    def _forget(self, now: float) -> bool:
        """Forget what has run dry; whether there is room again."""
        self._levels = {g: known for g, known in self._levels.items() if self._level(g, now) > 0}
        return len(self._levels) < _REMEMBERED
