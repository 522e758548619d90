"""The library's replica of the registry against the contract, through random histories.

The replica gets the contract's events and nothing else; what both say must be equal after every step, and
for every epoch at the end.
"""

from __future__ import annotations

import random

import pytest
from brownie import accounts, web3
from scene import EPOCH, PENALTY, STAKE, UNBONDING, judged_by, reverts, wait

from mixpay import eip712
from mixpay.crypto.hashing import keccak256
from mixpay.registry_replica import NotFrozen, RegistryReplica
from mixpay.registry_tree import EMPTY

STEPS = 50


class History:
    """A registry with one owner for all relays, its replica, and what the owner still has at stake."""

    def __init__(self, scene, contracts, seed):
        self.random = random.Random(seed)  # noqa: S311 a history to play again, no secret
        self.owner, self.judge = accounts[1], accounts[2]
        self.scene = judged_by(scene, contracts, self.judge)
        self.registry = self.scene.registry
        self.replica = RegistryReplica()
        self.stakes = {}
        self.living = []
        self.first = scene.network.currentEpoch()
        self.scene.give(self.owner, self.registry, STEPS * STAKE)
        self.take(self.registry.tx)

    def take(self, transaction):
        """Show the transaction's events to the replica."""
        for event in transaction.events:
            e = {name: raw(value) for name, value in event.items()}
            if event.name == "Registered":
                self.replica.registered(e["id"], e["position"], e["operator"], e["linkKey"], e["endpoint"])
            elif event.name == "Updated":
                self.replica.updated(e["id"], e["linkKey"], e["endpoint"])
            elif event.name == "Left":
                self.replica.left(e["id"], e["position"])
            elif event.name == "Frozen":
                self.replica.frozen(e["epoch"], e["root"], e["count"], e["beacon"])

    def register(self):
        relay = len(self.stakes) + 1
        key = keccak256(b"operator %d" % relay)
        consent = eip712.OperatorConsent(eip712.account_of(key), raw(self.owner.address))
        signature = eip712.sign(key, consent.digest(self.scene.registry_domain))
        operator = web3.to_checksum_address(eip712.account_of(key))
        contact = keccak256(key), f"host{relay}:1:2"
        self.take(self.registry.register(operator, *contact, signature, {"from": self.owner}))
        self.stakes[relay] = STAKE
        self.living.append(relay)

    def update(self):
        if self.living:
            relay, number = self.random.choice(self.living), self.random.randrange(2**32)
            contact = keccak256(b"%d" % number), f"{number}:1:2"
            self.take(self.registry.update(relay, *contact, {"from": self.owner}))

    def leave(self):
        if self.living:
            relay = self.living.pop(self.random.randrange(len(self.living)))
            self.take(self.registry.leave(relay, {"from": self.owner}))

    def slash(self):
        if self.stakes:
            relay, wanted = (
                self.random.choice(list(self.stakes)),
                self.random.choice([1, STAKE // 3, 2 * STAKE]),
            )
            transaction = self.registry.slash(relay, wanted, {"from": self.judge})
            assert transaction.return_value == min(wanted, self.stakes[relay] - PENALTY)
            self.stakes[relay] -= transaction.return_value
            self.evict(relay, transaction)

    def condemn(self):
        if self.living:
            relay = self.random.choice(self.living)
            self.evict(relay, self.registry.condemn(relay, self.judge, {"from": self.judge}))

    def evict(self, relay, transaction):
        if relay in self.living:
            self.living.remove(relay)
        self.take(transaction)

    def freeze(self):
        self.take(self.registry.freeze({"from": self.judge}))

    def jump(self):
        wait(self.random.choice([EPOCH, EPOCH, 3 * EPOCH]))

    def check(self):
        assert self.replica.root == bytes(self.registry.root())
        assert self.replica.count == self.registry.count()
        if self.stakes:
            relay = self.random.choice(list(self.stakes))
            known, leaf = self.replica.relay(relay), bytes(self.registry.relay(relay)[2])
            assert (known is None) == (relay not in self.living)
            assert leaf == (EMPTY if known is None else known.leaf())
            assert self.registry.stakeLeft(relay) == self.stakes[relay]
        assert self.scene.token.balanceOf(self.registry) == sum(self.stakes.values())

    def check_epochs(self):
        now = self.scene.network.currentEpoch()
        for epoch in range(self.first - 1 if self.first else 0, now + 3):
            fixed = self.registry.isFrozen(epoch)
            assert self.replica.is_frozen(epoch, now) == fixed
            if not fixed:
                with pytest.raises(NotFrozen):
                    self.replica.snapshot(epoch, now)
                with reverts("NotFrozen", epoch):
                    self.registry.frozen(epoch)
                continue
            snapshot = self.replica.snapshot(epoch, now)
            root, count, beacon = self.registry.frozen(epoch)
            assert (snapshot.root, snapshot.count, snapshot.beacon) == (bytes(root), count, bytes(beacon))
            snapshot.verify()


def raw(value):
    """Bytes as the library has them: brownie gives addresses and words as text."""
    is_word = str(value).startswith("0x")
    return bytes.fromhex(str(value)[2:]) if is_word else value


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replica_followsAnyHistory(scene, contracts, seed):
    scene.go_to(3)
    history = History(scene, contracts, seed)
    moves = ["register"] * 7 + ["update", "leave", "slash", "condemn", "freeze"] + ["jump"] * 3
    for _ in range(STEPS):
        getattr(history, history.random.choice(moves))()
        history.check()
    history.check_epochs()
    assert len(history.stakes) - 3 > len(history.living) > 3, "an empty history proves nothing"


def test_owners_getTheRest(scene, contracts):
    history = History(scene, contracts, 4)
    for move in ("register", "register", "register", "slash", "leave"):
        getattr(history, move)()
    for relay in list(history.living):
        history.registry.leave(relay, {"from": history.owner})
    wait(UNBONDING)
    before = scene.token.balanceOf(history.owner)
    for relay in history.stakes:
        history.registry.withdrawStake(relay, history.owner, {"from": history.owner})
    assert scene.token.balanceOf(history.owner) - before == sum(history.stakes.values())
    assert scene.token.balanceOf(history.registry) == 0
