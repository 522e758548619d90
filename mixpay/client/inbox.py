"""From fetched bodies to messages, through the disk: a body may leave the mailbox once it is in the store.

Rules
  * `take` opens the bodies and stores those that help; only then may they be deleted from the mailbox.
  * A message stays in the store until `saved` says that it is safe elsewhere; a crash in between delivers
    it twice, never not at all.
  * What does not open, contradicts, or is a copy is dropped and counted.
  * What was taken once is not taken again, though it lies in the mailbox still after a crash: so nothing is
    acknowledged twice for it. What is owed for a body is on disk with it (`mixpay.delivery.owed`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mixpay.address import Address
from mixpay.client.identity import Identity
from mixpay.client.records import Records
from mixpay.client.store import ClientStore, StoredBody
from mixpay.delivery import owed
from mixpay.delivery.owed import Debt, Have
from mixpay.envelope import EnvelopeError, Fragment, Message, open_fragment, reply_of
from mixpay.reassembly import Completed, Dropped, Reassembler, ReassemblyLimits
from mixpay.types import RelayId, Term

REMEMBERED_SECONDS = 15 * 86400
"""How long a saved message is remembered: copies of its fragments may lie in a mailbox for a week."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that is complete."""

    message_id: bytes
    message: Message

    @property
    def text(self) -> str:
        """The content, read as UTF-8. A stranger wrote it: `mixpay.envelope.safe_text` is for terminals."""
        return self.message.content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A message some of whose fragments are there."""

    message_id: bytes
    have: int
    total: int


class Inbox:
    """Messages on their way in, to mailboxes at the relays of one registry, which `mark` names (4 bytes).

    `now`: seconds, of any clock that does not jump. Call `restore` first.
    """

    def __init__(
        self, store: ClientStore, identity: Identity, mark: bytes, limits: ReassemblyLimits | None = None
    ) -> None:
        self._store, self._identity, self._mark = store, identity, mark
        self._reassembler = Reassembler(limits)
        self._records = Records(identity)
        self._forgotten: set[bytes] = set()
        self._taken: dict[tuple[RelayId, Term], int] = {}
        """How far the mailboxes were taken, as far as this one knows."""
        self._addresses: dict[tuple[RelayId, Term], Address] = {}
        self.dropped: Counter[str] = Counter()
        """Bodies of no use, by reason."""

    def restore(self, now: int) -> list[Arrived]:
        """Take up what earlier runs stored; messages that were complete but not saved."""
        arrived = []
        self._taken = self._store.all_taken()
        for stored in list(self._store.bodies()):
            fragment = self._open(stored.relay, stored.term, stored.body)
            if fragment is not None and not self._has(fragment):
                arrived += self._accept(fragment, stored.at)[2]
        for message_id in self._reassembler.expire(now):
            self._store.drop_message(message_id)
        self._store.forget_finished(now - REMEMBERED_SECONDS)
        return arrived

    def catch_up(self, now: int) -> list[Arrived]:
        """Take up what another command of this user fetched since we last looked."""
        return self.restore(now) if self._store.all_taken() != self._taken else []

    def _has(self, fragment: Fragment) -> bool:
        there = self._reassembler.there(fragment.message_id)
        return there is not None and fragment.index in there[0]

    def take(
        self, relay: RelayId, term: Term, bodies: Sequence[tuple[int, bytes]], now: int
    ) -> list[Arrived]:
        """Take fetched bodies (sequence, 2,048 bytes) in; the messages they complete.

        When it returns, what is of use is on disk.
        """
        arrived: list[Arrived] = []
        kept: list[StoredBody] = []
        debts: dict[bytes, Debt] = {}
        before = self._store.taken(relay, term)
        for sequence, body in bodies:
            fragment = self._open(relay, term, body) if sequence > before else None
            if fragment is None:
                continue
            useful, helps, complete = self._judge(fragment, now)
            if useful:
                kept.append(StoredBody(relay, term, sequence, fragment.message_id, now, body))
            if helps:
                self._owe(debts, fragment, now)
            arrived += complete
        upto = max([before, *(sequence for sequence, _ in bodies)])
        rows = [row for row in kept if row.message_id not in self._forgotten]
        sealed = [self._records.seal_debt(d) for d in debts.values() if d.message_id not in self._forgotten]
        self._store.take(relay, term, upto, rows, sealed)
        if self._taken.get((relay, term), 0) == before:  # else somebody took something in between
            self._taken[relay, term] = upto
        self._forgotten.clear()
        return arrived

    def _judge(self, fragment: Fragment, now: int) -> tuple[bool, bool, list[Arrived]]:
        """Whether a fragment is worth keeping; whether its sender may hear of it; what it completes."""
        if self._store.is_finished(fragment.message_id):
            self.dropped["finished"] += 1
            return False, True, []
        return self._accept(fragment, now)

    def _owe(self, debts: dict[bytes, Debt], fragment: Fragment, now: int) -> None:
        message_id = fragment.message_id
        old = debts.get(message_id) or self._records.open_debt(self._store.debt(message_id))
        debt = owed.came(old, message_id, reply_of(fragment), now)
        if debt is not None:
            debts[message_id] = debt

    def debts(self) -> list[Debt]:
        """The messages that are to be acknowledged."""
        return [debt for debt in map(self._records.open_debt, self._store.debts()) if debt is not None]

    def have(self, message_id: bytes) -> Have | None:
        """What to say of a message; None if there is nothing to say yet, or any more."""
        if self._store.is_finished(message_id):
            return Have(None)
        there = self._reassembler.there(message_id)
        return None if there is None else Have(*there)

    def saved(self, message_id: bytes, now: int) -> None:
        """The message is safe elsewhere."""
        self._store.finish_message(message_id, now)

    def incomplete(self) -> list[Incomplete]:
        """Messages that wait for fragments."""
        pending = (Incomplete(*entry) for entry in self._reassembler.pending())
        return [entry for entry in pending if not self._store.is_finished(entry.message_id)]

    def _open(self, relay: RelayId, term: Term, body: bytes) -> Fragment | None:
        if (relay, term) not in self._addresses:
            self._addresses[relay, term] = self._identity.address(self._mark, relay, term)
        try:
            return open_fragment(self._identity.secret, self._addresses[relay, term], body)
        except EnvelopeError as error:
            self.dropped[error.reason] += 1
            return None

    def _accept(self, fragment: Fragment, now: int) -> tuple[bool, bool, list[Arrived]]:
        outcome = self._reassembler.accept(fragment, now)
        if isinstance(outcome, Completed):
            return True, True, [Arrived(outcome.message_id, outcome.message)]
        if isinstance(outcome, Dropped):
            self.dropped[outcome.reason] += 1
            if outcome.reason in ("preamble", "digest"):
                # All of it is there, and it is no message: nothing that comes can mend it.
                self._forgotten.add(outcome.message_id)
                self._store.drop_message(outcome.message_id)
                self._store.finish_message(outcome.message_id, now)
            return False, outcome.reason in ("duplicate", "finished"), []
        for message_id in outcome.evicted:
            self._forgotten.add(message_id)
            self._store.drop_message(message_id)
        return True, True, []
