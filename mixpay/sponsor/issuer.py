"""The rules of issuing. No HTTP, no chain, no clock: what they know is given as arguments.

  * A pass is signed for the current or the next period of its kind, if the key for it is registered.
  * While the sponsor has paused it, nothing is signed. What was signed before stays good.
  * It is counted, on disk, before it is signed. Asking again with the same bytes gives the same signature and
    counts once, also after a restart and at another instance: the database keeps a keyed hash of who asked
    for what (why that links no pass to its issue: `store`). A process that dies between counting and
    answering has taken nothing from anybody, who asks again.
  * What was asked for together is counted in one transaction: that costs as much as counting one.
  * Redeeming has its rules in `redeeming`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mixpay.crypto import rsa_permutation
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.epochs import Schedule
from mixpay.passes import Scope
from mixpay.sponsor import api
from mixpay.sponsor.keys import PassKeys, Period, current_periods
from mixpay.sponsor.policy import Identified, Share, counted_identity
from mixpay.sponsor.redeeming import Cashier, RedeemedAtPool, RelayInPeriod
from mixpay.sponsor.rules import Campaign, IssuerError
from mixpay.sponsor.store import Claim, Counted, Refused, Store, StoredKey
from mixpay.types import Epoch

__all__ = ["Admitted", "Campaign", "Issuer", "IssuerError", "RedeemedAtPool", "RelayInPeriod", "Wanted"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for a signature, whom a policy found behind it, and the epoch in which it came."""

    request: api.SignRequest
    identified: Identified
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that is counted and may be signed; `left`: how many more passes its identity can have."""

    key: SecretKey
    blinded: bytes
    left: int


@dataclass(frozen=True, slots=True)
class _Checked:
    claim: Claim
    key: SecretKey
    blinded: bytes
    shares: tuple[Share, ...]


class Issuer:
    """One campaign's issuer. Thread safe; several may work on one database."""

    def __init__(
        self,
        *,
        campaign: Campaign,
        schedule: Schedule,
        claim_window: int,
        store: Store,
        keys: PassKeys,
    ) -> None:
        self._campaign, self._schedule = campaign, schedule
        self._store, self._keys = store, keys
        self._cashier = Cashier(campaign, schedule, claim_window, store)
        self._issuable = lru_cache(4)(self._find_issuable)
        self._proofs: dict[bytes, bytes] = {}
        self.is_paused = False
        """Whether passes are refused: what `Store.is_paused` said last."""

    def describe(self, epoch: Epoch, policies: list[api.PolicyOffer]) -> api.CampaignAnswer:
        """The campaign as users see it: ways to get passes, the keys of the current and the next periods."""
        wanted = self._issuable(epoch)
        keys = [
            api.PeriodKey(key.kind, key.period, key.modulus, proof, str(key.hop_price))
            for key in self._store.period_keys()
            if (key.kind, key.period) in wanted and (proof := self._proof(key))
        ]
        campaign, term = self._campaign, self._schedule.term_of(epoch)
        place = campaign.chain_id, campaign.pool, campaign.number
        return api.CampaignAnswer(*place, epoch, term, policies, keys)

    # ------------------------------------------------------------------ signing

    def scope(self, period: Period) -> Scope:
        """What passes of a period are good for."""
        return self._campaign.scope(period)

    def issuable(self, period: Period, epoch: Epoch) -> None:
        """Check that passes of a period are issued now. Raises IssuerError paused, wrong_period."""
        if self.is_paused:
            raise _paused()
        if (period.kind, period.number) not in self._issuable(epoch):
            raise _wrong_period()

    def admit(self, wanted: Sequence[Wanted]) -> list[Admitted | IssuerError]:
        """Count requests that came together, in one transaction; for each why it is refused, or what to sign.

        Raises StoreUnavailable: none is counted then, and all may be asked again.
        """
        checked = [self._checked(one) for one in wanted]
        good = [one for one in checked if isinstance(one, _Checked)]
        counts = iter(self._store.count([one.claim for one in good]))
        return [_admitted(one, next(counts)) if isinstance(one, _Checked) else one for one in checked]

    def _checked(self, wanted: Wanted) -> _Checked | IssuerError:
        blinded, identified = wanted.request.blinded, wanted.identified
        period = self._issuable(wanted.epoch).get((wanted.request.kind, wanted.request.period))
        if self.is_paused:
            return _paused()
        if period is None:
            return _wrong_period()
        registered = self._store.is_registered(period.kind, period.number)
        key = self._keys.get(period) if registered else None
        if key is None:
            return IssuerError("no_key", "the campaign has no registered key for this period")
        if int.from_bytes(blinded, "big") >= key.public.n:
            return IssuerError("malformed", "the blinded message is not below the modulus")
        return _Checked(self._claim(period, blinded, identified), key, blinded, identified.shares)

    def _claim(self, period: Period, blinded: bytes, identified: Identified) -> Claim:
        secret = self._campaign.identity_key

        def counted(identity: bytes) -> bytes:
            return counted_identity(secret, identified.policy, identity, period.kind, period.number)

        identity = counted(identified.identity)
        quota = identified.quotas.of(period.kind)
        shares = tuple((counted(share.identity), share.quota) for share in identified.shares)
        asked = asked_for(secret, identity, blinded)
        return Claim(identity, asked, period.kind, period.number, quota, shares)

    def _find_issuable(self, epoch: Epoch) -> dict[tuple[int, int], Period]:
        """The current and the next periods, by kind and number."""
        current = current_periods(self._schedule, epoch)
        periods = [Period(p.kind, p.number + step) for p in current for step in (0, 1)]
        return {(period.kind, period.number): period for period in periods}

    # ------------------------------------------------------------------ redeeming

    def redeemable(self, period: Period, now: int) -> None:
        """As `Cashier.redeemable`."""
        self._cashier.redeemable(period, now)

    def redeem(self, request: api.RedeemRequest, relay: RelayInPeriod, now: int) -> api.RedeemAnswer:
        """As `Cashier.redeem`."""
        return self._cashier.redeem(request, relay, now)

    def count_at_pool(self, redeemed: RedeemedAtPool) -> None:
        """As `Cashier.count_at_pool`."""
        self._cashier.count_at_pool(redeemed)

    # ------------------------------------------------------------------ age

    def prune(self, epoch: Epoch, now: int) -> None:
        """Forget what has no more use: secret keys and counts of past periods, credits past their window."""
        current = current_periods(self._schedule, epoch)
        for period in self._keys.delete_before(current):
            self._proofs.clear()
            _log.info("deleted the blind-signing key of kind %d, period %d", period.kind, period.number)
        for period in current:
            first = period
            while first.number and self._cashier.window_open(Period(first.kind, first.number - 1), now):
                first = Period(first.kind, first.number - 1)
            self._store.prune(period.kind, period.number, first.number)

    def _proof(self, key: StoredKey) -> bytes | None:
        """The proof for a registered key; None if its secret half is not here."""
        secret = self._keys.get(Period(key.kind, key.period))
        if secret is None:
            return None
        proof = self._proofs.get(key.modulus)
        if proof is None:  # `prune` may forget them meanwhile, on another thread
            proof = self._proofs[key.modulus] = rsa_permutation.prove(secret)
        return proof


def asked_for(secret: bytes, identity: bytes, blinded: bytes) -> bytes:
    """What the store knows of a request: 16 bytes, under a secret of 32; `identity` as the store knows it."""
    keyed = hashlib.blake2b(identity + blinded, key=secret, digest_size=16, person=b"mixpay-asked-for")
    return keyed.digest()


def _paused() -> IssuerError:
    detail = "the sponsor has paused giving out passes; those that were given out stay good"
    return IssuerError("paused", detail)


def _wrong_period() -> IssuerError:
    return IssuerError("wrong_period", "passes are issued for the current and the next period only")


def _admitted(checked: _Checked, counted: Counted | Refused) -> Admitted | IssuerError:
    quota = checked.claim.quota
    if counted is Refused.QUOTA:
        return IssuerError("quota_exceeded", f"all {quota} passes of this period have been issued to you")
    if counted is Refused.SHARE:
        return IssuerError("share_exceeded", "all passes of this period have been issued for now")
    if counted.shares:  # there are none of what was counted before
        for share, passes in zip(checked.shares, counted.shares, strict=True):
            share.told(passes)
    return Admitted(checked.key, checked.blinded, max(quota - counted.passes, 0))
