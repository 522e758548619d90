"""Hands passes in at their issuers, and checks the vouchers that come back.

A voucher counts if the campaign's signer on chain signed it, for our account, and its total did not fall. Its
epoch is over, and not before what was asked for: one of an earlier epoch could have lapsed, and claiming one
of an epoch in which passes are still taken would end the right to redeem those at the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixpay import eip712
from mixpay.amounts import shown
from mixpay.epochs import Schedule
from mixpay.errors import PeerError
from mixpay.passes import KIND_ENTRY, Redemption, Scope
from mixpay.sponsor.api import MAX_BUNDLES, RedeemAnswer, RedeemRequest, RefusedBundle
from mixpay.sponsor.remote import IssuerRefused, IssuerSilent
from mixpay.types import Account, Amount, RelayId, Term
from relay.redeem.issuers import PATIENCE, redeem
from relay.redeem.pool_view import PoolView
from relay.store import StoredPoolVoucher


class VoucherError(PeerError):
    """The issuer's answer is no voucher for us. Reasons: `wrong_voucher`, `forged_voucher`, `fallen_total`,
    `wrong_epoch`."""


@dataclass(frozen=True, slots=True)
class RelayIdentity:
    """Who redeems: the relay, its operator's account, and the EIP-712 domain of pool vouchers."""

    relay: RelayId
    operator: Account
    domain: eip712.Domain


class IssuerDesk:
    """The issuers of one relay. `urls`: theirs by campaign number, more of which may come; `patience`:
    seconds that one is asked again and again.
    """

    def __init__(
        self,
        me: RelayIdentity,
        urls: Mapping[int, str],
        schedule: Schedule,
        pool: PoolView,
        patience: float = PATIENCE,
    ) -> None:
        self._me, self._urls, self._schedule = me, urls, schedule
        self._pool, self._patience = pool, patience

    def knows(self, campaign: int) -> bool:
        """Whether the campaign has an issuer."""
        return campaign in self._urls

    async def hand_in(
        self, scope: Scope, redemptions: Sequence[Redemption], known: Amount, now: int
    ) -> tuple[StoredPoolVoucher, list[RefusedBundle]]:
        """All passes of a scope, as many requests as it takes; the last answer's voucher counts.

        `known`: the total of the campaign's newest voucher. Raises as `ask`.
        """
        refused: list[RefusedBundle] = []
        voucher = None
        for start in range(0, len(redemptions), MAX_BUNDLES):
            bundles = [r.encode() for r in redemptions[start : start + MAX_BUNDLES]]
            try:
                voucher, answer = await self.ask(
                    scope.campaign, scope.kind, scope.period, bundles, known, now
                )
            except IssuerRefused as error:
                if voucher is not None:  # what came before has been credited
                    raise IssuerSilent(str(error)) from None
                raise
            refused += answer.refused
        if voucher is None:
            raise ValueError("there is nothing to hand in")
        return voucher, refused

    async def ask(
        self, campaign: int, kind: int, period: int, bundles: list[bytes], known: Amount, now: int
    ) -> tuple[StoredPoolVoucher, RedeemAnswer]:
        """One request, and its voucher checked.

        Raises IssuerSilent, VoucherError (both: a credit may be outstanding), PeerError, ChainError.
        """
        url = self._urls.get(campaign)
        if url is None:
            raise PeerError("no_issuer", f"no issuer is configured for campaign {campaign}")
        signer = await asyncio.to_thread(self._pool.signer, campaign)
        request = RedeemRequest(self._me.relay, kind, period, bundles)
        answer = await redeem(url, Account(self._me.domain.contract), request, self._patience)
        if (answer.campaign, answer.operator) != (campaign, self._me.operator):
            raise VoucherError("wrong_voucher", "the issuer's voucher is for another campaign or relay")
        message = eip712.PoolVoucher(campaign, self._me.operator, answer.period, answer.amount)
        if not eip712.signed_by(signer, message, self._me.domain, answer.signature):
            raise VoucherError("forged_voucher", "the campaign's signer did not sign the issuer's voucher")
        if answer.amount < known:
            fell = f"from {shown(known)} to {shown(answer.amount)} tokens"
            raise VoucherError("fallen_total", f"the issuer's total fell {fell}")
        first = period if kind == KIND_ENTRY else self._schedule.last_epoch(Term(period))
        if not first <= answer.period < self._schedule.epoch_at(now):
            counts = f"the voucher counts in epoch {answer.period}"
            raise VoucherError("wrong_epoch", f"{counts}, not in one from {first} on that is over")
        return StoredPoolVoucher(campaign, answer.period, answer.amount, answer.signature), answer
