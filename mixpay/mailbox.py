"""Mailboxes of one relay: what is stored, for how long, and who may take it out. A pure core.

Rules
  * A mailbox's id is the BLAKE2b-128 of its fetch key (Ed25519), so nobody can take another's name, and only
    the holder of the key can fetch and delete. The relay knows a number, never a person.
  * Messages get sequence numbers from 1, contiguous, never reused while the mailbox lives: they leave
    from the front only, by `delete` (the owner has them) or by age.
  * Bodies are not held here: an effect hands them to the host's store; `fetch` names the range to read there.
  * The time kept with a message is the hour in which it is dropped, not the moment it came, so that a seized
    disk does not tell when a message arrived.
  * A mailbox is paid for by one mailbox pass, whose id is kept with it: `STORAGE_TICKS` for its term when it
    is made; then a tick for each page of messages that its owner confirms (`page_ticks`), whatever they are,
    or for each reply where they are fetched through the network (`wire.requests`), which confirms by itself.
    In the quarter of a term after that the rest is free. Whoever takes the ticks is not here.

    call      outcome                            effects, to be on disk before anything is promised
    create    Created | Refused                  PutMailbox
    deliver   Delivered | Refused                PutMessage
    fetch     Span | Refused                     -
    delete    Deleted | Refused                  DropMessages, PutMailbox
    expire    Expired                            DropMailbox, or DropMessages with PutMailbox

The limits are announced to the owner (`Announcement`); `now` and `expires` are seconds of chain or wall time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from mixpay.types import RelayId

MAILBOX_ID_BYTES = 16
NONCE_BYTES = 32
_LABEL = b"mixpay-mailbox-fetch-v1"
_REQUEST_LABEL = b"mixpay-mailbox-request-v1"
STORAGE_TICKS = 256
"""What keeping a mailbox for its term costs: all links of one chain, the smallest tick that makes one."""
PAGE_MESSAGES = 32
"""Messages that one tick confirms, and most in one answer."""
_COARSE_SECONDS = 3600
_NOBODY = bytes(SigningKey(bytes(NONCE_BYTES)).verify_key)
"""The fetch key against which a signature for a mailbox that does not exist is checked; it opens nothing."""


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """What one relay keeps: per mailbox (`quota_messages`, `ttl_seconds`) and in all (`max_…`)."""

    quota_messages: int = 4096
    ttl_seconds: int = 7 * 86400
    max_mailboxes: int = 10_000
    max_messages: int = 1_000_000
    body_bytes: int = 2048


@dataclass(frozen=True, slots=True)
class PutMailbox:
    """Store or replace a mailbox's row. Every message below `first` is gone for good. `payer`: the id of the
    pass that pays for it, 32 bytes; empty for one that an earlier release made.
    """

    mailbox_id: bytes
    fetch_key: bytes
    expires: int
    first: int
    payer: bytes = b""


@dataclass(frozen=True, slots=True)
class PutMessage:
    """Store a message's row; `drop_at` is a full hour."""

    mailbox_id: bytes
    sequence: int
    drop_at: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DropMessages:
    """Delete a mailbox's messages up to and including sequence `upto`."""

    mailbox_id: bytes
    upto: int


@dataclass(frozen=True, slots=True)
class DropMailbox:
    """Delete a mailbox and all its messages."""

    mailbox_id: bytes


Store = PutMailbox | PutMessage | DropMessages | DropMailbox


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the owner of a mailbox is told about its limits and filling."""

    quota_messages: int
    ttl_seconds: int
    expires: int
    stored: int


@dataclass(frozen=True, slots=True)
class Created:
    """The mailbox exists from now on (or longer than before)."""

    announcement: Announcement
    effects: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The message has this sequence number."""

    sequence: int
    effects: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Read the messages `first`..`last` (none if `last` < `first`); `more` are behind them."""

    first: int
    last: int
    more: bool
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Deleted:
    """`count` messages are gone."""

    count: int
    effects: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Expired:
    """What age took away."""

    messages: int
    mailboxes: int
    effects: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was changed. Reasons: unknown_mailbox, quota, full, size, wrong_key, expired."""

    reason: str


@dataclass(slots=True)
class _Box:
    fetch_key: bytes
    expires: int
    first: int
    payer: bytes
    drop_at: deque[int] = field(default_factory=deque)

    @property
    def next(self) -> int:
        return self.first + len(self.drop_at)


def page_ticks(messages: int) -> int:
    """Ticks that confirming so many messages costs."""
    return -(-messages // PAGE_MESSAGES)


def mailbox_id_of(fetch_key: bytes) -> bytes:
    """The 16-byte id of the mailbox that an Ed25519 public key (32 bytes) opens."""
    return hashlib.blake2b(fetch_key, digest_size=MAILBOX_ID_BYTES, person=b"mixpay-mailbox-1").digest()


def sign_challenge(seed: bytes, relay: RelayId, nonce: bytes, mailbox_id: bytes) -> bytes:
    """The owner's answer to a relay's fresh 32-byte nonce: an Ed25519 signature, 64 bytes."""
    return SigningKey(seed).sign(_challenge(relay, nonce, mailbox_id)).signature


def verify_challenge(
    fetch_key: bytes, relay: RelayId, nonce: bytes, mailbox_id: bytes, signature: bytes
) -> bool:
    """Whether `signature` answers the challenge; its relay id keeps a relay from asking another."""
    signed = _is_signature(fetch_key, _challenge(relay, nonce, mailbox_id), signature)
    return signed and hmac.compare_digest(mailbox_id_of(fetch_key), mailbox_id)


def sign_request(seed: bytes, relay: RelayId, mailbox_id: bytes, request: bytes) -> bytes:
    """The owner's Ed25519 signature, 64 bytes, of what it asks this relay through the network."""
    return SigningKey(seed).sign(_request(relay, mailbox_id, request)).signature


class Mailboxes:
    """All mailboxes of one relay."""

    def __init__(self, relay: RelayId, limits: MailboxLimits | None = None) -> None:
        self._relay = relay
        self._limits = limits or MailboxLimits()
        self._boxes: dict[bytes, _Box] = {}
        self._stored = 0

    @property
    def counts(self) -> tuple[int, int]:
        """(mailboxes, messages) kept now."""
        return len(self._boxes), self._stored

    def restore(self, rows: Iterable[PutMailbox], messages: Iterable[tuple[bytes, int, int]]) -> None:
        """Take back what was stored: mailbox rows, and (mailbox id, sequence, drop_at) ordered by sequence.

        Raises ValueError if a message has no mailbox or a sequence number is missing in between.
        """
        for row in rows:
            self._boxes[row.mailbox_id] = _Box(row.fetch_key, row.expires, row.first, row.payer)
        for mailbox_id, sequence, drop_at in messages:
            box = self._boxes.get(mailbox_id)
            if box is None or sequence != box.next:
                raise ValueError("the stored mailboxes are inconsistent: a message is out of place")
            box.drop_at.append(drop_at)
            self._stored += 1

    def refusal(self, mailbox_id: bytes, fetch_key: bytes, expires: int, now: int) -> Refused | None:
        """Why `create` would refuse, if it would: to be known before it is paid for."""
        if not hmac.compare_digest(mailbox_id_of(fetch_key), mailbox_id):
            return Refused("wrong_key")
        if expires <= now:
            return Refused("expired")
        if mailbox_id not in self._boxes and len(self._boxes) >= self._limits.max_mailboxes:
            return Refused("full")
        return None

    def create(
        self, mailbox_id: bytes, fetch_key: bytes, expires: int, now: int, payer: bytes = b""
    ) -> Created | Refused:
        """Open a mailbox until `expires`, or keep an existing one until then if that is later.

        `payer`: the id of the pass that pays for it from now on.
        """
        refusal = self.refusal(mailbox_id, fetch_key, expires, now)
        if refusal is not None:
            return refusal
        box = self._boxes.setdefault(mailbox_id, _Box(fetch_key, expires, 1, payer))
        box.expires, box.payer = max(box.expires, expires), payer
        return Created(self._announcement(box), (_row(mailbox_id, box),))

    def payer(self, mailbox_id: bytes) -> bytes:
        """The id of the pass that pays for a mailbox; empty if there is none."""
        box = self._boxes.get(mailbox_id)
        return b"" if box is None else box.payer

    def announcement(self, mailbox_id: bytes) -> Announcement | None:
        """What its owner is told of a mailbox; None if there is none."""
        box = self._boxes.get(mailbox_id)
        return None if box is None else self._announcement(box)

    def deliver(self, mailbox_id: bytes, body: bytes, now: int) -> Delivered | Refused:
        """Keep a message for the owner of a mailbox."""
        box = self._boxes.get(mailbox_id)
        if box is None or box.expires <= now:
            return Refused("unknown_mailbox")
        if len(body) != self._limits.body_bytes:
            return Refused("size")
        if len(box.drop_at) >= self._limits.quota_messages:
            return Refused("quota")
        if self._stored >= self._limits.max_messages:
            return Refused("full")
        sequence = box.next
        drop_at = -(-(now + self._limits.ttl_seconds) // _COARSE_SECONDS) * _COARSE_SECONDS
        # A clock set back must not make the front outlive what is behind it.
        box.drop_at.append(max(drop_at, box.drop_at[-1] if box.drop_at else 0))
        self._stored += 1
        return Delivered(sequence, (PutMessage(mailbox_id, sequence, box.drop_at[-1], body),))

    def authenticate(self, mailbox_id: bytes, nonce: bytes, signature: bytes) -> bool:
        """Whether the owner of an existing mailbox signed this connection's challenge.

        A signature is checked in any case, so that the time of a refusal does not tell which mailboxes exist.
        """
        box = self._boxes.get(mailbox_id)
        key = _NOBODY if box is None else box.fetch_key
        signed = verify_challenge(key, self._relay, nonce, mailbox_id, signature)
        return signed and box is not None

    def is_signed(self, mailbox_id: bytes, request: bytes, signature: bytes) -> bool:
        """Whether the owner of an existing mailbox signed a request; checked in any case, as above."""
        box = self._boxes.get(mailbox_id)
        key = _NOBODY if box is None else box.fetch_key
        return _is_signature(key, _request(self._relay, mailbox_id, request), signature) and box is not None

    def fetch(self, mailbox_id: bytes, after: int, limit: int, now: int) -> Span | Refused:
        """The next at most `limit` messages behind `after`. The caller has authenticated the owner."""
        box = self._boxes.get(mailbox_id)
        if box is None or box.expires <= now:
            return Refused("unknown_mailbox")
        first = max(after + 1, box.first + _aged(box, now))
        last = min(first + limit, box.next) - 1
        return Span(first, last, last + 1 < box.next, self._announcement(box))

    def confirmed(self, mailbox_id: bytes, upto: int, now: int) -> int:
        """How many messages that its owner can still fetch `delete` would drop."""
        box = self._boxes.get(mailbox_id)
        return 0 if box is None else max(0, min(upto + 1, box.next) - box.first - _aged(box, now))

    def delete(self, mailbox_id: bytes, upto: int) -> Deleted | Refused:
        """Drop the messages up to and including `upto`; those already gone do not matter."""
        box = self._boxes.get(mailbox_id)
        if box is None:
            return Refused("unknown_mailbox")
        count = min(upto + 1, box.next) - box.first
        return Deleted(count, self._drop(mailbox_id, box, count)) if count > 0 else Deleted(0, ())

    def expire(self, now: int) -> Expired:
        """Drop mailboxes whose time is over and messages past their time to live."""
        messages = mailboxes = 0
        effects: list[Store] = []
        for mailbox_id, box in list(self._boxes.items()):
            if box.expires <= now:
                mailboxes += 1
                messages += len(box.drop_at)
                self._stored -= len(box.drop_at)
                del self._boxes[mailbox_id]
                effects.append(DropMailbox(mailbox_id))
            elif aged := _aged(box, now):
                messages += aged
                effects.extend(self._drop(mailbox_id, box, aged))
        return Expired(messages, mailboxes, tuple(effects))

    def _drop(self, mailbox_id: bytes, box: _Box, count: int) -> tuple[Store, ...]:
        for _ in range(count):
            box.drop_at.popleft()
        box.first += count
        self._stored -= count
        return DropMessages(mailbox_id, box.first - 1), _row(mailbox_id, box)

    def _announcement(self, box: _Box) -> Announcement:
        return Announcement(
            self._limits.quota_messages, self._limits.ttl_seconds, box.expires, len(box.drop_at)
        )


def _row(mailbox_id: bytes, box: _Box) -> PutMailbox:
    return PutMailbox(mailbox_id, box.fetch_key, box.expires, box.first, box.payer)


def _aged(box: _Box, now: int) -> int:
    count = 0
    for drop_at in box.drop_at:
        if drop_at > now:
            break
        count += 1
    return count


def _is_signature(fetch_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(fetch_key).verify(message, signature)
    except (CryptoError, ValueError, TypeError):
        return False
    return True


def _request(relay: RelayId, mailbox_id: bytes, request: bytes) -> bytes:
    return _REQUEST_LABEL + relay.to_bytes(4, "big") + mailbox_id + request


def _challenge(relay: RelayId, nonce: bytes, mailbox_id: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES or len(mailbox_id) != MAILBOX_ID_BYTES:
        raise ValueError("a challenge has a nonce of 32 bytes and a mailbox id of 16")
    return _LABEL + relay.to_bytes(4, "big") + nonce + mailbox_id
