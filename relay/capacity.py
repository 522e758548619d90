"""What this relay can carry: measured when it starts, by opening one packet again and again.

Opening is the one part of a packet's way that needs nothing of the relay, and about half of its cost; what
the rest costs in proportion is what `make bench` measures of the whole daemon (docs/bench.md). So this is
an estimate, for the operator to plan by and to set alarms by. The relay says it in its descriptors, unsigned
and unproven, so nobody chooses paths by it. The relay refuses nothing because of it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from mixpay.crypto import x25519
from mixpay.errors import UserError
from mixpay.geometry import GEOMETRY, MAILBOX_ID_SIZE
from mixpay.packet import Hop, KeyContext, build
from mixpay.types import Epoch, Random, RelayId
from relay.path.opening import Job, Key, Opened, open_all

REST = 1.0
"""What all but opening costs for each packet, in openings: links, books, database."""
_GROUP = 32
"""Packets opened together, as under load."""
_SECONDS = 0.04
_EPOCH = Epoch(0)


@dataclass(frozen=True, slots=True)
class Capacity:
    """`open_us`: CPU to open one packet; `packets`: what the relay can carry in a second."""

    open_us: float
    packets: int


def measure(
    workers: int,
    cores: int | None = None,
    *,
    random: Random = os.urandom,
    clock: Callable[[], float] = time.thread_time,
    seconds: float = _SECONDS,
) -> Capacity:
    """Check that packets are opened rightly here, and how fast. Takes `seconds` of CPU, and some more.

    `workers`: processes that open packets beside the daemon's own; `clock`: CPU seconds of this thread.
    Raises UserError if a good packet is not opened: then a library is broken, and nothing could be carried.
    """
    keys, job = _sample(random)
    jobs, times, began = [job] * _GROUP, list[float](), clock()
    while not times or clock() - began < seconds:
        start = clock()
        verdicts = open_all(keys, jobs, random)
        times.append((clock() - start) / _GROUP)
        if not all(isinstance(verdict, Opened) for verdict in verdicts):
            raise UserError(
                f"self-check: a good packet was refused ({verdicts[0]}); reinstall the program's libraries"
            )
    each = max(statistics.median(times), 1e-9)
    return Capacity(each * 1e6, int(_packets(each, workers, cores or os.cpu_count() or 1)))


def _packets(each: float, workers: int, cores: int) -> float:
    """Packets a second, if opening one takes `each` seconds of CPU.

    Without workers one process does it all. With them the daemon's own has the rest, and no more is opened at
    a time than there are workers, nor done than there are cores.
    """
    if not workers:
        return 1 / (each * (1 + REST))
    return min(workers / each, 1 / (each * REST), cores / (each * (1 + REST)))


def _sample(random: Random) -> tuple[dict[Epoch, Key], Job]:
    """A packet for the first layer of a key of no relay."""
    secret, context = random(x25519.KEY_SIZE), KeyContext(0, bytes(20), bytes(32))
    public = x25519.public_key(secret)
    hops = [Hop(RelayId(number), public, 0) for number in range(GEOMETRY.layers)]
    made = build(context, hops[:-1], hops[-1], bytes(MAILBOX_ID_SIZE), 0, bytes(GEOMETRY.user_size), random)
    key = Key(context, public, x25519.SecretKey(secret))
    return {_EPOCH: key}, Job(_EPOCH, 1, made.lock, made.hint, made.packet)
