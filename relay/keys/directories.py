"""Who published which packet key, epoch by epoch: the directories that this relay serves. No I/O.

Rules
  * Everything is signed by the operators, so it does not matter from whom it comes.
  * A relay of which two keys for one epoch are known has equivocated. The proof is kept until the chain has
    it (`relay/keys/reporter.py`), and no epoch's directory names a key of that relay any more.
  * A relay that the chain has condemned is treated the same.
  * What others say of this relay's own key is a warning: one that is not ours is never spread, and for its
    epoch no other one is made (`relay/keys/key_desk.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from mixpay import __version__
from mixpay.crypto import x25519
from mixpay.descriptors import CAPACITIES, Descriptor, DescriptorBook, Equivocation, sign_descriptor
from mixpay.directory import Directory, write_directory
from mixpay.network import NetworkView
from mixpay.snapshot import DirectoryError, Snapshot
from mixpay.typed import typed
from mixpay.types import Epoch, RelayId
from relay.keys.epoch_keys import PacketKeys

log = logging.getLogger(__name__)

SOFTWARE = f"mixpay {__version__}"
MAX_DESCRIPTOR = 256
"""Bytes of an encoded descriptor at most."""


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    relay: int
    epoch: int
    packet_key: bytes
    signature: bytes
    software: str
    capacity: Annotated[int, msgspec.Meta(ge=CAPACITIES.start, lt=CAPACITIES.stop)]


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """One descriptor as MessagePack: [relay, epoch, packet key, signature, software, capacity]."""
    d = descriptor
    return msgspec.msgpack.encode(_Wire(d.relay, d.epoch, d.packet_key, d.signature, d.software, d.capacity))


def decode_descriptor(data: bytes) -> Descriptor:
    """Read a stranger's descriptor; `DescriptorBook.add` checks it. Raises DirectoryError `malformed`."""
    try:
        w = msgspec.msgpack.decode(data, type=typed(_Wire))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DirectoryError("malformed", str(error)) from None
    return Descriptor(RelayId(w.relay), Epoch(w.epoch), w.packet_key, w.signature, w.software, w.capacity)


@dataclass(slots=True)
class _Known:
    """An epoch's descriptors, as long as its snapshot is the one they were collected for."""

    snapshot: Snapshot
    book: DescriptorBook
    document: bytes | None = None
    shunned: frozenset[RelayId] = field(default_factory=frozenset)
    """Who was left out of the document."""


class Directories:
    """The directories of the epochs that `living` names. `key`: the operator's, 32 bytes."""

    def __init__(
        self,
        me: RelayId,
        view: NetworkView,
        keys: PacketKeys,
        key: bytes,
        living: Callable[[], list[Epoch]],
    ) -> None:
        self.equivocations: dict[RelayId, Equivocation] = {}
        """Proofs that the chain does not have yet."""
        self.foreign: set[Epoch] = set()
        """Epochs for which somebody showed a key that our operator key signed, and that is not ours."""
        self._me = me
        self._view = view
        self._keys = keys
        self._key = key
        self._living = living
        self._capacity = 0
        self._known: dict[Epoch, _Known] = {}

    # ------------------------------------------------------------------ this relay's

    def publish(self, signed: Epoch | None) -> None:
        """Sign this relay's descriptors for the living epochs up to `signed`; forget epochs that are over.

        `signed`: the last epoch that is on disk as signed; None if there is none.
        """
        living = self._living()
        self._known = {epoch: known for epoch, known in self._known.items() if epoch in living}
        self.foreign &= set(living)
        for epoch in living:
            known, secret = self._book(epoch), self._keys.get(epoch)
            if secret is None or signed is None or epoch > signed or known.book.get(self._me) is not None:
                continue
            if known.snapshot.by_id(self._me) is None:
                continue
            public, domain = x25519.public_key(secret), self._view.registry_domain
            known.book.add(
                sign_descriptor(
                    self._key, self._me, epoch, public, domain, software=SOFTWARE, capacity=self._capacity
                )
            )
            known.document = None

    def say_capacity(self, packets: int) -> None:
        """Say in this relay's descriptors, those made before too, what it can carry in a second (u32)."""
        self._capacity = packets
        for known in self._known.values():
            known.book.say_capacity(self._me, packets)
            known.document = None

    def _heard_of_me(self, known: _Known, descriptor: Descriptor) -> None:
        """Somebody shows a descriptor of ours."""
        epoch, secret = descriptor.epoch, self._keys.get(descriptor.epoch)
        if secret is not None and x25519.public_key(secret) == descriptor.packet_key:
            return
        record = known.snapshot.by_id(self._me)
        if record is None:
            raise DirectoryError("unknown_relay", f"this relay is not in epoch {epoch}")
        descriptor.check_signature(record.operator, self._view.registry_domain)
        self._keys.forgo(epoch)
        if epoch not in self.foreign:
            self.foreign.add(epoch)
            log.warning("our operator key has signed a packet key for epoch %d that this daemon lacks", epoch)

    # ------------------------------------------------------------------ others'

    def learn(self, descriptor: Descriptor) -> bool:
        """Take a relay's descriptor, from whomever; returns whether it is new. Raises DirectoryError."""
        if descriptor.epoch not in self._living():
            raise DirectoryError("wrong_epoch", f"a descriptor of epoch {descriptor.epoch}")
        known = self._book(descriptor.epoch)
        if descriptor.relay == self._me:
            self._heard_of_me(known, descriptor)
            return False
        if self._is_shunned(descriptor.relay):
            raise DirectoryError("equivocation", f"relay {descriptor.relay} signed two keys for one epoch")
        try:
            new = known.book.add(descriptor)
        except DirectoryError:
            self._keep_proof(known.book.directory().equivocations.get(descriptor.relay))
            raise
        if new:
            known.document = None
        return new

    def take_proof(self, proof: Equivocation) -> None:
        """Take a proof, of whatever epoch. Raises DirectoryError `unknown_relay`, `bad_descriptor`."""
        if self._is_shunned(proof.relay):
            return
        operator = self._view.operator(proof.relay)
        if operator is None:
            raise DirectoryError("unknown_relay", f"there never was a relay {proof.relay}")
        proof.check(operator, self._view.registry_domain)
        self._keep_proof(proof)

    def _keep_proof(self, proof: Equivocation | None) -> None:
        if proof is None or proof.relay == self._me:  # who accuses itself gains nothing
            return
        log.warning("relay %d signed two packet keys for epoch %d", proof.relay, proof.epoch)
        self.equivocations.setdefault(proof.relay, proof)

    def _is_shunned(self, relay: RelayId) -> bool:
        return relay in self.equivocations or relay in self._view.condemned

    def _shunned(self) -> frozenset[RelayId]:
        """Relays whose keys nobody is told."""
        return frozenset((*self.equivocations, *self._view.condemned))

    # ------------------------------------------------------------------ what is served

    def missing(self, epoch: Epoch) -> list[RelayId]:
        """Relays of an epoch whose descriptors are not known yet."""
        known, shunned = self._book(epoch), self._shunned()
        relays = (record.id for record in known.snapshot.relays)
        return [relay for relay in relays if relay not in shunned and known.book.get(relay) is None]

    def knows(self, epoch: Epoch, relay: RelayId) -> bool:
        """Whether a relay's key of a living epoch is in the directory that we serve."""
        known = self._known.get(epoch)
        return known is not None and known.book.get(relay) is not None and not self._is_shunned(relay)

    def directory(self, epoch: Epoch) -> bytes:
        """The directory document of an epoch. Raises DirectoryError `wrong_epoch` for one that is over."""
        if epoch not in self._living():
            raise DirectoryError(
                "wrong_epoch", f"no directory of epoch {epoch}: it is over, or not fixed yet"
            )
        known, shunned = self._book(epoch), self._shunned()
        if known.document is None or known.shunned != shunned:
            found = known.book.directory().descriptors
            served = {relay: descriptor for relay, descriptor in found.items() if relay not in shunned}
            known.document = write_directory(Directory(known.snapshot, served))
            known.shunned = shunned
        return known.document

    def descriptor(self, epoch: Epoch, relay: RelayId) -> bytes:
        """A relay's descriptor of an epoch, encoded. Raises DirectoryError `wrong_epoch` if there is none."""
        found = self._book(epoch).book.get(relay) if epoch in self._living() else None
        if found is None:
            raise DirectoryError("wrong_epoch", f"no descriptor of relay {relay} for epoch {epoch}")
        return encode_descriptor(found)

    def own_descriptor(self, epoch: Epoch) -> bytes:
        """This relay's descriptor of an epoch, encoded. Raises DirectoryError `wrong_epoch`."""
        return self.descriptor(epoch, self._me)

    def _book(self, epoch: Epoch) -> _Known:
        snapshot = self._view.snapshot(epoch)
        known = self._known.get(epoch)
        if known is None or known.snapshot != snapshot:  # a reorganised chain may freeze other relays
            known = self._known[epoch] = _Known(
                snapshot, DescriptorBook(snapshot, self._view.registry_domain)
            )
        return known
