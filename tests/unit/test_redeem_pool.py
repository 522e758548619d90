"""A silent or stingy issuer: the relay redeems at the pool itself, in the order that the pool wants, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixpay.sponsor.keys import PassKeys
from pass_keys import pass_keys
from redeem_world import (
    AFTER,
    CAMPAIGN,
    FIRST,
    WINDOW,
    Chain,
    Entry,
    Sponsor,
    ends,
    entry,
    worth,
)
from relay.redeem.redeemer import Redeemed
from relay.store import StoredPoolVoucher, pool_voucher_op

NOBODY = "http://127.0.0.1:9"
SETTLED = 900
DUE = ends(FIRST) + AFTER


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("issuer"))


@dataclass
class Scene:
    """An issuer that runs at `url`, but which a relay may believe to be elsewhere."""

    sponsor: Sponsor
    chain: Chain
    url: str
    path: Path


@pytest.fixture
async def scene(tmp_path: Path, keys: PassKeys) -> AsyncIterator[Scene]:
    chain = Chain()
    sponsor = Sponsor(tmp_path, keys, chain, (FIRST, FIRST + 1, FIRST + 2))
    async with sponsor.serving() as url:
        yield Scene(sponsor, chain, url, tmp_path / "relay.sqlite")


async def run_at(relay: Entry, now: int, *, urgent: bool = False) -> list[Redeemed]:
    relay.chain.time = now
    return list((await relay.redeemer.run_once(now, urgent=urgent)).redeemed)


def said(relay: Entry) -> str:
    return " | ".join(waiting.why for waiting in relay.redeemer.last.waiting)


async def test_a_silent_issuer_is_replaced_by_the_pool_when_due(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await relay.take(scene.sponsor, 300)
        assert await run_at(relay, ends(FIRST)) == []
        assert await run_at(relay, DUE - 1) == []
        assert "does not answer" in said(relay)
        assert "2 passes are redeemed at the pool from 1970-01-01 06:16:40 UTC on" in said(relay)
        assert await run_at(relay, DUE) == [Redeemed(CAMPAIGN, FIRST, 2, worth(330), at_pool=True)]
        assert scene.chain.claimed == worth(330)
        assert relay.redeemer.paid_at_pool() == {CAMPAIGN: worth(330)}
        assert await run_at(relay, DUE + 60) == []
        assert "kept until the chain has settled" in said(relay)
        assert len(relay.passes.scopes()) == 1
        assert await run_at(relay, DUE + SETTLED) == []
        assert (relay.passes.scopes(), said(relay)) == ([], "")
    async with entry(scene.path, scene.chain, NOBODY) as again:
        assert again.redeemer.paid_at_pool() == {CAMPAIGN: worth(330)}
        assert again.store.passes(31337, b"") == []
    assert len(scene.chain.redeemed) == 2


async def test_what_the_pool_paid_shows_while_its_passes_are_forgotten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passes are gone before the disk has the total, and status may be asked for in between."""
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await run_at(relay, DUE)
        written, shown = relay.store.written, []

        def meanwhile(ops: object) -> object:
            shown.append((relay.passes.scopes(), relay.redeemer.paid_at_pool()))
            return written(ops)  # type: ignore[arg-type]

        monkeypatch.setattr(relay.store, "written", meanwhile)
        await run_at(relay, DUE + SETTLED)
        assert shown == [([], {CAMPAIGN: worth(30)})]


async def test_what_is_not_worth_gas_waits_for_the_issuer(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 9)
        await relay.take(scene.sponsor, 10)
        assert await run_at(relay, DUE) == [Redeemed(CAMPAIGN, FIRST, 1, worth(10), at_pool=True)]
        assert await run_at(relay, DUE + SETTLED) == []
        assert len(relay.passes.held(relay.passes.scopes()[0])) == 2
    scene.sponsor.count_redeemed()
    async with entry(scene.path, scene.chain, scene.url) as relay:
        assert await run_at(relay, DUE + SETTLED) == [Redeemed(CAMPAIGN, FIRST, 1, worth(9))]
        assert (relay.cumulative, relay.passes.scopes()) == (worth(19), [])
        assert relay.redeemer.paid_at_pool() == {CAMPAIGN: worth(10)}


@pytest.mark.parametrize("trouble", ["the node is away", "lost"])
async def test_a_crash_around_the_call_pays_once(scene: Scene, trouble: str) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await run_at(relay, DUE - 1)
        scene.chain.trouble = [trouble]
        assert await run_at(relay, DUE) == []
        assert f"redeeming at the pool: {trouble}" in said(relay)
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        again = await run_at(relay, DUE + 60)
        assert again == ([] if trouble == "lost" else [Redeemed(CAMPAIGN, FIRST, 1, worth(30), at_pool=True)])
        await run_at(relay, DUE + 60 + SETTLED)
        assert relay.passes.scopes() == []
        assert relay.redeemer.paid_at_pool() == {CAMPAIGN: worth(30)}
    assert scene.chain.claimed == worth(30)


async def test_what_a_reorganised_chain_took_back_is_redeemed_again(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await run_at(relay, DUE)
        scene.chain.redeemed.clear()
        scene.chain.claimed = scene.chain.latest = 0
        assert len(await run_at(relay, DUE + 60)) == 1
        await run_at(relay, DUE + 60 + SETTLED)
        assert relay.passes.scopes() == []
    assert scene.chain.claimed == worth(30)


async def test_an_earlier_voucher_is_claimed_before(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 20)
        await run_at(relay, ends(FIRST))
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30, FIRST + 1)
        assert len(await run_at(relay, ends(FIRST + 1) + AFTER)) == 1
        assert [voucher.cumulative for voucher in relay.pool.claims] == [worth(20)]
        assert scene.chain.claimed == worth(50)


async def test_periods_are_redeemed_in_their_order_while_the_issuer_is_silent(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await relay.take(scene.sponsor, 1)  # the issuer still owes it
        await relay.take(scene.sponsor, 40, FIRST + 1)
        late = ends(FIRST + 1) + AFTER
        assert [done.period for done in await run_at(relay, late)] == [FIRST]
        assert await run_at(relay, late + 60) == []  # until that has settled
        assert [done.period for done in await run_at(relay, late + SETTLED)] == [FIRST + 1]
    assert scene.chain.claimed == worth(70)


async def test_a_stingy_issuer_is_not_taken_at_its_word(scene: Scene) -> None:
    """Its voucher is not kept, for claiming it would end the right to redeem; both together pay all."""
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 30)
        await relay.take(scene.sponsor, 4)
        scene.chain.position = 1  # the issuer believes that the passes draw another relay
        await run_at(relay, ends(FIRST))
        assert "credited 0.00017 tokens too little" in said(relay)
        assert "1 passes are redeemed at the pool" in said(relay)
        assert relay.redeemer.vouchers == {}
        assert len(await run_at(relay, DUE)) == 1
        assert relay.redeemer.vouchers == {}
        scene.chain.position = 0
        scene.sponsor.count_redeemed()
        done = await run_at(relay, DUE + 3600)
        assert done == [Redeemed(CAMPAIGN, FIRST, 1, worth(4))]
        assert relay.cumulative == worth(34)
    assert scene.chain.claimed == worth(30)


async def test_an_issuer_that_does_not_count_what_the_pool_paid_is_found_out(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await run_at(relay, DUE)
        await run_at(relay, DUE + SETTLED)
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 4, FIRST + 1)
        assert await run_at(relay, ends(FIRST + 1)) == []
        assert "credited 0.00015 tokens too little" in said(relay)
        scene.sponsor.count_redeemed()
        assert await run_at(relay, ends(FIRST + 1) + 3600) == [Redeemed(CAMPAIGN, FIRST + 1, 1, worth(4))]
        assert relay.cumulative == worth(34)


async def test_vouchers_of_the_period_wait_until_its_passes_are_settled(scene: Scene) -> None:
    voucher = StoredPoolVoucher(CAMPAIGN, FIRST, worth(5), bytes(65))
    earlier = StoredPoolVoucher(CAMPAIGN, FIRST - 1, worth(5), bytes(65))
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.store.written([pool_voucher_op(voucher)])
        await relay.take(scene.sponsor, 30)
        for now, reserved in ((ends(FIRST), True), (DUE, True), (DUE + 60, True), (DUE + SETTLED, False)):
            await run_at(relay, now)
            assert relay.redeemer.is_reserved(voucher) is reserved
            assert not relay.redeemer.is_reserved(earlier)


async def test_shortly_before_the_window_closes_nothing_waits_any_more(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 30)
        await relay.take(scene.sponsor, 40)
        scene.chain.position, scene.chain.trouble = 1, ["no gas"] * 9
        hopeless = ends(FIRST) + WINDOW - WINDOW // 8
        await run_at(relay, hopeless - 1)
        assert relay.redeemer.vouchers == {}
        await run_at(relay, hopeless, urgent=True)
        assert relay.redeemer.vouchers[CAMPAIGN].cumulative == 0  # better than nothing
        assert not relay.redeemer.is_reserved(relay.redeemer.vouchers[CAMPAIGN])


async def test_budget_and_caps_pay_the_best_passes_first(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        for ticks in (20, 50, 30):
            await relay.take(scene.sponsor, ticks)
        scene.chain.left = worth(75)
        assert await run_at(relay, DUE) == [Redeemed(CAMPAIGN, FIRST, 2, worth(70), at_pool=True)]
        assert sorted(scene.chain.redeemed.values()) == [20, 50]
        scene.chain.left = worth(5)
        assert await run_at(relay, DUE + 60) == []
        assert "budget and caps leave 0.000025 tokens, too little for a pass" in caplog.text


async def test_the_pool_is_not_asked_for_what_a_voucher_may_have_covered(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        scene.chain.latest, scene.chain.vouchered = FIRST, True
        assert await run_at(relay, DUE) == []
        assert "takes no passes any more" in caplog.text
        voucher = StoredPoolVoucher(CAMPAIGN, FIRST, worth(5), bytes(65))
        assert not relay.redeemer.is_reserved(voucher)


async def test_passes_without_their_key_are_the_issuers_only(scene: Scene) -> None:
    """Of an earlier version, which did not keep the key."""
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30, with_key=False)
        assert await run_at(relay, DUE) == []
        assert "at the pool" not in said(relay)


async def test_what_nobody_paid_is_given_up_when_the_window_is_over(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with entry(scene.path, scene.chain, NOBODY) as relay:
        await relay.take(scene.sponsor, 30)
        await relay.take(scene.sponsor, 4)
        await run_at(relay, DUE)
        await run_at(relay, ends(FIRST) + WINDOW + 1)
        assert "1 passes were not paid in full" in caplog.text
        assert relay.passes.scopes() == []
        await relay.take(scene.sponsor, 2, FIRST + 2)
    scene.sponsor.count_redeemed()
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await run_at(relay, ends(FIRST + 2))
        assert relay.cumulative == worth(32)
