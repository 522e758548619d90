"""ReceiptCourt: proveEquivocation."""

from __future__ import annotations

import pytest
from scene import PENALTY, UNBONDING, reverts, wait

from mixpay import eip712

KEYS = bytes([1]) * 32, bytes([2]) * 32


@pytest.fixture
def prove(scene, alice, bob, carol):
    """Carol shows two descriptors of relay 1, which Alice operates and Bob owns."""
    scene.register(bob, alice)

    def submit(*signatures, keys=KEYS, relay=1, epoch=3):
        return scene.court.proveEquivocation(relay, epoch, keys, *signatures, {"from": carol.account})

    return submit


def descriptor(scene, operator, key, relay=1, epoch=3, domain=None):
    digest = eip712.Descriptor(relay, epoch, key).digest(domain or scene.registry_domain)
    return eip712.sign(operator.key, digest)


def both(scene, operator):
    return [descriptor(scene, operator, key) for key in KEYS]


def test_proveEquivocation_condemnsTheRelay(scene, prove, alice, bob, carol):
    done = prove(*both(scene, alice))
    assert dict(done.events["Equivocated"]) == {"relay": 1, "epoch": 3, "reporter": carol.account}
    assert dict(done.events["Condemned"]) == {"id": 1, "reporter": carol.account}
    assert done.events["Left"]["withdrawableAt"] == done.timestamp + UNBONDING
    scene.registry.settlePenalty(1, {"from": bob.account})
    assert scene.channels.balanceOf(carol.account) == PENALTY // 20
    assert scene.registry.burnt() == PENALTY - PENALTY // 20


def test_proveEquivocation_isForOnce(scene, prove, alice):
    prove(*both(scene, alice))
    with reverts("AlreadyCondemned"):
        prove(*both(scene, alice))


def test_proveEquivocation_failsIfTheKeysAreTheSame(scene, prove, alice):
    signed = descriptor(scene, alice, KEYS[0])
    with reverts("SameKey"):
        prove(signed, signed, keys=(KEYS[0], KEYS[0]))


def test_proveEquivocation_failsIfThereIsNoRelay(scene, prove, alice):
    signed = [descriptor(scene, alice, key, relay=2) for key in KEYS]
    with reverts("UnknownRelay", 2):
        prove(*signed, relay=2)


def test_proveEquivocation_failsOnceTheStakeIsGone(scene, prove, alice, bob):
    scene.registry.leave(1, {"from": bob.account})
    wait(UNBONDING)
    scene.registry.withdrawStake(1, bob.account, {"from": bob.account})
    with reverts("RelayGone"):
        prove(*both(scene, alice))


def test_proveEquivocation_failsIfNothingIsProven(scene, prove, alice, bob):
    first, second = both(scene, alice)
    for signatures in (
        (second, first),
        (first, first),
        (first, descriptor(scene, alice, KEYS[1], epoch=4)),
        (first, descriptor(scene, alice, KEYS[1], relay=2)),
        (first, descriptor(scene, bob, KEYS[1])),
        (descriptor(scene, bob, KEYS[0]), second),
        (first, descriptor(scene, alice, KEYS[1], domain=scene.channels_domain)),
        (first, second[:64]),
    ):
        with reverts("InvalidSignature"):
            prove(*signatures)
