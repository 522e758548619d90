"""What a relay does for owners of mailboxes who ask through the network (`mixpay/wire/requests.py`).

    packet of kind REQUEST ▶ parts ▶ owner? paid? ▶ on disk ▶ reply blocks ▶ first mixes, as an entry does

Rules
  * A reply costs this relay the hops behind it, so none is sent for nothing: each block of a FETCH is paid
    for by a tick of the mailbox's pass, and who shows no good pass for a CREATE, or does not sign as the
    owner, hears nothing. `FREE_REPLIES` are in what storage cost: for when nothing is to be paid any more,
    and to tell an owner whose tick is not taken where the pass stands.
  * What a FETCH confirms, and the tick that pays, are on disk before the first reply leaves.
  * A block whose epoch is over is answered by nobody, and counted: `block_expired`.
  * Blocks that wait for messages are kept in memory, of one FETCH for each mailbox. Who lost them by a
    restart asks again; what was sent by them and is not confirmed is sent again with the next FETCH.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

from mixpay.errors import MixpayError, PeerError
from mixpay.mailbox import Deleted, Mailboxes, Span
from mixpay.packet import ReplyBlock, use_surb
from mixpay.passes import PassError
from mixpay.types import Epoch
from mixpay.wire import client, requests
from relay.clients.mailbox_desk import MailboxDesk
from relay.metrics import Metrics
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore, mailbox_ops, role_op

log = logging.getLogger(__name__)

BLOCK_EXPIRED = "block_expired"
MOST_UNDER_WAY = 256
"""Requests that are being carried out. Further ones are dropped: their owners ask again."""


@dataclass(slots=True)
class _Kept:
    """Blocks that wait for the messages of one mailbox behind the one numbered `upto`."""

    blocks: deque[ReplyBlock]
    upto: int


class RequestDesk:
    """Answers requests; `clock`: seconds of one that does not jump."""

    def __init__(
        self,
        state: State,
        router: Router,
        desk: MailboxDesk,
        mailboxes: Mailboxes,
        store: RelayStore,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._state, self._router, self._desk = state, router, desk
        self._mailboxes, self._store = mailboxes, store
        self._metrics, self._clock = metrics, clock
        self._assembly = requests.Assembly()
        self._kept: dict[bytes, _Kept] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, mailbox_id: bytes, part: bytes) -> None:
        """A part of a request has come by a packet."""
        try:
            request = self._assembly.take(mailbox_id, part, self._clock())
            if request is None:
                return
            if len(self._tasks) >= MOST_UNDER_WAY:
                raise PeerError("requests_busy")
        except PeerError as error:
            self._metrics.refused(error.reason)
            return
        self._begin(self._carry_out(mailbox_id, request))

    def stored(self, mailbox_id: bytes) -> None:
        """A message is in a mailbox: if a block waits for it, it is sent."""
        kept = self._kept.get(mailbox_id)
        if kept is not None and len(self._tasks) < MOST_UNDER_WAY:  # else with the next message, or FETCH
            self._send_kept(mailbox_id, kept)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def stop(self) -> None:
        """End what is being carried out: nobody was promised anything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request to a mailbox failed: %s", error)

    async def _carry_out(self, mailbox_id: bytes, request: requests.Request) -> None:
        try:
            if isinstance(request, requests.Create):
                await self._create(request)
            else:
                await self._fetch(mailbox_id, request)
        except PeerError as error:
            self._metrics.refused(error.reason)
        except MixpayError as error:
            log.error("a request to a mailbox failed: %s", error)

    async def _create(self, asked: requests.Create) -> None:
        block = ReplyBlock.decode(asked.block)
        shown = client.MailboxCreate(asked.modulus, asked.proof, asked.shown, asked.fetch_key, asked.tick)
        answer = await self._desk.create(shown)
        if isinstance(answer, client.MailboxTerms) or (
            isinstance(answer, client.Refused) and self._desk.is_taken(shown)
        ):
            await self._reply([block], iter([answer]))

    async def _fetch(self, mailbox_id: bytes, asked: requests.Fetch) -> None:
        if not self._mailboxes.is_signed(mailbox_id, asked.said(), asked.signature):
            raise PeerError("not_the_owner")
        blocks = [ReplyBlock.decode(block) for block in asked.blocks]
        now = self._state.chain_time
        confirmed = self._mailboxes.confirmed(mailbox_id, asked.after, now)
        try:
            paid = self._desk.tolls.replies(mailbox_id, len(blocks), confirmed, asked.tick)
        except PassError as error:
            self._metrics.refused(error.reason)
            await self._say_terms(mailbox_id, blocks)
            return
        dropped = self._mailboxes.delete(mailbox_id, asked.after)
        if isinstance(dropped, Deleted):
            paid += mailbox_ops(dropped.effects)
        # A FETCH that waits has one block for the terms.
        span = self._mailboxes.fetch(mailbox_id, asked.after, len(blocks) - asked.waits, now)
        self._kept.pop(mailbox_id, None)
        await self._store.written(paid)
        if not isinstance(span, Span):
            await self._reply(blocks, iter([client.Refused(span.reason)]))
        elif asked.waits:
            await self._reply(blocks[:1], iter([self._desk.terms(mailbox_id, span.announcement)]))
            kept = self._kept[mailbox_id] = _Kept(deque(blocks[1:]), asked.after)
            self._send_kept(mailbox_id, kept)
        elif span.first > span.last:
            await self._reply(blocks, iter([self._desk.terms(mailbox_id, span.announcement)]))
        else:
            await self._reply(blocks, self._messages(mailbox_id, span))

    async def _say_terms(self, mailbox_id: bytes, blocks: Sequence[ReplyBlock]) -> None:
        """Tell an owner which tick of the mailbox's pass is the furthest, so that the next one is taken."""
        span = self._mailboxes.fetch(mailbox_id, 0, 0, self._state.chain_time)
        if isinstance(span, Span):
            self._desk.tolls.give(mailbox_id, 1)
            await self._reply(blocks, iter([self._desk.terms(mailbox_id, span.announcement)]))

    def _send_kept(self, mailbox_id: bytes, kept: _Kept) -> None:
        """Begin to send what is there for the blocks of a mailbox."""
        span = self._mailboxes.fetch(mailbox_id, kept.upto, len(kept.blocks), self._state.chain_time)
        if not isinstance(span, Span) or span.first > span.last:
            return
        kept.upto = span.last
        blocks = [kept.blocks.popleft() for _ in range(span.first, span.last + 1)]
        if not kept.blocks:
            del self._kept[mailbox_id]
        self._begin(self._reply(blocks, self._messages(mailbox_id, span)))

    def _messages(self, mailbox_id: bytes, span: Span) -> Iterator[requests.Answer]:
        rows = self._store.messages(mailbox_id, span.first, span.last)
        for sequence, body in rows:
            yield requests.Message(sequence, body, span.more or sequence != rows[-1][0])

    async def _reply(self, blocks: Sequence[ReplyBlock], answers: Iterator[requests.Answer]) -> None:
        """Send answers, one by each block, as long as there are any."""
        for block, answer in zip(blocks, answers, strict=False):
            try:
                self._send(block, requests.encode_answer(answer))
            except PeerError as error:
                reason = BLOCK_EXPIRED if error.reason == "wrong_epoch" else error.reason
                self._metrics.refused(reason)
                continue
            await self._store.written([role_op("entry")])
            self._metrics.carried("entry")

    def _send(self, block: ReplyBlock, data: bytes) -> None:
        epoch = Epoch(block.epoch)
        self._router.check_first_mix(block.first_relay, epoch)
        built = use_surb(block, data)
        sent = self._router.submit(built.first_relay, epoch, built.lock, built.hint, built.packet)
        sent.add_done_callback(_forget)


def _forget(sent: asyncio.Future[bytes]) -> None:
    """What is lost on its way is counted by the router, and asked for again."""
    if not sent.cancelled():
        sent.exception()
