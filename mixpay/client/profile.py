"""How fast a client sends and how long its packets are held: what makes one crowd (docs/design.md §11).

All clients of a profile must behave alike, so these are constants of the release and no settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something goes up and comes down on a line: mean seconds between two strokes of the Poisson
    clock, and the milliseconds of the entry's beat (0: one DOWN for each SEND).
    """

    name: str
    interval: float
    beat: int

    @property
    def slack(self) -> float:
        """Seconds that beats may keep something back, where others wait to come down as well."""
        return 3 * self.beat / 1000


FOREGROUND = Pace("foreground", 0.75, 750)
"""A message waits 0.75 s for a stroke on average, and as long for a beat at most. With SENDs of 2.7 kB and
DOWNs of 2.3 kB, all headers included, that is some 310 MB up and 260 MB down in a day."""
BACKGROUND = Pace("background", 9.5, 9_500)
"""Some 25 MB up, and down, in a day. Nothing is promised of how long a message takes."""
REQUESTS = Pace("requests", 0.25, 0)
"""For commands that ask a relay and leave: a request and its answer take some ten strokes."""

LOOP_SECONDS = 10.0
"""Beyond the delays that its header asks for, and the pace's slack, after which a loop counts as lost: above
what relays queue."""

FAST = Profile(
    name="fast",
    # A message passes six mixes: three to the mailbox, three to the receiver. With the sender's clock and the
    # receiver's beat, 99 % take less than 4.6 s of the promised 5 s.
    delay_ms=100,
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

STRONG = replace(
    FAST,
    name="strong",
    # Likewise 99 % in less than 9.2 s, of 10: there are seven times as many packets to be one of.
    delay_ms=550,
)

PROFILES = {profile.name: profile for profile in (FAST, STRONG)}


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
