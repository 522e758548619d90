"""Descriptors: the packet keys of an epoch, each signed by its relay's operator.

A relay signs one key for an epoch. One that signs two splits its clients: who uses the second key can be
told from all others. Both descriptors together are the proof, an `Equivocation`, for which the court takes a
part of its stake (docs/design.md §4); meanwhile nobody uses either of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mixpay import eip712
from mixpay.crypto import x25519
from mixpay.snapshot import DirectoryError, Snapshot
from mixpay.types import Account, Epoch, RelayId

MAX_SOFTWARE = 32
CAPACITIES = range(1 << 32)
"""What a descriptor may say of capacity."""
_SCALAR = b"\x40" * 32
_PROOF = struct.Struct(">II32s65s32s65s")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A relay's packet key for one epoch (X25519, 32 bytes), signed by its operator; 65 bytes of signature.

    `software` (at most 32 printable ASCII characters) and `capacity` (packets a second the relay says it can
    carry; 0: not said; u32) are hints and not signed: whoever hands a descriptor on can change them. They
    must not influence the choice of paths, or a liar would attract traffic.
    """

    relay: RelayId
    epoch: Epoch
    packet_key: bytes
    signature: bytes
    software: str = ""
    capacity: int = 0

    def check(self, operator: Account, domain: eip712.Domain) -> None:
        """Raise DirectoryError `bad_descriptor` unless the operator signed it and the key can be used."""
        if not _is_software(self.software) or self.capacity not in CAPACITIES:
            raise DirectoryError("bad_descriptor", f"the descriptor of relay {self.relay} is malformed")
        self.check_signature(operator, domain)
        try:
            x25519.exchange(_SCALAR, self.packet_key)
        except x25519.WeakKey as error:  # nobody could build a packet for it
            raise DirectoryError("bad_descriptor", f"the key of relay {self.relay}: {error}") from None

    def check_signature(self, operator: Account, domain: eip712.Domain) -> None:
        """Raise DirectoryError `bad_descriptor` unless the operator signed it; the key may be useless."""
        if len(self.packet_key) != 32:
            raise DirectoryError("bad_descriptor", f"the descriptor of relay {self.relay} is malformed")
        message = eip712.Descriptor(self.relay, self.epoch, self.packet_key)
        if not eip712.signed_by(operator, message, domain, self.signature):
            raise DirectoryError("bad_descriptor", f"the operator of relay {self.relay} did not sign this")


def sign_descriptor(
    key: bytes,
    relay: RelayId,
    epoch: Epoch,
    packet_key: bytes,
    domain: eip712.Domain,
    *,
    software: str = "",
    capacity: int = 0,
) -> Descriptor:
    """Sign a relay's packet key for an epoch with its operator's private key (32 bytes)."""
    digest = eip712.Descriptor(relay, epoch, packet_key).digest(domain)
    return Descriptor(relay, epoch, packet_key, eip712.sign(key, digest), software, capacity)


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different packet keys (32 bytes each, the smaller first) that a relay signed for one epoch.

    `signatures` (65 bytes each) are in the order of the keys. It says nothing of who was given which.
    """

    relay: RelayId
    epoch: Epoch
    keys: tuple[bytes, bytes]
    signatures: tuple[bytes, bytes] = field(repr=False)

    @classmethod
    def of(cls, one: Descriptor, other: Descriptor) -> Equivocation:
        """The proof that two descriptors of one relay and epoch make. Raises ValueError if they make none."""
        if (one.relay, one.epoch) != (other.relay, other.epoch) or one.packet_key == other.packet_key:
            raise ValueError("two descriptors of one relay and epoch with different keys make a proof")
        first, second = sorted((one, other), key=lambda descriptor: descriptor.packet_key)
        keys, signatures = (first.packet_key, second.packet_key), (first.signature, second.signature)
        return cls(one.relay, one.epoch, keys, signatures)

    @classmethod
    def decode(cls, data: bytes) -> Equivocation:
        """Read a stranger's proof; `check` it. Raises DirectoryError `malformed`."""
        if len(data) != _PROOF.size:
            raise DirectoryError("malformed", f"a proof has {_PROOF.size} bytes, not {len(data)}")
        relay, epoch, key, signature, other, other_signature = _PROOF.unpack(data)
        if key >= other:
            raise DirectoryError("malformed", "the keys of a proof are not in order")
        return cls(RelayId(relay), Epoch(epoch), (key, other), (signature, other_signature))

    def encode(self) -> bytes:
        """Relay u32 ‖ epoch u32 ‖ key 32 ‖ signature 65 ‖ other key 32 ‖ its signature 65."""
        first, second = zip(self.keys, self.signatures, strict=True)
        return _PROOF.pack(self.relay, self.epoch, *first, *second)

    def check(self, operator: Account, domain: eip712.Domain) -> None:
        """Raise DirectoryError `bad_descriptor` unless the relay's operator signed both."""
        for key, signature in zip(self.keys, self.signatures, strict=True):
            Descriptor(self.relay, self.epoch, key, signature).check_signature(operator, domain)


@dataclass(frozen=True, slots=True)
class Directory:
    """A checked snapshot with the checked descriptors of its relays.

    A relay of which an equivocation is known has no descriptor in it.
    """

    snapshot: Snapshot
    descriptors: Mapping[RelayId, Descriptor] = field(repr=False)
    equivocations: Mapping[RelayId, Equivocation] = field(default_factory=dict)


class DescriptorBook:
    """Collects the descriptors of one epoch: a relay's own, and what it hears from others."""

    def __init__(self, snapshot: Snapshot, domain: eip712.Domain) -> None:
        self._snapshot = snapshot
        self._domain = domain
        self._known: dict[RelayId, Descriptor] = {}
        self._equivocations: dict[RelayId, Equivocation] = {}

    def add(self, descriptor: Descriptor) -> bool:
        """Check and keep a descriptor; returns whether it is new.

        Raises DirectoryError `wrong_epoch`, `unknown_relay`, `bad_descriptor`, or `equivocation` if the relay
        has signed another key for this epoch: then the proof is kept, and neither descriptor.
        """
        relay = descriptor.relay
        if descriptor.epoch != self._snapshot.epoch:
            raise DirectoryError("wrong_epoch", f"a descriptor of epoch {descriptor.epoch}")
        record = self._snapshot.by_id(relay)
        if record is None:
            raise DirectoryError("unknown_relay", f"there is no relay {relay} in this epoch")
        known = self._known.get(relay)
        if known is not None and known.packet_key == descriptor.packet_key:
            return False
        if known is not None:
            descriptor.check_signature(record.operator, self._domain)
            self._equivocations[relay] = Equivocation.of(known, descriptor)
            del self._known[relay]
        if relay in self._equivocations:
            raise DirectoryError("equivocation", f"relay {relay} signed two keys for one epoch")
        descriptor.check(record.operator, self._domain)
        self._known[relay] = descriptor
        return True

    def say_capacity(self, relay: RelayId, packets: int) -> None:
        """Change what a relay's descriptor, if it is known, says of its capacity (u32)."""
        known = self._known.get(relay)
        if known is not None:
            self._known[relay] = replace(known, capacity=packets)

    def get(self, relay: RelayId) -> Descriptor | None:
        """A relay's descriptor, None if it is not known or not the only one."""
        return self._known.get(relay)

    def directory(self) -> Directory:
        """Return the directory as known now."""
        return Directory(self._snapshot, dict(self._known), dict(self._equivocations))


def _is_software(text: str) -> bool:
    return len(text) <= MAX_SOFTWARE and text.isascii() and (text.isprintable() or not text)
