"""Several issuers on one database, and issuers that end in the middle: nothing is lost or counted twice."""

from __future__ import annotations

import random as seeded
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

import pass_issuing
from mixpay import eip712
from mixpay.passes import PassRequest, RedeemedPass, Redemption, Scope
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Admitted, Campaign, Issuer, IssuerError, RelayInPeriod, Wanted
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policy import Identified, Quotas
from mixpay.sponsor.store import Place, Settlement, Store, StoredKey
from mixpay.types import Epoch, Position
from pass_issuing import issue
from redeem_world import (
    BEACON,
    CAMPAIGN,
    CHAIN,
    FIRST,
    HOP_PRICE,
    OPERATOR,
    POOL,
    RANDOM,
    SCHEDULE,
    SIGNER,
    WINDOW,
    ends,
    spent,
    worth,
)

SECRET = b"\1" * 32
QUOTA = 12
ALICE = Identified("open", b"alice", Quotas(entry=QUOTA, mailbox=1))
RELAY = RelayInPeriod(OPERATOR, Position(0), BEACON, 1)


class Killed(BaseException):
    """The process ends here."""


class Instance:
    """One issuer, with its own connections to the database they share."""

    def __init__(self, place: Place) -> None:
        self.store = Store(place, CHAIN, POOL, CAMPAIGN)
        self.keys = PassKeys(self.store, SECRET)
        self.issuer = Issuer(
            campaign=Campaign(CHAIN, POOL, CAMPAIGN, SIGNER, b"\x08" * 32),
            schedule=SCHEDULE,
            claim_window=WINDOW,
            store=self.store,
            keys=self.keys,
        )

    def register(self) -> None:
        """The key of the period; another instance may have made it."""
        modulus = self.keys.make(Period(1, FIRST)).to_bytes()
        self.store.put_key(StoredKey(1, FIRST, modulus, HOP_PRICE))

    def wanted(self) -> PassRequest:
        key = self.keys.get(Period(1, FIRST))
        assert key is not None
        return PassRequest.new(Scope(CHAIN, POOL, CAMPAIGN, 1, FIRST), key.public, RANDOM)

    def sign(self, wanted: PassRequest) -> api.SignAnswer:
        return issue(self.issuer, api.SignRequest(1, FIRST, wanted.blinded), ALICE, Epoch(FIRST))

    def sold(self, ticks: int) -> Redemption:
        wanted = self.wanted()
        return spent(wanted.finish(self.sign(wanted).signature), ticks)

    def redeem(self, *passes: Redemption) -> api.RedeemAnswer:
        request = api.RedeemRequest(7, 1, FIRST, [one.encode() for one in passes])
        return self.issuer.redeem(request, RELAY, ends(FIRST))


@pytest.fixture
def start(place: Place) -> Iterator[Callable[[], Instance]]:
    """Starts an instance."""
    running: list[Instance] = []

    def start_one() -> Instance:
        running.append(Instance(place))
        running[-1].register()
        return running[-1]

    yield start_one
    for instance in running:
        instance.store.close()


def test_instancesSignWithOneKey(start: Callable[[], Instance]) -> None:
    first, second = start(), start()
    wanted = first.wanted()
    assert wanted.finish(second.sign(wanted).signature)


def test_aRepeatedRequest_countsOnce_atAnotherInstanceAndAfterARestart(start: Callable[[], Instance]) -> None:
    first, second = start(), start()
    wanted = first.wanted()
    answers = [first.sign(wanted), second.sign(wanted), first.sign(wanted)]
    first.store.close()
    answers.append(start().sign(wanted))
    assert {(answer.signature, answer.left) for answer in answers} == {(answers[0].signature, QUOTA - 1)}
    assert second.sign(second.wanted()).left == QUOTA - 2


def test_requestsThatComeTogether_areCountedTogether(start: Callable[[], Instance]) -> None:
    """With what is wrong with some of them, and repetitions."""
    issuer = start()
    requests = [api.SignRequest(1, FIRST, issuer.wanted().blinded) for _ in range(QUOTA + 1)]
    bad = api.SignRequest(1, FIRST + 7, requests[0].blinded)
    wanted = [Wanted(request, ALICE, Epoch(FIRST)) for request in [*requests, bad, requests[0]]]
    admitted = issuer.issuer.admit(wanted)
    assert [one.left if isinstance(one, Admitted) else one.label for one in admitted] == [
        *range(QUOTA - 1, -1, -1), "quota_exceeded", "wrong_period", QUOTA - 1,
    ]  # fmt: skip


def test_killedBetweenCountingAndAnswering_theUserLosesNothing(
    start: Callable[[], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    wanted = first.wanted()
    with monkeypatch.context() as patched:
        patched.setattr(pass_issuing, "blind_sign", _kill)
        with pytest.raises(Killed):
            first.sign(wanted)
    first.store.close()
    answer = start().sign(wanted)
    assert answer.left == QUOTA - 1 and wanted.finish(answer.signature)


@pytest.mark.parametrize("written", [False, True])
def test_killedWhileItRedeems_thereIsNoHalfWrittenState(
    start: Callable[[], Instance], monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Before and after credits and voucher are written, but not yet for good."""
    first = start()
    one, another = first.sold(30), first.sold(40)
    before = first.redeem(one)
    put = Settlement.put

    def killed(*arguments: object, **options: object) -> None:
        if written:
            put(*arguments, **options)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Settlement, "put", killed)
        with pytest.raises(Killed):
            first.redeem(one, another)
    first.store.close()
    again = start()
    assert again.redeem(one).cumulative == before.cumulative
    answer = again.redeem(one, another)
    assert (answer.added, answer.amount) == (40, worth(70))


def test_twoInstancesThatRedeemAtOnce_signNoTotalThatIsLowerOrDoubled(start: Callable[[], Instance]) -> None:
    """Both are handed the same passes, in another order, one by one."""
    instances, barrier = [start(), start()], threading.Barrier(2)
    sold = [instances[0].sold(ticks) for ticks in range(1, QUOTA + 1)]

    def redeem(number: int) -> list[api.RedeemAnswer]:
        mine = seeded.Random(number).sample(sold, len(sold))  # noqa: S311 an order, no secret
        barrier.wait()
        return [instances[number].redeem(one) for one in mine]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(redeem, range(2)))
    for answers in found:
        assert [answer.amount for answer in answers] == sorted(answer.amount for answer in answers)
    everything = [answer for answers in found for answer in answers]
    total = sum(range(1, QUOTA + 1))
    assert sum(answer.added for answer in everything) == total
    assert max(answer.amount for answer in everything) == worth(total)
    # Whoever added something has signed a total that nobody else has.
    added = [answer.amount for answer in everything if answer.added]
    assert len(set(added)) == len(added)
    domain = eip712.pool_domain(CHAIN, POOL)
    for answer in everything:
        voucher = eip712.PoolVoucher(CAMPAIGN, OPERATOR, answer.period, answer.amount)
        assert eip712.signed_by(eip712.account_of(SIGNER), voucher, domain, answer.signature)


def test_aPassThatAnotherInstanceCreditsMeanwhile_isNotCreditedAgain(
    start: Callable[[], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has verified it and is about to write, when the second one has done so."""
    first, second = start(), start()
    one, another = first.sold(30), first.sold(40)
    settling = first.store.settling

    def overtaken() -> AbstractContextManager[Settlement]:
        monkeypatch.setattr(first.store, "settling", settling)
        assert second.redeem(one).added == 30
        return settling()

    monkeypatch.setattr(first.store, "settling", overtaken)
    answer = first.redeem(one, another)
    assert (answer.added, answer.amount) == (40, worth(70))


def test_aPassThatAnotherInstanceForgetsMeanwhile_isNotCreditedAgain(
    start: Callable[[], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's clock is behind: it still credits the period whose credits the second one forgets."""
    first, second = start(), start()
    one = first.sold(30)
    before = first.redeem(one)
    redeemed = first.store.redeemed

    def forgotten(ids: Sequence[bytes]) -> list[RedeemedPass]:
        monkeypatch.setattr(first.store, "redeemed", redeemed)
        second.store.prune(1, 1 << 31, 1 << 31)
        return redeemed(ids)

    monkeypatch.setattr(first.store, "redeemed", forgotten)
    with pytest.raises(IssuerError, match="no pass was issued"):
        first.redeem(one)
    newest = first.store.voucher(OPERATOR)
    assert newest is not None and newest.cumulative == before.amount


def _kill(*_: object) -> None:
    raise Killed
