"""Messages that were sent and are not acknowledged yet: on disk until they are, or are given up.

Several commands may be at it at once, so a state is read, changed and written in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mixpay import envelope
from mixpay.address import Address
from mixpay.client.delivery_store import DeliveryTables
from mixpay.client.identity import Identity
from mixpay.client.records import Letter, Records
from mixpay.delivery import acks
from mixpay.delivery.outgoing import Outgoing, Patience
from mixpay.envelope import ACK_KEY_BYTES, MESSAGE_ID_BYTES, EnvelopeError, Fragment, Message, Reply
from mixpay.types import Random


@dataclass(frozen=True, slots=True)
class Heard:
    """A receiver's word on one message: how it stands now, and the fragments that are there (None: all)."""

    message_id: bytes
    outgoing: Outgoing
    have: frozenset[int] | None


class Outbox:
    """One user's, in one release."""

    def __init__(self, store: DeliveryTables, identity: Identity, patience: Patience | None = None) -> None:
        self._store, self._records, self._patience = store, Records(identity), patience

    def put(self, message: Message, receiver: Address, reply_to: Address, random: Random, now: int) -> bytes:
        """Keep a message that is to be sent; its id. `reply_to`: where the answer shall go."""
        message_id, reply = random(MESSAGE_ID_BYTES), Reply(reply_to, random(ACK_KEY_BYTES))
        letter = self._records.seal_letter(message_id, Letter.of(message, receiver, reply))
        total = len(envelope.cut(message, message_id, reply))
        state = self._records.seal_state(message_id, Outgoing.begin(total, now).record)
        self._store.put_outgoing(message_id, letter, state)
        return message_id

    def waiting(self) -> Iterator[tuple[bytes, Outgoing]]:
        """All of them, and how each stands."""
        for message_id, state in self._store.outgoing():
            yield message_id, self._outgoing(message_id, state)

    def letter(self, message_id: bytes) -> Letter | None:
        """What is to be sent, and to whom; None if it is over."""
        sealed = self._store.letter(message_id)
        return self._records.open_letter(message_id, sealed) if sealed is not None else None

    def sent(self, message_id: bytes, index: int, now: int) -> None:
        """A packet is about to leave."""
        self._change(message_id, lambda outgoing: outgoing.sent(index, now))

    def drop(self, message_id: bytes) -> None:
        """It is over."""
        self._store.drop_outgoing(message_id)

    def heard(self, content: bytes, now: int) -> list[Heard]:
        """Take an acknowledgement in. What was not made by a receiver of ours changes nothing."""
        try:
            entries = acks.read(content)
        except EnvelopeError:
            return []
        found = (self._heard(entry, now) for entry in entries)
        return [heard for heard in found if heard is not None]

    def _heard(self, entry: acks.Entry, now: int) -> Heard | None:
        letter = self.letter(entry.message_id)
        if letter is None or not entry.proves(letter.reply.address, letter.reply.key):
            return None
        said: list[frozenset[int] | None] = []

        def hear(outgoing: Outgoing) -> None:
            said.append(entry.have(outgoing.total))
            outgoing.heard(said[0], now)

        try:
            outgoing = self._change(entry.message_id, hear)
        except EnvelopeError:
            return None
        return None if outgoing is None else Heard(entry.message_id, outgoing, said[0])

    def _change(self, message_id: bytes, change: Callable[[Outgoing], None]) -> Outgoing | None:
        changed: list[Outgoing] = []

        def apply(state: bytes) -> bytes:
            outgoing = self._outgoing(message_id, state)
            change(outgoing)
            changed.append(outgoing)
            return self._records.seal_state(message_id, outgoing.record)

        self._store.change_outgoing(message_id, apply)
        return changed[0] if changed else None

    def _outgoing(self, message_id: bytes, state: bytes) -> Outgoing:
        return Outgoing(self._records.open_state(message_id, state), self._patience)


def pieces_of(message_id: bytes, letter: Letter) -> list[Fragment]:
    """What a letter is sent in; always the same pieces."""
    return envelope.cut(letter.message, message_id, letter.reply)
