"""The issuer's HTTP interface, version 1: JSON bodies as types, for the service and for those who call it.

    GET  /v1/openapi.json                       → this, as OpenAPI (`mixpay.sponsor.openapi`)
    GET  /v1/campaign                           → CampaignAnswer
    POST /v1/sign     SignRequest               → SignAnswer
    POST /v1/redeem   RedeemRequest             → RedeemAnswer
    any error         4xx, 5xx                  → ErrorAnswer

A network that moves to new contracts has another pool then, and the sponsor another campaign in it. Every
request may name the pool that it means, as `?pool=0x...`; without, it means that of the release in force.

Who gets a pass is said by policies, of which a campaign may have several. A request names one and brings
what that one asks for, the credential (`mixpay.sponsor.policies`). Bytes are base64 in JSON; token amounts
are decimal strings, for they do not fit a JavaScript number. Other numbers are whole, and written without
fraction and exponent. Unknown fields are refused.

Error labels, of any request: malformed, too_large, too_slow, too_fast, not_found, method_not_allowed,
no_campaign, busy, chain_unavailable, internal. Of signing: policy_required, policy_unknown,
identity_required, identity_refused, policy_unavailable, quota_exceeded, share_exceeded, paused, wrong_period,
no_key. Of redeeming: period_open, claim_window_over, unknown_relay, no_key.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.passes import REDEMPTION_SIZE
from mixpay.types import Amount

CAMPAIGN_PATH = "/v1/campaign"
OPENAPI_PATH = "/v1/openapi.json"
SIGN_PATH = "/v1/sign"
REDEEM_PATH = "/v1/redeem"
POOL_QUERY = "pool"

MAX_CREDENTIAL = 4096
"""Characters of what a policy asks for."""

MAX_BUNDLES = 1000
"""Redemptions in one request; more of one period go into the next."""

U32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
Kind = Annotated[int, msgspec.Meta(ge=1, le=2)]
Element = Annotated[bytes, msgspec.Meta(min_length=256, max_length=256)]
Proof = Annotated[bytes, msgspec.Meta(min_length=PROOF_SIZE, max_length=PROOF_SIZE)]
Bundle = Annotated[bytes, msgspec.Meta(min_length=REDEMPTION_SIZE, max_length=REDEMPTION_SIZE)]
Signature = Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]
PolicyName = Annotated[str, msgspec.Meta(max_length=64)]
Credential = Annotated[str, msgspec.Meta(max_length=MAX_CREDENTIAL)]
Decimal = Annotated[str, msgspec.Meta(pattern="^(0|[1-9][0-9]{0,28})$")]


class PeriodKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The blind-signing key of a period: modulus N (256 bytes, e = 65537), the proof that it is a permutation
    (2,304 bytes, `crypto/rsa_permutation.py`), and the hop price fixed with it.

    The caller checks the proof, and that keccak256(modulus) is what the pool holds for campaign, kind and
    period.
    """

    kind: Kind
    period: U32
    modulus: Element
    proof: Proof
    hop_price: Decimal


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Passes of a kind that one identity gets in one period."""

    kind: Kind
    passes: U32


class PolicyOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to get passes: its name, kind and quotas, and what it takes to make a credential."""

    name: PolicyName
    kind: PolicyName
    quotas: list[Quota]
    terms: dict[str, str] = {}


class CampaignAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a wallet needs to know: where the campaign is, who gets passes, and the keys to ask with now."""

    chain_id: int
    pool: Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
    campaign: U32
    epoch: U32
    term: U32
    policies: list[PolicyOffer]
    keys: list[PeriodKey]


class SignRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A blinded pass of the current or the next period; asking again with the same bytes counts once.

    `policy`: the name of one, "" where there is only one. `credential`: what that policy asks for.
    """

    kind: Kind
    period: U32
    blinded: Element
    policy: PolicyName = ""
    credential: Credential = ""

    def __repr__(self) -> str:
        """Without what is shown."""
        return f"SignRequest(kind={self.kind}, period={self.period}, policy={self.policy!r})"


class SignAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The blind signature, and how many more passes of this kind and period the identity can have."""

    signature: Element
    left: U32


class RedeemRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a relay hands in for one kind and period that are over: encoded `passes.Redemption` records.

    Without bundles it asks for its newest voucher again; in the second half of the time to claim that,
    counted in this period if it is a later one.
    """

    relay: U32
    kind: Kind
    period: U32
    bundles: Annotated[list[Bundle], msgspec.Meta(max_length=MAX_BUNDLES)]


class RefusedBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle (by its place in the request) that is worth nothing, and why."""

    index: U32
    reason: str


class RedeemAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pool voucher for the relay's operator: EIP-712 PoolVoucher(campaign, operator, period, cumulative).

    `period` is an epoch. `added` is how many ticks this request brought, worth 5 hop prices each.
    """

    campaign: U32
    operator: Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
    period: U32
    cumulative: Decimal
    signature: Signature
    added: int
    refused: list[RefusedBundle]

    @property
    def amount(self) -> Amount:
        """The cumulative total in token units."""
        return Amount(int(self.cumulative))


class ErrorAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label that programs can act on, and a sentence for people."""

    error: str
    detail: str
