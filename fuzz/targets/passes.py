"""Passes, redemptions, blind signatures, and the bodies of requests to a sponsor and of its answers."""

from __future__ import annotations

from functools import cache

import msgspec

from fuzz import world
from fuzz.target import Target, require
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, BlindRsaError, PublicKey
from mixpay.http import NotJson, read_json
from mixpay.passes import KIND_ENTRY, Pass, PassError, PassRequest, PassSpender, Redemption, Scope
from mixpay.sponsor import api
from relay.state import State

_POOL = world.DEPLOYMENT.pool
_CHAIN = world.DEPLOYMENT.chain_id


# ------------------------------------------------------------------ passes


def run_pass(data: bytes) -> None:
    """A pass that a client shows, and a relay checks."""
    try:
        shown = Pass.decode(data, _CHAIN, _POOL)
    except PassError:
        return
    require(shown.encode() == data, "a pass has one encoding")
    state = _state()
    try:
        again, rules, position = state.shown_pass(data, world.proven_key(), KIND_ENTRY)
        rules.check(again.anchor, again.signature, position)
    except PassError:
        return
    good = world.issued(KIND_ENTRY).shown()
    require(
        shown.signature == good.signature and shown.heads == good.heads, "a signature is good for one pass"
    )


@cache
def _state() -> State:
    return world.state(KIND_ENTRY)


def _pass_seeds() -> list[bytes]:
    good = world.issued(KIND_ENTRY).shown().encode()
    return [good, world.issued(2).shown().encode(), b"\0\0\0\2" + good[4:], bytes(len(good))]


# ------------------------------------------------------------------ redemptions


@cache
def _redeemed() -> Redemption:
    spender = PassSpender(world.issued(KIND_ENTRY))
    spender.reserve(3)
    tick = [spender.next_tick() for _ in range(3)][-1]
    return world.issued(KIND_ENTRY).shown().redemption(tick)


def run_redemption(data: bytes) -> None:
    """A bundle that a relay hands in."""
    try:
        redemption = Redemption.decode(data)
    except PassError:
        return
    require(redemption.encode() == data, "a redemption has one encoding")
    try:
        redemption.check_link()
    except PassError:
        return
    if redemption.anchor != _redeemed().anchor:
        return  # whoever makes the anchor knows all links to it, and lacks the signature over it
    known = world.issued(KIND_ENTRY).shown()
    require(redemption.tick.link in (_redeemed().tick.link, known.head(0)), "a link cannot be guessed")


def _redemption_seeds() -> list[bytes]:
    good = _redeemed().encode()
    return [good, bytes(len(good)), good[:-1]]


# ------------------------------------------------------------------ blind signatures


@cache
def _request() -> PassRequest:
    scope = Scope(_CHAIN, _POOL, world.CAMPAIGN, KIND_ENTRY, world.EPOCH)
    return PassRequest.new(scope, world.signing_key().public, world.dice(8).randbytes)


def run_blind(data: bytes) -> None:
    """A sponsor's key and blind signature, as a wallet takes them. Bit 0 of the first byte: the key."""
    if not data:
        return
    if data[0] & 1:
        try:
            key = PublicKey.from_bytes(data[1:])
        except BlindRsaError:
            return
        require(key.to_bytes() == data[1:], "a key has one encoding")
        return
    key, inverse = world.signing_key().public, _request().inverse
    try:
        blind_rsa.finalize(PASS_SUITE, key, _message(), data[1:], inverse)
    except BlindRsaError:
        return
    require(data[1:] == _signed(), "a signature cannot be guessed")


@cache
def _signed() -> bytes:
    return blind_rsa.blind_sign(world.signing_key(), _request().blinded, world.dice(9).randbytes)


@cache
def _message() -> bytes:
    """What is signed. `PassRequest.finish` makes it anew each time, by 16,384 hashes, before it looks."""
    return _request().scope.message(_request().finish(_signed()).shown().anchor)


def _blind_seeds() -> list[bytes]:
    modulus = world.signing_key().public.to_bytes()
    return [b"\1" + modulus, b"\0" + _signed(), b"\0" + modulus, b"\0" + bytes(256), b"\0" + b"\xff" * 256]


def run_blind_sign(data: bytes) -> None:
    """What a wallet has signed: any 256 bytes."""
    secret = world.signing_key()
    try:
        signed = blind_rsa.blind_sign(secret, data, world.dice(9).randbytes)
    except BlindRsaError:
        return
    require(len(signed) == secret.public.size, "a signature has one size")


def _blind_sign_seeds() -> list[bytes]:
    below = (secret := world.signing_key().public).n - 1
    return [_request().blinded, bytes(256), secret.to_bytes(), below.to_bytes(256, "big"), bytes(255) + b"\1"]


# ------------------------------------------------------------------ bodies


_REQUESTS: tuple[type[msgspec.Struct], ...] = (api.SignRequest, api.RedeemRequest)
_ANSWERS: tuple[type[msgspec.Struct], ...] = (
    api.CampaignAnswer,
    api.SignAnswer,
    api.RedeemAnswer,
    api.ErrorAnswer,
)


def run_body(data: bytes) -> None:
    """First byte: which body; a request that a sponsor reads, or an answer that users and relays read."""
    if not data:
        return
    kinds = (*_REQUESTS, *_ANSWERS)
    kind, body = kinds[data[0] % len(kinds)], data[1:]
    try:
        read = read_json(body, kind)
    except NotJson:
        return
    require(read_json(msgspec.json.encode(read), kind) == read, "written, it is the same")
    if isinstance(read, api.RedeemAnswer):
        require(0 <= read.amount < 10**29, "an amount is a number")


def body_seeds() -> list[bytes]:
    modulus, proof = world.proven_key().modulus, world.proven_key().proof
    bundle = _redeemed().encode()
    bodies: tuple[msgspec.Struct, ...] = (
        api.SignRequest(1, 2, modulus, "open", "AAAA"),
        api.RedeemRequest(1, 1, 2, [bundle, bundle]),
        api.CampaignAnswer(
            *(31337, _POOL, 1, 2, 1),
            policies=[api.PolicyOffer("open", "open", [api.Quota(1, 3)], {"difficulty": "8"})],
            keys=[api.PeriodKey(1, 2, modulus, proof, "5")],
        ),
        api.SignAnswer(modulus, 2),
        api.RedeemAnswer(1, _POOL, 2, "10", bytes(65), 3, [api.RefusedBundle(0, "bad_link")]),
        api.ErrorAnswer("busy", "later"),
    )
    seeds = [bytes((number,)) + msgspec.json.encode(body) for number, body in enumerate(bodies)]
    return [
        *seeds,
        b"\5" + b'{"error":"\xff","detail":"\\ud800"}',
        b"\1" + b"[" * 500,
        b"\2" + b'{"quotas":' + b"[" * 500,
    ]


TARGETS = (
    Target("pass", 2, 2400, _pass_seeds, run_pass),
    Target("redemption", 6, 600, _redemption_seeds, run_redemption),
    Target("blind_signature", 2, 300, _blind_seeds, run_blind),
    Target("blind_sign", 1, 256, _blind_sign_seeds, run_blind_sign),
    Target("sponsor_bodies", 8, 4096, body_seeds, run_body),
)
