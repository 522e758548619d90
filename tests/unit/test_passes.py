"""Passes: chains, spending, the entry's book, redemption; and what a cheat may try at each."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from random import Random

import gmpy2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import merkle
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import BlindRsaError, SecretKey
from mixpay.crypto.hashing import keccak256
from mixpay.passes import (
    CHAINS,
    KIND_ENTRY,
    KIND_MAILBOX,
    LINKS,
    PASS_SIZE,
    REDEMPTION_SIZE,
    TICK_VALUE,
    TICKS,
    EntryPassBook,
    ForgedTick,
    OwnedPass,
    Pass,
    PassError,
    PassExhausted,
    PassRecord,
    PassRequest,
    PassRules,
    PassSpender,
    RedeemedPass,
    Redemption,
    RedemptionBook,
    RelayTotal,
    Scope,
    Tick,
    drawn_position,
)
from mixpay.passes.terms import place, walk
from mixpay.types import Account, Amount, Position

RANDOM = Random(8).randbytes  # noqa: S311 - a repeatable test, not a secret
SCOPE = Scope(31337, b"\x11" * 20, 7, KIND_ENTRY, 42)
BEACON = b"\x22" * 32
COUNT = 9
PRICE = Amount(10**12)
RELAY, OTHER = Account(b"\x33" * 20), Account(b"\x44" * 20)


def make_key(seed: int) -> SecretKey:
    """The same key in every run."""
    numbers = Random(seed)  # noqa: S311
    p, q = (int(gmpy2.next_prime(numbers.getrandbits(1022) | 3 << 1022)) for _ in range(2))
    return SecretKey(p, q)


KEY, OTHER_KEY = make_key(1), make_key(2)
ENOUGH = 100 * TICKS


def rules(scope: Scope = SCOPE, key: SecretKey = KEY) -> PassRules:
    return PassRules(scope, key.public, PRICE, BEACON, COUNT)


def issue(scope: Scope = SCOPE, key: SecretKey = KEY, random: Callable[[int], bytes] = RANDOM) -> OwnedPass:
    """What wallet and issuer do together."""
    request = PassRequest.new(scope, key.public, random)
    return request.finish(blind_rsa.blind_sign(key, request.blinded, random))


OWNED = issue()
SHOWN = OWNED.shown()
HERE = drawn_position(SHOWN.signature, BEACON, COUNT)
ELSEWHERE = Position((HERE + 1) % COUNT)


def tick(number: int, owned: OwnedPass = OWNED) -> Tick:
    """The tick of this number, computed the plain way."""
    spender = PassSpender(owned, number - 1)
    spender.reserve(1)
    return spender.next_tick()


def opened(max_gap: int = TICKS) -> tuple[EntryPassBook, bytes]:
    book = EntryPassBook(max_gap)
    return book, book.present(SHOWN, rules(), HERE, ENOUGH).pass_id


def refused(reason: str, action: Callable[[], object]) -> None:
    with pytest.raises(PassError) as caught:
        action()
    assert caught.value.reason == reason


# ---------------------------------------------------------------- format


def test_message_isAsSpecified() -> None:
    anchor = b"\x55" * 32
    parts = (b"mixpay-pass-v1", (31337).to_bytes(8, "big"), b"\x11" * 20, (7).to_bytes(4, "big"), b"\x01")
    assert SCOPE.message(anchor) == b"".join(parts) + (42).to_bytes(4, "big") + anchor


def test_anchor_isRootOverHashedHeads() -> None:
    heads = [walk(tick(LINKS * chain + LINKS).link, LINKS) for chain in range(CHAINS)]
    assert b"".join(heads) == SHOWN.heads
    assert merkle.root([keccak256(head) for head in heads]) == SHOWN.anchor


def test_drawn_position_isRemainderOfHash() -> None:
    expected = int.from_bytes(keccak256(SHOWN.signature + BEACON), "big") % COUNT
    assert expected == HERE
    with pytest.raises(ValueError):
        drawn_position(SHOWN.signature, BEACON, 0)


def test_drawn_position_isUniform() -> None:
    draws = [drawn_position(RANDOM(256), BEACON, COUNT) for _ in range(4500)]
    # 500 expected each, standard deviation 21
    assert all(400 < draws.count(Position(position)) < 600 for position in range(COUNT))


def test_pass_roundTrips() -> None:
    data = SHOWN.encode()
    assert len(data) == PASS_SIZE == 2313
    assert Pass.decode(data, SCOPE.chain_id, SCOPE.pool) == SHOWN
    for bad in (data[1:], data + b"\0", b""):
        refused("malformed", lambda bad=bad: Pass.decode(bad, SCOPE.chain_id, SCOPE.pool))
    refused("wrong_kind", lambda: Pass.decode(data[:4] + b"\x03" + data[5:], SCOPE.chain_id, SCOPE.pool))


@given(data=st.binary(min_size=PASS_SIZE, max_size=PASS_SIZE))
@settings(max_examples=25, deadline=None)
def test_pass_decode_neverFailsOtherwise(data: bytes) -> None:
    try:
        assert Pass.decode(data, 1, bytes(20)).encode() == data
    except PassError as error:
        assert error.reason == "wrong_kind"


@pytest.mark.parametrize(
    "field, value", [("chain_id", 2**64), ("pool", bytes(19)), ("campaign", 2**32), ("period", -1)]
)
def test_scope_refusesWhatDoesNotFit(field: str, value: object) -> None:
    refused("malformed", lambda: dataclasses.replace(SCOPE, **{field: value}))


@given(number=st.integers(1, TICKS))
def test_place_isInverseOfNumber(number: int) -> None:
    chain, k = place(number)
    assert Tick(chain, k, bytes(32)).number == number


@pytest.mark.parametrize("chain, k", [(-1, 1), (CHAINS, 1), (0, 0), (0, LINKS + 1)])
def test_tick_refusesLinkOutOfRange(chain: int, k: int) -> None:
    refused("tick_out_of_range", lambda: Tick(chain, k, bytes(32)))


def test_tick_refusesShortLink() -> None:
    refused("malformed", lambda: Tick(0, 1, bytes(31)))


# ---------------------------------------------------------------- wallet


def test_request_isUnlinkableAndFresh() -> None:
    first, second = (PassRequest.new(SCOPE, KEY.public, RANDOM) for _ in range(2))
    assert first.blinded != second.blinded and first.seed != second.seed
    assert SHOWN.anchor not in first.blinded


def test_finish_refusesAnotherSignature() -> None:
    request = PassRequest.new(SCOPE, KEY.public, RANDOM)
    with pytest.raises(BlindRsaError, match="bad_signature"):
        request.finish(bytes(255) + b"\x02")
    with pytest.raises(BlindRsaError, match="wrong_size"):
        request.finish(b"")


def test_records_survive() -> None:
    request = PassRequest.new(SCOPE, KEY.public, RANDOM)
    again = PassRequest.from_record(request.to_record())
    assert again == request
    owned = again.finish(blind_rsa.blind_sign(KEY, again.blinded, RANDOM))
    assert OwnedPass.from_record(owned.to_record()) == owned
    with pytest.raises(msgspec.DecodeError):
        OwnedPass.from_record(owned.to_record()[:-1])


def test_secrets_areNotShown() -> None:
    request = PassRequest.new(SCOPE, KEY.public, RANDOM)
    text = repr(request) + repr(OWNED) + repr(tick(1)) + repr(PassSpender(OWNED))
    for secret in (request.seed, request.inverse, OWNED.seed, tick(1).link):
        assert repr(secret) not in text


def test_next_tick_walksAllChainsInOrder() -> None:
    spender = PassSpender(OWNED)
    spender.reserve(TICKS)
    before: dict[int, bytes] = {}
    for number in range(1, TICKS + 1):
        current = spender.next_tick()
        assert current.number == number
        assert keccak256(current.link) == before.get(current.chain, SHOWN.head(current.chain))
        before[current.chain] = current.link
    assert spender.left == 0
    with pytest.raises(PassExhausted):
        spender.next_tick()
    with pytest.raises(PassExhausted):
        spender.reserve(1)


def test_next_tick_refusesWhatWasNotReserved() -> None:
    spender = PassSpender(OWNED)
    with pytest.raises(RuntimeError):
        spender.next_tick()
    with pytest.raises(ValueError):
        spender.reserve(0)


@settings(max_examples=30, deadline=None)
@given(runs=st.lists(st.lists(st.integers(1, 40), max_size=4), max_size=6), data=st.data())
def test_spender_neverRepeatsATick_whateverTheCrashes(runs: list[list[int]], data: st.DataObject) -> None:
    """Each run reserves, stores, spends some and dies; the next starts from what was stored."""
    stored, seen = 0, []
    for run in runs:
        spender = PassSpender(OWNED, stored)
        for count in run:
            stored = spender.reserve(count)
            for _ in range(data.draw(st.integers(0, spender.ready), label="spent")):
                seen.append(spender.next_tick().number)
    assert seen == sorted(set(seen))
    assert not seen or seen[-1] <= stored


@pytest.mark.parametrize("furthest", [1, 256, 257, 300, TICKS])
def test_takeOver_goesOnWhereTheRelayIs_ifItShowsTheTick(furthest: int) -> None:
    for counter in (0, 10, TICKS):
        spender = PassSpender(OWNED, counter)
        assert spender.take_over(furthest, tick(furthest).link) == spender.spent == furthest
    if furthest < TICKS:
        assert spender.reserve(1) == furthest + 1 and spender.next_tick() == tick(furthest + 1)
    assert spender.take_over(0, bytes(32)) == 0


@pytest.mark.parametrize(
    ("furthest", "shown"), [(16_383, 1), (2, 1), (1, 2), (300, 44), (TICKS + 1, TICKS), (2**32 - 1, 1)]
)
def test_takeOver_believesNoRelayThatWasNotShownTheTick(furthest: int, shown: int) -> None:
    """The next tick would pay for all before it."""
    spender = PassSpender(OWNED, 10)
    with pytest.raises(ForgedTick):
        spender.take_over(furthest, tick(shown).link)
    for forged in (bytes(32), os.urandom(32), b""):
        with pytest.raises(ForgedTick):
            spender.take_over(furthest, forged)
    assert spender.spent == 10


def test_jump_paysForAllBetween_ofThoseReserved() -> None:
    spender = PassSpender(OWNED, 5)
    spender.reserve(7)
    assert spender.jump(7) == tick(12)
    with pytest.raises(RuntimeError):
        spender.jump(1)


# ---------------------------------------------------------------- entry


def test_present_opensOnceAndTellsFurthest() -> None:
    book = EntryPassBook()
    first = book.present(SHOWN, rules(), HERE, ENOUGH)
    assert first.furthest == 0 and first.record == PassRecord(SHOWN, 0, b"")
    book.accept_tick(first.pass_id, tick(1))
    again = book.present(SHOWN, rules(), HERE, ENOUGH)
    assert (again.pass_id, again.furthest, again.record) == (first.pass_id, 1, None)


@pytest.mark.parametrize(
    "field, value, reason",
    [
        ("chain_id", 1, "wrong_chain"),
        ("pool", bytes(20), "wrong_chain"),
        ("campaign", 8, "wrong_campaign"),
        ("kind", KIND_MAILBOX, "wrong_kind"),
        ("period", 41, "wrong_period"),
        ("period", 43, "wrong_period"),
    ],
)
def test_present_refusesPassOfAnotherScope(field: str, value: object, reason: str) -> None:
    other = dataclasses.replace(SCOPE, **{field: value})
    shown = issue(other).shown()
    refused(reason, lambda: EntryPassBook().present(shown, rules(), HERE, ENOUGH))
    # Renaming it does not help: the scope is signed.
    renamed = dataclasses.replace(shown, scope=SCOPE)
    refused("bad_signature", lambda: EntryPassBook().present(renamed, rules(), HERE, ENOUGH))


def test_present_refusesPassOfAnotherRelay() -> None:
    for position in (ELSEWHERE, None):
        refused("wrong_relay", lambda p=position: EntryPassBook().present(SHOWN, rules(), p, ENOUGH))


def test_present_refusesPassOfAnotherKey() -> None:
    foreign = issue(key=OTHER_KEY).shown()
    refused("bad_signature", lambda: EntryPassBook().present(foreign, rules(), HERE, ENOUGH))


def test_present_refusesForgedHeads() -> None:
    """Whoever learned a pass cannot put chains of its own under the signature."""
    head = keccak256(b"mine")
    forged = Pass(SCOPE, head + SHOWN.heads[32:], SHOWN.signature)
    refused("bad_signature", lambda: EntryPassBook().present(forged, rules(), HERE, ENOUGH))
    swapped = Pass(SCOPE, SHOWN.heads[32:64] + SHOWN.heads[:32] + SHOWN.heads[64:], SHOWN.signature)
    refused("bad_signature", lambda: EntryPassBook().present(swapped, rules(), HERE, ENOUGH))


def test_present_refusesSecondSignatureOfKnownPass() -> None:
    book, _ = opened()
    other = Pass(SCOPE, SHOWN.heads, bytes(256))
    refused("bad_signature", lambda: book.present(other, rules(), HERE, ENOUGH))


def test_accept_tick_takesNextAndJumps() -> None:
    book, pass_id = opened()
    for number, ticks in ((1, 1), (2, 1), (10, 8), (256, 246), (257, 1), (600, 343), (TICKS, TICKS - 600)):
        taken = book.accept_tick(pass_id, tick(number))
        assert (taken.pass_id, taken.number, taken.ticks, taken.link) == (
            pass_id,
            number,
            ticks,
            tick(number).link,
        )
        assert book.ticks(SCOPE) == number


@settings(max_examples=50, deadline=None)
@given(numbers=st.lists(st.integers(1, 900), max_size=12), gap=st.integers(1, 400))
def test_accept_tick_countsFurthest_whateverOrder(numbers: list[int], gap: int) -> None:
    """Against a plain model: a tick counts if it lies beyond the furthest and not too far."""
    book, pass_id = opened(gap)
    furthest = 0
    for number in numbers:
        if number <= furthest:
            refused("tick_used", lambda n=number: book.accept_tick(pass_id, tick(n)))
        elif number - furthest > gap:
            refused("tick_gap", lambda n=number: book.accept_tick(pass_id, tick(n)))
        else:
            book.accept_tick(pass_id, tick(number))
            furthest = number
        assert book.ticks(SCOPE) == furthest


def test_accept_tick_refusesTickUsedTwice() -> None:
    book, pass_id = opened()
    book.accept_tick(pass_id, tick(300))
    for number in (300, 299, 256, 1):
        refused("tick_used", lambda n=number: book.accept_tick(pass_id, tick(n)))


def test_accept_tick_refusesTickUsedTwice_afterRestart() -> None:
    book, pass_id = opened()
    taken = book.accept_tick(pass_id, tick(5))
    again = EntryPassBook.from_records([PassRecord(SHOWN, taken.number, taken.link)])
    refused("tick_used", lambda: again.accept_tick(pass_id, tick(5)))
    assert again.accept_tick(pass_id, tick(6)).ticks == 1
    assert again.ticks(SCOPE) == 6


def test_accept_tick_refusesInventedLinks() -> None:
    book, pass_id = opened()
    book.accept_tick(pass_id, tick(3))
    good = tick(5).link
    for bad in (Tick(0, 4, good), Tick(0, 6, good), Tick(1, 5, good), Tick(0, 5, bytes(32))):
        refused("bad_link", lambda bad=bad: book.accept_tick(pass_id, bad))
    stranger = tick(5, issue())
    refused("bad_link", lambda: book.accept_tick(pass_id, stranger))
    assert book.accept_tick(pass_id, tick(5)).ticks == 2, "refusals changed nothing"


def test_accept_tick_refusesUnknownPass() -> None:
    refused("unknown_pass", lambda: EntryPassBook().accept_tick(bytes(32), tick(1)))


def test_accept_tick_keepsWithinLimit_butTakesOnePass() -> None:
    book = EntryPassBook(TICKS)
    first = book.present(SHOWN, rules(), HERE, 0).pass_id
    second_owned = next(p for p in iter(issue, None) if drawn_position(p.signature, BEACON, COUNT) == HERE)
    second = book.present(second_owned.shown(), rules(), HERE, 0).pass_id
    book.accept_tick(first, tick(TICKS - 1))
    book.accept_tick(second, tick(1, second_owned))
    refused("campaign_limit", lambda: book.accept_tick(second, tick(2, second_owned)))
    refused("campaign_limit", lambda: book.present(second_owned.shown(), rules(), HERE, 0))
    refused("campaign_limit", lambda: book.present(SHOWN, rules(), HERE, 0))
    book.present(second_owned.shown(), rules(), HERE, TICKS + 1)
    assert book.accept_tick(second, tick(2, second_owned)).ticks == 1
    refused("campaign_limit", lambda: book.accept_tick(first, tick(TICKS)))


def test_close_endsPassesOfThePeriodOnly() -> None:
    book, pass_id = opened()
    book.accept_tick(pass_id, tick(1))
    assert book.redemptions(SCOPE) == [], "not before the period is over"
    assert book.forget(SCOPE) == []
    book.close(KIND_MAILBOX, 42)
    book.close(KIND_ENTRY, 41)
    book.accept_tick(pass_id, tick(2))
    book.close(KIND_ENTRY, 42)
    refused("pass_expired", lambda: book.accept_tick(pass_id, tick(3)))
    refused("pass_expired", lambda: book.present(SHOWN, rules(), HERE, ENOUGH))
    assert book.scopes() == [SCOPE]
    assert [i for i, _ in book.redemptions(SCOPE)] == [pass_id]
    assert book.forget(SCOPE) == [pass_id]
    assert book.scopes() == [] and book.ticks(SCOPE) == 0 and book.redemptions(SCOPE) == []


def test_redemptions_leaveOutUnusedPasses() -> None:
    book, _ = opened()
    book.close(KIND_ENTRY, 42)
    assert book.redemptions(SCOPE) == []


# ---------------------------------------------------------------- issuer


def redemption(number: int, owned: OwnedPass = OWNED) -> Redemption:
    shown = owned.shown()
    current = tick(number, owned)
    return Redemption(shown.anchor, shown.signature, current, merkle.proof(shown.leaves(), current.chain))


@pytest.mark.parametrize("number", [1, 256, 257, 9000, TICKS])
def test_redeem_creditsWhatTheEntryHolds(number: int) -> None:
    book, pass_id = opened()
    book.accept_tick(pass_id, tick(number))
    book.close(KIND_ENTRY, 42)
    ((_, handed_in),) = book.redemptions(SCOPE)
    assert len(handed_in.encode()) == REDEMPTION_SIZE
    credit = RedemptionBook().redeem(Redemption.decode(handed_in.encode()), rules(), RELAY, HERE)
    assert credit.added == number
    assert credit.redeemed == RedeemedPass(pass_id, SCOPE, number)
    assert credit.total == RelayTotal(7, RELAY, Amount(number * TICK_VALUE * PRICE))


def test_redeem_isIdempotentAndTakesTheFurthest() -> None:
    book = RedemptionBook()
    added = [book.redeem(redemption(n), rules(), RELAY, HERE).added for n in (10, 10, 7, 300, 10)]
    assert added == [10, 0, 0, 290, 0]
    assert book.total(7, RELAY) == 300 * 5 * PRICE


def test_redeem_goesOnAfterRestart() -> None:
    first = RedemptionBook().redeem(redemption(10), rules(), RELAY, HERE)
    book = RedemptionBook.from_records([first.redeemed], [first.total])
    assert book.redeem(redemption(10), rules(), RELAY, HERE).added == 0
    assert book.redeem(redemption(12), rules(), RELAY, HERE).total.cumulative == 12 * 5 * PRICE


def test_redeem_countsAllPeriodsAndPricesTogether() -> None:
    """The voucher's total runs over all periods; each period has its own price."""
    later = dataclasses.replace(SCOPE, period=43)
    owned = issue(later)
    dearer = dataclasses.replace(rules(later), hop_price=Amount(2 * PRICE))
    book = RedemptionBook()
    book.redeem(redemption(10), rules(), RELAY, HERE)
    drawn = drawn_position(owned.signature, BEACON, COUNT)
    credit = book.redeem(redemption(3, owned), dearer, RELAY, drawn)
    assert credit.total.cumulative == (10 + 2 * 3) * 5 * PRICE
    assert book.total(8, RELAY) == 0 and book.total(7, OTHER) == 0


def test_redeem_refusesPassOfAnotherRelay() -> None:
    book = RedemptionBook()
    for position in (ELSEWHERE, None):
        refused("wrong_relay", lambda p=position: book.redeem(redemption(1), rules(), OTHER, p))
    assert book.total(7, OTHER) == 0


@pytest.mark.parametrize("field, value", [("campaign", 8), ("kind", KIND_MAILBOX), ("period", 43)])
def test_redeem_refusesPassOfAnotherScope(field: str, value: object) -> None:
    other = dataclasses.replace(SCOPE, **{field: value})
    refused("bad_signature", lambda: RedemptionBook().redeem(redemption(1), rules(other), RELAY, HERE))


def test_redeem_refusesAnotherKey() -> None:
    other = rules(key=OTHER_KEY)
    refused("bad_signature", lambda: RedemptionBook().redeem(redemption(1), other, RELAY, HERE))


def test_redeem_refusesInventedLinksAndProofs() -> None:
    good, book = redemption(300), RedemptionBook()
    later_chain = dataclasses.replace(good.tick, chain=good.tick.chain + 1)
    farther = dataclasses.replace(good.tick, k=good.tick.k + 1)
    other_proof = merkle.proof(SHOWN.leaves(), 5)
    for bad in (
        dataclasses.replace(good, tick=later_chain),
        dataclasses.replace(good, tick=farther),
        dataclasses.replace(good, proof=other_proof),
        dataclasses.replace(good, tick=dataclasses.replace(good.tick, link=bytes(32))),
        # a head is no link: it would be link 0
        dataclasses.replace(good, tick=Tick(1, 1, SHOWN.head(1))),
    ):
        refused("bad_link", lambda bad=bad: book.redeem(bad, rules(), RELAY, HERE))
    forged = dataclasses.replace(good, anchor=bytes(32))
    refused("bad_signature", lambda: book.redeem(forged, rules(), RELAY, HERE))
    assert book.total(7, RELAY) == 0


def test_redemption_decode_isStrict() -> None:
    data = redemption(300).encode()
    for bad in (data[1:], data + b"\0", b""):
        refused("malformed", lambda bad=bad: Redemption.decode(bad))
    at = 32 + 256
    for place_ in (b"\x40\x00\x01", b"\x00\x00\x00", b"\x00\x01\x01"):
        refused("tick_out_of_range", lambda p=place_: Redemption.decode(data[:at] + p + data[at + 3 :]))
    refused("malformed", lambda: dataclasses.replace(redemption(1), proof=()))
