"""What people try with passes, and what each of them gains. An auditor's list; the other half stands with the
part that refuses it:

    test_relay_gateway.py        a pass at another relay, of another period or key; forged; shown twice
    test_passes.py               another pass's chain; links out of order, invented, beyond 256, used twice
    test_blind_rsa.py            a blinding factor without inverse, numbers beyond the modulus, malformed keys
    test_rsa_permutation.py      a key that is no permutation
    test_sponsor_issuer.py       another relay's pass, more links than were spent, twice, too early
    e2e/test_silent_sponsor.py   a sponsor that refuses redemption
    test_pool_exposure.py        a campaign without the money, against the real pool
"""

from __future__ import annotations

import contextlib
import os
import random as seeded
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from client_world import EPOCH, HASTY, User, World
from mixpay.client.sending import Sending
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, BlindRsaError, SecretKey
from mixpay.envelope import file_message
from mixpay.passes import (
    KIND_ENTRY,
    TICKS,
    EntryPassBook,
    OwnedPass,
    Pass,
    PassError,
    PassRequest,
    PassRules,
    PassSpender,
    Scope,
)
from mixpay.sponsor.keys import PassKeys
from mixpay.types import Amount, Position
from mixpay.wire.client import DownStatus
from pass_keys import pass_keys

W = 64
"""What an entry that carries nothing is paid for at most (docs/design.md §8), in ticks."""
RANDOM = seeded.Random(8).randbytes  # noqa: S311 tests repeat themselves exactly
SCOPE = Scope(31337, bytes(20), 3, KIND_ENTRY, 5)
LOST = replace(HASTY, ack_timeout=0.5)


@cache
def key() -> SecretKey:
    return SecretKey.generate()


# ------------------------------------------------------------------ a sponsor that signs something else


def test_sponsorThatSignsAnotherMessage_givesNoPass():
    """Be it another user's, or the same user's second one: the wallet notices."""
    mine, other = (PassRequest.new(SCOPE, key().public, RANDOM) for _ in range(2))
    answer = blind_rsa.blind_sign(key(), other.blinded, RANDOM)
    with pytest.raises(BlindRsaError, match="does not verify"):
        mine.finish(answer)


def test_oneBlinding_givesOnePass_howeverOftenItIsSigned():
    """Two signatures for one blinded message would be two draws of an entry, and a mark upon a user."""
    request = PassRequest.new(SCOPE, key().public, RANDOM)
    signatures = {blind_rsa.blind_sign(key(), request.blinded, os.urandom) for _ in range(5)}
    assert len(signatures) == 1
    # What the sponsor can add to its answer is refused, or gives the same pass.
    (answer,) = signatures
    element, n = int.from_bytes(answer, "big"), key().public.n
    others = (n - element, element * 2 % n, pow(element, -1, n), 0, 1)
    for other in others:
        with pytest.raises(BlindRsaError):
            request.finish(other.to_bytes(256, "big"))


def test_oneSignature_isGoodForOneOfTwoMessages():
    """A user that has one message signed gets nothing for a second one blinded with the same factor."""
    request = PassRequest.new(SCOPE, key().public, RANDOM)
    answer = blind_rsa.blind_sign(key(), request.blinded, RANDOM)
    for scope in (replace(SCOPE, period=6), replace(SCOPE, campaign=4), replace(SCOPE, kind=2)):
        with pytest.raises(BlindRsaError):
            replace(request, scope=scope).finish(answer)
    with pytest.raises(BlindRsaError):
        replace(request, seed=bytes(32)).finish(answer)


def test_productOfTwoSignatures_signsNothing():
    """RSA is multiplicative; the padding is not."""
    first, second = (PassRequest.new(SCOPE, key().public, RANDOM) for _ in range(2))
    a, b = (int.from_bytes(blind_rsa.blind_sign(key(), r.blinded, RANDOM), "big") for r in (first, second))
    n = key().public.n
    both = (a * b % n).to_bytes(256, "big")
    inverse = int.from_bytes(first.inverse, "big") * int.from_bytes(second.inverse, "big") % n
    for request in (first, second):
        message = SCOPE.message(request.finish(_signed(request)).shown().anchor)
        with pytest.raises(BlindRsaError):
            blind_rsa.finalize(PASS_SUITE, key().public, message, both, inverse.to_bytes(256, "big"))


def _signed(request: PassRequest) -> bytes:
    return blind_rsa.blind_sign(key(), request.blinded, RANDOM)


# ------------------------------------------------------------------ an entry that keeps ticks


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


@pytest.mark.parametrize("way", ["says nothing", "blames the mixes", "forges acks"])
async def test_entryThatCarriesNothing_isPaidForTheWindowAtMost(world: World, way: str):
    alice, bob = User(world, "alice"), User(world, "bob")
    to = await bob.mailboxes.make(bob.wallet)
    drawn = await alice.wallet.draw(KIND_ENTRY)
    cheat = world.relay(drawn.relay.id)
    if way == "says nothing":
        cheat.faults.drops = True
    elif way == "forges acks":
        cheat.faults.forge_acks = True
    else:
        cheat.faults.statuses = [DownStatus.REFUSED_BY_MIX] * 100_000
    sending: Sending = alice.sending(to, LOST)
    report = await sending.run(file_message("a.bin", os.urandom(200 * 2_048)))
    assert report.fragments > 2 * W
    standing = cheat.passes.standing(drawn.stored.owned.shown().id)
    assert standing is not None
    assert 0 < standing[1] <= W
    assert drawn.stored.row not in {stored.row for stored in alice.store.passes(KIND_ENTRY, EPOCH)}
    for user in (alice, bob):
        await user.close()


@pytest.mark.parametrize("claimed", [1, 8_000, TICKS - 1, TICKS])
async def test_entryThatClaimsTicksItWasNotShown_getsNoneForThem(world: World, claimed: int):
    """If it were believed, the next tick would pay for all before it."""
    alice, bob = User(world, "alice"), User(world, "bob")
    to = await bob.mailboxes.make(bob.wallet)
    drawn = await alice.wallet.draw(KIND_ENTRY)
    cheat = world.relay(drawn.relay.id)
    cheat.faults.holds = claimed
    await alice.sending(to).run(file_message("a.bin", b"hello"))
    standing = cheat.passes.standing(drawn.stored.owned.shown().id)
    assert standing is not None and standing[1] == 0
    assert drawn.stored.row not in {stored.row for stored in alice.store.passes(KIND_ENTRY, EPOCH)}
    for user in (alice, bob):
        await user.close()


# ------------------------------------------------------------------ a campaign that promises too much


@cache
def spenders() -> tuple[tuple[OwnedPass, Pass], ...]:
    """Passes as the campaign gives out without end: four are enough."""
    requests = [PassRequest.new(SCOPE, key().public, RANDOM) for _ in range(4)]
    owned = [request.finish(_signed(request)) for request in requests]
    return tuple((one, one.shown()) for one in owned)


@given(
    limit=st.integers(0, 3 * TICKS),
    spent=st.lists(st.tuples(st.integers(0, 3), st.integers(1, TICKS)), max_size=12),
)
@settings(max_examples=30, deadline=None)
def test_campaignThatIssuesMoreThanItCanPay_costsAnEntryOnePassAtMost(
    limit: int, spent: list[tuple[int, int]]
):
    """`limit`: what the budget guarantees this entry (test_pool_exposure.py: the pool pays all of those)."""
    book, rules = EntryPassBook(max_gap=TICKS), PassRules(SCOPE, key().public, Amount(1), bytes(32), 1)
    ids = [book.present(shown, rules, Position(0), limit).pass_id for _, shown in spenders()]
    for which, number in spent:
        spender = PassSpender(spenders()[which][0], number - 1)
        spender.reserve(1)
        with contextlib.suppress(PassError):
            book.accept_tick(ids[which], spender.next_tick())
    carried = book.ticks(SCOPE)
    assert carried - min(carried, limit) <= TICKS
    assert carried <= max(limit, TICKS)
    held = {shown.id: 0 for _, shown in spenders()}
    book.close(KIND_ENTRY, SCOPE.period)
    held.update((one.pass_id, one.number) for one in book.held(SCOPE))
    assert sum(held.values()) == carried
