"""Mailboxes made and emptied through the network: the relay that keeps one never learns for whom.

A FETCH confirms what is on our disk and asks for what comes after it; each of its blocks is paid for by a
tick of the mailbox's pass. The first one has a single block, which is answered by the terms if nothing is
there; while more is there, as many as fit are sent. What does not come is asked for again.
"""

from __future__ import annotations

from itertools import takewhile

from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.exchange import Exchange, Make
from mixpay.client.identity import Identity
from mixpay.client.store import ClientStore
from mixpay.client.visits import Visit, require_rising
from mixpay.client.wallet import CAMPAIGN_LIMIT, DrawnPass, Ticks
from mixpay.mailbox import STORAGE_TICKS, mailbox_id_of
from mixpay.network import NetworkView
from mixpay.passes import ForgedTick, PassExhausted, Tick
from mixpay.types import RelayId, Term
from mixpay.wire.client import MailboxTerms, Refused, ShownTick, shown_tick
from mixpay.wire.requests import BLOCKS_OF_ONE_PACKET, Create, Fetch, Message

MOST_REQUESTS = 1500
"""Requests to one mailbox in a round: more than bring a whole quota. What is left waits for the next one."""
MOST_SILENT = 3
"""Requests in a row without any answer, after which the relay counts as silent: each costs its ticks."""
MOST_UNPAID = 3
"""Times in one look that a relay does not take the tick behind the one that it says is the furthest."""


class Through:
    """Makes and empties one user's mailboxes through the network."""

    def __init__(
        self, view: NetworkView, store: ClientStore, identity: Identity
    ) -> None:
        self._view, self._store, self._identity = view, store, identity
        self._taken: dict[tuple[RelayId, Term], int] = {}
        """Up to which sequence messages are on our disk, of those that may lie in the mailbox still."""

    async def create(self, drawn: DrawnPass, ticks: Ticks, exchange: Exchange) -> None:
        """Make the mailbox of a mailbox pass, or find it made.

        Raises RelayUnavailable, RelayRefused, NoPath, PassExhausted, and what `Session.enter` raises.
        """
        owned, key, relay = drawn.stored.owned, drawn.stored.key, drawn.relay.id
        fetch_key = self._identity.fetch_key(self._view.mark, relay, Term(owned.scope.period))

        def make(blocks: tuple[bytes, ...]) -> Create:
            tick, shown = shown_tick(for_storage(ticks)), owned.shown().encode()
            return Create(key.modulus, key.proof, shown, fetch_key, tick, blocks[0])

        for _ in range(MOST_SILENT):
            (answer,) = await exchange.ask(relay, mailbox_id_of(fetch_key), make, 1)
            if isinstance(answer, Refused):
                raise RelayRefused(answer.reason)
            if isinstance(answer, MailboxTerms):
                return
        raise _silent(relay)

    async def empty(self, visit: Visit, exchange: Exchange) -> None:
        """Take what is in one mailbox, and confirm it: at once, or with the next look where that comes soon.

        Raises RelayUnavailable, RelayRefused, NoPath, and what `Session.enter` raises.
        """
        relay, mailbox_id = visit.relay.id, self.mailbox_id(visit)
        blocks, silent, unpaid = 1, 0, 0
        for _ in range(MOST_REQUESTS):
            answers = await exchange.ask(relay, mailbox_id, self.fetch(visit), blocks)
            got = list(takewhile(lambda answer: isinstance(answer, Message), answers))
            if got:
                more = self.take(visit, [message for message in got if isinstance(message, Message)])
                if visit.patient and not more:
                    return
                blocks, silent = BLOCKS_OF_ONE_PACKET if more else 1, 0
            elif answers[0] is None:
                silent += all(answer is None for answer in answers)
                if silent == MOST_SILENT:
                    raise _silent(relay)
            elif isinstance(answers[0], Refused):
                raise RelayRefused(answers[0].reason)
            elif not isinstance(answers[0], MailboxTerms) or self.is_settled(visit, answers[0]):
                return
            else:
                unpaid += 1
                if unpaid == MOST_UNPAID:
                    raise RelayRefused("unpaid")
        raise RelayUnavailable(f"relay {relay} has more than {MOST_REQUESTS} requests bring; try again")

    def is_settled(self, visit: Visit, terms: MailboxTerms) -> bool:
        """Whether the relay took our tick, or needs none; if not, the next one is behind its furthest.

        Raises RelayRefused if its campaign pays for no more, or it claims a tick that we never showed.
        """
        paying = self._store.pass_of_mailbox(visit.relay.id, visit.term)
        if visit.term < self._view.term or paying is None:
            return True
        ticks = Ticks(self._store, paying)
        if ticks.spent == terms.furthest:
            return True
        if not terms.room:
            raise RelayRefused(CAMPAIGN_LIMIT)
        try:
            ticks.follow(terms.furthest, terms.link)
        except ForgedTick as error:
            raise RelayRefused(str(error)) from None
        return False

    def mailbox_id(self, visit: Visit) -> bytes:
        """Of the mailbox that is visited."""
        return self._identity.address(self._view.mark, visit.relay.id, visit.term).mailbox_id

    def fetch(self, visit: Visit, *, waits: bool = False) -> Make:
        """What makes a FETCH, confirming what is on our disk. It raises RelayRefused if nothing can pay."""
        relay, term = visit.relay.id, visit.term
        seed = self._identity.fetch_seed(self._view.mark, relay, term)
        mailbox_id = self.mailbox_id(visit)

        def make(blocks: tuple[bytes, ...]) -> Fetch:
            after = self.known(visit)
            fetch = Fetch(after, waits, self._tick(visit, len(blocks)), blocks, bytes(64))
            return fetch.signed(seed, relay, mailbox_id)

        return make

    def _tick(self, visit: Visit, count: int) -> tuple[ShownTick, ...]:
        """What pays for so many replies; nothing where that is free. Raises RelayRefused."""
        paying = self._store.pass_of_mailbox(visit.relay.id, visit.term)
        if visit.term < self._view.term or paying is None:
            return ()
        try:
            return (shown_tick(Ticks(self._store, paying).further(count)),)
        except PassExhausted as error:
            raise RelayRefused("unpaid") from error

    def known(self, visit: Visit) -> int:
        """The sequence up to which messages are on our disk, of those that may lie in the mailbox still."""
        return self._taken.get((visit.relay.id, visit.term), 0)

    def take(self, visit: Visit, messages: list[Message]) -> bool:
        """Keep messages, and hand over those that they make complete. Whether there are more."""
        relay, term = visit.relay.id, visit.term
        bodies = [(message.sequence, message.body) for message in messages]
        require_rising(relay, self.known(visit), [sequence for sequence, _ in bodies])
        arrived = visit.inbox.take(relay, term, bodies, visit.now)
        visit.round.fetched += len(bodies)
        visit.round.arrived += len(arrived)
        self._taken[relay, term] = bodies[-1][0]
        visit.deliver(arrived)
        return messages[-1].more


def for_storage(ticks: Ticks) -> Tick:
    """What pays for a new mailbox. Also if it may be made already, and the answer was lost: no link is shown
    twice. Raises PassExhausted.
    """
    return ticks.further(max(STORAGE_TICKS - ticks.spent, 1))


def _silent(relay: RelayId) -> RelayUnavailable:
    return RelayUnavailable(f"relay {relay} answers no request; try again later")
