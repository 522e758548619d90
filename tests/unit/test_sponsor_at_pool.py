"""What relays redeem at the pool is in the issuer's totals, once, in whatever order it hears of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpay.passes import Redemption
from mixpay.sponsor import api
from mixpay.sponsor.issuer import RedeemedAtPool, RelayInPeriod
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.types import Account, Epoch, Position
from pass_keys import pass_keys
from redeem_world import BEACON, FIRST, OPERATOR, WINDOW, Chain, Sponsor, ends, spent, worth

OTHER = Account(b"\x0d" * 20)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def sponsor(tmp_path: Path, keys: PassKeys) -> Iterator[Sponsor]:
    sponsor = Sponsor(tmp_path, keys, Chain(), (FIRST, FIRST + 1))
    yield sponsor
    sponsor.store.close()


def sold(sponsor: Sponsor, ticks: int, period: int = FIRST) -> Redemption:
    return spent(sponsor.sell(period), ticks)


def at_pool(*passes: Redemption, relay: Account = OPERATOR, period: int = FIRST) -> RedeemedAtPool:
    ticks = {one.anchor: one.tick.number for one in passes}
    return RedeemedAtPool(relay, Period(1, period), ticks, worth(1))


def handed_in(sponsor: Sponsor, *passes: Redemption, period: int = FIRST) -> api.RedeemAnswer:
    request = api.RedeemRequest(7, 1, period, [one.encode() for one in passes])
    return sponsor.issuer.redeem(request, RelayInPeriod(OPERATOR, Position(0), BEACON, 1), ends(FIRST + 1))


def total(sponsor: Sponsor, relay: Account = OPERATOR) -> int:
    voucher = sponsor.store.voucher(relay)
    return voucher.cumulative if voucher is not None else 0


def test_itIsInTheTotal_howeverOftenItIsHeardOf(sponsor: Sponsor) -> None:
    one, another = sold(sponsor, 30), sold(sponsor, 40)
    for _ in range(2):
        sponsor.issuer.count_at_pool(at_pool(one))
        assert total(sponsor) == worth(30)
    sponsor.issuer.count_at_pool(at_pool(one, another))
    assert total(sponsor) == worth(70)
    assert total(sponsor, OTHER) == 0


def test_aPassIsCreditedOnce_whicheverWayCameFirst(sponsor: Sponsor) -> None:
    first, second = sold(sponsor, 30), sold(sponsor, 40)
    assert handed_in(sponsor, first).added == 30
    sponsor.issuer.count_at_pool(at_pool(first, second))
    assert total(sponsor) == worth(70)
    answer = handed_in(sponsor, first, second)
    assert (answer.added, answer.amount) == (0, worth(70))


def test_aFurtherTickIsCreditedForTheDifference(sponsor: Sponsor) -> None:
    owned = sponsor.sell(FIRST)
    sponsor.issuer.count_at_pool(at_pool(spent(owned, 30)))
    assert handed_in(sponsor, spent(owned, 50)).amount == worth(50)
    sponsor.issuer.count_at_pool(at_pool(spent(owned, 30)))
    assert total(sponsor) == worth(50)


def test_noVoucherCountsInAnEpochBeforeAPassThatIsInIt(sponsor: Sponsor) -> None:
    """The pool takes passes as long as no voucher of their epoch was claimed: none may cover them before."""
    sponsor.issuer.count_at_pool(at_pool(sold(sponsor, 30, FIRST + 1), period=FIRST + 1))
    assert handed_in(sponsor, sold(sponsor, 1)).period == FIRST + 1
    assert handed_in(sponsor).period == FIRST + 1


def test_itIsRememberedForEver(sponsor: Sponsor, tmp_path: Path) -> None:
    """The chain is read from its beginning after each restart, long after credits were forgotten."""
    one, another = sold(sponsor, 30), sold(sponsor, 40)
    handed_in(sponsor, one, another)
    sponsor.issuer.count_at_pool(at_pool(one))
    late = ends(FIRST + 9) + WINDOW
    sponsor.issuer.prune(Epoch(FIRST + 10), late)
    with sqlite3.connect(tmp_path / "issuer.db") as db:
        assert db.execute("SELECT ticks, at_pool FROM redeemed").fetchall() == [(30, 1)]
    sponsor.issuer.count_at_pool(at_pool(one))
    assert total(sponsor) == worth(70)
