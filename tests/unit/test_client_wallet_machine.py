"""A wallet through any sequence of sends, crashes, restarts, fetches and epochs."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from client_world import CAMPAIGN, DEPLOYMENT, EPOCH, PLACE, PRICE, View, World
from mixpay.chain import events
from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.client.keeping import Keeper, plan_of
from mixpay.client.store import ClientStore
from mixpay.client.wallet import NoPass, Ticks, Wallet
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, EntryPassBook, Tick, drawn_position
from mixpay.passes.terms import PassRules, Scope
from mixpay.sponsor.api import CampaignAnswer, SignAnswer, SignRequest
from mixpay.sponsor.issuer import Campaign, Issuer, IssuerError
from mixpay.sponsor.keys import Period
from mixpay.sponsor.policy import Identified, Quotas
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Epoch
from pass_issuing import issue

KEY = SecretKey.generate()
LAST = EPOCH + 4
TOO_FEW = (IssuerRefused, IssuerUnavailable, NoPass)
ALICE = Identified("open", b"alice", Quotas(entry=3, mailbox=3))


class OneKey:
    """The issuer's keys: the same in all periods, for making one takes long."""

    def get(self, _: Period) -> SecretKey:
        return KEY


class Counter:
    """The sponsor's issuer, asked without a network. `lose`: the next signature does not arrive."""

    def __init__(self, folder: Path, view: View) -> None:
        place = DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN
        self.store, self.view = Store(folder / "issuer.db", *place), view
        for period in range(EPOCH, LAST + 2):
            for kind in (KIND_ENTRY, KIND_MAILBOX):
                self.store.put_key(StoredKey(kind, period, KEY.public.to_bytes(), PRICE))
        self.issuer = Issuer(
            campaign=Campaign(*place, b"\7" * 32, b"\6" * 32),
            schedule=view.schedule,
            claim_window=DEPLOYMENT.parameters.claim_window,
            store=self.store,
            keys=OneKey(),  # type: ignore[arg-type]
        )
        self.lose = False
        self.signed: dict[tuple[int, int], dict[bytes, int]] = defaultdict(dict)
        """By kind and period: what was signed, and when first."""

    async def campaign(self) -> CampaignAnswer:
        return self.issuer.describe(self.view.epoch, [])

    async def sign(self, kind: int, period: int, blinded: bytes) -> SignAnswer:
        request = SignRequest(kind, period, blinded)
        try:
            answer = issue(self.issuer, request, ALICE, self.view.epoch)
        except IssuerError as error:
            raise IssuerRefused(error.label, str(error)) from None
        self.signed[kind, period].setdefault(blinded, self.view.chain_time)
        if self.lose:
            self.lose = False
            raise IssuerUnavailable("the answer is lost")
        return answer


class WalletMachine(RuleBasedStateMachine):
    """The user's side is real; of the network there are the issuer's core and the entries' book."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.view = View()
        world = World(self.path, None)  # type: ignore[arg-type]
        keys = [
            events.KeySet(*PLACE, CAMPAIGN, kind, period, KEY.public.key_hash(), PRICE)
            for period in range(EPOCH, LAST + 2)
            for kind in (KIND_ENTRY, KIND_MAILBOX)
        ]
        self.world = world
        self.view.feed([world.release(), *(relay.registered() for relay in world.relays)], Epoch(0))
        self.view.feed([*keys, world.frozen(EPOCH)], EPOCH)
        self.counter = Counter(self.path, self.view)
        self.entries = EntryPassBook()
        self.handed: set[tuple[bytes, int]] = set()
        self.rounds: list[tuple[int, bool]] = []
        """When the keeper looked, and whether an answer was lost."""
        self.loop = asyncio.new_event_loop()
        self.store: ClientStore | None = None
        self.restart()

    def teardown(self) -> None:
        self.loop.close()
        self.store.close()  # type: ignore[union-attr]
        self.counter.store.close()
        self.folder.cleanup()

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(what)

    # ------------------------------------------------------------------ what happens

    @rule()
    def restart(self) -> None:
        if self.store is not None:
            self.store.close()
        self.store = ClientStore(self.path / "state.sqlite")
        issuer: Any = self.counter
        self.wallet = Wallet(self.store, issuer, self.view, os.urandom)
        self.plan = plan_of(self.store, self.view, os.urandom, 1)
        self.keeper = Keeper(self.store, self.view, self.wallet, self.plan)

    @rule(count=st.integers(1, 80), crash=st.booleans(), lose=st.booleans())
    def send(self, count: int, crash: bool, lose: bool) -> None:
        self.counter.lose = lose
        with suppress(*TOO_FEW):
            drawn = self.run(self.wallet.draw(KIND_ENTRY))
            scope, owned = drawn.stored.owned.scope, drawn.stored.owned
            assert scope.period == self.view.epoch
            snapshot = self.view.snapshot(Epoch(scope.period))
            current = Scope(scope.chain_id, scope.pool, CAMPAIGN, KIND_ENTRY, self.view.epoch)
            rules = PassRules(current, KEY.public, PRICE, snapshot.beacon, snapshot.count)
            position = drawn_position(owned.signature, snapshot.beacon, snapshot.count)
            shown = self.entries.present(owned.shown(), rules, position, 1 << 20)
            held = shown.furthest, shown.link
            ticks = Ticks(self.store, drawn.stored, *held)  # type: ignore[arg-type]
            for _ in range(count):
                self.spend(shown.pass_id, ticks.next(), arrives=not crash)
            if not crash:
                ticks.close()
        if crash:
            self.restart()
        self.counter.lose = False

    def spend(self, pass_id: bytes, tick: Tick, *, arrives: bool) -> None:
        """What is lost on the way was handed out all the same."""
        assert (pass_id, tick.number) not in self.handed
        self.handed.add((pass_id, tick.number))
        if arrives:
            self.entries.accept_tick(pass_id, tick)

    @rule(lose=st.booleans())
    def look(self, lose: bool) -> None:
        self.counter.lose = lose
        try:
            self.run(self.keeper.once())
        except TOO_FEW:
            self.restart()
        self.rounds.append((self.view.chain_time, lose))
        self.counter.lose = False

    @rule(data=st.data())
    def condemn(self, data: st.DataObject) -> None:
        passes = self.store.passes(KIND_ENTRY, self.view.epoch)  # type: ignore[union-attr]
        if passes:
            self.store.condemn(data.draw(st.sampled_from(passes)).row, "bad_tick")  # type: ignore[union-attr]

    @rule(minutes=st.integers(1, 30))
    def wait(self, minutes: int) -> None:
        end = self.view.schedule.end(self.view.epoch)
        self.view._chain_time = min(end - 1, self.view.chain_time + 60 * minutes)

    @precondition(lambda self: self.view.epoch < LAST)
    @rule()
    def next_epoch(self) -> None:
        epoch = Epoch(self.view.epoch + 1)
        self.view.feed([self.world.frozen(epoch)], epoch)
        self.entries.close(KIND_ENTRY, epoch - 1)

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def onePassOfQuotaForEachPass(self) -> None:
        asked = set(self.store.asked())  # type: ignore[union-attr]
        for place, signed in self.counter.signed.items():
            if place[1] >= self.view.epoch:
                fetched = self.store.held(*place).fetched  # type: ignore[union-attr]
                assert len(signed) - fetched in ({0, 1} if place in asked else {0})

    @invariant()
    def nextPassesComeAtTheirMoments_whateverWasSent(self) -> None:
        following = self.view.epoch + 1
        for kind in (KIND_ENTRY, KIND_MAILBOX):
            (moment,) = self.plan.moments(kind, following)
            times = sorted(self.counter.signed[kind, following].values())
            kept = [at for at, lost in self.rounds if at >= moment and not lost]
            assert all(at in {at for at, _ in self.rounds} and at >= moment for at in times)
            assert len(times) <= 1
            assert not kept or (times and times[0] <= kept[0])


WalletMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, derandomize=True
)
TestWallet = WalletMachine.TestCase
