"""One secret of 32 bytes and what follows from it: the key messages are sealed to, a key for each mailbox.

Each mailbox has a fetch key of its own, derived from the secret, the registry, the relay and the term, so
that relays which keep a user's mailboxes in different terms cannot tell from the keys that they belong to one
person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from nacl.bindings import crypto_scalarmult_base
from nacl.signing import SigningKey

from mixpay.address import Address
from mixpay.mailbox import mailbox_id_of
from mixpay.types import RelayId, Term

_IDENTITY = b"mixpay-identity1"
_FETCH = b"mixpay-fetchkey1"
_RECORDS = b"mixpay-records-1"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, from the secret in the key store (32 bytes)."""

    master: bytes = field(repr=False)

    @property
    def secret(self) -> bytes:
        """X25519 secret, 32 bytes, that opens messages."""
        return blake2b(key=self.master, digest_size=32, person=_IDENTITY).digest()

    @property
    def records_key(self) -> bytes:
        """Key, 32 bytes, of what the folder keeps about delivery (`mixpay.client.records`)."""
        return blake2b(key=self.master, digest_size=32, person=_RECORDS).digest()

    def fetch_seed(self, mark: bytes, relay: RelayId, term: Term) -> bytes:
        """Ed25519 seed, 32 bytes, of the mailbox at a relay in a term. `mark`: of the relay's registry."""
        place = mark + relay.to_bytes(4, "big") + term.to_bytes(4, "big")
        return blake2b(place, key=self.master, digest_size=32, person=_FETCH).digest()

    def fetch_key(self, mark: bytes, relay: RelayId, term: Term) -> bytes:
        """Ed25519 public key, 32 bytes, that the relay checks fetches with."""
        return bytes(SigningKey(self.fetch_seed(mark, relay, term)).verify_key)

    def address(self, mark: bytes, relay: RelayId, term: Term) -> Address:
        """Where others write to while the mailbox at `relay` lives."""
        public = crypto_scalarmult_base(self.secret)
        return Address(mark, relay, mailbox_id_of(self.fetch_key(mark, relay, term)), public)
