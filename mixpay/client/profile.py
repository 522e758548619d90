"""How fast a client sends and how long its packets are held: what makes one crowd (docs/design.md §11).

All clients of a profile must behave alike, so these are constants of the release and no settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mixpay.errors import UserError
from mixpay.types import Random

MAX_DELAY_MS = 0xFFFF
"""Longest delay a packet's header can ask for (u16)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Delays in milliseconds, times in seconds, the rest are counts."""

    name: str
    delay_ms: float
    """Mean of the exponential delay at each of the three mixes."""
    interval: float
    """Mean time between two packets; the gaps are exponential, so sending is a Poisson process."""
    window: int
    """Packets that may wait for their answer at once; below W = 64 of the design, the entry's bound."""
    ack_timeout: float
    """T of the design: an answer that takes longer counts as lost, and the fragment is sent again."""
    attempts: int
    """Packets one entry may spend on one fragment (refused or lost) before sending is given up."""
    pause: float
    """First pause after an answer `busy`; doubled by each further one, ended by the next acknowledgement."""
    longest_pause: float
    """Where the doubling ends."""
    patience: float
    """Time without a single acknowledgement after which the entry counts as useless."""
    watched: int
    """Newest answers by which an entry is judged."""
    tolerated: int
    """Failures among those above which another entry is asked for."""
    in_a_row: int
    """Failures one after the other that are enough as well, so that a short message need not fail first."""


FAST = Profile(
    name="fast",
    # Three delays of mean 200 ms: 99 % of packets spend less than 1.7 s in mixes, of the promised 5 s.
    delay_ms=200,
    # 12.5 packets a second: 1 MiB in about 45 s; a pass of 16,384 ticks lasts 22 minutes of full sending.
    interval=0.080,
    window=32,
    ack_timeout=5.0,
    # Nine relays have three mixes a layer: with one of them down, 8 attempts fail together once in 6,561.
    attempts=8,
    pause=0.25,
    longest_pause=4.0,
    patience=30.0,
    watched=32,
    tolerated=8,
    in_a_row=4,
)

PROFILES = {profile.name: profile for profile in (FAST,)}


def named(name: str) -> Profile:
    """The profile of that name. Raises UserError listing those there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UserError(f"there is no profile {name!r}; this release has: {', '.join(PROFILES)}") from None


def exponential(mean: float, random: Random) -> float:
    """One draw from the exponential distribution, in the unit of `mean`; takes 8 random bytes."""
    # In (0, 1]: the logarithm of 0 does not exist.
    uniform = (int.from_bytes(random(8), "big") + 1) / (1 << 64)
    return -mean * math.log(uniform)


def mix_delay(profile: Profile, random: Random) -> int:
    """Milliseconds one mix shall hold one packet, at most MAX_DELAY_MS."""
    return min(round(exponential(profile.delay_ms, random)), MAX_DELAY_MS)
