"""Opening packets, many at a time: a relay's dearest work, without books, tags or sockets. Pure.

Of each packet it says what is in it, or why the packet is refused. Whether it may come from there and go
there, whether it is a replay and whether it is paid for: that is the part of `arrivals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeAlias

from mixpay import packet as packets
from mixpay import proof
from mixpay.crypto.x25519 import SecretKey
from mixpay.errors import PeerError
from mixpay.packet import KeyContext
from mixpay.records import record
from mixpay.types import Epoch, Random

NOT_YET: Callable[[Epoch, bytes], bool] = lambda epoch, tag: False  # noqa: E731


@record
class Key:
    """A packet key (X25519, `public` 32 bytes) and what it is bound to."""

    context: KeyContext
    public: bytes
    secret: SecretKey = field(repr=False)


@record
class Job:
    """A packet to be opened as `layer` (1 to 4), under the key of `epoch`; lock (20) and hint (65) of its
    ticket.
    """

    epoch: Epoch
    layer: int
    lock: bytes = field(repr=False)
    hint: bytes = field(repr=False)
    packet: bytes = field(repr=False)


@record
class Opened:
    """A packet that was opened, and whose ticket can be paid. `next_hint`: 65 bytes; the last layer: none."""

    peeled: packets.Forward | packets.Deliver
    next_hint: bytes = field(repr=False)


Verdict: TypeAlias = Opened | str
"""What is in a packet, or the reason why it is refused."""
Done: TypeAlias = Callable[[Sequence[Verdict]], None]


class Opener(Protocol):
    """Who opens packets."""

    def use(self, keys: Mapping[Epoch, Key]) -> None:
        """Take the keys of the epochs that are served from now on."""

    def open(self, jobs: Sequence[Job], done: Done) -> None:
        """Open packets, and tell the verdicts in their order: at once, or later from the event loop."""


class InlineOpener:
    """Opens packets at once, where it is called. `is_replay` saves most of the work on what came before."""

    def __init__(self, random: Random, is_replay: Callable[[Epoch, bytes], bool] = NOT_YET) -> None:
        self._random = random
        self._is_replay = is_replay
        self._keys: Mapping[Epoch, Key] = {}

    def use(self, keys: Mapping[Epoch, Key]) -> None:
        """See `Opener`."""
        self._keys = keys

    def open(self, jobs: Sequence[Job], done: Done) -> None:
        """See `Opener`."""
        done(open_all(self._keys, jobs, self._random, self._is_replay))


def open_all(
    keys: Mapping[Epoch, Key],
    jobs: Iterable[Job],
    random: Random,
    is_replay: Callable[[Epoch, bytes], bool] = NOT_YET,
) -> list[Verdict]:
    """Open packets and check their tickets' locks and hints.

    All hints at once, so that each costs a third of what it costs alone; `random` must not be foretold.
    """
    verdicts: list[Verdict] = []
    places: list[int] = []
    pairs: list[tuple[bytes, bytes]] = []
    for job in jobs:
        try:
            opened = _open(keys, job, is_replay)
        except PeerError as error:
            verdicts.append(error.reason)
            continue
        places.append(len(verdicts))
        pairs.append((opened.peeled.ack, job.hint))
        verdicts.append(opened)
    for index in proof.bad_acks(pairs, random):
        verdicts[places[index]] = "wrong_hint"
    return verdicts


def _open(keys: Mapping[Epoch, Key], job: Job, is_replay: Callable[[Epoch, bytes], bool]) -> Opened:
    key = keys.get(job.epoch)
    if key is None:
        raise PeerError("wrong_epoch")

    def seen(tag: bytes) -> bool:
        return is_replay(job.epoch, tag)

    peeled = packets.peel(key.context, key.secret, key.public, job.layer, job.packet, seen)
    hint = peeled.next_hint if isinstance(peeled, packets.Forward) else None
    return Opened(peeled, proof.check_lock(peeled.own, job.lock, hint))
