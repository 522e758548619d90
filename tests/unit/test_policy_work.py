"""Policy `work`: what a proof is good for, how dear it is, and how the client makes one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.client.credentials import Wanted
from mixpay.client.errors import IssuerUnavailable
from mixpay.client.makers import WorkMaker
from mixpay.crypto import work
from mixpay.errors import UserError
from mixpay.passes import Scope
from mixpay.sponsor import api
from mixpay.sponsor.binding import bound, difficulty_of
from mixpay.sponsor.policies.work import MOST_DOUBLINGS, Settings, WorkPolicy
from policy_world import BLINDED, NOW, SCOPE, asked, closing, identify, refused

SEED = bound(SCOPE, BLINDED)
WORKS = {number: work.attempt(SEED, number) for number in range(512)}


def strength(number: int) -> int:
    """The greatest difficulty that a number proves."""
    return ((1 << 256) - 1) // WORKS[number]


BEST = max(WORKS, key=strength)
WORST = min(WORKS, key=strength)
assert strength(BEST) >= 8 > strength(WORST)


def shown(number: int) -> str:
    return f"{number:016x}"


def test_attempt_isArgon2id_asSpecified() -> None:
    # As another implementation (OpenSSL's) has it.
    known = 0xC19C8C0512BAFF461889F75BC53B4A2D2BE51EDBEC7F6D84A377891CBBC91518
    assert work.attempt(bytes(32), 1) == known


def test_proves_isExact() -> None:
    assert work.proves(SEED, BEST, strength(BEST))
    assert not work.proves(SEED, BEST, strength(BEST) + 1)
    assert work.proves(SEED, WORST, 1)


def test_search_findsTheFirstProof_orGivesUp() -> None:
    found = work.search(SEED, 8, 0, lambda made: made < 1000)
    assert found is not None and work.proves(SEED, found, 8)
    assert all(strength(n) < 8 for n in range(found))
    assert work.search(SEED, 1 << 60, 0, lambda made: made < 3) is None
    assert work.search(SEED, 1, (1 << 64) - 1, lambda _: True) == (1 << 64) - 1


def policy(**settings: int) -> WorkPolicy:
    return WorkPolicy(Settings(**{"difficulty": 8, **settings}))


def test_aProof_isOnePass() -> None:
    found = identify(policy(), asked(shown(BEST)))
    assert (found.quotas.entry, found.quotas.mailbox) == (1, 1)
    assert found.identity == identify(policy(), asked(shown(BEST), remote="192.0.2.9")).identity
    other = bound(SCOPE, b"\7" * 256)
    number = work.search(other, 8, 0, lambda _: True)
    assert number is not None
    assert found.identity != identify(policy(), asked(shown(number), blinded=b"\7" * 256)).identity


@pytest.mark.parametrize(
    "request_",
    [
        asked(shown(WORST)),
        asked(shown(BEST), blinded=b"\7" * 256),
        asked(shown(BEST), scope=replace(SCOPE, period=8)),
        asked(shown(BEST), scope=replace(SCOPE, kind=2)),
        asked(shown(BEST), scope=replace(SCOPE, campaign=4)),
        asked(shown(BEST), scope=replace(SCOPE, pool=b"\6" * 20)),
        asked(shown(BEST), scope=replace(SCOPE, chain_id=1)),
        asked(shown(BEST).upper() + " "),
        asked(f"{BEST:x}"),
        asked("+" + shown(BEST)[1:]),
        asked("0x" + shown(BEST)[2:]),
        asked("\u0660" * 16),
        asked("g" * 16),
        asked("0" * 4096),
    ],
)
def test_aProofOfSomethingElse_isRefused(request_: object) -> None:
    assert refused(WorkPolicy(Settings(difficulty=strength(BEST))), request_) == "identity_refused"  # type: ignore[arg-type]


def test_withoutAProof_oneIsRequired() -> None:
    assert refused(policy(), asked()) == "identity_required"


@given(st.text(max_size=20))
def test_anyText_isRefusedOrAProof(text: str) -> None:
    label = refused(WorkPolicy(Settings(difficulty=1 << 40)), asked(text))
    assert label == ("identity_refused" if text else "identity_required")


# ---------------------------------------------------------------------- how dear


async def let_through(policy: WorkPolicy, count: int, now: float = NOW, scope: Scope = SCOPE) -> None:
    """As if the issuer had issued `count` passes by now."""
    found = await policy.identify(asked(shown(BEST), now=now, scope=scope))
    found.shares[0].told(count)


async def test_theDifficulty_doublesWithWhatIsIssued_inThisPeriodOnly() -> None:
    dear = policy(difficulty=1, raise_after=10)
    assert dear.terms() == {"difficulty": "1"}
    for count, difficulty in [(9, None), (10, 2), (19, 2), (20, 4), (15, 4), (45, 16)]:
        await let_through(dear, count)
        assert dear.terms().get(difficulty_of(1, 7)) == (None if difficulty is None else str(difficulty))
    assert set(dear.terms()) == {"difficulty", "difficulty.1.7"}
    await let_through(dear, 1 << 40)
    assert dear.terms()[difficulty_of(1, 7)] == str(1 << MOST_DOUBLINGS)
    await dear.close()


async def test_theDifficultyBefore_isGoodForAWhile() -> None:
    dear = WorkPolicy(Settings(difficulty=strength(BEST), raise_after=10, grace_seconds=100))
    await let_through(dear, 10)
    assert await dear.identify(asked(shown(BEST), now=NOW + 99))
    for late in (asked(shown(BEST), now=NOW + 100), asked(shown(BEST), now=NOW + 1e6)):
        assert await refusal(dear, late) == "identity_refused"
    await let_through(dear, 10, now=NOW + 99)  # no further raise: the while does not begin anew
    assert await refusal(dear, asked(shown(BEST), now=NOW + 150)) == "identity_refused"
    await dear.close()


async def test_twoRaisesAtOnce_leaveOneDifficultyBefore() -> None:
    dear = WorkPolicy(Settings(difficulty=strength(BEST), raise_after=10))
    await let_through(dear, 20)
    assert await refusal(dear, asked(shown(BEST))) == "identity_refused"
    await dear.close()


async def refusal(policy: WorkPolicy, request: object) -> str:
    try:
        await policy.identify(request)  # type: ignore[arg-type]
    except Exception as error:
        return error.label  # type: ignore[attr-defined, no-any-return]
    raise AssertionError


async def test_periodsOfThePast_areForgotten() -> None:
    dear = policy(difficulty=1, raise_after=1)
    for period in range(40):
        await let_through(dear, 5, scope=replace(SCOPE, period=period))
    assert len(dear.terms()) < 20 and difficulty_of(1, 39) in dear.terms()
    await dear.close()


def test_allOfAPeriod_canBeLimited_byKind() -> None:
    limited = policy(difficulty=1, all_entry_passes=5)
    (share,) = identify(limited, asked(shown(BEST))).shares
    assert share.quota == 5
    limited = policy(difficulty=1, all_entry_passes=5)
    (share,) = identify(limited, asked(shown(BEST), scope=replace(SCOPE, kind=2))).shares
    assert share.quota is None


# ---------------------------------------------------------------------- the client


def wanted(**terms: str) -> tuple[api.PolicyOffer, Wanted]:
    offer = api.PolicyOffer("work", "work", [], {"difficulty": "8"} | terms)
    where = SCOPE.chain_id, SCOPE.pool, SCOPE.campaign
    campaign = api.CampaignAnswer(*where, 7, 1, [offer], [])
    return offer, Wanted(campaign, SCOPE.kind, SCOPE.period, BLINDED)


async def test_whatTheClientMakes_isTaken() -> None:
    made = await WorkMaker(60.0)(*wanted())
    assert await closing(policy(), asked(made))


async def test_theClient_worksForTheDifficultyOfThePeriod() -> None:
    made = await WorkMaker(60.0)(*wanted(**{difficulty_of(1, 7): "64", difficulty_of(1, 8): str(1 << 80)}))
    assert work.proves(SEED, int(made, 16), 64)


async def test_theClient_givesUp_ifItWouldTakeTooLong() -> None:
    with pytest.raises(UserError, match=r"1,099,511,627,776 attempts .* the limit is 5 s \(`work_seconds`\)"):
        await WorkMaker(5.0)(*wanted(difficulty=str(1 << 40)))


async def test_theClient_saysHowFarItIs() -> None:
    told: list[str] = []
    clock = iter(range(10**9))
    maker = WorkMaker(1e9, told.append, now=lambda: 10.0 * next(clock))
    made = await maker(*wanted(difficulty="4000"))
    await asyncio.sleep(0)
    assert len(made) == 16
    assert told and all(line.startswith("working for a pass: ") for line in told)


async def test_anInterruptedClient_worksNoMore() -> None:
    attempts: list[int] = []
    maker = WorkMaker(1e9, now=lambda: attempts.append(1) or 0.0)  # type: ignore[func-returns-value]
    task = asyncio.create_task(maker(*wanted(difficulty=str(1 << 40))))
    async with asyncio.timeout(10):
        while len(attempts) < 3:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The loop's threads are joined at its end, which would hang if the search went on.
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 10)


@pytest.mark.parametrize("said", ["", "0", "-1", "many", "1e3", "9" * 31, "\u0663"])
async def test_aDifficultyThatIsNone_isTheSponsorsFault(said: str) -> None:
    with pytest.raises(IssuerUnavailable, match="malformed"):
        await WorkMaker(60.0)(*wanted(difficulty=said))
