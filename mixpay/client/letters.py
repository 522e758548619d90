"""Sending a message that is to be acknowledged, and waiting for it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mixpay.address import Address
from mixpay.client.app import PRESENCE, Client, Receiver
from mixpay.client.courier import SentMessage
from mixpay.client.identity import Identity
from mixpay.client.report import Report
from mixpay.delivery.outgoing import State
from mixpay.envelope import Message
from mixpay.errors import UserError
from mixpay.types import RelayId

_LOOK_SECONDS = 2.0
"""Between two looks into the mailbox."""
_LOOK_THROUGH_SECONDS = 10.0
"""Likewise through the network, where a look costs ticks."""


@dataclass(frozen=True, slots=True)
class Path:
    """Five relays, how many packets they were given, and how many of those surely arrived."""

    relays: tuple[RelayId, ...]
    packets: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message stands when waiting is over, and what it took.

    `fetched`: packets that were taken out of our mailboxes meanwhile.
    """

    sent: SentMessage
    report: Report
    fetched: int

    def paths(self) -> Iterator[Path]:
        """The paths of the accepted packets."""
        record = self.sent.outgoing.record
        there = range(len(record.copies)) if record.whole else record.there
        copies = Counter(fragment for fragment, _ in self.report.carried)
        packets = Counter(path for _, path in self.report.carried)
        # Of several packets with one piece nobody can say which arrived.
        sure = Counter(path for piece, path in self.report.carried if piece in there and copies[piece] == 1)
        return (Path(path, count, sure[path]) for path, count in packets.items())


async def send_acknowledged(
    client: Client,
    identity: Identity,
    receiver: Address,
    message: Message,
    wait: float,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    direct: bool = True,
) -> Delivery:
    """Send, and wait up to `wait` seconds for the receiver's word; send again what it lacks. `direct`: how
    to fetch it, see `Receiver`.

    What is not acknowledged by then is kept: `Receiver` goes on with it. Raises UserError (no mailbox, an
    address of another network or release), ChainError.
    """
    client.parts.check(receiver)
    reply_to = client.mailboxes(identity).current()
    if reply_to is None:
        raise UserError("to be told what arrives you need a mailbox of this term: `mixpay address` makes one")
    looking = Receiver(client, identity, None, direct=direct, progress=progress)
    pause = _LOOK_SECONDS if direct else _LOOK_THROUGH_SECONDS
    await looking.begin()
    courier = looking.courier(client.view)
    message_id = courier.outbox.put(message, receiver, reply_to, os.urandom, int(time.time()))
    deadline = time.monotonic() + wait
    outgoing, fetched, told = dict(courier.outbox.waiting())[message_id], 0, set[str]()
    courier.awaited.add(message_id)
    report = courier.reports[message_id] = Report(message_id, outgoing.total)
    # One who stays has the line, sends what is on disk, and hears the answer: there is only to wait.
    stays = client.home.is_held(PRESENCE)
    if not stays:
        await courier.send_due()
    while (now := dict(courier.outbox.waiting()).get(message_id)) is not None:
        outgoing = now
        if time.monotonic() >= deadline:
            return Delivery(SentMessage(message_id, State.WAITING, outgoing), report, fetched)
        await asyncio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        if stays:
            continue
        found = await looking.once()
        fetched += found.packets
        for trouble in set(found.troubles) - told:
            told.add(trouble)
            client.tell(f"{trouble}; trying on")
    ours = (end for end in courier.ended if end.message_id == message_id)
    # If it was not us, another command of this user has taken the acknowledgement in.
    ended = next(ours, SentMessage(message_id, State.ACKNOWLEDGED, outgoing))
    return Delivery(ended, report, fetched)
