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
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.epochs import Schedule
from mixpay.passes import EntryPassBook, OwnedPass, PassRequest, PassRules, PassSpender, Scope
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Campaign, Issuer, IssuerError, RelayInPeriod
from mixpay.sponsor.keys import KeyFolder, Period
from mixpay.sponsor.policy import Evidence, OpenPolicy, Quotas
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Account, Amount, Epoch, Position, RelayId
from relay.redeem import PassRedeemer, RelayIdentity
from relay.store import RelayStore, pass_op, tick_op

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


class PoolOf:
    """The relay's view of the pool on a `Chain`."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def signer(self, campaign: int) -> Account:
        return self._chain.signer

    def hop_price(self, scope: Scope) -> Amount:
        return HOP_PRICE

    def claimed(self, campaign: int) -> Amount:
        return Amount(self._chain.claimed)


class Sponsor:
    """The issuer of one campaign, with keys for some periods."""

    def __init__(self, folder: Path, keys: KeyFolder, chain: Chain, periods: Sequence[int]) -> None:
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
            policy=OpenPolicy(Quotas(entry=100, mailbox=1)),
            store=self.store,
            keys=keys,
            random=RANDOM,
        )
        self._chain = chain
        self.loses_answers = False

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
        status = 409 if isinstance(answer, api.ErrorAnswer) else 200
        return web.Response(body=msgspec.json.encode(answer), status=status)

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
        answer = self.issuer.sign(request, Evidence("192.0.2.1"), Epoch(period))
        return wanted.finish(answer.signature)


class Entry:
    """An entry relay's passes, their store, and its redeemer."""

    def __init__(self, path: Path, chain: Chain, url: str | None) -> None:
        self.chain, self.url = chain, url
        self.store = RelayStore(path)
        self.passes = EntryPassBook.from_records(self.store.passes(CHAIN, POOL))
        domain = eip712.pool_domain(CHAIN, POOL)
        self.redeemer = PassRedeemer(
            me=RelayIdentity(RELAY, OPERATOR, domain),
            issuers={CAMPAIGN: url} if url is not None else {},
            schedule=SCHEDULE,
            claim_window=WINDOW,
            passes=self.passes,
            store=self.store,
            pool=PoolOf(chain),
            patience=0.1,
        )

    async def take(self, sponsor: Sponsor, ticks: int, period: int = FIRST) -> None:
        """A user shows a pass and spends so many ticks of it."""
        owned = sponsor.sell(period)
        shown = self.passes.present(owned.shown(), sponsor.rules(period), Position(0), 1 << 20)
        assert shown.record is not None
        ops = [pass_op(shown.pass_id, shown.record)]
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
