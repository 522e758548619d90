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


class Paths:
    """Fresh paths in the epoch of a directory, each mix with a fresh delay.

    `layers` and `context` are those of the directory's epoch.
    """

    def __init__(
        self, directory: Directory, layers: TermLayers, context: KeyContext, profile: Profile
    ) -> None:
        self.directory, self.context = directory, context
        self._layers, self._profile = layers, profile
        self._avoided: set[RelayId] = set()

    @property
    def epoch(self) -> Epoch:
        """The epoch whose packet keys are used."""
        return self.directory.snapshot.epoch

    def draw(self, start: RelayId, end: RelayId, random: Random) -> tuple[Path, list[Hop], Hop]:
        """Three mixes between two relays, as hops, and the last relay as the end of the path.

        Raises NoPath if there are none, or the last relay has no packet key.
        """
        if end not in self.directory.descriptors:
            raise NoPath(f"relay {end} is down: try again later")
        mixes = self._mixes(start, end, random)
        hops = [Hop(mix, self._key(mix), mix_delay(self._profile, random)) for mix in mixes]
        return mixes, hops, Hop(end, self._key(end), 0)

    def avoid(self, mix: RelayId) -> None:
        """Draw paths without this relay, if there are others."""
        self._avoided.add(mix)

    def _mixes(self, start: RelayId, end: RelayId, random: Random) -> Path:
        try:
            return self._layers.draw_path(start, end, self._usable, random)
        except PathError as error:
            if not self._avoided:
                raise NoPath(f"no path leads to relay {end}: {error}") from None
            self._avoided.clear()
            return self._mixes(start, end, random)

    def _usable(self, relay: RelayId) -> bool:
        return relay in self.directory.descriptors and relay not in self._avoided

    def _key(self, relay: RelayId) -> bytes:
        return self.directory.descriptors[relay].packet_key


class Packer:
    """Makes packets from one entry to one address in one epoch.

    Raises UnusableAddress if the mailbox's relay is not in the directory, NoPath if it has published no key
    for the epoch.
    """

    def __init__(self, paths: Paths, entry: RelayId, receiver: Address) -> None:
        self._paths, self._entry, self._receiver = paths, entry, receiver
        if paths.directory.snapshot.by_id(receiver.relay) is None:
            raise UnusableAddress(
                f"relay {receiver.relay} of this address is not in the network any more: "
                "ask the receiver for a new address"
            )
        if receiver.relay not in paths.directory.descriptors:
            raise NoPath(
                f"relay {receiver.relay}, which keeps the receiver's mailbox, is down: try again later"
            )

    def pack(self, fragment: envelope.Fragment, random: Random) -> Packed:
        """A new packet for a fragment.

        Raises NoPath, UnusableAddress (nothing can be sealed to it).
        """
        sealed = envelope.seal(fragment, self._receiver, random)
        mailbox_id = self._receiver.mailbox_id
        return packed(
            self._paths, self._entry, self._receiver.relay, mailbox_id, packet.KIND_MESSAGE, sealed, random
        )

    def avoid(self, mix: RelayId) -> None:
        """Draw paths without this relay, if there are others."""
        self._paths.avoid(mix)


def packed(
    paths: Paths,
    entry: RelayId,
    end: RelayId,
    mailbox_id: bytes,
    kind: int,
    user_data: bytes,
    random: Random,
) -> Packed:
    """A packet through three mixes, for a mailbox (16 bytes) at the relay `end`. Raises NoPath."""
    mixes, hops, last = paths.draw(entry, end, random)
    built = packet.build(paths.context, hops, last, mailbox_id, kind, user_data, random)
    return Packed(entry, mixes, end, paths.epoch, built)
