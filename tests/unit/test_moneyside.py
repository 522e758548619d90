"""The money's part of a daemon outlives a release that the program does not know."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mixpay import eip712
from mixpay.chain import events
from mixpay.chain.contracts import Contracts
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.errors import UserError
from mixpay.types import Epoch
from registry_samples import operator_key
from relay.config import TreasuryRules
from relay.moneyside import MoneySide, debts
from relay.redeem.issuer_desk import IssuerDesk, RelayIdentity
from relay.redeem.pool_view import ChainPool
from relay.redeem.redeemer import PassRedeemer
from relay.redeem.rules import RedeemRules
from relay.treasury import TreasuryDesk
from relay_parts import DEAD, DEPLOYMENT, EPOCH, Node, Parts


def _money(node: Node) -> MoneySide:
    rpc, schedule, window = Rpc(DEAD), node.view.schedule, DEPLOYMENT.parameters.claim_window
    contracts, sender = Contracts(rpc, DEPLOYMENT), Sender(rpc, operator_key(node.me))
    me = RelayIdentity(node.me, sender.account, eip712.pool_domain(DEPLOYMENT.chain_id, DEPLOYMENT.pool))
    pool = ChainPool(contracts, sender, node.view, node.me)
    issuers, rules = IssuerDesk(me, {}, schedule, pool), RedeemRules(schedule, window, 0, 1)
    redeemer = PassRedeemer(rules, node.passes, node.store, issuers, pool)
    treasury = TreasuryDesk(
        rpc=rpc, contracts=contracts, sender=sender, owner=sender.account, rules=TreasuryRules(),
        schedule=schedule, claim_window=window,
        debts=lambda: debts(node.state, node.books, node.router, redeemer),
    )  # fmt: skip
    around = node.state, contracts, node.books, node.desk, node.hooks
    return MoneySide(*around, redeemer, treasury, node.passes, (), node.clock)


async def test_releaseThatWeDoNotKnow_doesNotEndTheDaemon(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    node = await parts.node(1)
    known = parts.view.release
    later = replace(known, wire_version=known.wire_version + 1, activation_epoch=Epoch(EPOCH + 1))
    parts.chain.tell(events.ReleasePublished(99, 0, bytes(32), 1, later.activation_epoch, later))
    parts.chain.freeze(EPOCH + 1)
    parts.chain.at(EPOCH + 1)
    with pytest.raises(UserError):
        _ = parts.view.release
    task = asyncio.create_task(_money(node).run(10.0))
    await asyncio.wait({task}, timeout=0.2)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await parts.close()
