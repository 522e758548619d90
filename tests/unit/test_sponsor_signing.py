"""How requests gather: batches, the limit, failures that are everybody's, and an end that lets none down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import cast

import pytest

from mixpay.sponsor import api
from mixpay.sponsor.issuer import Admitted, Issuer, Wanted
from mixpay.sponsor.policy import Identified, Quotas
from mixpay.sponsor.rules import IssuerError
from mixpay.sponsor.signing import SignDesk
from mixpay.sponsor.store import StoreUnavailable
from mixpay.types import Epoch

LIMIT = 40


class Rules:
    """An issuer that counts in batches when it may, and signs when it may."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.may_count, self.may_sign = threading.Event(), threading.Event()
        self.may_count.set()
        self.may_sign.set()
        self.trouble: BaseException | None = None

    def admit(self, asked: Sequence[Wanted]) -> list[Admitted | IssuerError]:
        self.may_count.wait(10)
        self.batches.append(len(asked))
        if self.trouble is not None:
            raise self.trouble
        return [
            IssuerError("quota_exceeded", "no more")
            if one.request.period == 0
            else Admitted(None, one.request.blinded, one.request.period)  # type: ignore[arg-type]
            for one in asked
        ]

    def signed(self, admitted: Admitted) -> api.SignAnswer:
        self.may_sign.wait(10)
        return api.SignAnswer(admitted.blinded, admitted.left)


@pytest.fixture
def rules() -> Rules:
    return Rules()


def asked(period: int) -> Wanted:
    request = api.SignRequest(1, period, period.to_bytes(256, "big"))
    return Wanted(request, Identified("open", b"", Quotas()), Epoch(1))


def ask(desk: SignDesk, numbers: Sequence[int]) -> list[asyncio.Task[api.SignAnswer]]:
    return [asyncio.create_task(desk.sign(asked(number))) for number in numbers]


async def test_eachGetsItsOwnAnswer_andWhatComesMeanwhileIsCountedTogether(rules: Rules) -> None:
    desk = SignDesk(cast(Issuer, rules), LIMIT)
    rules.may_count.clear()
    tasks = ask(desk, range(1, 31))
    await asyncio.sleep(0)
    rules.may_count.set()
    answers = await asyncio.gather(*tasks)
    assert [answer.left for answer in answers] == list(range(1, 31))
    assert rules.batches == [1, 29]
    desk.close()


async def test_whileManyWaitForTheirSignatures_othersGather(rules: Rules) -> None:
    desk = SignDesk(cast(Issuer, rules), LIMIT)
    rules.may_count.clear()
    rules.may_sign.clear()
    tasks = ask(desk, range(1, 21))
    await asyncio.sleep(0)
    rules.may_count.set()
    while sum(rules.batches) < 20:
        await asyncio.sleep(0.001)
    tasks += ask(desk, range(21, 31))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert sum(rules.batches) == 20, "more than enough is counted already"
    rules.may_sign.set()
    await asyncio.gather(*tasks)
    assert rules.batches == [1, 19, 10]
    desk.close()


async def test_beyondTheLimit_isBusy_untilSomeAreAnswered(rules: Rules) -> None:
    desk = SignDesk(cast(Issuer, rules), LIMIT)
    rules.may_sign.clear()
    tasks = ask(desk, range(1, LIMIT + 1))
    await asyncio.sleep(0)
    with pytest.raises(IssuerError) as caught:
        await desk.sign(asked(1))
    assert caught.value.label == "busy"
    for task in tasks[:5]:
        task.cancel()  # who goes away leaves his work behind
    with pytest.raises(IssuerError):
        await desk.sign(asked(1))
    rules.may_sign.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(answer, api.SignAnswer) for answer in answers) == LIMIT - 5
    assert (await desk.sign(asked(1))).left == 1
    desk.close()


async def test_aRefusalIsItsOwn_andADatabasesFailureEverybodys(rules: Rules) -> None:
    desk = SignDesk(cast(Issuer, rules), LIMIT)
    good, bad = await asyncio.gather(*ask(desk, [3, 0]), return_exceptions=True)
    assert isinstance(good, api.SignAnswer) and isinstance(bad, IssuerError)
    rules.trouble = StoreUnavailable("it does not answer")
    failures = await asyncio.gather(*ask(desk, [3, 4]), return_exceptions=True)
    assert all(isinstance(failure, StoreUnavailable) for failure in failures)
    rules.trouble = None
    assert (await desk.sign(asked(5))).left == 5
    desk.close()


async def test_close_waitsForWhatIsBegun(rules: Rules) -> None:
    desk = SignDesk(cast(Issuer, rules), LIMIT)
    rules.may_sign.clear()
    tasks = ask(desk, [1, 2])
    while not rules.batches:
        await asyncio.sleep(0.001)
    asyncio.get_running_loop().call_later(0.05, rules.may_sign.set)
    assert (await tasks[0]).left == 1
    await asyncio.gather(*tasks)
    await asyncio.to_thread(desk.close)
