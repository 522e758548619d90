"""What a campaign costs: its vouchers, and passes redeemed on chain."""

from __future__ import annotations

import os

from mixpay import eip712, merkle
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.crypto.hashing import keccak256
from mixpay.passes import Scope
from mixpay.passes.spender import OwnedPass, PassRequest, PassSpender
from mixpay.passes.terms import KIND_ENTRY, drawn_position
from mixpay.registry_tree import relay_leaf
from mixpay.types import Amount
from scripts.gas.registry import ENDPOINT
from scripts.gas.stage import TOKEN, Person, Stage

PERIOD = 3
LINKS = 256

Figures = dict[str, int]


def measure(stage: Stage) -> Figures:
    """Every figure of SubsidyPool. A thousand relays are registered, and nothing of epoch 2 is frozen."""
    sponsor, signer, key = stage.rich(), stage.person(), SecretKey.generate()
    stage.give(sponsor, 1_000, "SubsidyPool")
    stage.do(sponsor, "SubsidyPool", "createCampaign", signer.account, 900 * TOKEN, 500 * TOKEN)
    stage.do(sponsor, "SubsidyPool", "fund", 1, 300 * TOKEN)
    figures = {"pool_fund": stage.do(sponsor, "SubsidyPool", "fund", 1, 7 * TOKEN // 3)}
    period = stage.read("Network", "currentEpoch") + PERIOD
    key_hash = key.public.key_hash()
    figures["set_key"] = stage.do(sponsor, "SubsidyPool", "setKey", 1, KIND_ENTRY, period, key_hash)
    figures |= vouchers(stage, signer)

    epoch = stage.deployment.parameters.epoch_length
    for _ in range(PERIOD):
        stage.chain.advance_time(epoch)
        stage.do(sponsor, "RelayRegistry", "freeze")
    stage.chain.advance_time(epoch)
    figures["redeem_pass"] = redeem(stage, signer, key, period)
    return figures


def vouchers(stage: Stage, signer: Person) -> Figures:
    """The first claim of a relay, and the next one of the same period."""
    relay, other, period = stage.rich(), stage.rich(), stage.read("Network", "currentEpoch")
    claim(stage, signer, other, period, TOKEN // 7)  # the period's first, which all later ones are spared
    return {
        "pool_claim_first": claim(stage, signer, relay, period, TOKEN // 7),
        "pool_claim": claim(stage, signer, relay, period, TOKEN // 3),
    }


def claim(stage: Stage, signer: Person, relay: Person, period: int, total: int) -> int:
    """The relay claims a total."""
    domain = eip712.pool_domain(stage.deployment.chain_id, stage.deployment.pool)
    message = eip712.PoolVoucher(1, relay.account, period, Amount(total))
    signed = eip712.sign(signer.key, message.digest(domain))
    vs = int.from_bytes(signed[32:64], "big") | (signed[64] - 27) << 255
    halves = signed[:32], vs.to_bytes(32, "big")
    return stage.do(relay, "SubsidyPool", "claim", 1, period, total, *halves)


def redeem(stage: Stage, signer: Person, key: SecretKey, period: int) -> int:
    """The relay that a pass draws redeems it, as far as the last link of a chain in its middle."""
    owned = issue(stage, key, period)
    _, count, beacon = stage.read("RelayRegistry", "frozen", period)
    position = drawn_position(owned.signature, beacon, count)
    operator, link_key = stage.relays[position]
    stage.give(operator, 10, "Channels")
    stage.do(operator, "Channels", "deposit", 3 * TOKEN // 7)
    stage.do(stage.treasurer, "RelayRegistry", "freeze")
    last = stage.read("Network", "currentEpoch") - 1
    claim(stage, signer, operator, last - 1, TOKEN // 7)  # so that it is no first payment
    claim(stage, signer, stage.rich(), last, TOKEN // 7)

    spender = PassSpender(owned, 32 * LINKS - 1)
    spender.reserve(1)
    tick = spender.next_tick()
    heads = owned.shown().leaves()
    siblings = list(merkle.proof(heads, tick.chain))
    one = (merkle.root(heads), _words(owned.signature), tick.number, tick.link, siblings)
    leaves = [_leaf(stage, place, count) for place in range(count)]
    place = (
        position + 1,
        position,
        link_key,
        keccak256(ENDPOINT.encode()),
        list(merkle.proof(leaves, position)),
    )
    modulus = _words(key.public.to_bytes())
    return stage.do(operator, "SubsidyPool", "redeemPasses", 1, KIND_ENTRY, period, modulus, place, [one])


def issue(stage: Stage, key: SecretKey, period: int) -> OwnedPass:
    """A pass of the campaign that draws a relay which is still there."""
    deployment = stage.deployment
    while True:
        scope = Scope(deployment.chain_id, deployment.pool, 1, KIND_ENTRY, period)
        request = PassRequest.new(scope, key.public, os.urandom)
        owned = request.finish(blind_rsa.blind_sign(key, request.blinded, os.urandom))
        _, count, beacon = stage.read("RelayRegistry", "frozen", period)
        if drawn_position(owned.signature, beacon, count) < count - 1:
            return owned


def _leaf(stage: Stage, position: int, count: int) -> bytes:
    """The last relay has left before."""
    operator, link_key = stage.relays[position]
    if position == count - 1:
        return merkle.EMPTY
    return relay_leaf(position + 1, operator.account, link_key, ENDPOINT.encode())


def _words(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]
