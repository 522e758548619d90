"""A contract's history: all of it, from nodes that give little at once too, and known to be whole."""

from __future__ import annotations

import pytest

from chain_world import World
from mixpay.chain.errors import RpcError
from mixpay.chain.history import begins_with_creation, history
from mixpay.chain.rpc import Rpc
from mixpay.types import Account, Amount
from odd_nodes import narrow, odd


def test_history_isWhole_howeverLittleANodeGivesAtOnce(world: World) -> None:
    token, friend = world.contracts.token, world.user()
    for amount in range(1, 6):
        world.deployer.send(token.transfer(friend.account, Amount(amount)))
        world.chain.mine(2)
    found = list(history(world.rpc, token.address, world.deployment.block))
    assert [int.from_bytes(log.data, "big") for log in found][-5:] == [1, 2, 3, 4, 5]
    for limit in (1, 3):
        with odd(world.chain.url, narrow(limit)) as url:
            assert list(history(Rpc(url), token.address, world.deployment.block)) == found
    with odd(world.chain.url, narrow(0)) as url, pytest.raises(RpcError, match="too wide"):
        list(history(Rpc(url), token.address, world.deployment.block))


def test_beginsWithCreation_onlyIfNothingIsBefore(world: World) -> None:
    registry, since = world.deployment.registry, world.deployment.block
    assert begins_with_creation(world.rpc, registry, since)
    world.next_epoch()
    world.freeze()
    assert begins_with_creation(world.rpc, registry, since)
    assert not begins_with_creation(world.rpc, registry, world.rpc.latest().number)
    assert not begins_with_creation(world.rpc, Account(b"\1" * 20), since)
