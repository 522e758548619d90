"""Mailboxes: making one, and emptying them directly, which shows a mailbox relay our network address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp

from mixpay.address import Address
from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.identity import Identity
from mixpay.client.inbox import Arrived, Inbox
from mixpay.client.relays import MailboxSocket
from mixpay.client.store import ClientStore
from mixpay.client.wallet import DrawnPass, Wallet
from mixpay.network import NetworkView
from mixpay.passes import KIND_MAILBOX
from mixpay.snapshot import RelayRecord
from mixpay.types import RelayId, Term

GRACE_DIVISOR = 4
"""A mailbox lives for a quarter of a term longer than its term."""
MAX_PAGES = 256
"""Pages taken from one mailbox in a round: twice the usual quota. What is left waits for the next round."""
_SEQUENCES = 1 << 63
"""Beyond what a store can count, and any honest relay."""


@dataclass(slots=True)
class Round:
    """What one look into all mailboxes brought.

    `troubles`: mailboxes that could not be looked into, and why.
    """

    arrived: int = 0
    fetched: int = 0
    troubles: list[str] = field(default_factory=list)


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

    def current(self) -> Address | None:
        """The address of this term's mailbox, if there is one at a relay that is still there."""
        for relay, term in self._store.mailboxes():
            if term == self._view.term and self._view.relay(relay) is not None:
                return self._identity.address(self._view.mark, relay, term)
        return None

    async def make(self, wallet: Wallet) -> Address:
        """Make this term's mailbox at the relay that a mailbox pass draws.

        Raises NoPass, IssuerUnavailable, IssuerRefused, UserError.
        """
        while True:
            drawn = await wallet.draw(KIND_MAILBOX)
            try:
                await self._create(drawn)
            except RelayRefused as error:
                await wallet.refused(drawn, error.reason)
            except RelayUnavailable as error:
                wallet.set_aside(drawn, str(error))
            else:
                term = Term(drawn.stored.owned.scope.period)
                self._store.put_mailbox(drawn.relay.id, term)
                return self._identity.address(self._view.mark, drawn.relay.id, term)

    async def _create(self, drawn: DrawnPass) -> None:
        owned = drawn.stored.owned
        fetch_key = self._identity.fetch_key(self._view.mark, drawn.relay.id, Term(owned.scope.period))
        async with MailboxSocket.open(self._http, drawn.relay) as socket:
            await socket.create(drawn.stored.key, owned.shown().encode(), fetch_key)

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
        self, inbox: Inbox, now: int, deliver: Callable[[list[Arrived]], None], round_: Round
    ) -> None:
        """Fetch what is in all mailboxes, store it, delete it there, deliver what is complete.

        What went wrong with a mailbox stands in the round; the others are emptied all the same.
        """
        for relay, term in self.known():
            record = self._record(relay)
            try:
                if record is None:
                    raise RelayUnavailable(
                        f"relay {relay}, which keeps a mailbox of yours, has left the network"
                    )
                await self._empty_one(record, term, inbox, now, deliver, round_)
            except (RelayUnavailable, RelayRefused) as error:
                round_.troubles.append(f"the mailbox at relay {relay}: {error}")

    def _record(self, relay: RelayId) -> RelayRecord | None:
        """Where to find a relay; one that has left may still serve until the epoch ends."""
        return self._view.relay(relay) or self._view.snapshot(self._view.epoch).by_id(relay)

    async def _empty_one(
        self,
        relay: RelayRecord,
        term: Term,
        inbox: Inbox,
        now: int,
        deliver: Callable[[list[Arrived]], None],
        round_: Round,
    ) -> None:
        mark = self._view.mark
        seed = self._identity.fetch_seed(mark, relay.id, term)
        mailbox_id = self._identity.address(mark, relay.id, term).mailbox_id
        async with MailboxSocket.open(self._http, relay) as socket:
            after = 0
            for _ in range(MAX_PAGES):
                page = await socket.fetch(mailbox_id, after, seed)
                if not page.messages:
                    return
                bodies = [(message.sequence, message.body) for message in page.messages]
                _require_rising(relay.id, after, [sequence for sequence, _ in bodies])
                arrived = inbox.take(relay.id, term, bodies, now)
                after = bodies[-1][0]
                await socket.delete(after)
                round_.fetched += len(bodies)
                round_.arrived += len(arrived)
                deliver(arrived)
                if not page.more:
                    return
        raise RelayUnavailable(f"relay {relay.id} has more than {MAX_PAGES} pages; the rest waits there")


def _require_rising(relay: RelayId, after: int, sequences: list[int]) -> None:
    """Raise RelayUnavailable unless each sequence is above the one before, and the first above `after`.

    Otherwise a relay could send the same messages for ever, or a number that no store can keep.
    """
    for before, sequence in pairwise([after, *sequences]):
        if not before < sequence < _SEQUENCES:
            raise RelayUnavailable(
                f"relay {relay} does not speak our protocol: it sent message {sequence} behind {before}"
            )
