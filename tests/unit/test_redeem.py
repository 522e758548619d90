"""Redeeming at an issuer: nothing is forgotten unpaid, whatever is lost, refused, repeated or forged."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixpay import eip712
from mixpay.sponsor.keys import PassKeys
from mixpay.types import Account
from pass_keys import pass_keys
from redeem_world import CAMPAIGN, CHAIN, FIRST, OPERATOR, POOL, WINDOW, Chain, Sponsor, ends, entry, worth
from relay.redeem.redeemer import Redeemed


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("issuer"))


@dataclass
class Scene:
    """A running issuer, the chain, and the path of the relay's database."""

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


async def test_passes_become_a_stored_voucher_and_are_forgotten(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        await relay.take(scene.sponsor, 300)
        await relay.take(scene.sponsor, 0)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert report.redeemed == (Redeemed(CAMPAIGN, FIRST, 2, worth(303)),)
        assert report.waiting == ()
    async with entry(scene.path, scene.chain, scene.url) as again:
        voucher = again.redeemer.vouchers[CAMPAIGN]
        message = eip712.PoolVoucher(CAMPAIGN, OPERATOR, voucher.period, voucher.cumulative)
        assert voucher.cumulative == worth(303)
        assert eip712.signed_by(
            scene.chain.signer, message, eip712.pool_domain(CHAIN, POOL), voucher.signature
        )
        assert again.store.passes(CHAIN, POOL) == []
        assert (await again.redeemer.run_once(scene.chain.time)).redeemed == ()


async def test_nothing_is_handed_in_before_the_period_is_over(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.time = ends(FIRST) - 1
        assert (await relay.redeemer.run_once(scene.chain.time)).redeemed == ()
        assert len(relay.store.passes(CHAIN, POOL)) == 1
        assert relay.cumulative == 0


async def test_a_crash_before_the_voucher_was_stored_costs_nothing(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
    before = scene.path.with_name("before.sqlite")
    shutil.copy(scene.path, before)
    for path in (scene.path, before):  # the second has not heard of the first one's success
        async with entry(path, scene.chain, scene.url) as relay:
            report = await relay.redeemer.run_once(scene.chain.time)
            assert report.redeemed == (Redeemed(CAMPAIGN, FIRST, 1, worth(3)),)
            assert relay.cumulative == worth(3)


async def test_totals_add_up_over_periods(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        await relay.take(scene.sponsor, 4, FIRST + 1)
        scene.chain.time = ends(FIRST + 1)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert [done.period for done in report.redeemed] == [FIRST, FIRST + 1]
        assert relay.cumulative == worth(7)
        assert relay.redeemer.vouchers[CAMPAIGN].period == FIRST + 1


async def test_what_a_voucher_promises_is_unclaimed_until_it_is_claimed(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        assert relay.redeemer.unclaimed(CAMPAIGN) == 0
        await relay.take(scene.sponsor, 7)
        await relay.redeemer.run_once(scene.chain.time)
        assert relay.redeemer.unclaimed(CAMPAIGN) == worth(7), "from the moment that it is stored"
        for claimed in (0, 4, 7):
            scene.chain.claimed = worth(claimed)
            await relay.redeemer.read_claimed(CAMPAIGN)
            assert relay.redeemer.unclaimed(CAMPAIGN) == worth(7 - claimed)
        await relay.take(scene.sponsor, 2, FIRST + 1)
        scene.chain.time = ends(FIRST + 1)
        await relay.redeemer.run_once(scene.chain.time)
        assert relay.redeemer.unclaimed(CAMPAIGN) == worth(2)
        assert relay.redeemer.unclaimed(CAMPAIGN + 1) == 0


async def test_an_issuer_that_is_away_is_asked_again(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, "http://127.0.0.1:9") as relay:
        await relay.take(scene.sponsor, 3)
        await relay.take(scene.sponsor, 4, FIRST + 1)
        scene.chain.time = ends(FIRST + 1)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert [w.period for w in report.waiting] == [FIRST, FIRST + 1]
        assert "does not answer: cannot connect" in report.waiting[0].why
        assert "for an earlier period first" in report.waiting[1].why
    async with entry(scene.path, scene.chain, scene.url) as relay:
        report = await relay.redeemer.run_once(scene.chain.time)
        assert len(report.redeemed) == 2
        assert report.waiting == ()


async def test_a_credit_whose_answer_was_lost_is_found_again(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.sponsor.loses_answers = True
        report = await relay.redeemer.run_once(scene.chain.time)
        assert "HTTP status 502" in report.waiting[0].why
        assert relay.cumulative == 0
        scene.sponsor.loses_answers = False
        await relay.take(scene.sponsor, 4, FIRST + 1)
        scene.chain.time = ends(FIRST + 1)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert [done.period for done in report.redeemed] == [FIRST, FIRST + 1]
        assert report.waiting == ()
        assert relay.cumulative == worth(7)


async def test_it_pauses_between_tries_unless_told(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.signer = Account(b"\x0c" * 20)
        await relay.redeemer.run_once(scene.chain.time)
        scene.chain.signer = Account(eip712.account_of(b"\7" * 32))
        assert (await relay.redeemer.run_once(scene.chain.time + 59)).redeemed == ()
        assert len((await relay.redeemer.run_once(scene.chain.time, urgent=True)).redeemed) == 1


async def test_a_forged_voucher_is_not_stored(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.signer = Account(b"\x0c" * 20)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert "forged_voucher" in report.waiting[0].why
        assert relay.store.pool_vouchers() == {}
        assert len(relay.store.passes(CHAIN, POOL)) == 1


@pytest.mark.parametrize("epoch", [FIRST - 1, FIRST + 1, FIRST + 2])
async def test_a_voucher_of_another_epoch_is_not_stored(scene: Scene, epoch: int) -> None:
    """An earlier one may have lapsed; a running one would end the right to redeem its passes at the pool."""
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.sponsor.dates = epoch
        report = await relay.redeemer.run_once(scene.chain.time)
        assert f"wrong_epoch: the voucher counts in epoch {epoch}" in report.waiting[0].why
        assert relay.store.pool_vouchers() == {}
        scene.sponsor.dates = None
        assert len((await relay.redeemer.run_once(scene.chain.time, urgent=True)).redeemed) == 1


async def test_too_little_is_said_and_asked_for_again(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.position = 1  # the issuer believes that the passes draw another relay
        report = await relay.redeemer.run_once(scene.chain.time)
        assert "credited 0.000015 tokens too little, 1 passes refused: wrong_relay" in report.waiting[0].why
        assert len(relay.store.passes(CHAIN, POOL)) == 1
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 4, FIRST + 1)
        scene.chain.position, scene.chain.time = 0, ends(FIRST + 1)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert [done.period for done in report.redeemed] == [FIRST, FIRST + 1]
        assert relay.cumulative == worth(7)
        assert relay.store.setting(f"short:{CAMPAIGN}:1:{FIRST}") is None


async def test_what_is_short_does_not_hold_later_periods_back(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.position, scene.chain.time = 1, ends(FIRST) + 100
        await relay.redeemer.run_once(scene.chain.time)
        scene.chain.position, scene.chain.time = 0, ends(FIRST + 1)
        await relay.take(scene.sponsor, 4, FIRST + 1)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert [done.period for done in report.redeemed] == [FIRST + 1]  # the first one pauses
        report = await relay.redeemer.run_once(scene.chain.time, urgent=True)
        assert [done.period for done in report.redeemed] == [FIRST]
        assert relay.cumulative == worth(7)


async def test_after_the_claim_window_passes_are_given_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        scene.chain.time = ends(FIRST) + WINDOW + 1
        report = await relay.redeemer.run_once(scene.chain.time)
        assert (report.redeemed, report.waiting) == ((), ())
        assert relay.store.passes(CHAIN, POOL) == []
        assert "1 passes were not paid in full" in caplog.text


async def test_without_an_issuer_it_says_which_campaign_lacks_one(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, None) as relay:
        await relay.take(scene.sponsor, 3)
        report = await relay.redeemer.run_once(scene.chain.time)
        assert "no issuer is configured for campaign 3" in report.waiting[0].why


async def test_an_unpaid_voucher_is_renewed_before_it_lapses(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        await relay.redeemer.run_once(scene.chain.time)
        scene.chain.time = ends(FIRST + 1) + 1  # half of the window is over
        await relay.redeemer.run_once(scene.chain.time)
        voucher = relay.redeemer.vouchers[CAMPAIGN]
        assert (voucher.period, voucher.cumulative) == (FIRST + 1, worth(3))
        assert relay.store.pool_vouchers()[CAMPAIGN] == voucher


async def test_a_paid_voucher_is_not_renewed(scene: Scene) -> None:
    async with entry(scene.path, scene.chain, scene.url) as relay:
        await relay.take(scene.sponsor, 3)
        await relay.redeemer.run_once(scene.chain.time)
        scene.chain.time, scene.chain.claimed = ends(FIRST + 1) + 1, worth(3)
        await relay.redeemer.run_once(scene.chain.time)
        assert relay.redeemer.vouchers[CAMPAIGN].period == FIRST
