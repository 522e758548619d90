"""Issuing and redeeming with real passes: quotas, repetition, what is worth nothing, what stays on disk."""

from __future__ import annotations

import random as seeded
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpay import eip712
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.epochs import Schedule
from mixpay.passes import (
    REDEMPTION_SIZE,
    EntryPassBook,
    OwnedPass,
    PassRequest,
    PassRules,
    PassSpender,
    Redemption,
    Scope,
    drawn_position,
)
from mixpay.passes.terms import place
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Campaign, Issuer, IssuerError, RelayInPeriod
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policy import Identified, Quotas, Share
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Account, Amount, Epoch, Position
from pass_issuing import issue
from pass_keys import pass_keys

RANDOM = seeded.Random(5).randbytes  # noqa: S311 tests repeat themselves exactly
SCHEDULE = Schedule(0, 3600, 1)
WINDOW = 4 * 3600
POOL = Account(bytes(range(20)))
SIGNER = b"\7" * 32
CAMPAIGN = Campaign(31337, POOL, 3, SIGNER, b"\x08" * 32)
HOP_PRICE = Amount(10**12)
QUOTAS = Quotas(entry=3, mailbox=1)
ALICE = Identified("open", b"the user alice", QUOTAS)
BOB = Identified("open", b"bob", QUOTAS)
OPERATOR = Account(b"\x0a" * 20)
BEACON = b"\x0b" * 32
EPOCH = Epoch(5)
AFTER = 6 * 3600


class Desk:
    """An issuer with everything it stands on."""

    def __init__(self, folder: Path, keys: PassKeys) -> None:
        self.path, self.keys = folder / "issuer.db", keys
        self.open()
        for period in (5, 6):
            modulus = keys.make(Period(1, period)).to_bytes()
            self.store.put_key(StoredKey(1, period, modulus, HOP_PRICE))

    def open(self) -> None:
        self.store = Store(self.path, CAMPAIGN.chain_id, POOL, CAMPAIGN.number)
        self.issuer = Issuer(
            campaign=CAMPAIGN,
            schedule=SCHEDULE,
            claim_window=WINDOW,
            store=self.store,
            keys=self.keys,
        )

    def public(self, period: int) -> PublicKey:
        key = self.keys.get(Period(1, period))
        assert key is not None
        return key.public

    def wanted(self, period: int = 5) -> PassRequest:
        return PassRequest.new(Scope(31337, POOL, 3, 1, period), self.public(period), RANDOM)

    def bought(self, period: int = 5, buyer: Identified = ALICE) -> OwnedPass:
        wanted = self.wanted(period)
        answer = issue(self.issuer, api.SignRequest(1, period, wanted.blinded), buyer, EPOCH)
        return wanted.finish(answer.signature)

    def redeem(
        self, *bundles: bytes, relay: RelayInPeriod | None = None, period: int = 5, now: int = AFTER
    ) -> api.RedeemAnswer:
        request = api.RedeemRequest(7, 1, period, list(bundles))
        return self.issuer.redeem(request, relay or here(), now)


def here(operator: Account = OPERATOR, position: int | None = 0, count: int = 1) -> RelayInPeriod:
    return RelayInPeriod(operator, None if position is None else Position(position), BEACON, count)


def spent(owned: OwnedPass, number: int) -> bytes:
    """What the entry hands in after `number` ticks of a pass."""
    spender, shown = PassSpender(owned), owned.shown()
    spender.reserve(number)
    for _ in range(number):
        tick = spender.next_tick()
    assert (tick.chain, tick.k) == place(number)
    book = EntryPassBook(max_gap=1 << 14)
    key = PublicKey.from_bytes(KEYS[owned.scope.period])
    rules = PassRules(owned.scope, key, HOP_PRICE, BEACON, 1)
    pass_id = book.present(shown, rules, Position(0), 1 << 20).pass_id
    book.accept_tick(pass_id, tick)
    book.close(1, owned.scope.period)
    ((_, redemption),) = book.redemptions(owned.scope)
    return redemption.encode()


KEYS: dict[int, bytes] = {}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    folder = pass_keys(tmp_path_factory.mktemp("issuer"))
    for period in (5, 6):
        KEYS[period] = folder.make(Period(1, period)).to_bytes()
    return folder


@pytest.fixture
def desk(tmp_path: Path, keys: PassKeys) -> Iterator[Desk]:
    desk = Desk(tmp_path, keys)
    yield desk
    desk.store.close()


def refusal(call: object, *arguments: object) -> str:
    with pytest.raises(IssuerError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.label


def test_describe_showsTheKeysThatCanBeAskedFor(desk: Desk) -> None:
    offers = [api.PolicyOffer("open", "open", [api.Quota(1, 3)])]
    answer = desk.issuer.describe(EPOCH, offers)
    assert (answer.chain_id, answer.pool, answer.campaign, answer.epoch) == (31337, POOL, 3, 5)
    assert [(key.kind, key.period, key.modulus) for key in answer.keys] == [(1, 5, KEYS[5]), (1, 6, KEYS[6])]
    assert answer.keys[0].hop_price == str(HOP_PRICE)
    assert answer.policies == offers
    assert [key.period for key in desk.issuer.describe(Epoch(6), offers).keys] == [6]


def test_sign_givesAPassOfTheCurrentOrTheNextPeriod(desk: Desk) -> None:
    for period in (5, 6):
        owned = desk.bought(period)
        assert drawn_position(owned.signature, BEACON, 1) == 0
    request = api.SignRequest(1, 5, desk.wanted().blinded)
    assert issue(desk.issuer, request, ALICE, Epoch(4)).left == 1
    assert refusal(issue, desk.issuer, request, ALICE, Epoch(3)) == "wrong_period"
    assert refusal(issue, desk.issuer, request, ALICE, Epoch(6)) == "wrong_period"
    assert refusal(issue, desk.issuer, api.SignRequest(2, 5, request.blinded), ALICE, EPOCH) == "no_key"


def test_sign_countsPerIdentityAndPeriod(desk: Desk) -> None:
    for left in (2, 1, 0):
        answer = issue(desk.issuer, api.SignRequest(1, 5, desk.wanted().blinded), ALICE, EPOCH)
        assert answer.left == left
    request = api.SignRequest(1, 5, desk.wanted().blinded)
    assert refusal(issue, desk.issuer, request, ALICE, EPOCH) == "quota_exceeded"
    desk.bought(6)
    desk.bought(5, BOB)
    desk.store.close()
    desk.open()
    assert refusal(issue, desk.issuer, request, ALICE, EPOCH) == "quota_exceeded"


def test_sign_countsOnePolicysIdentitiesApartFromAnothers(desk: Desk) -> None:
    for _ in range(3):
        desk.bought()
    assert desk.bought(buyer=Identified("other", b"the user alice", QUOTAS))


def test_sign_countsShares_andEndsWhenOneIsUsedUp(desk: Desk) -> None:
    told: list[int] = []
    shares = Share(b"key", 2), Share(b"all", None, told.append)
    alice, bob, carol = (Identified("p", name, QUOTAS, shares) for name in (b"a", b"b", b"c"))
    request = api.SignRequest(1, 5, desk.wanted().blinded)
    for _ in range(2):
        assert issue(desk.issuer, request, alice, EPOCH).left == 2
    desk.bought(buyer=bob)
    late = api.SignRequest(1, 5, desk.wanted().blinded)
    assert refusal(issue, desk.issuer, late, carol, EPOCH) == "share_exceeded"
    assert told == [1, 2], "a repeated request and a refused one count nothing"
    assert desk.bought(6, carol)
    assert told == [1, 2, 1]
    # The refused one was not counted against its own quota.
    assert issue(desk.issuer, late, Identified("p", b"c", QUOTAS), EPOCH).left == 2


def test_sign_countsARepeatedRequestOnce(desk: Desk) -> None:
    request = api.SignRequest(1, 5, desk.wanted().blinded)
    answers = {issue(desk.issuer, request, ALICE, EPOCH) for _ in range(5)}
    assert len(answers) == 1 and answers.pop().left == 2
    assert issue(desk.issuer, request, BOB, EPOCH).left == 2


def test_sign_failsIfTheNumberIsTooLargeAndCountsNothing(desk: Desk) -> None:
    request = api.SignRequest(1, 5, b"\xff" * 256)
    assert refusal(issue, desk.issuer, request, ALICE, EPOCH) == "malformed"
    good = api.SignRequest(1, 5, desk.wanted().blinded)
    assert issue(desk.issuer, good, ALICE, EPOCH).left == 2


def test_sign_givesNothingWhilePaused_andCountsNothing(desk: Desk) -> None:
    """A pause may come while a policy looks at a request that was let in before."""
    request = api.SignRequest(1, 5, desk.wanted().blinded)
    desk.issuer.is_paused = True
    assert refusal(issue, desk.issuer, request, ALICE, EPOCH) == "paused"
    assert refusal(desk.issuer.issuable, Period(1, 5), EPOCH) == "paused"
    desk.issuer.is_paused = False
    assert issue(desk.issuer, request, ALICE, EPOCH).left == 2


def test_redeem_paysEachPassForItsFurthestTick(desk: Desk) -> None:
    first, second = desk.bought(), desk.bought()
    answer = desk.redeem(spent(first, 10), spent(second, 300))
    assert (answer.added, answer.refused, answer.period) == (310, [], 5)
    assert answer.amount == 310 * 5 * HOP_PRICE
    voucher = eip712.PoolVoucher(3, OPERATOR, 5, answer.amount)
    domain = eip712.pool_domain(31337, POOL)
    assert eip712.signed_by(eip712.account_of(SIGNER), voucher, domain, answer.signature)
    again = desk.redeem(spent(first, 10), spent(first, 9), spent(second, 300))
    assert (again.added, again.amount, again.signature) == (0, answer.amount, answer.signature)
    further = desk.redeem(spent(first, 12))
    assert (further.added, further.amount) == (2, 312 * 5 * HOP_PRICE)


def test_redeem_survivesARestart(desk: Desk) -> None:
    bundle = spent(desk.bought(), 10)
    answer = desk.redeem(bundle)
    desk.store.close()
    desk.open()
    again = desk.redeem(bundle)
    assert (again.added, again.cumulative, again.signature) == (0, answer.cumulative, answer.signature)


def test_redeem_addsPeriodsUpAndNeverGoesBack(desk: Desk) -> None:
    now = 7 * 3600
    later = desk.redeem(spent(desk.bought(6), 1), period=6, now=now)
    assert (later.period, later.amount) == (6, 5 * HOP_PRICE)
    earlier = desk.redeem(spent(desk.bought(5), 2), period=5, now=now)
    assert (earlier.period, earlier.amount) == (6, 15 * HOP_PRICE)


def test_redeem_withoutBundlesRenewsTheVoucher(desk: Desk) -> None:
    nothing = desk.redeem()
    assert (nothing.amount, nothing.added) == (0, 0)
    paid = desk.redeem(spent(desk.bought(), 1))
    renewed = desk.redeem(period=6, now=AFTER + WINDOW // 2)
    assert (renewed.period, renewed.amount) == (6, paid.amount)


def test_whoBringsNothing_movesNoVoucher_whileItsRelayHasTimeToClaimIt(desk: Desk) -> None:
    """Anybody may ask for anybody's voucher: two epochs' earnings would fall under one epoch's cap."""
    paid = desk.redeem(spent(desk.bought(), 1))
    forged = bytes(REDEMPTION_SIZE)
    for bundles in ((), (forged,)):
        asked = desk.redeem(*bundles, period=6, now=AFTER + WINDOW // 2 - 1)
        assert (asked.period, asked.amount, asked.signature) == (5, paid.amount, paid.signature)
    earned = desk.redeem(spent(desk.bought(6), 1), period=6, now=AFTER + WINDOW // 2 - 1)
    assert (earned.period, earned.amount) == (6, 2 * paid.amount)


def test_redeem_namesWhatIsWorthNothingAndTakesTheRest(desk: Desk) -> None:
    good, other = spent(desk.bought(), 3), spent(desk.bought(), 1)
    forged = other[:32] + bytes([other[32] ^ 1]) + other[33:]
    decoded = Redemption.decode(other)
    link = other.index(decoded.tick.link)
    broken = other[:link] + bytes(32) + other[link + 32 :]
    out_of_range = other[:288] + b"\xff" + other[289:]
    foreign = spent(desk.bought(6), 1)
    answer = desk.redeem(forged, good, broken, out_of_range, foreign)
    assert answer.added == 3 and answer.amount == 15 * HOP_PRICE
    assert [(bundle.index, bundle.reason) for bundle in answer.refused] == [
        (0, "bad_signature"),
        (2, "bad_link"),
        (3, "tick_out_of_range"),
        (4, "bad_signature"),
    ]


def test_redeem_paysOnlyTheRelayThatWasDrawn(desk: Desk) -> None:
    owned = desk.bought()
    bundle = spent(owned, 1)
    drawn = drawn_position(owned.signature, BEACON, 1000)
    for relay in (here(position=drawn + 1, count=1000), here(position=None, count=1000)):
        answer = desk.redeem(bundle, relay=relay)
        assert answer.added == 0 and answer.refused == [api.RefusedBundle(0, "wrong_relay")]
    assert desk.redeem(bundle, relay=here(position=drawn, count=1000)).added == 1
    nobody = desk.redeem(bundle, relay=here(position=None, count=0))
    assert nobody.refused == [api.RefusedBundle(0, "wrong_relay")]


def test_redeem_onlyAfterThePeriodAndWithinTheClaimWindow(desk: Desk) -> None:
    request = api.RedeemRequest(7, 1, 5, [])
    assert refusal(desk.issuer.redeem, request, here(), AFTER - 1) == "period_open"
    assert refusal(desk.issuer.redeem, request, here(), AFTER + WINDOW + 1) == "claim_window_over"
    desk.issuer.redeem(request, here(), AFTER + WINDOW)
    bundle = spent(desk.bought(), 1)
    unknown = api.RedeemRequest(7, 2, 5, [bundle])
    assert refusal(desk.issuer.redeem, unknown, here(), AFTER) == "no_key"


def test_database_holdsNeitherBlindedMessagesNorSignatures(desk: Desk) -> None:
    wanted = desk.wanted()
    answer = issue(desk.issuer, api.SignRequest(1, 5, wanted.blinded), ALICE, EPOCH)
    owned = wanted.finish(answer.signature)
    desk.redeem(spent(owned, 1))
    desk.store.close()
    content = b"".join(path.read_bytes() for path in desk.path.parent.glob("issuer.db*"))
    for secret in (wanted.blinded, answer.signature, owned.signature, ALICE.identity, SIGNER):
        assert secret not in content
    desk.open()


def test_prune_keepsWhatCanStillBeRedeemed(desk: Desk, tmp_path: Path) -> None:
    desk.issuer = Issuer(
        campaign=CAMPAIGN,
        schedule=SCHEDULE,
        claim_window=WINDOW,
        store=desk.store,
        keys=PassKeys(desk.store, b"\1" * 32),
    )
    desk.issuer.prune(Epoch(6), AFTER)
    assert [key.period for key in desk.store.period_keys()] == [5, 6]
    desk.issuer.prune(Epoch(8), AFTER + WINDOW)
    assert [key.period for key in desk.store.period_keys()] == [5, 6]
    desk.issuer.prune(Epoch(8), AFTER + WINDOW + 1)
    assert [key.period for key in desk.store.period_keys()] == [6]
