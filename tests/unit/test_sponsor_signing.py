"""How requests gather: batches, the limit, failures that are everybody's, and an end that lets none down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from mixpay.crypto.blind_rsa import SecretKey, SigningFault
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Admitted, Issuer, Wanted
from mixpay.sponsor.policy import Identified, Quotas
from mixpay.sponsor.rules import IssuerError
from mixpay.sponsor.signer import Signer
from mixpay.sponsor.signing import SignDesk
from mixpay.sponsor.store import StoreUnavailable
from mixpay.types import Epoch

LIMIT = 40
KEYS = {1: "key of kind 1", 2: "key of kind 2"}
WRONG, DEADLY = ((10**9 + n).to_bytes(256, "big") for n in (1, 2))


class Rules:
    """An issuer that counts in batches when it may, and its signer, which signs when it may."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.may_count, self.may_sign = threading.Event(), threading.Event()
        self.may_count.set()
        self.may_sign.set()
        self.trouble: BaseException | None = None
        self.is_closed = False

    def admit(self, asked: Sequence[Wanted]) -> list[Admitted | IssuerError]:
        self.may_count.wait(10)
        self.batches.append(len(asked))
        if self.trouble is not None:
            raise self.trouble
        return [
            IssuerError("quota_exceeded", "no more")
            if one.request.period == 0
            else Admitted(cast(SecretKey, KEYS[one.request.kind]), one.request.blinded, one.request.period)
            for one in asked
        ]

    def sign(self, key: str, blinded: Sequence[bytes]) -> Iterator[list[bytes | SigningFault]]:
        self.may_sign.wait(10)
        for message in blinded:
            if message == WRONG:
                yield [SigningFault("it came out wrong")]
            elif message == DEADLY:
                raise IssuerError("busy", "the signer has died")
            else:
                yield [key.encode() + message]

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def rules() -> Rules:
    return Rules()


def desk_of(rules: Rules) -> SignDesk:
    return SignDesk(cast(Issuer, rules), LIMIT, cast(Signer, rules))


def asked(period: int, kind: int = 1) -> Wanted:
    request = api.SignRequest(kind, period, period.to_bytes(256, "big"))
    return Wanted(request, Identified("open", b"", Quotas()), Epoch(1))


def ask(desk: SignDesk, numbers: Sequence[int]) -> list[asyncio.Task[api.SignAnswer]]:
    return [asyncio.create_task(desk.sign(asked(number))) for number in numbers]


async def test_eachGetsItsOwnAnswer_andWhatComesMeanwhileIsCountedTogether(rules: Rules) -> None:
    desk = desk_of(rules)
    rules.may_count.clear()
    tasks = ask(desk, range(1, 31))
    await asyncio.sleep(0)
    rules.may_count.set()
    answers = await asyncio.gather(*tasks)
    assert [answer.left for answer in answers] == list(range(1, 31))
    assert rules.batches == [1, 29]
    desk.close()


async def test_whileManyWaitForTheirSignatures_othersGather(rules: Rules) -> None:
    desk = desk_of(rules)
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
    desk = desk_of(rules)
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
    desk = desk_of(rules)
    good, bad = await asyncio.gather(*ask(desk, [3, 0]), return_exceptions=True)
    assert isinstance(good, api.SignAnswer) and isinstance(bad, IssuerError)
    rules.trouble = StoreUnavailable("it does not answer")
    failures = await asyncio.gather(*ask(desk, [3, 4]), return_exceptions=True)
    assert all(isinstance(failure, StoreUnavailable) for failure in failures)
    rules.trouble = None
    assert (await desk.sign(asked(5))).left == 5
    desk.close()


async def test_eachIsSignedWithItsOwnKey(rules: Rules) -> None:
    desk = desk_of(rules)
    wanted = [asked(number, kind) for number, kind in enumerate([1, 1, 2, 1, 2, 2], 1)]
    answers = await asyncio.gather(*map(desk.sign, wanted))
    for answer, one in zip(answers, wanted, strict=True):
        assert answer.signature == KEYS[one.request.kind].encode() + one.request.blinded
    desk.close()


async def test_aWrongSignatureIsItsOwn_andADeadSignersTheRests(rules: Rules) -> None:
    desk = desk_of(rules)
    rules.may_count.clear()  # so that these are one batch
    first = ask(desk, [1])
    await asyncio.sleep(0)
    tasks = ask(desk, [2, 10**9 + 1, 3, 10**9 + 2, 4, 5])
    rules.may_count.set()
    assert (await first[0]).left == 1
    good, wrong, other, *rest = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(good, api.SignAnswer) and isinstance(other, api.SignAnswer)
    assert isinstance(wrong, SigningFault)
    assert [error.label for error in rest if isinstance(error, IssuerError)] == ["busy"] * 3
    assert len(await asyncio.gather(*ask(desk, range(1, LIMIT + 1)))) == LIMIT  # none counts as waiting still
    desk.close()


async def test_close_waitsForWhatIsBegun(rules: Rules) -> None:
    desk = desk_of(rules)
    rules.may_sign.clear()
    tasks = ask(desk, [1, 2])
    while not rules.batches:
        await asyncio.sleep(0.001)
    asyncio.get_running_loop().call_later(0.05, rules.may_sign.set)
    assert (await tasks[0]).left == 1
    await asyncio.gather(*tasks)
    await asyncio.to_thread(desk.close)
    assert rules.is_closed
