"""Relays, a campaign's issuer and its users, in the code that they really run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from brownie import web3
from scene import Person, Scene, raw

from mixpay import merkle, registry_tree
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.crypto.hashing import keccak256
from mixpay.passes import (
    KIND_ENTRY,
    OwnedPass,
    PassRequest,
    PassSpender,
    Redemption,
    Scope,
    drawn_position,
)

ENDPOINTS = ("host:1", "host:2", "host:3")


@dataclass(frozen=True, slots=True)
class Issuing:
    """Campaign 1 with its blind-signing key; relay i + 1 stands at position i and listens at ENDPOINTS[i]."""

    scene: Scene
    relays: tuple[Person, ...]
    key: SecretKey

    @property
    def modulus(self) -> list[bytes]:
        """As the contract takes it."""
        return words(self.key.public.to_bytes())

    def scope(self, kind: int, period: int) -> Scope:
        """Of campaign 1."""
        return Scope(web3.eth.chain_id, raw(self.scene.pool), 1, kind, period)

    def issue(self, kind: int, period: int, epoch: int, position: int) -> OwnedPass:
        """A pass that draws the relay at a position in an epoch."""
        _, count, beacon = self.scene.registry.frozen(epoch)
        while True:
            request = PassRequest.new(self.scope(kind, period), self.key.public, os.urandom)
            owned = request.finish(blind_rsa.blind_sign(self.key, request.blinded, os.urandom))
            if drawn_position(owned.signature, bytes(beacon), count) == position:
                return owned

    def entry_pass(self, period: int, tick: int, position: int = 0) -> Redemption:
        """A pass of an epoch, spent up to a tick."""
        return spent(self.issue(KIND_ENTRY, period, period, position), tick)

    def place(self, position: int) -> tuple[Any, ...]:
        """The proof of a relay's place."""
        leaves = [
            registry_tree.relay_leaf(i + 1, relay.raw, keccak256(endpoint.encode()), endpoint.encode())
            for i, (relay, endpoint) in enumerate(zip(self.relays, ENDPOINTS, strict=True))
        ]
        endpoint = ENDPOINTS[position].encode()
        siblings = list(merkle.proof(leaves, position))
        return position + 1, position, keccak256(endpoint), keccak256(endpoint), siblings

    def redeem(self, period: int, *passes: Redemption, kind: int = KIND_ENTRY, position: int = 0) -> Any:
        """The relay at a position redeems; returns the transaction."""
        by = {"from": self.relays[position].account}
        place, shown = self.place(position), [as_tuple(one) for one in passes]
        return self.scene.pool.redeemPasses(1, kind, period, self.modulus, place, shown, by)


def spent(owned: OwnedPass, tick: int) -> Redemption:
    """A pass, handed in with this tick."""
    spender = PassSpender(owned, tick - 1)
    spender.reserve(1)
    return owned.shown().redemption(spender.next_tick())


def earlier(redemption: Redemption) -> Redemption:
    """The same pass with the tick before, which its link leads to."""
    tick = redemption.tick
    return replace(redemption, tick=replace(tick, k=tick.k - 1, link=keccak256(tick.link)))


def as_tuple(one: Redemption) -> tuple[Any, ...]:
    """A pass as the contract takes it."""
    return one.anchor, words(one.signature), one.tick.number, one.tick.link, list(one.proof)


def words(data: bytes) -> list[bytes]:
    """Cut into 32 bytes each."""
    return [data[at : at + 32] for at in range(0, len(data), 32)]
