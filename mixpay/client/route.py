"""From a fragment to a packet: a fresh path, fresh delays, a fresh seal each time. No I/O, no clock.

A relay is usable if it has published its packet key. The first mixes that an entry could not reach are
avoided, unless nobody else is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from mixpay import envelope, packet
from mixpay.address import Address, UnusableAddress
from mixpay.client.errors import ClientError
from mixpay.client.profile import Profile, mix_delay
from mixpay.directory import Directory
from mixpay.layers import Path, PathError, TermLayers
from mixpay.packet import Built, Hop, KeyContext
from mixpay.types import Epoch, Random, RelayId


class NoPath(ClientError):
    """The relays there are make no path to the mailbox."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One packet, ready to be paid for by a tick, and the relays it goes through."""

    entry: RelayId
    mixes: Path
    mailbox: RelayId
    epoch: Epoch
    built: Built


class Packer:
    """Makes packets from one entry to one address in one epoch.

    `layers` and `context` are those of the directory's epoch. Raises UnusableAddress if the mailbox's relay
    is not in the directory, NoPath if it has published no key for the epoch.
    """

    def __init__(
        self,
        directory: Directory,
        layers: TermLayers,
        context: KeyContext,
        entry: RelayId,
        receiver: Address,
        profile: Profile,
    ) -> None:
        self._directory, self._layers, self._context = directory, layers, context
        self._entry, self._receiver, self._profile = entry, receiver, profile
        self._avoided: set[RelayId] = set()
        if directory.snapshot.by_id(receiver.relay) is None:
            raise UnusableAddress(
                f"relay {receiver.relay} of this address is not in the network any more: "
                "ask the receiver for a new address"
            )
        if receiver.relay not in directory.descriptors:
            raise NoPath(
                f"relay {receiver.relay}, which keeps the receiver's mailbox, is down: try again later"
            )

    @property
    def epoch(self) -> Epoch:
        """The epoch whose packet keys are used."""
        return self._directory.snapshot.epoch

    def pack(self, fragment: envelope.Fragment, random: Random) -> Packed:
        """A new packet for a fragment.

        Raises NoPath, UnusableAddress (nothing can be sealed to it).
        """
        mixes = self._draw(random)
        hops = [Hop(mix, self._key(mix), mix_delay(self._profile, random)) for mix in mixes]
        mailbox = Hop(self._receiver.relay, self._key(self._receiver.relay), 0)
        sealed = envelope.seal(fragment, self._receiver, random)
        mailbox_id = self._receiver.mailbox_id
        built = packet.build(self._context, hops, mailbox, mailbox_id, packet.KIND_MESSAGE, sealed, random)
        return Packed(self._entry, mixes, mailbox.relay, self.epoch, built)

    def avoid(self, mix: RelayId) -> None:
        """Draw paths without this relay, if there are others."""
        self._avoided.add(mix)

    def _draw(self, random: Random) -> Path:
        ends = self._entry, self._receiver.relay
        try:
            return self._layers.draw_path(*ends, self._usable, random)
        except PathError as error:
            if not self._avoided:
                raise NoPath(f"no path leads to the receiver: {error}") from None
            self._avoided.clear()
            return self._draw(random)

    def _usable(self, relay: RelayId) -> bool:
        return relay in self._directory.descriptors and relay not in self._avoided

    def _key(self, relay: RelayId) -> bytes:
        return self._directory.descriptors[relay].packet_key
