"""RelayRegistry: the tree, its freezing, and the beacon, against the library's own tree."""

from __future__ import annotations

from brownie import web3
from scene import person, reverts

from mixpay.crypto.hashing import keccak256
from mixpay.registry_tree import EMPTY, RegistryTree, relay_leaf


def leaf(number, operator, endpoint):
    return relay_leaf(number, operator.raw, keccak256(endpoint.encode()), endpoint.encode())


def root_and_count(scene):
    return bytes(scene.registry.root()), scene.registry.count()


def test_tree_followsEveryChange(scene, alice):
    tree = RegistryTree()
    assert root_and_count(scene) == (EMPTY, 0)
    operators = [person(f"operator {number}") for number in range(1, 8)]
    for number, operator in enumerate(operators[:5], start=1):
        endpoint = f"host:{number}"
        scene.register(alice, operator, endpoint)
        tree.set(number - 1, leaf(number, operator, endpoint))
        assert root_and_count(scene) == (tree.root, tree.count)

    link_key = keccak256(b"other:3")
    scene.registry.update(3, link_key, "other:3", {"from": alice.account})
    tree.set(2, leaf(3, operators[2], "other:3"))
    assert root_and_count(scene) == (tree.root, tree.count)

    for number in (2, 4):
        scene.registry.leave(number, {"from": alice.account})
        tree.clear(number - 1)
        assert root_and_count(scene) == (tree.root, tree.count)

    # Freed positions are taken again, the one freed last first; ids go on.
    for number, position in ((6, 3), (7, 1)):
        event = scene.register(alice, operators[number - 1], "new:1").events["Registered"]
        assert (event["id"], event["position"]) == (number, position)
        tree.set(position, leaf(number, operators[number - 1], "new:1"))
        assert root_and_count(scene) == (tree.root, tree.count)


def test_freeze_fixesTheNextEpochOnce(scene, alice, bob, carol):
    first = scene.registry.frozen(0)
    assert not scene.registry.isFrozen(1)
    with reverts("NotFrozen", 1):
        scene.registry.frozen(1)
    touch = scene.register(alice, bob)
    event = touch.events["Frozen"]
    assert (event["epoch"], event["count"]) == (1, 0)
    randomness = bytes(web3.eth.get_block(touch.block_number)["mixHash"])
    assert bytes(event["beacon"]) == keccak256(bytes(first[2]) + randomness)
    assert scene.registry.isFrozen(1)
    assert scene.registry.frozen(1) == (event["root"], 0, event["beacon"])
    assert "Frozen" not in scene.registry.freeze({"from": carol.account}).events
    assert "Frozen" not in scene.register(alice, carol, "host:2").events


def test_freeze_takesTheStateBeforeTheChangeThatTouches(scene, alice, bob, carol):
    scene.register(alice, bob)
    with_bob = bytes(scene.registry.root())
    scene.go_to(1)
    scene.register(alice, carol, "host:2")
    assert (bytes(scene.registry.frozen(2)[0]), scene.registry.frozen(2)[1]) == (with_bob, 1)
    scene.go_to(2)
    with_both = bytes(scene.registry.root())
    scene.registry.leave(1, {"from": alice.account})
    assert (bytes(scene.registry.frozen(3)[0]), scene.registry.frozen(3)[1]) == (with_both, 2)


def test_untouchedEpochs_inherit(scene, alice, bob):
    scene.register(alice, bob)
    drawn = scene.registry.frozen(1)
    scene.go_to(6)
    for epoch in (2, 6):
        root, count, beacon = scene.registry.frozen(epoch)
        assert (root, count) == drawn[:2]
        assert bytes(beacon) == keccak256(bytes(drawn[2]) + epoch.to_bytes(4, "big"))
    before = scene.registry.frozen(6)
    touch = scene.registry.freeze({"from": bob.account})
    randomness = bytes(web3.eth.get_block(touch.block_number)["mixHash"])
    root, count, beacon = scene.registry.frozen(7)
    assert (root, count) == (scene.registry.root(), 1)
    assert bytes(beacon) == keccak256(bytes(before[2]) + randomness)
    assert scene.registry.frozen(6) == before
    assert scene.registry.frozen(1) == drawn
