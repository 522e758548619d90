"""Descriptors: the packet keys of an epoch, each signed by its relay's operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError

from mixpay import eip712
from mixpay.snapshot import DirectoryError, Snapshot
from mixpay.types import Account, Epoch, RelayId

MAX_SOFTWARE = 32
_SCALAR = b"\x40" * 32


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A relay's packet key for one epoch (X25519, 32 bytes), signed by its operator; 65 bytes of signature.

    `software` (at most 32 printable ASCII characters) is a hint and not signed.
    """

    relay: RelayId
    epoch: Epoch
    packet_key: bytes
    signature: bytes
    software: str = ""

    def check(self, operator: Account, domain: eip712.Domain) -> None:
        """Raise DirectoryError `bad_descriptor` unless the operator signed it and the key can be used."""
        if len(self.packet_key) != 32 or not _is_software(self.software):
            raise DirectoryError("bad_descriptor", f"the descriptor of relay {self.relay} is malformed")
        message = eip712.Descriptor(self.relay, self.epoch, self.packet_key)
        if not eip712.signed_by(operator, message, domain, self.signature):
            raise DirectoryError("bad_descriptor", f"the operator of relay {self.relay} did not sign this")
        try:
            crypto_scalarmult(_SCALAR, self.packet_key)
        except (CryptoError, RuntimeError):
            raise DirectoryError("bad_descriptor", f"relay {self.relay} gave a key without secrets") from None


def sign_descriptor(
    key: bytes, relay: RelayId, epoch: Epoch, packet_key: bytes, domain: eip712.Domain, *, software: str = ""
) -> Descriptor:
    """Sign a relay's packet key for an epoch with its operator's private key (32 bytes)."""
    digest = eip712.Descriptor(relay, epoch, packet_key).digest(domain)
    return Descriptor(relay, epoch, packet_key, eip712.sign(key, digest), software)


@dataclass(frozen=True, slots=True)
class Directory:
    """A checked snapshot with the checked descriptors of its relays."""

    snapshot: Snapshot
    descriptors: Mapping[RelayId, Descriptor] = field(repr=False)


class DescriptorBook:
    """Collects the descriptors of one epoch: a relay's own, and what it hears from others."""

    def __init__(self, snapshot: Snapshot, domain: eip712.Domain) -> None:
        self._snapshot = snapshot
        self._domain = domain
        self._known: dict[RelayId, Descriptor] = {}

    def add(self, descriptor: Descriptor) -> bool:
        """Check and keep a descriptor; returns whether it is new.

        Raises DirectoryError `wrong_epoch`, `unknown_relay`, `bad_descriptor`, or `equivocation` if the relay
        signed another key for this epoch before; the first one stays.
        """
        if descriptor.epoch != self._snapshot.epoch:
            raise DirectoryError("wrong_epoch", f"a descriptor of epoch {descriptor.epoch}")
        record = self._snapshot.by_id(descriptor.relay)
        if record is None:
            raise DirectoryError("unknown_relay", f"there is no relay {descriptor.relay} in this epoch")
        known = self._known.get(descriptor.relay)
        if known is not None and known.packet_key == descriptor.packet_key:
            return False
        descriptor.check(record.operator, self._domain)
        if known is not None:
            raise DirectoryError("equivocation", f"relay {descriptor.relay} signed two keys for one epoch")
        self._known[descriptor.relay] = descriptor
        return True

    def directory(self) -> Directory:
        """Return the directory as known now."""
        return Directory(self._snapshot, dict(self._known))


def _is_software(text: str) -> bool:
    return len(text) <= MAX_SOFTWARE and text.isascii() and (text.isprintable() or not text)
