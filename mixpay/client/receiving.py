"""Mailboxes: making one, and emptying them, through the network (`through`) or directly.

To go directly shows a mailbox relay our network address. What was fetched is confirmed, so that the relay
drops it, by ticks of the mailbox's pass: one for a page of messages, whatever is in it (`mixpay/mailbox.py`).
Who looks again soon waits a while for a page to fill. When the relay takes no ticks, or there are none,
messages are fetched all the same, and lie there until they are too old, or the term is over, from when on
that is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from mixpay.address import Address
from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.exchange import Exchange
from mixpay.client.identity import Identity
from mixpay.client.inbox import Arrived, Inbox
from mixpay.client.relays import MailboxSocket
from mixpay.client.route import NoPath
from mixpay.client.store import ClientStore
from mixpay.client.through import Through, for_storage
from mixpay.client.visits import Round, Visit, require_rising
from mixpay.client.wallet import DrawnPass, Ticks, Wallet
from mixpay.mailbox import PAGE_MESSAGES, page_ticks
from mixpay.network import NetworkView
from mixpay.passes import KIND_MAILBOX, ForgedTick, PassExhausted, Tick
from mixpay.snapshot import RelayRecord
from mixpay.types import RelayId, Term
from mixpay.wire.client import MailboxMessages, MailboxTerms

GRACE_DIVISOR = 4
"""A mailbox lives for a quarter of a term longer than its term."""
PATIENCE_SECONDS = 600
"""How long fetched messages that fill no page wait for others at most, until they are confirmed."""
MAX_PAGES = 256
"""Pages taken from one mailbox in a round: twice the usual quota. What is left waits for the next round."""


@dataclass(slots=True)
class Unconfirmed:
    """Messages on our disk that still lie in a mailbox: how many, up to which sequence, since when."""

    count: int = 0
    upto: int = 0
    since: int = 0
    refused_at: int | None = None
    """When the relay, or the pass, did not let us confirm them."""

    def add(self, count: int, upto: int, now: int) -> None:
        """More were taken."""
        if not self.count:
            self.since = now
        self.count, self.upto = self.count + count, upto

    def is_to_confirm(self, now: int, *, patient: bool, more: bool) -> bool:
        """Whether it is time: a page is full, or nobody waits for it to fill."""
        if self.refused_at is not None and now < self.refused_at + PATIENCE_SECONDS:
            return False
        if self.count >= PAGE_MESSAGES:
            return True
        return bool(self.count) and not more and not (patient and now < self.since + PATIENCE_SECONDS)


class Mailboxes:
    """A user's mailboxes at relays. `tell` gets lines for the user."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        view: NetworkView,
        store: ClientStore,
        identity: Identity,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._http, self._view, self._store, self._identity = http, view, store, identity
        self._tell = tell
        self._through = Through(view, store, identity)
        self._due: dict[tuple[RelayId, Term], Unconfirmed] = {}

    def current(self) -> Address | None:
        """The address of this term's mailbox, if there is one at a relay that is still there."""
        for relay, term in self._store.mailboxes():
            if term == self._view.term and self._view.relay(relay) is not None:
                return self._identity.address(self._view.mark, relay, term)
        return None

    async def make(self, wallet: Wallet, exchange: Exchange | None = None) -> Address:
        """Make this term's mailbox at the relay that a mailbox pass draws; `exchange` as for `empty`.

        Raises NoPass, IssuerUnavailable, IssuerRefused, UserError.
        """
        while True:
            drawn = await wallet.draw(KIND_MAILBOX)
            try:
                ticks = wallet.ticks(drawn)
                if exchange is None:
                    await self._create(drawn, ticks)
                else:
                    await self._through.create(drawn, ticks, exchange)
            except RelayRefused as error:
                await wallet.refused(drawn, error.reason)
            except (RelayUnavailable, NoPath) as error:
                wallet.set_aside(drawn, str(error))
            except PassExhausted as error:
                wallet.condemn(drawn, str(error))
            else:
                term = Term(drawn.stored.owned.scope.period)
                self._store.put_mailbox(drawn.relay.id, term, drawn.stored.row)
                return self._identity.address(self._view.mark, drawn.relay.id, term)

    async def _create(self, drawn: DrawnPass, ticks: Ticks) -> None:
        owned = drawn.stored.owned
        fetch_key = self._identity.fetch_key(self._view.mark, drawn.relay.id, Term(owned.scope.period))
        async with MailboxSocket.open(self._http, drawn.relay) as socket:
            await socket.create(drawn.stored.key, owned.shown().encode(), fetch_key, for_storage(ticks))

    def known(self) -> list[tuple[RelayId, Term]]:
        """The mailboxes that live; forgets those whose time is over."""
        living = []
        for relay, term in self._store.mailboxes():
            if self._view.chain_time < self._expires(term):
                living.append((relay, term))
            else:
                self._store.drop_mailbox(relay, term)
        return living

    def _expires(self, term: Term) -> int:
        """Chain time (seconds) at which a term's mailboxes end."""
        schedule = self._view.schedule
        length = schedule.term_length * schedule.epoch_length
        return schedule.end(schedule.last_epoch(term)) + length // GRACE_DIVISOR

    async def empty(
        self,
        inbox: Inbox,
        now: int,
        deliver: Callable[[list[Arrived]], None],
        round_: Round,
        *,
        patient: bool = False,
        exchange: Exchange | None = None,
    ) -> None:
        """Fetch what is in all mailboxes, store it, delete it there, deliver what is complete.

        What went wrong with a mailbox stands in the round; the others are emptied all the same. `patient`:
        there is another look soon. `exchange`: asks through the network; without it relays are asked
        directly.
        """
        for relay, term in self.known():
            record = self._record(relay)
            try:
                if record is None:
                    raise RelayUnavailable(
                        f"relay {relay}, which keeps a mailbox of yours, has left the network"
                    )
                waits = patient and term >= self._view.term  # what is free is done at once
                visit = Visit(record, term, inbox, now, deliver, round_, patient=waits)
                await (self._empty_one(visit) if exchange is None else self._through.empty(visit, exchange))
            except (RelayUnavailable, RelayRefused, NoPath) as error:
                round_.troubles.append(f"the mailbox at relay {relay}: {error}")

    def _record(self, relay: RelayId) -> RelayRecord | None:
        """Where to find a relay; one that has left may still serve until the epoch ends."""
        return self._view.relay(relay) or self._view.snapshot(self._view.epoch).by_id(relay)

    async def _empty_one(self, visit: Visit) -> None:
        mark, relay, term = self._view.mark, visit.relay, visit.term
        seed = self._identity.fetch_seed(mark, relay.id, term)
        mailbox_id = self._identity.address(mark, relay.id, term).mailbox_id
        due = self._due.setdefault((relay.id, term), Unconfirmed())
        async with MailboxSocket.open(self._http, relay) as socket:
            # What lies there unconfirmed from an earlier run is fetched once more, and counted.
            after = due.upto if due.count else 0
            for _ in range(MAX_PAGES):
                page = await socket.fetch(mailbox_id, after, seed)
                arrived = self._take(visit, after, page) if page.messages else []
                if page.messages:
                    after = page.messages[-1].sequence
                    due.add(len(page.messages), after, visit.now)
                if due.is_to_confirm(visit.now, patient=visit.patient, more=page.more):
                    await self._confirm(visit, due, socket, page.terms)
                visit.deliver(arrived)
                if not page.more or not page.messages:
                    return
        raise RelayUnavailable(f"relay {relay.id} has more than {MAX_PAGES} pages; the rest waits there")

    @staticmethod
    def _take(visit: Visit, after: int, page: MailboxMessages) -> list[Arrived]:
        """Keep a page; the messages that it makes complete."""
        bodies = [(message.sequence, message.body) for message in page.messages]
        require_rising(visit.relay.id, after, [sequence for sequence, _ in bodies])
        arrived = visit.inbox.take(visit.relay.id, visit.term, bodies, visit.now)
        visit.round.fetched += len(bodies)
        visit.round.arrived += len(arrived)
        return arrived

    async def _confirm(
        self, visit: Visit, due: Unconfirmed, socket: MailboxSocket, terms: MailboxTerms
    ) -> None:
        """Have the relay drop what was taken, if that can be paid for."""
        try:
            # What was taken long ago may be gone by age: more than a mailbox holds is not there.
            there = min(due.count, max(1, terms.quota_messages))
            tick = self._toll(visit, page_ticks(there), terms)
            await socket.delete(due.upto, tick)
        except (PassExhausted, RelayRefused, ForgedTick) as error:
            due.refused_at = visit.now
            visit.round.troubles.append(
                f"the mailbox at relay {visit.relay.id}: {due.count} messages that you have are not deleted "
                f"there ({error}); they go when they are too old"
            )
        else:
            due.count = 0

    def _toll(self, visit: Visit, count: int, terms: MailboxTerms) -> Tick | None:
        """What pays for `count` pages; None where that is free. Raises PassExhausted, RelayRefused,
        ForgedTick.
        """
        paying = self._store.pass_of_mailbox(visit.relay.id, visit.term)
        if visit.term < self._view.term or paying is None:
            return None
        ticks = Ticks(self._store, paying)
        ticks.follow(terms.furthest, terms.link)
        if terms.room < count:
            raise RelayRefused("campaign_limit")
        return ticks.further(count)
