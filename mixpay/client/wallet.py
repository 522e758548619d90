"""A user's passes: those in the folder first, then new ones from the sponsor's issuer.

Rules
  * The issuer's key must be the one that the pool on chain holds for campaign, kind and period, so that no
    user can be given a key of its own, and be recognised by it; and it must be proven to be a permutation,
    so that what the issuer is shown is as good as random. The campaign is pinned for the same reason: a
    sponsor with a campaign for each user would know them all.
  * A request is on disk before it is sent: its answer is worth a pass, and counts against a quota.
  * One command fetches at a time (`turn`), and first looks whether another has fetched meanwhile.
  * What is fetched ahead of need, and when, is `mixpay.client.prefetch`'s to say: here it is only done.
  * A pass whose relay does not answer is set aside for this run only; one that misbehaves is condemned. A run
    is over with the period, or when nothing else was left to try: a program may go on for weeks.
  * A relay that takes no more for the campaign is no reason to give its pass up: the sponsor may add money.
    When some relays say so, the others will: no further pass is fetched, for each counts against a quota.
  * A tick is on disk as spent before it is sent (`Ticks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from mixpay.amounts import moment
from mixpay.client.errors import BudgetSpent, ClientError, IssuerRefused, IssuerUnavailable, NoKey
from mixpay.client.issuer import Issuer
from mixpay.client.store import ClientStore, StoredPass
from mixpay.crypto.blind_rsa import BlindRsaError
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.errors import ChainError, UserError
from mixpay.network import NetworkView
from mixpay.passes import (
    KIND_ENTRY,
    KIND_MAILBOX,
    OwnedPass,
    PassExhausted,
    PassRequest,
    PassSpender,
    Scope,
    Tick,
    drawn_position,
)
from mixpay.snapshot import RelayRecord
from mixpay.sponsor.api import CampaignAnswer, PeriodKey
from mixpay.types import Epoch, Random, RelayId, Term

MOST_UNANSWERED = 512
"""Ticks behind the last that a mailbox's relay holds: half of what it may refuse as a gap."""
RESERVED_TICKS = 32
"""Ticks counted as spent at once: after a crash so many are lost at most, and one write serves so many
packets.
"""

MOST_NEW_PASSES = 5
"""Passes asked for in one run when relay after relay does not answer."""

_PATIENCE = 4
"""How often a relay that seems to be in another epoch is asked again, in one run."""

MOST_FULL = 3
"""Relays that take no more for the campaign, after which its budget counts as used up."""

CAMPAIGN_LIMIT = "campaign_limit"
"""Why a relay refuses a pass, or its ticks, when the campaign's budget guarantees it no more."""

LAG_SECONDS = 0.5
"""Before a relay or an issuer is asked again that seems to be in another epoch."""

_LAGS = 20
"""How often an issuer is asked that has not seen our epoch yet."""

_LAGGING = frozenset(("wrong_period", "not_ready"))

_FULL = "full"
"""A refusal that says nothing against the pass: the relay may take it another time."""

_HOPELESS = frozenset(("wrong_period", "no_key", "malformed"))
"""Refusals after which the same request would be refused again."""


@dataclass(frozen=True, slots=True)
class DrawnPass:
    """A pass and the relay it draws: the only one that takes it."""

    stored: StoredPass
    relay: RelayRecord


@dataclass(slots=True)
class _Run:
    """What came of the passes of one kind and period so far. `full`: whose relays take no more for the
    campaign, by their rows.
    """

    asked: int = 0
    patience: int = _PATIENCE
    set_aside: set[int] = field(default_factory=set)
    full: dict[int, DrawnPass] = field(default_factory=dict)

    @property
    def full_relays(self) -> set[RelayId]:
        return {drawn.relay.id for drawn in self.full.values()}

    def leaves_out(self, drawn: DrawnPass) -> bool:
        """Whether there is no sense in trying a pass."""
        return drawn.stored.row in self.set_aside or drawn.relay.id in self.full_relays


class NoPass(ClientError):
    """Pass after pass drew a relay that does not answer."""


class Wallet:
    """The passes of one command's run.

    `tell` gets a line for the user when another pass is fetched; `turn` keeps other commands from fetching.
    """

    def __init__(
        self,
        store: ClientStore,
        issuer: Issuer,
        view: NetworkView,
        random: Random,
        *,
        campaign: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._store, self._issuer, self._view, self._random = store, issuer, view, random
        self._campaign, self._tell = campaign, tell
        self.turn = turn
        """Held by the caller of `fetch`."""
        self._runs: dict[tuple[int, int], _Run] = {}

    async def draw(self, kind: int) -> DrawnPass:
        """A pass for the current period whose relay has not failed in this run.

        Raises IssuerUnavailable, IssuerRefused, NoPass, BudgetSpent; UserError if issuer and deployment do
        not belong together.
        """
        self.forget_past()
        period = self._period(kind)
        run = self._runs.setdefault((kind, period), _Run())
        try:
            return await self._draw(kind, period, run)
        except (ClientError, UserError):
            # Whoever draws again asks the same relays again.
            run.set_aside.clear()
            run.patience = _PATIENCE
            raise

    async def _draw(self, kind: int, period: int, run: _Run) -> DrawnPass:
        while (drawn := self._usable(kind, period, run)) is None and run.asked < MOST_NEW_PASSES:
            async with self.turn():
                # Another command may have fetched one while this one waited for its turn.
                if (drawn := self._usable(kind, period, run)) is not None:
                    return drawn
                run.asked += 1
                try:
                    await self.fetch(kind, period)
                except IssuerRefused:
                    if run.full:  # the reason why another one was asked for
                        raise self._budget_spent(run) from None
                    raise
        if drawn is not None:
            return drawn
        if run.full:
            raise self._budget_spent(run)
        raise NoPass(
            f"{run.asked} passes were fetched, and none of the relays they draw is of use; try again later"
        )

    def forget_past(self) -> None:
        """Delete what is left of periods that are over."""
        for kind in (KIND_ENTRY, KIND_MAILBOX):
            self._store.forget_before(kind, self._period(kind))
        self._runs = {which: run for which, run in self._runs.items() if which[1] >= self._period(which[0])}

    def _usable(self, kind: int, period: int, run: _Run) -> DrawnPass | None:
        for stored in self._store.passes(kind, period):
            drawn = self._drawn(stored)
            if drawn is not None and not run.leaves_out(drawn):
                return drawn
        return None

    def _run_of(self, drawn: DrawnPass) -> _Run:
        scope = drawn.stored.owned.scope
        return self._runs.setdefault((scope.kind, scope.period), _Run())

    def set_aside(self, drawn: DrawnPass, why: str) -> None:
        """Do not use this pass in this run any more; `why` is for people."""
        self._run_of(drawn).set_aside.add(drawn.stored.row)
        self._tell(f"{why}; taking another pass")

    def condemn(self, drawn: DrawnPass, reason: str) -> None:
        """Never use this pass again."""
        self._store.condemn(drawn.stored.row, reason)
        self.set_aside(drawn, f"relay {drawn.relay.id} is given up: {reason}")

    def full(self, drawn: DrawnPass) -> None:
        """The relay takes no more for the campaign in this period. Raises BudgetSpent when enough say so."""
        run = self._run_of(drawn)
        run.full[drawn.stored.row] = drawn
        if len(run.full_relays) >= MOST_FULL:
            raise self._budget_spent(run)
        self._tell(f"relay {drawn.relay.id} takes no more for the sponsor's campaign; taking another pass")

    def _budget_spent(self, run: _Run) -> BudgetSpent:
        """The error; whoever draws again asks the same relays again."""
        campaign = next(iter(run.full.values())).stored.owned.scope.campaign
        relays = sorted(run.full_relays)
        run.full.clear()
        said = f"relay {relays[0]} says" if len(relays) == 1 else f"relays {', '.join(map(str, relays))} say"
        return BudgetSpent(
            f"the sponsor's campaign {campaign} pays for no more packets in this period: its budget is used "
            f"up, as {said}. You have lost nothing, and your passes stay good for the period: send again "
            "what was not sent when the sponsor has added money (ask it), or in the next period, from "
            f"{moment(self._view.schedule.end(self._view.epoch))} on"
        )

    async def refused(self, drawn: DrawnPass, reason: str) -> None:
        """The relay refused the pass. Returns when it makes sense to draw again; raises BudgetSpent."""
        if reason == CAMPAIGN_LIMIT:
            self.full(drawn)
        elif reason == _FULL:
            self.set_aside(drawn, f"relay {drawn.relay.id} has no room for another mailbox ({reason})")
        elif reason not in _LAGGING:
            self.condemn(drawn, reason)
        elif (run := self._run_of(drawn)).patience:
            # About an epoch's beginning, one of us has not seen its first block yet.
            run.patience -= 1
            await asyncio.sleep(LAG_SECONDS)
            await self.look_again()
        else:
            self.set_aside(drawn, f"relay {drawn.relay.id} is in another epoch ({reason})")

    async def look_again(self) -> None:
        """Read what is new on the chain; without it, what is known still holds until the epoch ends."""
        try:
            await asyncio.to_thread(self._view.refresh)
        except ChainError as error:
            self._tell(f"{error}; going on with what is known")

    def ticks(self, drawn: DrawnPass, furthest: int = 0, link: bytes = b"") -> Ticks:
        """Spend this pass, from behind tick `furthest`, the last one its entry holds, as `link` shows.

        Raises ForgedTick.
        """
        return Ticks(self._store, drawn.stored, furthest, link)

    def _period(self, kind: int) -> int:
        return self._view.epoch if kind == KIND_ENTRY else self._view.term

    def _drawn(self, stored: StoredPass) -> DrawnPass | None:
        record = drawn_relay(stored.owned, self._view)
        # It must live still, in a later epoch of the term; and where it is found may have changed since.
        if record is None or self._view.snapshot(self._view.epoch).by_id(record.id) is None:
            self._store.condemn(stored.row, "no_relay")
            self._tell("a pass drew a place in the registry where no relay is; another pass is taken")
            return None
        if record.id in self._view.condemned:
            self._store.condemn(stored.row, "condemned_relay")
            self._tell(f"a pass drew relay {record.id}, which was condemned; another pass is taken")
            return None
        return DrawnPass(stored, self._view.relay(record.id) or record)

    async def fetch(self, kind: int, period: int) -> None:
        """One more pass of a period that the issuer signs for. The caller holds `turn`.

        Raises IssuerUnavailable (NoKey: none for this period), IssuerRefused; UserError if issuer and
        deployment do not belong together.
        """
        request = self._store.request(kind, period)
        if request is None:
            request = await self._prepare(kind, period)
        try:
            answer = await self._issuer.sign(kind, period, request.blinded)
            owned = request.finish(answer.signature)
        except IssuerRefused as error:
            if error.label in _HOPELESS:
                self._store.drop_request(kind, period)
            raise
        except BlindRsaError:
            self._store.drop_request(kind, period)
            raise IssuerUnavailable("the sponsor's signature on the new pass is wrong") from None
        self._store.put_pass(owned)

    async def _prepare(self, kind: int, period: int) -> PassRequest:
        described, offered = await self._offered(kind, period)
        registered = self._view.pool_key(described.campaign, kind, period)
        try:
            proven = ProvenKey(offered.modulus, offered.proof)
            key = proven.checked()
            if registered is None or key.key_hash() != registered.key_hash:
                raise IssuerUnavailable(
                    "the sponsor offers another key than the chain holds for it, and could recognise you "
                    "by it: no pass was taken"
                )
            scope = Scope(described.chain_id, described.pool, described.campaign, kind, period)
            request = PassRequest.new(scope, key, self._random)
        except BlindRsaError as error:
            raise IssuerUnavailable(f"the sponsor's key cannot be used: {error}") from None
        self._store.put_key(kind, period, proven)
        self._store.put_request(request)
        return request

    async def _offered(self, kind: int, period: int) -> tuple[CampaignAnswer, PeriodKey]:
        """The campaign, and its key of a period; an issuer that is an epoch behind us is waited for."""
        for patience in reversed(range(_LAGS)):
            described = await self._issuer.campaign()
            self._check_campaign(described)
            for key in described.keys:
                if (key.kind, key.period) == (kind, period):
                    return described, key
            if described.epoch >= self._view.epoch or not patience:
                break
            await asyncio.sleep(LAG_SECONDS)
        raise NoKey(f"the sponsor offers no key of kind {kind} for period {period}; try again later")

    def _check_campaign(self, described: CampaignAnswer) -> None:
        deployment = self._view.deployment
        if (described.chain_id, described.pool) != (deployment.chain_id, deployment.pool):
            raise UserError(
                "the sponsor works on another deployment than yours: check both in the configuration"
            )
        wanted = self._campaign
        if wanted is None:
            wanted = int(self._store.settle_fact("campaign", str(described.campaign)))
        if described.campaign != wanted:
            raise UserError(
                f"the sponsor's campaign is number {described.campaign}, not {wanted} as before: "
                "if that is right, set `campaign` in the configuration"
            )


def drawn_relay(owned: OwnedPass, view: NetworkView) -> RelayRecord | None:
    """The relay that a pass draws, as it was when its period began; None if the place was empty.

    Raises NotFrozen if the period's relays are not fixed yet.
    """
    period = owned.scope.period
    first = Epoch(period) if owned.scope.kind == KIND_ENTRY else view.schedule.first_epoch(Term(period))
    start = view.snapshot(first)
    return start.at(drawn_position(owned.signature, start.beacon, start.count))


class Ticks:
    """The ticks of one pass, in order, each once, whatever happens to this program."""

    def __init__(
        self, store: ClientStore, stored: StoredPass, furthest: int = 0, link: bytes = b""
    ) -> None:
        """`furthest`, `link`: the furthest tick that the relay holds. Raises ForgedTick."""
        self._store, self._row = store, stored.row
        self._spender = PassSpender(stored.owned, stored.counter)
        if furthest > self._spender.spent:
            self._take_over(furthest, link)

    def follow(self, furthest: int, link: bytes) -> None:
        """Go on behind the furthest tick that a mailbox's relay holds, if that is beyond our last one, or so
        far before it that it may refuse what comes next as a gap: what lies between was lost on its way, and
        no other relay is ever shown this pass. Raises ForgedTick.
        """
        if not furthest <= self._spender.spent <= furthest + MOST_UNANSWERED:
            self._take_over(furthest, link)

    def _take_over(self, furthest: int, link: bytes) -> None:
        self._store.set_counter(self._row, self._spender.take_over(furthest, link))

    def next(self) -> Tick:
        """The next tick. Raises PassExhausted."""
        if not self._spender.ready:
            self._store.set_counter(self._row, self._spender.reserve(RESERVED_TICKS))
        return self._spender.next_tick()

    def further(self, count: int) -> Tick:
        """The tick `count` behind the last one: it pays for all of them. Raises PassExhausted.

        Nothing more is reserved: what is paid so is asked for one by one.
        """
        if self._spender.left < count:
            raise PassExhausted(f"{self._spender.left} ticks of this pass are left, and {count} are needed")
        self._store.set_counter(self._row, self._spender.reserve(count))
        return self._spender.jump(count)

    @property
    def spent(self) -> int:
        """Number of the last tick handed out."""
        return self._spender.spent

    def close(self) -> None:
        """Give back what was reserved and not handed out."""
        self._store.set_counter(self._row, self._spender.spent)
