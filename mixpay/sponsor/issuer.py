"""The rules of issuing. No HTTP, no chain, no clock: what they know is given as arguments.

  * A pass is signed for the current or the next period of its kind, if the key for it is registered.
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

from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import BlindRsaError, SecretKey
from mixpay.epochs import Schedule
from mixpay.sponsor import api
from mixpay.sponsor.keys import PassKeys, Period, current_periods
from mixpay.sponsor.policy import Evidence, Policy, PolicyRefusal, counted_identity
from mixpay.sponsor.redeeming import Cashier, RedeemedAtPool, RelayInPeriod
from mixpay.sponsor.rules import Campaign, IssuerError
from mixpay.sponsor.store import Claim, Store
from mixpay.types import Epoch, Random

__all__ = ["Admitted", "Asked", "Campaign", "Issuer", "IssuerError", "RedeemedAtPool", "RelayInPeriod"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a signature, who makes it, and the epoch in which it came."""

    request: api.SignRequest
    evidence: Evidence
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


class Issuer:
    """One campaign's issuer. Thread safe; several may work on one database."""

    def __init__(
        self,
        *,
        campaign: Campaign,
        schedule: Schedule,
        claim_window: int,
        policy: Policy,
        store: Store,
        keys: PassKeys,
        random: Random,
    ) -> None:
        self._campaign, self._schedule = campaign, schedule
        self._policy, self._store, self._keys, self._random = policy, store, keys, random
        self._cashier = Cashier(campaign, schedule, claim_window, store)
        self._issuable = lru_cache(4)(self._find_issuable)

    def describe(self, epoch: Epoch) -> api.CampaignAnswer:
        """The campaign as users see it: the keys of the current and the next periods."""
        wanted = self._issuable(epoch)
        keys = [
            api.PeriodKey(key.kind, key.period, key.modulus, str(key.hop_price))
            for key in self._store.period_keys()
            if (key.kind, key.period) in wanted
        ]
        quotas = [api.Quota(kind, self._policy.quotas.of(kind)) for kind in (1, 2)]
        campaign, term = self._campaign, self._schedule.term_of(epoch)
        return api.CampaignAnswer(
            campaign.chain_id,
            campaign.pool,
            campaign.number,
            epoch,
            term,
            self._policy.name,
            quotas,
            keys,
        )

    # ------------------------------------------------------------------ signing

    def sign(self, request: api.SignRequest, evidence: Evidence, epoch: Epoch) -> api.SignAnswer:
        """Sign a blinded pass if the policy allows it.

        Raises IssuerError: wrong_period, no_key, identity_required, identity_refused, quota_exceeded,
        malformed; StoreUnavailable.
        """
        (admitted,) = self.admit([Asked(request, evidence, epoch)])
        if isinstance(admitted, IssuerError):
            raise admitted
        return self.signed(admitted)

    def admit(self, asked: Sequence[Asked]) -> list[Admitted | IssuerError]:
        """Count requests that came together, in one transaction; for each why it is refused, or what to sign.

        Raises StoreUnavailable: none is counted then, and all may be asked again.
        """
        checked = [self._checked(one) for one in asked]
        good = [one for one in checked if isinstance(one, _Checked)]
        counts = iter(self._store.count([one.claim for one in good]))
        return [_admitted(one, next(counts)) if isinstance(one, _Checked) else one for one in checked]

    def signed(self, admitted: Admitted) -> api.SignAnswer:
        """Sign what was admitted. Raises IssuerError malformed, SigningFault."""
        try:
            signature = blind_rsa.blind_sign(admitted.key, admitted.blinded, self._random)
        except BlindRsaError as error:
            raise IssuerError("malformed", str(error)) from None
        return api.SignAnswer(signature, admitted.left)

    def _checked(self, asked: Asked) -> _Checked | IssuerError:
        request = asked.request
        period = self._issuable(asked.epoch).get((request.kind, request.period))
        if period is None:
            return IssuerError("wrong_period", "passes are issued for the current and the next period only")
        registered = self._store.is_registered(period.kind, period.number)
        key = self._keys.get(period) if registered else None
        if key is None:
            return IssuerError("no_key", "the campaign has no registered key for this period")
        if int.from_bytes(request.blinded, "big") >= key.public.n:
            return IssuerError("malformed", "the blinded message is not below the modulus")
        try:
            claim = self._claim(period, request.blinded, asked.evidence)
        except PolicyRefusal as refusal:
            return IssuerError(refusal.label, str(refusal))
        return _Checked(claim, key, request.blinded)

    def _claim(self, period: Period, blinded: bytes, evidence: Evidence) -> Claim:
        """Raises PolicyRefusal."""
        name, secret = self._policy.identify(evidence), self._campaign.identity_key
        identity = counted_identity(secret, name, period.kind, period.number)
        asked = hashlib.blake2b(identity + blinded, key=secret, digest_size=16, person=b"mixpay-asked-for")
        quota = self._policy.quotas.of(period.kind)
        return Claim(identity, asked.digest(), period.kind, period.number, quota)

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
            _log.info("deleted the blind-signing key of kind %d, period %d", period.kind, period.number)
        for period in current:
            first = period
            while first.number and self._cashier.window_open(Period(first.kind, first.number - 1), now):
                first = Period(first.kind, first.number - 1)
            self._store.prune(period.kind, period.number, first.number)


def _admitted(checked: _Checked, count: int | None) -> Admitted | IssuerError:
    quota = checked.claim.quota
    if count is None:
        return IssuerError("quota_exceeded", f"all {quota} passes of this period have been issued to you")
    return Admitted(checked.key, checked.blinded, max(quota - count, 0))
