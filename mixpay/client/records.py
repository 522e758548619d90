"""What a folder keeps about delivery, sealed to its user's secret: the file alone does not tell to whom one
writes, what, or who is to be told that something arrived.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from mixpay.address import Address
from mixpay.client.delivery_store import SealedDebt
from mixpay.client.identity import Identity
from mixpay.delivery.outgoing import Record
from mixpay.delivery.owed import Debt
from mixpay.envelope import Kind, Message, Reply
from mixpay.errors import UserError
from mixpay.typed import typed
from mixpay.types import Random

T = TypeVar("T", bound=msgspec.Struct)
_NONCE_BYTES = 24
_LETTER, _STATE, _DEBT = b"letter", b"state", b"debt"


class Letter(msgspec.Struct, array_like=True, frozen=True):
    """A message to be acknowledged: what is sent, to whom, and where the answer shall go."""

    kind: int
    name: bytes
    content: bytes
    receiver: bytes
    reply_to: bytes
    ack_key: bytes

    @classmethod
    def of(cls, message: Message, receiver: Address, reply: Reply) -> Letter:
        """A letter as it is kept."""
        name = message.name.encode("utf-8", "surrogateescape")
        addresses = receiver.to_bytes(), reply.address.to_bytes()
        return cls(message.kind, name, message.content, *addresses, reply.key)

    @property
    def message(self) -> Message:
        """What is sent."""
        return Message(Kind(self.kind), self.name.decode("utf-8", "surrogateescape"), self.content)

    @property
    def to(self) -> Address:
        """Who shall get it: chosen when it was written, and never changed."""
        return Address.from_bytes(self.receiver)

    @property
    def reply(self) -> Reply:
        """What the receiver is told about us."""
        return Reply(Address.from_bytes(self.reply_to), self.ack_key)

    def __repr__(self) -> str:
        return f"Letter(kind={self.kind})"


class _Owed(msgspec.Struct, array_like=True, frozen=True):
    address: bytes
    key: bytes
    acks: int


class Records:
    """Seals and opens the records of one user."""

    def __init__(self, identity: Identity, random: Random = os.urandom) -> None:
        self._key, self._random = identity.records_key, random

    def seal_letter(self, message_id: bytes, letter: Letter) -> bytes:
        """A letter, for the store."""
        return self._seal(_LETTER + message_id, letter)

    def open_letter(self, message_id: bytes, sealed: bytes) -> Letter:
        """Raises UserError if it is not ours."""
        return self._open(_LETTER + message_id, sealed, Letter)

    def seal_state(self, message_id: bytes, record: Record) -> bytes:
        """How far a letter is."""
        return self._seal(_STATE + message_id, record)

    def open_state(self, message_id: bytes, sealed: bytes) -> Record:
        """Raises UserError if it is not ours."""
        return self._open(_STATE + message_id, sealed, Record)

    def seal_debt(self, debt: Debt) -> SealedDebt:
        """An acknowledgement that is owed, or was."""
        reply = debt.reply
        address, key = (reply.address.to_bytes(), reply.key) if reply else (b"", b"")
        sealed = self._seal(_DEBT + debt.message_id, _Owed(address, key, debt.acks))
        return SealedDebt(debt.message_id, debt.at, debt.owed, sealed)

    def open_debt(self, sealed: SealedDebt | None) -> Debt | None:
        """Raises UserError if it is not ours."""
        if sealed is None:
            return None
        known = self._open(_DEBT + sealed.message_id, sealed.record, _Owed)
        reply = Reply(Address.from_bytes(known.address), known.key) if known.address else None
        return Debt(sealed.message_id, reply, sealed.at, known.acks, bool(sealed.owed))

    def _seal(self, place: bytes, record: msgspec.Struct) -> bytes:
        nonce, data = self._random(_NONCE_BYTES), msgspec.msgpack.encode(record)
        sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(data, place, nonce, self._key)
        return nonce + sealed

    def _open(self, place: bytes, sealed: bytes, kind: type[T]) -> T:
        nonce, box = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            data = crypto_aead_xchacha20poly1305_ietf_decrypt(box, place, nonce, self._key)
            return msgspec.msgpack.decode(data, type=typed(kind))
        except (CryptoError, msgspec.MsgspecError):
            raise UserError(
                "what this folder keeps of messages is not this user's: keys and state belong together"
            ) from None
