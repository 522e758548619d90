"""Delivery from end to end: sends what is due, learns from acknowledgements, and makes those that are owed.

The rules are in `mixpay.delivery`; what must outlast the program is in `Outbox` and `Inbox`. Routes are in
memory only.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from mixpay import envelope
from mixpay.address import Address, UnusableAddress
from mixpay.client.errors import ClientError
from mixpay.client.inbox import Inbox
from mixpay.client.outbox import Outbox, pieces_of
from mixpay.client.records import Records
from mixpay.client.report import Report
from mixpay.client.route import NoPath, Packed
from mixpay.client.sending import Leaving
from mixpay.client.store import ClientStore
from mixpay.delivery import acks, owed
from mixpay.delivery.outgoing import Outgoing, State
from mixpay.delivery.owed import Debt, Due
from mixpay.delivery.suspects import Suspects
from mixpay.errors import ChainError, UserError
from mixpay.types import RelayId

_FIRST_PAUSE, _LONGEST_PAUSE = 5, 600
"""Seconds without an attempt after one that failed; doubled by each further one."""


@dataclass(frozen=True, slots=True)
class _Pause:
    """No attempt before `until`; if that fails too, the next comes `seconds` after it."""

    until: int = 0
    seconds: int = _FIRST_PAUSE


class Network(Protocol):
    """How fragments leave."""

    def check(self, receiver: Address) -> None:
        """Raise UnusableAddress unless the address is one that can be sent to now."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Only one command sends at a time."""

    async def post(
        self,
        receiver: Address,
        pieces: Sequence[envelope.Fragment],
        leaving: Leaving,
        avoided: Collection[RelayId],
        report: Report,
    ) -> None:
        """Send fragments, and count in the report. Raises MixpayError."""


@dataclass(slots=True)
class SentMessage:
    """A message of ours, and how it stands."""

    message_id: bytes
    state: State
    outgoing: Outgoing

    def __str__(self) -> str:
        outgoing, name = self.outgoing, f"message {self.message_id.hex()}"
        pieces = f"{outgoing.unconfirmed} of its {outgoing.total} pieces"
        match self.state:
            case State.ACKNOWLEDGED:
                return f"{name} has arrived; {outgoing.repeated} of its packets were sent again"
            case State.GIVEN_UP:
                return f"{name} is given up: {pieces} were never acknowledged"
            case State.WAITING:
                return f"{name} is not acknowledged yet: {pieces}; it is kept, and sent again if need be"


@dataclass(slots=True)
class Courier:
    """One user's, in one release. `tell` gets lines for the user; `clock`: seconds, of one that does not
    jump.
    """

    store: ClientStore
    outbox: Outbox
    inbox: Inbox
    records: Records
    network: Network
    tell: Callable[[str], None]
    clock: Callable[[], int]
    reports: dict[bytes, Report] = field(default_factory=dict)
    """What each of our messages took, in this program."""
    acks: Report = field(default_factory=lambda: Report(b"", 0))
    """What acknowledgements took."""
    ended: list[SentMessage] = field(default_factory=list)
    """Our messages that are over: acknowledged, or given up."""
    awaited: set[bytes] = field(default_factory=set)
    """Those of which somebody else tells the user."""
    _suspects: Suspects = field(default_factory=Suspects)
    _told: set[str] = field(default_factory=set)
    _pauses: dict[Address | None, _Pause] = field(default_factory=dict)
    """After troubles with one receiver, who keeps nobody else waiting; None: with anything else."""

    # ------------------------------------------------------------------ our messages

    async def send_due(self) -> None:
        """Send what is due, and give up what is too old. Troubles are told, once, and outlasted."""
        for message_id, outgoing in list(self.outbox.waiting()):
            if outgoing.state(self.clock()) is not State.WAITING:
                self._end(message_id, outgoing)
            elif outgoing.due(self.clock()) and (letter := self.outbox.letter(message_id)) is not None:
                await self._attempt(letter.to, partial(self._send, message_id))

    async def _send(self, message_id: bytes) -> None:
        async with self.network.turn():
            # Another command may have sent it while this one waited for its turn.
            outgoing = dict(self.outbox.waiting()).get(message_id)
            letter = self.outbox.letter(message_id)
            if outgoing is None or letter is None:
                return
            due = outgoing.due(self.clock())
            new = set(due)

            def leaving(index: int, packed: Packed) -> None:
                if index in new:  # the same once more, because an entry or a first mix refused it, is no news
                    new.remove(index)
                    self.outbox.sent(message_id, index, self.clock())
                if not outgoing.is_there(index):  # or a question that is lost would seem to have arrived
                    self._suspects.sent(message_id, index, packed.mixes)

            self.network.check(letter.to)
            pieces = pieces_of(message_id, letter)
            chosen = [pieces[index] for index in due]
            if chosen:
                avoided = self._suspects.relays()
                report = self.reports.setdefault(message_id, Report(message_id, len(pieces)))
                await self.network.post(letter.to, chosen, leaving, avoided, report)

    def _pauses_for(self, receiver: Address) -> bool:
        found = (self._pauses.get(whose, _Pause()) for whose in (None, receiver))
        return any(self.clock() < pause.until for pause in found)

    async def _attempt(self, receiver: Address, what: Callable[[], Awaitable[None]]) -> bool:
        if self._pauses_for(receiver):
            return False
        try:
            await what()
        except (ClientError, UserError, ChainError) as error:
            whose = receiver if isinstance(error, UnusableAddress | NoPath) else None
            seconds = self._pauses.get(whose, _Pause()).seconds
            self._pauses[whose] = _Pause(self.clock() + seconds, min(2 * seconds, _LONGEST_PAUSE))
            if str(error) not in self._told:
                self._told.add(str(error))
                self.tell(f"{error}; it is kept, and tried again")
            return False
        for whose in (None, receiver):
            self._pauses.pop(whose, None)
        return True

    def hear(self, content: bytes) -> None:
        """An acknowledgement came."""
        now = self.clock()
        for heard in self.outbox.heard(content, now):
            for index in range(heard.outgoing.total):
                arrived = heard.have is None or index in heard.have
                if arrived or heard.outgoing.is_settled(index, now):
                    self._suspects.judge(heard.message_id, index, arrived=arrived)
            if heard.have is None:
                self._end(heard.message_id, heard.outgoing)

    def waiting(self) -> list[SentMessage]:
        """Our messages that are not over."""
        return [SentMessage(number, State.WAITING, outgoing) for number, outgoing in self.outbox.waiting()]

    def _end(self, message_id: bytes, outgoing: Outgoing) -> None:
        self.outbox.drop(message_id)
        self.ended.append(SentMessage(message_id, outgoing.state(self.clock()), outgoing))
        if message_id not in self.awaited:
            self.tell(str(self.ended[-1]))

    # ------------------------------------------------------------------ others' messages

    async def acknowledge(self, *, last: bool) -> None:
        """Tell senders what has arrived. What fails is told and tried again next time."""
        debts = {debt.message_id: debt for debt in self.inbox.debts()}
        found = {message_id: self.inbox.have(message_id) for message_id in debts}
        haves = {message_id: have for message_id, have in found.items() if have is not None}
        now = [debt for debt in debts.values() if not (debt.reply and self._pauses_for(debt.reply.address))]
        for due in owed.due(now, haves, self.clock(), last=last):
            if await self._attempt(due.address, partial(self._acknowledge, due)):
                self._told_them(due, debts)

    async def _acknowledge(self, due: Due) -> None:
        try:
            self.network.check(due.address)
            await self._post(due)
        except UnusableAddress:
            return  # of another network or release, or no address at all: nobody waits there

    async def _post(self, due: Due) -> None:
        for message in acks.messages(due.entries):
            used: set[RelayId] = set()

            def leaving(index: int, packed: Packed, used: set[RelayId] = used) -> None:
                used.update(packed.mixes)

            pieces = envelope.fragments(message, os.urandom)
            # The last one may be lost in a relay that is dead still: two by different mixes are not both.
            for _ in range(due.copies):
                async with self.network.turn():
                    await self.network.post(due.address, pieces, leaving, tuple(used), self.acks)

    def _told_them(self, due: Due, debts: dict[bytes, Debt]) -> None:
        for entry in due.entries:
            debt = owed.told(debts[entry.message_id], whole=not entry.bits, copies=due.copies)
            self.store.put_debt(self.records.seal_debt(debt))
