"""A sponsor's real issuer over HTTP, and an entry relay with passes of it, for the tests of redeeming."""

from __future__ import annotations

import random as seeded
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiohttp import web

from mixpay import eip712
from mixpay.chain.errors import Reverted
from mixpay.chain.views import PaidToRelay
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.epochs import Schedule
from mixpay.errors import ChainUnavailable
from mixpay.passes import (
    EntryPassBook,
    OwnedPass,
    PassRequest,
    PassRules,
    PassSpender,
    Redemption,
    Scope,
)
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Campaign, Issuer, IssuerError, RedeemedAtPool, RelayInPeriod
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policy import Identified, Quotas
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Account, Amount, Epoch, Position, RelayId
from pass_issuing import issue
from relay.redeem.issuer_desk import IssuerDesk, RelayIdentity
from relay.redeem.redeemer import PassRedeemer
from relay.redeem.rules import RedeemRules
from relay.store import RelayStore, StoredPoolVoucher, pass_key_op, pass_op, tick_op

RANDOM = seeded.Random(5).randbytes  # noqa: S311 tests repeat themselves exactly
SCHEDULE = Schedule(0, 3600, 1)
WINDOW = 7200
CHAIN, POOL = 31337, Account(bytes(range(20)))
SIGNER = b"\7" * 32
HOP_PRICE = Amount(10**12)
CAMPAIGN = 3
RELAY, OPERATOR = RelayId(7), Account(b"\x0a" * 20)
BEACON = b"\x0b" * 32
FIRST = 5
"""The period whose passes are shown first."""
AFTER = 1_000
LEAST = 50
"""When the relay turns to the pool: so many seconds after a period, with passes of 10 ticks or more."""


def ends(period: int) -> int:
    return SCHEDULE.end(Epoch(period))


def worth(ticks: int) -> int:
    return ticks * 5 * HOP_PRICE


@dataclass
class Chain:
    """What issuer and relay see of the chain; a test may change it."""

    time: int = ends(FIRST)
    position: int = 0
    """The relay's, in every epoch."""
    signer: Account = field(default_factory=lambda: Account(eip712.account_of(SIGNER)))
    claimed: int = 0
    """What the pool has paid to the relay."""
    latest: int = 0
    """For which epoch it paid last, and whether by voucher."""
    vouchered: bool = False
    left: int = worth(1 << 30)
    """What budget and caps leave in each epoch."""
    redeemed: dict[bytes, int] = field(default_factory=dict)
    """Passes by digest, and their ticks."""
    told: list[RedeemedAtPool] = field(default_factory=list)
    """What its events say about them."""
    trouble: list[str] = field(default_factory=list)
    """Why the next calls fail, each before it is mined; "lost": after."""

    def pay(self, amount: int, epoch: int, *, vouchered: bool) -> None:
        """As SubsidyPool does, for passes and for vouchers."""
        if not ends(epoch) <= self.time <= ends(epoch) + WINDOW:
            raise Reverted("SubsidyPool", "ClaimWindowOver", "it is over")
        if epoch < self.latest:
            raise Reverted("SubsidyPool", "PeriodTooOld", "it was paid for a later one")
        if not vouchered and self.vouchered and epoch == self.latest:
            raise Reverted("SubsidyPool", "VoucherClaimed", "its voucher was claimed")
        if amount > self.left and not vouchered:
            raise Reverted("SubsidyPool", "ExceedsLimits", "that is too much")
        self.claimed += min(amount, self.left)
        self.latest, self.vouchered = epoch, vouchered


class PoolOf:
    """The relay's view of the pool on a `Chain`."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.claims: list[StoredPoolVoucher] = []

    def signer(self, campaign: int) -> Account:
        return self._chain.signer

    def hop_price(self, scope: Scope) -> Amount:
        return HOP_PRICE

    def paid(self, campaign: int) -> PaidToRelay:
        chain = self._chain
        return PaidToRelay(Amount(chain.claimed), Epoch(chain.latest), Amount(0), chain.vouchered)

    def left(self, campaign: int, epoch: Epoch) -> Amount:
        return Amount(self._chain.left)

    def is_redeemed(self, digest: bytes) -> bool:
        return digest in self._chain.redeemed

    def claim(self, voucher: StoredPoolVoucher) -> None:
        more = voucher.cumulative - self._chain.claimed
        self._chain.pay(more, voucher.period, vouchered=True)
        self.claims.append(voucher)

    def redeem(self, scope: Scope, modulus: bytes, epoch: Epoch, passes: Sequence[Redemption]) -> None:
        chain, trouble = self._chain, self._chain.trouble.pop(0) if self._chain.trouble else ""
        if trouble and trouble != "lost":
            raise ChainUnavailable(trouble)
        key = PublicKey.from_bytes(modulus)
        rules = PassRules(scope, key, HOP_PRICE, BEACON, 1)
        for one in passes:
            rules.check(one.anchor, one.signature, Position(0))
            one.check_link()
            if scope.digest(one.anchor) in chain.redeemed:
                raise Reverted("SubsidyPool", "PassRedeemed", "once is enough")
        chain.pay(worth(sum(one.tick.number for one in passes)), scope.period, vouchered=False)
        chain.redeemed |= {scope.digest(one.anchor): one.tick.number for one in passes}
        ticks = {one.anchor: one.tick.number for one in passes}
        chain.told.append(RedeemedAtPool(OPERATOR, Period(scope.kind, scope.period), ticks, worth(1)))
        if trouble:
            raise ChainUnavailable(trouble)


class Sponsor:
    """The issuer of one campaign, with keys for some periods."""

    def __init__(self, folder: Path, keys: PassKeys, chain: Chain, periods: Sequence[int]) -> None:
        self.keys = keys
        self.store = Store(folder / "issuer.db", CHAIN, POOL, CAMPAIGN)
        for period in periods:
            modulus = keys.make(Period(1, period)).to_bytes()
            self.store.put_key(StoredKey(1, period, modulus, HOP_PRICE))
        campaign = Campaign(CHAIN, POOL, CAMPAIGN, SIGNER, b"\x08" * 32)
        self.issuer = Issuer(
            campaign=campaign,
            schedule=SCHEDULE,
            claim_window=WINDOW,
            store=self.store,
            keys=keys,
        )
        self._chain = chain
        self.loses_answers = False
        self.dates: int | None = None
        """The epoch of its vouchers, if it is not the one that it should be."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL, while it runs."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post(api.REDEEM_PATH, self._redeem)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
            self.store.close()

    async def _redeem(self, request: web.Request) -> web.Response:
        """The issuer's rules over HTTP; the chain is the test's."""
        asked = msgspec.json.decode(await request.read(), type=api.RedeemRequest)
        relay = RelayInPeriod(OPERATOR, Position(self._chain.position), BEACON, 1)
        try:
            answer: msgspec.Struct = self.issuer.redeem(asked, relay, self._chain.time)
        except IssuerError as error:
            answer = api.ErrorAnswer(error.label, str(error))
        if self.loses_answers:
            return web.Response(status=502)
        if self.dates is not None and isinstance(answer, api.RedeemAnswer):
            answer = self._dated(answer, self.dates)
        status = 409 if isinstance(answer, api.ErrorAnswer) else 200
        return web.Response(body=msgspec.json.encode(answer), status=status)

    def _dated(self, answer: api.RedeemAnswer, epoch: int) -> api.RedeemAnswer:
        message = eip712.PoolVoucher(CAMPAIGN, OPERATOR, epoch, answer.amount)
        signature = eip712.sign(SIGNER, message.digest(eip712.pool_domain(CHAIN, POOL)))
        return msgspec.structs.replace(answer, period=epoch, signature=signature)

    def count_redeemed(self) -> None:
        """Read the chain from its beginning, as after a restart."""
        for redeemed in self._chain.told:
            self.issuer.count_at_pool(redeemed)

    def rules(self, period: int) -> PassRules:
        key = self.keys.get(Period(1, period))
        assert key is not None
        public = PublicKey.from_bytes(key.public.to_bytes())
        return PassRules(Scope(CHAIN, POOL, CAMPAIGN, 1, period), public, HOP_PRICE, BEACON, 1)

    def sell(self, period: int) -> OwnedPass:
        """A user's pass."""
        rules = self.rules(period)
        wanted = PassRequest.new(rules.scope, rules.key, RANDOM)
        request = api.SignRequest(1, period, wanted.blinded)
        user = Identified("open", b"a user", Quotas(entry=100, mailbox=1))
        answer = issue(self.issuer, request, user, Epoch(period))
        return wanted.finish(answer.signature)


def spent(owned: OwnedPass, ticks: int) -> Redemption:
    """What an entry hands in after so many ticks."""
    spender = PassSpender(owned, ticks - 1)
    spender.reserve(1)
    return owned.shown().redemption(spender.next_tick())


class Entry:
    """An entry relay's passes, their store, and its redeemer."""

    def __init__(self, path: Path, chain: Chain, url: str | None) -> None:
        self.chain, self.url = chain, url
        self.store = RelayStore(path)
        self.passes = EntryPassBook.from_records(self.store.passes(CHAIN, POOL))
        self.pool = PoolOf(chain)
        me = RelayIdentity(RELAY, OPERATOR, eip712.pool_domain(CHAIN, POOL))
        urls = {CAMPAIGN: url} if url is not None else {}
        issuers = IssuerDesk(me, urls, SCHEDULE, self.pool, patience=0.1)
        rules = RedeemRules(SCHEDULE, WINDOW, AFTER, LEAST)
        self.redeemer = PassRedeemer(rules, self.passes, self.store, issuers, self.pool)

    async def take(self, sponsor: Sponsor, ticks: int, period: int = FIRST, *, with_key: bool = True) -> None:
        """A user shows a pass and spends so many ticks of it."""
        owned = sponsor.sell(period)
        shown = self.passes.present(owned.shown(), sponsor.rules(period), Position(0), 1 << 20)
        assert shown.record is not None
        modulus = sponsor.rules(period).key.to_bytes()
        ops = [pass_op(shown.pass_id, shown.record)]
        if with_key:
            ops.append(pass_key_op(shown.record.shown.scope, modulus))
        if ticks:
            spender = PassSpender(owned)
            spender.reserve(ticks)
            for _ in range(ticks):
                taken = self.passes.accept_tick(shown.pass_id, spender.next_tick())
            ops.append(tick_op(taken))
        await self.store.written(ops)

    @property
    def cumulative(self) -> int:
        """Of the newest voucher; 0 without one."""
        voucher = self.redeemer.vouchers.get(CAMPAIGN)
        return voucher.cumulative if voucher is not None else 0


@asynccontextmanager
async def entry(path: Path, chain: Chain, url: str | None) -> AsyncIterator[Entry]:
    opened = Entry(path, chain, url)
    try:
        yield opened
    finally:
        await opened.store.close()
