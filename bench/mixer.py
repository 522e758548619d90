"""The mixer's actual delays against the exponential they should be, on a virtual clock with a fixed seed.

Kolmogorov and Smirnov's test: the largest distance between the distribution of what was measured and the one
it should be. Above the critical value, one sample in a hundred of a right mixer would lie.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from bench.figures import Found, Scale
from mixpay.client.profile import FAST, mix_delay
from mixpay.types import Random
from relay.path.mixer import PULSE, Mixer

RATE = 2_000.0
"""Packets a second that come, as a Poisson process."""
CRITICAL_1_PERCENT = 1.628


def actual_delays(
    count: int, pulse: float | None, draw: Callable[[Random], int], seed: int = 1
) -> list[float]:
    """Seconds for which a mixer holds packets whose senders draw their delays (ms) so.

    pulse: seconds between two looks at the mixer; None: a host that wakes just when a packet is due.
    """
    dice = random.Random(seed)  # noqa: S311 -- repeatable
    mixer: Mixer[float] = Mixer(count, pulse or 0.0)
    now, came, held = 0.0, 0, []
    arrival = dice.expovariate(RATE)
    while came < count or len(mixer):
        look = _next_look(now, pulse, mixer.next_due)
        if came < count and arrival <= look:
            now = arrival
            mixer.add(now, draw(dice.randbytes) / 1000, now)
            came, arrival = came + 1, arrival + dice.expovariate(RATE)
        else:
            now = look
            held += [now - since for since in mixer.due(now)]
    return held


def _next_look(now: float, pulse: float | None, due: float | None) -> float:
    if pulse is None:
        return math.inf if due is None else due
    return (math.floor(now / pulse + 1e-9) + 1) * pulse


def distance(values: Sequence[float], mean: float) -> float:
    """Kolmogorov and Smirnov's D between a sample and the exponential distribution of this mean."""
    ordered, count = sorted(values), len(values)
    expected = [1 - math.exp(-value / mean) for value in ordered]
    above = max((place + 1) / count - chance for place, chance in enumerate(expected))
    below = max(chance - place / count for place, chance in enumerate(expected))
    return max(above, below)


def critical(count: int) -> float:
    """D that a sample of a right distribution exceeds once in a hundred times."""
    return CRITICAL_1_PERCENT / math.sqrt(count)


def measure(scale: Scale) -> Found:
    """With the daemon's pulse; and without any, beside it."""
    mean = FAST.delay_ms / 1000
    found = {
        name: distance(actual_delays(scale.delays, pulse, lambda dice: mix_delay(FAST, dice)), mean)
        for name, pulse in (("pulse of the daemon", PULSE), ("woken when due", None))
    }
    limit = critical(scale.delays)
    detail = {"D": found, "critical at 1 %": limit, "packets": scale.delays, "pulse_ms": 1000 * PULSE}
    return Found({"mixer_ks": found["pulse of the daemon"] / limit}, detail)
