"""A relay's packet keys, one an epoch, with what belongs to that epoch: directory root, layers, hop price.

Keys are made ahead (for every epoch whose directory is frozen), kept for a grace after their epoch, and then
destroyed, so that what a relay once carried cannot be opened by whoever seizes it later.
`relay/keys/key_desk.py` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.crypto import x25519
from mixpay.keystore import Secret
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
    _answers: dict[tuple[RelayId, RelayId, int], bool] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def may_come(self, payer: RelayId, relay: RelayId, layer: int) -> bool:
        """Whether `payer` forwards to `relay` packets that have `layer` (1 to 4, the mailbox) there.

        Asked for each packet, so an answer is kept.
        """
        answer = self._answers.get((payer, relay, layer))
        if answer is None:
            answer = self._answers[payer, relay, layer] = self._may_come(payer, relay, layer)
        return answer

    def _may_come(self, payer: RelayId, relay: RelayId, layer: int) -> bool:
        if self.snapshot.by_id(payer) is None or self.snapshot.by_id(relay) is None:
            return False
        if layer > 1 and self.layers.layer(payer) != layer - 1:
            return False
        return self.layers.serves(payer, Role(layer - 1), relay)

    def may_go(self, relay: RelayId, next_relay: RelayId, layer: int) -> bool:
        """Whether `relay`, for which a packet has `layer` (1 to 3), forwards to `next_relay`."""
        return layer <= MIX_LAYERS and self.layers.serves(relay, Role(layer), next_relay)


class PacketKeys:
    """The secret keys by epoch.

    `signed`: the last epoch that a key may have been signed for before (`relay/keys/signed_epochs.py`).

    Keys are made in the order of epochs only. So the key of an epoch that was destroyed, or lost, is never
    made again, whatever a lagging RPC endpoint says the time is: a second one, signed, is an equivocation and
    costs stake. An epoch whose key is lost is not served.
    """

    def __init__(self, secrets: dict[Epoch, bytes], random: Random, signed: Epoch | None = None) -> None:
        self._secrets = {epoch: Secret(secret) for epoch, secret in secrets.items()}
        self._newest = max((*secrets, *(() if signed is None else (signed,))), default=None)
        self._random = random

    def __repr__(self) -> str:
        return f"PacketKeys(epochs={sorted(self._secrets)})"

    @property
    def newest(self) -> Epoch | None:
        """The last epoch that there is, or was, a key for; None if there never was one."""
        return self._newest

    def get(self, epoch: Epoch) -> Secret | None:
        """The secret key of an epoch (32 bytes), None if there is none."""
        return self._secrets.get(epoch)

    def draw(self, epoch: Epoch) -> Secret | None:
        """Draw a key for an epoch, None if there may be none. It is to be stored, then to be held."""
        return Secret(self._random(x25519.KEY_SIZE)) if self._may_have(epoch) else None

    def hold(self, epoch: Epoch, secret: bytes) -> bool:
        """Use a key that was drawn, now that it is stored. False if there may be none any more."""
        if not self._may_have(epoch):
            return False
        self._newest = epoch
        self._secrets[epoch] = Secret(secret)
        return True

    def forgo(self, epoch: Epoch) -> None:
        """Never make a key for this epoch, or one before it: one was signed that we do not have."""
        if self._may_have(epoch):
            self._newest = epoch

    def _may_have(self, epoch: Epoch) -> bool:
        return self._newest is None or epoch > self._newest

    def expire(self, floor: Epoch) -> list[Epoch]:
        """Destroy the keys of epochs before `floor`; returns those epochs."""
        over = sorted(epoch for epoch in self._secrets if epoch < floor)
        for epoch in over:
            del self._secrets[epoch]
        return over
