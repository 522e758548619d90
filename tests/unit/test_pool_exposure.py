"""I5 from the entries' side: what ticks all of them take together, the real pool can pay to each of them."""

from __future__ import annotations

import pytest

from chain_world import User, World
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.passes import KIND_ENTRY, TICK_VALUE, Scope
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.keys.epoch_keys import PacketKeys
from relay.state import State

RELAYS = 3
TICK = TICK_VALUE * DEMO.hop_price


@pytest.fixture(scope="module")
def relays(world: World) -> list[tuple[RelayId, Account]]:
    return [world.register() for _ in range(RELAYS)]


def limits(world: World, sponsor: User, campaign: int, relays: list[tuple[RelayId, Account]]) -> list[int]:
    """How many ticks of the current epoch each relay's daemon takes, as it reads the chain."""
    view = NetworkView(world.rpc, world.deployment)
    view.refresh()
    scope = Scope(world.deployment.chain_id, world.deployment.pool, campaign, KIND_ENTRY, world.epoch())
    found = []
    for relay, _ in relays:
        key = world.operator(relay).key
        state = State(relay, view, PacketKeys({}, bytes), key)
        state.campaigns[campaign] = world.contracts.pool.campaign(campaign)
        found.append(state.pass_limit(scope))
    return found


@pytest.mark.parametrize(
    ("budget", "period_cap", "relay_cap", "withdrawal", "ticks"),
    [
        (900, 900, 900, 0, 300),
        (9_000, 900, 900, 0, 300),
        (9_000, 9_000, 200, 0, 200),
        (1_000, 9_000, 9_000, 0, 333),
        (1_000, 9_000, 9_000, 400, 200),
        (1_000, 9_000, 9_000, 1_000, 0),
    ],
)
def test_ticksThatEntriesTake_arePaidInFull_andNoVoucherBringsMore(
    world: World,
    relays: list[tuple[RelayId, Account]],
    budget: int,
    period_cap: int,
    relay_cap: int,
    withdrawal: int,
    ticks: int,
) -> None:
    """In ticks. The sponsor takes back what it has announced; then all entries claim for all they took."""
    pool, channels, sponsor = world.contracts.pool, world.contracts.channels, world.user(tokens=1)
    caps = Amount(period_cap * TICK), Amount(relay_cap * TICK)
    sponsor.send(pool.create_campaign(sponsor.account, *caps))
    campaign = pool.campaign_count()
    sponsor.send(pool.fund(campaign, Amount(budget * TICK)))
    period = Epoch(world.epoch() + 2)
    key_hash = SecretKey.generate().public.key_hash()
    sponsor.send(pool.set_key(campaign, KIND_ENTRY, period, key_hash))
    if withdrawal:
        sponsor.send(pool.request_withdrawal(campaign, Amount(withdrawal * TICK)))
    assert world.join() == period
    taken = limits(world, sponsor, campaign, relays)
    assert taken == [ticks] * RELAYS

    for (relay, account), limit in zip(relays, taken, strict=True):
        if limit:
            before = channels.balance_of(account)
            world.operator(relay).send(sponsor.pool_voucher(campaign, account, period, limit * TICK))
            assert channels.balance_of(account) == before + limit * TICK
    left = pool.campaign(campaign).budget
    assert left == (budget - RELAYS * ticks) * TICK >= withdrawal * TICK
    # A voucher beyond brings no more than relayCap, periodCap and the budget leave, to nobody.
    greedy = world.operator(relays[0][0])
    more = min(relay_cap - ticks, period_cap - RELAYS * ticks, budget - RELAYS * ticks)
    if more:
        before = channels.balance_of(greedy.account)
        greedy.send(sponsor.pool_voucher(campaign, greedy.account, period, 10**6 * TICK))
        assert channels.balance_of(greedy.account) == before + more * TICK
