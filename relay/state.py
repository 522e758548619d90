"""What a relay knows of the network and of itself, epoch by epoch. No I/O: the daemon feeds it.

chain (NetworkView)        time, relays, layers, campaigns' keys
PacketKeys                 this relay's secret keys, made ahead, destroyed after their grace
Directories                who published which packet key, epoch by epoch
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from mixpay.chain.views import Campaign
from mixpay.crypto import x25519
from mixpay.crypto.blind_rsa import BlindRsaError, PublicKey
from mixpay.crypto.rsa_permutation import ProvenKey, Verifier
from mixpay.errors import ChainError, PeerError
from mixpay.network import NetworkView, OtherContracts
from mixpay.passes import KIND_ENTRY, TICK_VALUE, Pass, PassError, PassRules, Scope
from mixpay.snapshot import RelayRecord
from mixpay.types import Amount, Epoch, Position, RelayId, Term
from relay.keys.directories import Directories
from relay.keys.epoch_keys import EpochKeys, PacketKeys


class State:
    """The network as one relay sees it. `key`: the operator's, 32 bytes; it signs descriptors.

    `restored`: its database is an older copy (`relay/keys/restored.py`), so it serves no more.
    """

    def __init__(
        self, me: RelayId, view: NetworkView, keys: PacketKeys, key: bytes, *, restored: bool = False
    ) -> None:
        self.me = me
        self.restored = restored
        self.view = view
        self.keys = keys
        self.campaigns: dict[int, Campaign] = {}
        """Budgets and limits of the campaigns whose passes are taken."""
        self.unclaimed: Callable[[int], int] = lambda _campaign: 0
        """What a campaign's newest voucher promises us beyond what we have claimed; its budget holds it."""
        self.served: Collection[int] = ()
        """Campaigns that are served, also those of which the chain was not asked yet."""
        self._proven: set[Scope] = set()
        """Scopes whose key, the only one that the pool allows, is proven to be a permutation."""
        self._verifiers: dict[Scope, Verifier] = {}
        """Of those whose key is not proven yet."""
        self.directories = Directories(me, view, keys, key, self.living_epochs)

    def __repr__(self) -> str:
        return f"State(relay {self.me})"

    # ------------------------------------------------------------------ time and place

    @property
    def chain_time(self) -> int:
        """Seconds of chain time."""
        return self.view.chain_time

    @property
    def epoch(self) -> Epoch:
        """The current epoch."""
        return self.view.epoch

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self.view.deployment.chain_id

    @property
    def pool(self) -> bytes:
        """Address of SubsidyPool, 20 bytes."""
        return self.view.deployment.pool

    @property
    def floor(self) -> Epoch:
        """Oldest key epoch whose packets are accepted: the last one only for a grace."""
        epoch, grace = self.epoch, self.view.deployment.parameters.key_grace
        in_grace = self.chain_time < self.view.schedule.start(epoch) + grace
        return Epoch(max(0, epoch - 1)) if in_grace else epoch

    def living_epochs(self) -> list[Epoch]:
        """Key epochs that are in use or about to be: from the floor to the next one, as far as frozen.

        Only those in which the network works on our contracts: none before their time, and none after it.
        """
        candidates = map(Epoch, range(self.floor, self.epoch + 2))
        return [epoch for epoch in candidates if self.view.is_frozen(epoch) and self.view.works_in(epoch)]

    @property
    def is_over(self) -> bool:
        """Whether this relay serves in no epoch any more: it has left, or the network its contracts.

        What it owes and is owed is not over with that.
        """
        gone = self.view.is_over or self.view.relay(self.me) is None
        return gone and not any(map(self.is_member, self.living_epochs()))

    @property
    def stakes_are_gone(self) -> bool:
        """Whether the contracts' time has been over for so long that every stake can have been paid out."""
        end = self.view.ends
        if end is None:
            return False
        return self.chain_time > self.view.schedule.start(end) + self.view.deployment.parameters.unbonding

    @property
    def is_overdue(self) -> bool:
        """Whether this relay's time has been over for so long that its own stake can have been paid out.

        Whoever wanted something of it has had the time to settle, to claim, and to go to court.
        """
        free_at = self.view.withdrawable_at(self.me)
        return self.is_over and (self.stakes_are_gone or (free_at is not None and self.chain_time > free_at))

    def record(self, relay: RelayId) -> RelayRecord | None:
        """How to reach a relay that is in a living epoch, else None.

        One that has left serves, pays and is paid until its last epoch is over.
        """
        for epoch in reversed(self.living_epochs()):
            found = self.view.snapshot(epoch).by_id(relay)
            if found is not None:
                return self.view.relay(relay) or found
        return None

    def link_key(self, relay: RelayId) -> bytes:
        """The registered link key (32 bytes) of a relay that may hold a link. Raises PeerError."""
        record = self.record(relay)
        if record is None:
            raise PeerError("unknown_relay", f"relay {relay} is in no living epoch")
        return record.link_key

    def is_member(self, epoch: Epoch) -> bool:
        """Whether this relay belongs to a (frozen) epoch."""
        return self.view.snapshot(epoch).by_id(self.me) is not None

    # ------------------------------------------------------------------ packet keys

    def epoch_keys(self) -> dict[Epoch, EpochKeys]:
        """All that is needed for packets, for every living epoch this relay has a key for."""
        ready: dict[Epoch, EpochKeys] = {}
        for epoch in self.living_epochs():
            secret = self.keys.get(epoch)
            if secret is None or not self.is_member(epoch):
                continue
            price = self.view.release_at(epoch).hop_price
            context, snapshot = self.view.key_context(epoch), self.view.snapshot(epoch)
            public = x25519.public_key(secret)
            ready[epoch] = EpochKeys(context, snapshot, self.view.layers(epoch), price, public, bytes(secret))
        return ready

    @property
    def hop_price(self) -> Amount:
        """Of the current epoch; outside our contracts' time, of their last one before it, else their first.

        What is owed on the contracts outlives their release. Raises UserError if no release names them.
        """
        ours = self.view.deployment.contracts
        releases = [release for _, release in self.view.releases if release.contracts == ours]
        if not releases:
            return self.view.release.hop_price  # which says what is wrong
        begun = [release for release in releases if release.activation_epoch <= self.epoch]
        return (begun or releases[:1])[-1].hop_price

    def check_releases(self) -> None:
        """Raise UserError if the network speaks, or is about to, as this program does not.

        That it works on other contracts is no trouble of this relay's: its time there is over, or to come.
        """
        for epoch in range(self.floor, self.epoch + 2):
            with suppress(OtherContracts):
                self.view.release_at(Epoch(epoch))

    # ------------------------------------------------------------------ passes

    def pass_rules(self, scope: Scope, key: PublicKey) -> PassRules:
        """What it takes to check a pass of this campaign and kind now.

        Raises PassError `wrong_campaign` for a campaign this relay does not serve, `wrong_key` if the
        pool holds another key or none, `not_ready` if the chain has not fixed the period, or was not asked
        for the campaign yet, or this relay serves no more.
        """
        if self.restored:
            raise PassError("not_ready", "this relay was restored from a backup and carries no packets")
        if scope.campaign not in self.campaigns:
            if scope.campaign in self.served:
                raise PassError("not_ready", "the chain was not asked for the campaign yet")
            raise PassError("wrong_campaign", f"this relay does not serve campaign {scope.campaign}")
        try:
            epoch = self.epoch
            first = epoch if scope.kind == KIND_ENTRY else self._term_start(self.view.term)
            period = self._period_of(scope.kind)
            snapshot = self.view.snapshot(first)
        except ChainError as error:
            raise PassError("not_ready", str(error)) from None
        current = Scope(self.chain_id, self.pool, scope.campaign, scope.kind, period)
        scope.require(current)  # before the key: a pass of yesterday was signed with another one
        if not snapshot.count:
            raise PassError("not_ready", "there was no relay that a pass could draw")
        registered = self.view.pool_key(scope.campaign, scope.kind, period)
        if registered is None or registered.key_hash != key.key_hash():
            raise PassError("wrong_key", "the pool does not hold this key for the campaign and period")
        return PassRules(current, key, registered.hop_price, snapshot.beacon, snapshot.count)

    def shown_pass(
        self, encoded: bytes, proven: ProvenKey, kind: int
    ) -> tuple[Pass, PassRules, Position | None]:
        """The pass a client shows, with what it takes to check it now.

        `proven`: the key that signed it. Takes 30 ms when a scope's key is proven, 3 ms for a wrong proof.
        Raises PassError, beside those of `pass_rules` and `PassRules.check`: `malformed`, `wrong_kind`,
        `key_not_proven`.
        """
        shown = Pass.decode(encoded, self.chain_id, self.pool)
        if shown.scope.kind != kind:
            raise PassError("wrong_kind", f"a pass of kind {kind} is needed here")
        try:
            key = PublicKey.from_bytes(proven.modulus)
        except BlindRsaError as error:
            raise PassError("wrong_key", str(error)) from None
        rules, position = self.pass_rules(shown.scope, key), self.my_position(kind)
        if shown.scope not in self._proven:
            # Only who has a pass for this relay makes it check a proof: that takes a while.
            rules.check(shown.anchor, shown.signature, position)
            self._require_proof(shown.scope, key, proven.proof)
        return shown, rules, position

    def _require_proof(self, scope: Scope, key: PublicKey, proof: bytes) -> None:
        """Raise PassError `key_not_proven`: a key that is no permutation lets its issuer choose the entry."""
        if scope not in self._verifiers:
            kept = {s: v for s, v in self._verifiers.items() if s.period == self._period_of(s.kind)}
            self._verifiers = {**kept, scope: Verifier(key)}
        if not self._verifiers[scope].accepts(proof):
            raise PassError("key_not_proven", "nothing proves that the key is a permutation")
        del self._verifiers[scope]
        self._proven = {known for known in self._proven if known.period == self._period_of(known.kind)}
        self._proven.add(scope)

    def _period_of(self, kind: int) -> int:
        return self.epoch if kind == KIND_ENTRY else self.view.term

    def my_position(self, kind: int) -> Position | None:
        """This relay's position in the snapshot that passes of a kind draw from now."""
        epoch = self.epoch if kind == KIND_ENTRY else self._term_start(self.view.term)
        record = self.view.snapshot(epoch).by_id(self.me)
        return record.position if record is not None else None

    def pass_limit(self, scope: Scope, in_epoch: int = 0, owed: int = 0) -> int:
        """Ticks of a scope that the campaign's budget guarantees this relay (docs/design.md §8).

        `in_epoch`, `owed`: token units that it owes us for other scopes, in the same epoch and in all; what
        its vouchers promise is not in them.
        """
        campaign = self.campaigns[scope.campaign]
        key = self.view.pool_key(scope.campaign, scope.kind, scope.period)
        count = max(1, self.view.snapshot(self.epoch).count)
        left = campaign.budget - campaign.withdrawal  # a withdrawal that is due may come at any moment
        capped = min(campaign.relay_cap, campaign.period_cap // count) - in_epoch
        share = max(0, min(capped, left // count - owed - self.unclaimed(scope.campaign)))
        return share // (TICK_VALUE * key.hop_price) if key is not None else 0

    def mailbox_expiry(self, term: int) -> int:
        """Until when a mailbox of a term's pass receives: a quarter of a term longer (docs/design.md §8)."""
        schedule = self.view.schedule
        end = schedule.start(self._term_start(Term(term + 1)))
        return end + schedule.epoch_length * schedule.term_length // 4

    def _term_start(self, term: Term) -> Epoch:
        return self.view.schedule.first_epoch(term)
