"""What the owners of mailboxes pay, and whether they have. Whatever serves a mailbox for ticks asks here.

Rules (docs/design.md §8)
  * The pass that made a mailbox pays for it, and only while its term lasts: after that what is left is free,
    for its storage is paid, and the pass may be redeemed.
  * Nobody is held to pay whose ticks this relay cannot take any more: mailboxes of an earlier release, and of
    a campaign that it serves no longer.
  * A tick is on disk before what it pays for is done.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from mixpay.errors import ChainError
from mixpay.mailbox import STORAGE_TICKS, Mailboxes, page_ticks
from mixpay.passes import EntryPassBook, PassError, Scope, Tick
from mixpay.wire import client
from relay.clients.exposure import pass_limit, renew_limits
from relay.state import State
from relay.store import StoreOp, tick_op

FREE_REPLIES = STORAGE_TICKS
"""Replies that are free once a mailbox's term is over, and that tell its owner why a tick is not taken: one
costs four hop prices, a tick is worth five."""


def tick_of(shown: client.ShownTick) -> Tick:
    """Raises PassError `tick_out_of_range`."""
    return Tick(shown.chain, shown.k, shown.link)


@dataclass(frozen=True, slots=True)
class Standing:
    """Of the pass that pays for a mailbox: its furthest tick, and how many more of its campaign are taken."""

    furthest: int
    link: bytes
    room: int


class MailboxTolls:
    """Takes ticks of mailbox passes."""

    def __init__(self, state: State, passes: EntryPassBook, mailboxes: Mailboxes) -> None:
        self._state, self._passes, self._mailboxes = state, passes, mailboxes
        self._free: Counter[bytes] = Counter()
        """Replies that were sent for nothing since the relay's start, by mailbox."""

    def storage(self, pass_id: bytes, tick: Tick) -> StoreOp:
        """Take what a pass that was just shown pays for a new mailbox.

        Raises PassError `unpaid`, or what else `EntryPassBook.accept_tick` raises.
        """
        return self._take(pass_id, tick, STORAGE_TICKS)

    def pages(self, mailbox: bytes, messages: int, tick: Tick | None) -> list[StoreOp]:
        """Take what sending, or confirming, so many messages of a mailbox costs.

        Raises PassError `unpaid`, or what else `EntryPassBook.accept_tick` raises; nothing is changed then.
        """
        scope = self._paying(mailbox)
        if scope is None or messages <= 0:
            return []
        if tick is None:
            raise PassError("unpaid", f"{messages} messages cost {page_ticks(messages)} ticks")
        self._renew(scope)
        payer = self._mailboxes.payer(mailbox)
        return [self._take(payer, tick, page_ticks(messages))]

    def replies(
        self, mailbox: bytes, count: int, confirmed: int, shown: tuple[client.ShownTick, ...]
    ) -> list[StoreOp]:
        """Take what so many replies to a mailbox's owner cost: a tick for each, or what is left of
        `FREE_REPLIES`; where it is more, what it costs to confirm so many messages.

        Raises PassError `unpaid`, or what else `EntryPassBook.accept_tick` raises; nothing is changed then.
        """
        scope = self._paying(mailbox)
        if scope is None:
            self.give(mailbox, count)
            return []
        if not shown:
            raise PassError("unpaid", f"{count} replies cost {count} ticks")
        self._renew(scope)
        least = max(count, page_ticks(confirmed))
        return [self._take(self._mailboxes.payer(mailbox), tick_of(shown[0]), least)]

    def give(self, mailbox: bytes, count: int) -> None:
        """Count replies that are paid for by nothing but storage. Raises PassError `unpaid`."""
        free = self._free[mailbox] + count
        if free > FREE_REPLIES:
            raise PassError("unpaid", "what storage cost pays for no more replies: fetch directly")
        self._free[mailbox] = free

    def _take(self, pass_id: bytes, tick: Tick, least: int) -> StoreOp:
        taken = self._passes.accept_tick(pass_id, tick, least)
        renew_limits(self._state, self._passes)  # of entry passes, whose connections stay open
        return tick_op(taken)

    def standing(self, mailbox: bytes) -> Standing:
        """What its owner has to know to pay."""
        scope = self._paying(mailbox)
        found = self._passes.standing(self._mailboxes.payer(mailbox))
        if scope is None or found is None:
            return Standing(0, b"", 0)
        self._renew(scope)
        return Standing(found[1], found[2], self._passes.room(scope))

    def _paying(self, mailbox: bytes) -> Scope | None:
        """The scope of the pass that has to pay for a mailbox now; None if nothing has to."""
        found = self._passes.standing(self._mailboxes.payer(mailbox))
        if found is None:
            return None
        scope = found[0]
        is_over = scope.period < self._state.view.term
        is_served = scope.campaign in self._state.campaigns or scope.campaign in self._state.served
        return scope if is_served and not is_over else None

    def _renew(self, scope: Scope) -> None:
        # Not before the chain was asked, nor while the epoch's relays are unknown: what held before holds on.
        if scope.campaign in self._state.campaigns:
            with suppress(ChainError):
                self._passes.limit(scope, pass_limit(self._state, self._passes, scope))
