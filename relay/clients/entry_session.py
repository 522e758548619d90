"""One client at its entry: a pass, then ticks and packets up, and DOWNs back.

    SEND ▶ tick on disk ▶ first mix ▶ its ack ▶ `Downlink` ▶ DOWN, with a reply if one waits

A client that stays asks for a beat: DOWNs leave at even intervals then, whatever there is to say, so that who
watches its line learns nothing from them. Without one an answer is said as soon as there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from mixpay.book import limits as book_reasons
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.errors import PeerError
from mixpay.passes import KIND_ENTRY, EntryPassBook, PassError, Presented, Tick
from mixpay.types import Epoch
from mixpay.wire import client
from relay.clients.exposure import pass_limit
from relay.clients.passing import PassingMailbox
from relay.metrics import Metrics
from relay.path.flows import FLOW_CAP
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore, pass_key_op, pass_op, role_op, tick_op

log = logging.getLogger(__name__)

Say: TypeAlias = Callable[[client.ClientFrame], Awaitable[None]]

_NO_ACK = bytes(32)
_STATUS = {
    "wrong_epoch": client.DownStatus.WRONG_EPOCH,
    "expired_key": client.DownStatus.WRONG_EPOCH,
    "no_such_mix": client.DownStatus.NO_SUCH_MIX,
    "waited_too_long": client.DownStatus.MIX_UNREACHABLE,
    "link_queue_full": client.DownStatus.BUSY,
    "busy": client.DownStatus.BUSY,
    FLOW_CAP: client.DownStatus.FLOW_CAP,
    book_reasons.LINK_REFUSED: client.DownStatus.MIX_UNREACHABLE,
    book_reasons.NO_ACK: client.DownStatus.NO_ACK,
}
_MAX_IN_FLIGHT = 64
"""W: SENDs of one client without their DOWN; further ones wait in the socket."""


class Downlink:
    """What goes down to one client. `beat`: seconds between two DOWNs; 0: one for each answer."""

    def __init__(self, box: PassingMailbox, say: Say, beat: float) -> None:
        self._box, self._say, self._beat = box, say, beat
        self._answers: asyncio.Queue[client.Answered] = asyncio.Queue(client.MOST_ANSWERS)

    @property
    def has_beat(self) -> bool:
        """Whether DOWNs leave at even intervals."""
        return self._beat > 0

    async def answer(self, answered: client.Answered) -> None:
        """Say what became of a packet, or have it said: waits for room, so that SENDs wait for beats."""
        if self.has_beat:
            await self._answers.put(answered)
        else:
            await self._down([answered])

    async def run(self) -> None:
        """Keep time, if there is a beat, until the client is gone."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._keep_time()

    async def _keep_time(self) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        while self.has_beat:
            # One that could not be said in time is not made up for.
            due = max(due + self._beat, now())
            await asyncio.sleep(due - now())
            waiting = min(self._answers.qsize(), client.MOST_ANSWERS)
            await self._down([self._answers.get_nowait() for _ in range(waiting)])

    async def _down(self, answers: list[client.Answered]) -> None:
        reply = self._box.take()
        shown = None if reply is None else (reply.number, reply.payload)
        await self._say(client.down(answers, shown))


class EntrySession:
    """One client at its entry: a pass, then ticks and packets."""

    def __init__(
        self, state: State, router: Router, passes: EntryPassBook, store: RelayStore, metrics: Metrics
    ) -> None:
        self._state = state
        self._router = router
        self._passes = passes
        self._store = store
        self._metrics = metrics
        self._pass_id: bytes | None = None
        self._box: PassingMailbox | None = None
        self._downlink: Downlink | None = None
        self._beats: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_MAX_IN_FLIGHT)

    def is_known(self) -> bool:
        """Whether a pass was accepted."""
        return self._pass_id is not None

    async def serve(self, incoming: AsyncIterator[client.ClientFrame], say: Say) -> None:
        """Answer frames until the client leaves or its pass is refused. Raises PeerError for what no client
        sends.
        """
        try:
            async for frame in incoming:
                if isinstance(frame, client.PresentPass) and self._pass_id is None:
                    await say(await self._present(frame))
                    if self._box is None or self._pass_id is None:
                        return
                    self._downlink = Downlink(self._box, say, frame.beat / 1000)
                    self._beats = asyncio.create_task(self._downlink.run())
                elif isinstance(frame, client.Send) and self._downlink is not None:
                    await self._room.acquire()
                    task = asyncio.create_task(self._answer(frame, self._downlink))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
                else:
                    raise PeerError("unexpected_frame")
        finally:
            for task in (*self._tasks, *filter(None, [self._beats])):
                task.cancel()
            if self._box is not None:
                self._router.passing.close(self._box)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client's packet failed: %s", error)

    async def _present(self, frame: client.PresentPass) -> client.PassOk | client.PassRefused:
        try:
            if 0 < frame.beat < client.SHORTEST_BEAT:
                raise PeerError("bad_beat")
            shown, rules, position = self._state.shown_pass(
                frame.shown, ProvenKey(frame.modulus, frame.proof), KIND_ENTRY
            )
            limit = pass_limit(self._state, self._passes, shown.scope)
            self._box = self._router.passing.open(frame.passing)
            presented: Presented = self._passes.present(shown, rules, position, limit)
        except PeerError as error:
            self._metrics.refused(error.reason)
            return client.PassRefused(error.reason)
        if presented.record is not None:
            key = pass_key_op(shown.scope, frame.modulus)
            await self._store.written([pass_op(presented.pass_id, presented.record), key])
        self._pass_id = presented.pass_id
        return client.PassOk(presented.furthest, presented.link or client.NO_LINK)

    async def _answer(self, frame: client.Send, downlink: Downlink) -> None:
        status, ack = client.DownStatus.ACKNOWLEDGED, _NO_ACK
        try:
            ack = await self._forward(frame)
        except PassError as error:
            spent = error.reason == "campaign_limit"
            status = client.DownStatus.CAMPAIGN_LIMIT if spent else client.DownStatus.BAD_TICK
            self._metrics.refused(error.reason)
        except PeerError as error:
            status = _STATUS.get(error.reason, client.DownStatus.REFUSED_BY_MIX)
            self._metrics.refused(error.reason)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await downlink.answer(client.Answered(frame.seq, status, ack))

    async def _forward(self, frame: client.Send) -> bytes:
        if self._pass_id is None:
            raise PassError("unknown_pass", "show the pass before spending it")
        epoch = Epoch(frame.key_epoch)
        self._router.check_first_mix(frame.first_mix, epoch)  # before the tick is spent
        taken = self._passes.accept_tick(self._pass_id, Tick(frame.chain, frame.k, frame.link))
        await self._store.written([tick_op(taken), role_op("entry")])
        self._metrics.carried("entry")
        return await self._router.submit(frame.first_mix, epoch, frame.lock, frame.hint, frame.packet)
