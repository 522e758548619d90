"""A relay's packet keys, one an epoch, with what belongs to that epoch: directory root, layers, hop price.

Keys are made ahead (for every epoch whose directory is frozen), kept for a grace after their epoch, and then
destroyed, so that what a relay once carried cannot be opened by whoever seizes it later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.crypto import x25519
from mixpay.layers import Role, TermLayers
from mixpay.packet import KeyContext
from mixpay.snapshot import Snapshot
from mixpay.types import MIX_LAYERS, Amount, Epoch, Random, RelayId


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """All that is needed to handle packets of one key epoch. Key pair: X25519, 32 bytes each."""

    context: KeyContext
    snapshot: Snapshot
    layers: TermLayers
    hop_price: Amount
    public: bytes
    secret: bytes = field(repr=False)

    def may_come(self, payer: RelayId, relay: RelayId, layer: int) -> bool:
        """Whether `payer` forwards to `relay` packets that have `layer` (1 to 4, the mailbox) there."""
        if self.snapshot.by_id(payer) is None or self.snapshot.by_id(relay) is None:
            return False
        if layer > 1 and self.layers.layer(payer) != layer - 1:
            return False
        return self.layers.serves(payer, Role(layer - 1), relay)

    def may_go(self, relay: RelayId, next_relay: RelayId, layer: int) -> bool:
        """Whether `relay`, for which a packet has `layer` (1 to 3), forwards to `next_relay`."""
        return layer <= MIX_LAYERS and self.layers.serves(relay, Role(layer), next_relay)


class PacketKeys:
    """The secret keys by epoch. The host stores what `need` and `expire` return.

    Keys are made in the order of epochs only. So the key of an epoch that was destroyed is never made again,
    whatever a lagging RPC endpoint says the time is: a second one, signed, is an equivocation and costs the
    stake.
    """

    def __init__(self, secrets: dict[Epoch, bytes], random: Random) -> None:
        self._secrets = dict(secrets)
        self._newest = max(secrets, default=-1)
        self._random = random

    def __repr__(self) -> str:
        return f"PacketKeys(epochs={sorted(self._secrets)})"

    def get(self, epoch: Epoch) -> bytes | None:
        """The secret key of an epoch (32 bytes), None if it was never made or is destroyed."""
        return self._secrets.get(epoch)

    def need(self, epoch: Epoch) -> bytes | None:
        """Make the key of an epoch. Returns it if it is new: it is to be stored before it is announced."""
        if epoch <= self._newest:
            return None
        self._newest = epoch
        self._secrets[epoch] = self._random(x25519.KEY_SIZE)
        return self._secrets[epoch]

    def expire(self, floor: Epoch) -> list[Epoch]:
        """Destroy the keys of epochs before `floor`; returns those epochs."""
        over = sorted(epoch for epoch in self._secrets if epoch < floor)
        for epoch in over:
            del self._secrets[epoch]
        return over
