"""Two people and a network that loses, repeats, delays and crashes as a test wants; time is a number.

Their programs are the real ones down to the packets (courier, outbox, inbox, store); the network is a table
of mailboxes. A packet is one body in one of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace

from mixpay import envelope
from mixpay.address import Address, UnusableAddress
from mixpay.client.courier import Courier
from mixpay.client.identity import Identity
from mixpay.client.inbox import Arrived, Inbox
from mixpay.client.outbox import Outbox
from mixpay.client.records import Records
from mixpay.client.report import Report
from mixpay.client.sending import Leaving
from mixpay.client.store import ClientStore
from mixpay.envelope import Kind
from mixpay.errors import MixpayError, UserError
from mixpay.types import RelayId, Term

MARK, TERM = b"mark", Term(4)
ROUTE = (RelayId(1), RelayId(4), RelayId(7))


class Crash(BaseException):
    """The program ends here, at once."""


class Mailbox:
    """Bodies by sequence, until they are deleted; one may come late."""

    def __init__(self) -> None:
        self.bodies: list[tuple[int, bytes]] = []
        self.late: list[bytes] = []
        self.count = 0

    def put(self, body: bytes) -> None:
        self.count += 1
        self.bodies.append((self.count, body))

    def settle(self) -> None:
        """What is late arrives."""
        for body in self.late:
            self.put(body)
        self.late.clear()


class Wires:
    """`fate` decides on each packet: keep, lose, twice, late, before (crash, unsent), after (crash, sent)."""

    def __init__(self, fate: Callable[[], str] = lambda: "keep") -> None:
        self.fate, self.now = fate, 1_000_000
        self.mailboxes: dict[Address, Mailbox] = {}
        self.posted: list[tuple[Address, int]] = []
        self.avoided: list[set[RelayId]] = []
        self.route: Callable[[int], Sequence[RelayId]] = lambda index: ROUTE
        """The mixes of a packet with this piece."""
        self.trouble: str | None = None
        self.troubles: dict[Address, MixpayError] = {}
        """Of single receivers."""
        self.asked: list[Address] = []

    def check(self, receiver: Address) -> None:
        if receiver.mark != MARK:
            raise UnusableAddress("the address is of another network")

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        yield

    async def post(
        self,
        receiver: Address,
        pieces: Sequence[envelope.Fragment],
        leaving: Leaving,
        avoided: Collection[RelayId],
        report: Report,
    ) -> None:
        if self.trouble is not None:
            raise UserError(self.trouble)
        self.asked.append(receiver)
        if receiver in self.troubles:
            raise self.troubles[receiver]
        for piece in pieces:
            leaving(piece.index, SimpleNamespace(mixes=self.route(piece.index)))  # type: ignore[arg-type]
            self.posted.append((receiver, piece.index))
            self.avoided.append(set(avoided))
            report.packets_sent += 1
            self._carry(self.mailboxes[receiver], envelope.seal(piece, receiver, os.urandom))

    def _carry(self, mailbox: Mailbox, body: bytes) -> None:
        match self.fate():
            case "lose":
                return
            case "before":
                raise Crash
            case "late":
                mailbox.late.append(body)
                return
            case "twice":
                mailbox.put(body)
        mailbox.put(body)
        if self.fate() == "after":
            raise Crash


class Person:
    """A user's folder and program; `restart` is what a new run begins with."""

    def __init__(self, wires: Wires, path: Path, name: int) -> None:
        self.wires, self.identity, self._path = wires, Identity(bytes([name]) * 32), path
        self.relay = RelayId(name)
        self.address = self.identity.address(MARK, self.relay, TERM)
        self.mailbox = wires.mailboxes.setdefault(self.address, Mailbox())
        self.read: list[bytes] = []
        """Contents of the messages that are safe."""
        self.told: list[str] = []
        self.crash: Callable[[], bool] = lambda: False
        """Whether to crash at a place where this may happen."""
        self.store = ClientStore(path)
        self.start()

    def start(self) -> None:
        """Begin a run with what is on disk."""
        inbox, outbox = Inbox(self.store, self.identity, MARK), Outbox(self.store, self.identity)
        records, clock = Records(self.identity), lambda: self.wires.now
        self.courier = Courier(self.store, outbox, inbox, records, self.wires, self.told.append, clock)
        self._deliver(inbox.restore(self.wires.now))

    def fetch(self) -> None:
        """What `Mailboxes.empty` and `Receiver` do, with crashes between any two of its steps."""
        bodies = list(self.mailbox.bodies)
        if not bodies:
            return
        arrived = self.courier.inbox.take(self.relay, TERM, bodies, self.wires.now)
        self._may_crash()
        self.mailbox.bodies = [entry for entry in self.mailbox.bodies if entry[0] > bodies[-1][0]]
        self._may_crash()
        self._deliver(arrived)

    def _deliver(self, arrived: list[Arrived]) -> None:
        for message in arrived:
            self._may_crash()
            if message.message.kind is Kind.ACK:
                self.courier.hear(message.message.content)
            else:
                # A file that was written, and a crash before that is noted, is written twice; not here.
                self.read.append(message.message.content)
            self.courier.inbox.saved(message.message_id, self.wires.now)

    def _may_crash(self) -> None:
        if self.crash():
            raise Crash

    def close(self) -> None:
        self.store.close()
