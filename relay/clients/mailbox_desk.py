"""What a relay does for owners of mailboxes who come themselves (`mixpay/mailbox.py` has the rules).

A mailbox pass makes one mailbox, by the tick that pays for its storage. Shown again, it finds that mailbox as
it is and makes no other, or a single pass could fill the relay. A relay that is full takes no tick: the pass
is good for another try.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.errors import ChainError, PeerError
from mixpay.mailbox import Announcement, Created, Deleted, Mailboxes, Span, mailbox_id_of
from mixpay.passes import KIND_MAILBOX, EntryPassBook, PassError, PassRecord
from mixpay.wire import client
from relay.clients.exposure import pass_limit
from relay.clients.mailbox_tolls import MailboxTolls, tick_of
from relay.metrics import Metrics
from relay.state import State
from relay.store import RelayStore, StoreOp, mailbox_ops, pass_key_op, pass_op

Answer = client.MailboxTerms | client.MailboxMessages | client.Done | client.Refused


class MailboxDesk:
    """Answers requests; what they change is on disk before the answer."""

    def __init__(
        self, state: State, passes: EntryPassBook, mailboxes: Mailboxes, store: RelayStore, metrics: Metrics
    ) -> None:
        self._state = state
        self._passes = passes
        self._mailboxes = mailboxes
        self._store = store
        self._metrics = metrics
        self.tolls = MailboxTolls(state, passes, mailboxes)

    async def create(self, frame: client.MailboxCreate) -> Answer:
        """Make a mailbox for the fetch key."""
        try:
            terms, ops = self._create(frame)
        except PeerError as error:
            return self._refused(error.reason)
        await self._store.written(ops)
        return terms

    def _create(self, frame: client.MailboxCreate) -> tuple[client.MailboxTerms, list[StoreOp]]:
        key = ProvenKey(frame.modulus, frame.proof)
        shown, rules, position = self._state.shown_pass(frame.shown, key, KIND_MAILBOX)
        expires, now = self._state.mailbox_expiry(shown.scope.period), self._state.chain_time
        pass_id, mailbox = shown.id, mailbox_id_of(frame.fetch_key)
        standing = self._passes.standing(pass_id)
        if standing is not None and standing[1]:  # it has paid for a mailbox, whatever its campaign is worth
            known = self._mailboxes.announcement(mailbox)
            if known is None or self._mailboxes.payer(mailbox) != pass_id:
                raise PassError("pass_used", "this pass has made another mailbox")
            return self.terms(mailbox, known), []
        try:
            limit = pass_limit(self._state, self._passes, shown.scope)
        except ChainError as error:
            raise PassError("not_ready", str(error)) from None
        self._passes.present(shown, rules, position, limit)
        refusal = self._mailboxes.refusal(mailbox, frame.fetch_key, expires, now)
        if refusal is not None:
            raise PeerError(refusal.reason)
        paid = self.tolls.storage(pass_id, tick_of(frame.tick))
        made = self._mailboxes.create(mailbox, frame.fetch_key, expires, now, pass_id)
        if not isinstance(made, Created):
            raise RuntimeError("a mailbox was paid for that cannot be made")
        kept = [pass_op(pass_id, PassRecord(shown, 0, b"")), pass_key_op(shown.scope, frame.modulus), paid]
        return self.terms(mailbox, made.announcement), kept + mailbox_ops(made.effects)

    def is_owner(self, frame: client.MailboxFetch, nonce: bytes) -> bool:
        """Whether the one who asks has signed this connection's challenge with the mailbox's key."""
        return self._mailboxes.authenticate(frame.mailbox, nonce, frame.signature)

    def not_the_owner(self) -> Answer:
        """The answer to everybody else; it does not say whether there is such a mailbox."""
        return self._refused("not_the_owner")

    async def fetch(self, frame: client.MailboxFetch) -> Answer:
        """The next messages of a mailbox whose owner asks."""
        span = self._mailboxes.fetch(frame.mailbox, frame.after, client.MAX_MESSAGES, self._state.chain_time)
        if not isinstance(span, Span):
            return self._refused(span.reason)
        rows: list[tuple[int, bytes]] = []
        if span.first <= span.last:
            await self._store.written(())  # the newest may be on their way to the disk
            rows = self._store.messages(frame.mailbox, span.first, span.last)
        messages = tuple(client.StoredMessage(sequence, body) for sequence, body in rows)
        return client.MailboxMessages(self.terms(frame.mailbox, span.announcement), messages, span.more)

    async def delete(self, mailbox: bytes, frame: client.MailboxDelete) -> Answer:
        """Drop messages of a mailbox whose owner asks, and pays."""
        try:
            tick = tick_of(frame.tick[0]) if frame.tick else None
            confirmed = self._mailboxes.confirmed(mailbox, frame.upto, self._state.chain_time)
            paid = self.tolls.pages(mailbox, confirmed, tick)
        except PeerError as error:
            return self._refused(error.reason)
        outcome = self._mailboxes.delete(mailbox, frame.upto)
        if not isinstance(outcome, Deleted):
            return self._refused(outcome.reason)
        await self._store.written(paid + mailbox_ops(outcome.effects))
        return client.Done()

    def is_taken(self, frame: client.MailboxCreate) -> bool:
        """Whether the pass that is shown was found good, whatever became of the mailbox."""
        try:
            key = ProvenKey(frame.modulus, frame.proof)
            shown, _, _ = self._state.shown_pass(frame.shown, key, KIND_MAILBOX)
        except PeerError:
            return False
        return self._passes.standing(shown.id) is not None

    def terms(self, mailbox: bytes, now: Announcement) -> client.MailboxTerms:
        """What its owner is told of a mailbox."""
        standing = self.tolls.standing(mailbox)
        limits = now.quota_messages, now.ttl_seconds, now.expires, now.stored
        room = min(standing.room, (1 << 32) - 1)
        return client.MailboxTerms(*limits, standing.furthest, standing.link or client.NO_LINK, room)

    def _refused(self, reason: str) -> client.Refused:
        self._metrics.refused(reason)
        return client.Refused(reason)


class MailboxSession:
    """One client at its mailbox relay: a pass, or the answer to the challenge (a fresh nonce of 32 bytes)."""

    def __init__(self, desk: MailboxDesk, nonce: bytes) -> None:
        self._desk, self._nonce = desk, nonce
        self._owned: bytes | None = None
        self._made = False

    def is_known(self) -> bool:
        """Whether a pass was accepted, or the owner of a mailbox has proved to be it."""
        return self._made or self._owned is not None

    async def serve(
        self,
        incoming: AsyncIterator[client.ClientFrame],
        say: Callable[[client.ClientFrame], Awaitable[None]],
    ) -> None:
        """Answer frames until the client leaves, or is refused before anything was granted to it.

        Raises PeerError for what no client sends.
        """
        await say(client.Challenge(self._nonce))
        async for frame in incoming:
            await say(await self._answer(frame))
            if not self.is_known():
                return

    async def _answer(self, frame: client.ClientFrame) -> Answer:
        match frame:
            case client.MailboxCreate():
                answer = await self._desk.create(frame)
                self._made = self._made or isinstance(answer, client.MailboxTerms)
                return answer
            case client.MailboxFetch():
                if not self._desk.is_owner(frame, self._nonce):
                    return self._desk.not_the_owner()
                self._owned = frame.mailbox
                return await self._desk.fetch(frame)
            case client.MailboxDelete() if self._owned is not None:
                return await self._desk.delete(self._owned, frame)
            case _:
                raise PeerError("unexpected_frame")


