"""A user's line into the network: at each stroke of a Poisson clock one packet leaves, one that waits or
cover, and at each beat of its entry one frame comes down.

    Parcel ▶ queue ▶ stroke ▶ entry ▶ acknowledged by the first mix, or queued again
    reply block, made for a `Stay` ▶ … ▶ DOWN ▶ the block's future

Whoever wants something sent puts a parcel, and learns whether a first mix took it. What comes by reply blocks
comes as long as the stay lasts at whose entry they end. An entry that is no good, and one of an epoch that is
over, is left for another; parcels move with us, blocks do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from mixpay.client.cover import Cover
from mixpay.client.entry import EntryLink
from mixpay.client.errors import NotSent, RelayUnavailable
from mixpay.client.judgement import Judgement
from mixpay.client.profile import Pace, Profile, exponential
from mixpay.client.route import NoPath, Packed, Paths
from mixpay.client.session import Entered, Session
from mixpay.client.wallet import CAMPAIGN_LIMIT, Wallet
from mixpay.errors import PeerError
from mixpay.network import NetworkView
from mixpay.packet import ReplyKeys, build_surb, open_reply
from mixpay.passes import PassExhausted
from mixpay.types import Random, RelayId
from mixpay.wire.client import Answered, Down, DownKind, DownStatus

MOST_FRUITLESS = 12
"""Connections in a row that carry nothing, after which the line fails."""
MOST_LOST = 3
"""Of them at one entry, which may take a tick each time, before another pass is taken."""
_NUMBER_SIZE = 8
_FATAL = {
    DownStatus.BAD_TICK: "bad_tick",
    DownStatus.WRONG_EPOCH: "wrong_epoch",
    DownStatus.CAMPAIGN_LIMIT: CAMPAIGN_LIMIT,
}
_LOST = "connection_lost"
_INNOCENT = frozenset(("wrong_epoch", "pass_spent", "new_epoch"))
"""Reasons to leave an entry that say nothing against it."""


class Moved(Exception):
    """The entry was left at which these reply blocks ended: make others."""


class Pack(Protocol):
    """Makes a fresh packet, by other relays each time. Raises NoPath, UnusableAddress."""

    def __call__(self, stay: Stay, /) -> Packed: ...


@dataclass(eq=False, slots=True)
class Parcel:
    """Something to be sent. `taken`: the packet that a first mix acknowledged, once one did.

    `leaving` is told of each packet before it leaves. A parcel of one `stay` is not sent at another entry.
    """

    pack: Pack
    taken: asyncio.Future[Packed]
    leaving: Callable[[Packed], None] = lambda _: None
    stay: Stay | None = None
    failures: int = 0


@dataclass(slots=True)
class _Flight:
    packed: Packed
    parcel: Parcel | None
    overdue_at: float


class Stay:
    """The time at one entry. `over`: done once it has been left."""

    def __init__(self, entered: Entered, paths: Paths, slack: float, random: Random) -> None:
        self.relay, self.paths, self._passing, self._random = entered.relay, paths, entered.passing, random
        self.slack = slack
        """Of the pace."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._blocks: dict[bytes, tuple[ReplyKeys, asyncio.Future[bytes]]] = {}

    def block(self, start: RelayId) -> tuple[bytes, asyncio.Future[bytes]]:
        """A reply block to be used at the relay `start`, encoded, and what will come by it (2,056 bytes).

        Cancel the future when nobody waits any more; it fails with Moved if the entry is left before.
        Raises NoPath.
        """
        number = self._random(_NUMBER_SIZE)
        _, hops, last = self.paths.draw(start, self.relay, self._random)
        place = self._passing + number
        block, keys = build_surb(self.paths.context, self.paths.epoch, hops, last, place, self._random)
        return block.encode(), self.expect(number, keys)

    def expect(self, number: bytes, keys: ReplyKeys) -> asyncio.Future[bytes]:
        """What comes for the mailbox of this number (8 bytes), which these keys open."""
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def over(done: asyncio.Future[bytes]) -> None:
            self._blocks.pop(number, None)
            if not done.cancelled():
                done.exception()  # seen: perhaps nobody waits any more

        reply.add_done_callback(over)
        self._blocks[number] = keys, reply
        return reply

    def place(self, number: bytes) -> bytes:
        """The mailbox id of this number."""
        return self._passing + number

    def hear(self, down: Down) -> None:
        """A reply came."""
        if (found := self._blocks.pop(down.number, None)) is None:
            return
        keys, reply = found
        with contextlib.suppress(PeerError):  # whoever changed it has only lost it for us
            opened = open_reply(keys, down.payload)
            if not reply.done():
                reply.set_result(opened)

    def end(self) -> None:
        """The entry has been left."""
        if not self.over.done():
            self.over.set_result(None)
        for _, reply in self._blocks.values():
            if not reply.done():
                reply.set_exception(Moved())


@dataclass(eq=False, slots=True)
class _At:
    """What belongs to one connection."""

    link: EntryLink
    stay: Stay
    judgement: Judgement
    on_way: dict[int, _Flight] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    fault: str = ""
    fruitful: bool = False

    def fail(self, reason: str) -> None:
        """This entry is of no more use."""
        self.fault = self.fault or reason
        self.wake.set()


class Line:
    """One user's. Open it by `async with`; `pace`: how often something leaves, and comes down."""

    def __init__(
        self,
        session: Session,
        view: NetworkView,
        wallet: Wallet,
        profile: Profile,
        pace: Pace,
        random: Random,
        cover: Cover | None = None,
    ) -> None:
        self._session, self._view, self._wallet = session, view, wallet
        self._profile, self._pace, self._random = profile, pace, random
        self.cover = cover or Cover(random)
        """What leaves when nothing waits."""
        self._queue: deque[Parcel] = deque()
        self._number = 0
        self._fruitless = 0
        self._lost: Counter[int] = Counter()
        """Connections that carried nothing, by the row of the pass."""
        self._here: asyncio.Future[Stay] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._here = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def stay(self) -> Stay:
        """Where we are, once we are somewhere. Raises what ended the line: RelayUnavailable if entry after
        entry took nothing, and what `Session.enter` raises.
        """
        while True:
            stay = await asyncio.shield(self._begin())
            if not stay.over.done():
                return stay

    def put(self, parcel: Parcel) -> None:
        """Have it sent, behind what waits already."""
        self._begin()
        if self._task is None or self._task.done():
            self._give_up(parcel, RelayUnavailable("the line into the network has ended"))
            return
        self._queue.append(parcel)

    def _begin(self) -> asyncio.Future[Stay]:
        """Look for an entry, the first time that somebody wants something."""
        if self._here is None:
            raise RuntimeError("the line was never opened")
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._here

    @property
    def slack(self) -> float:
        """Of the pace."""
        return self._pace.slack

    async def ended(self) -> None:
        """Wait for what ends the line, and raise that."""
        self._begin()
        if self._task is not None:
            await asyncio.shield(self._task)

    # ------------------------------------------------------------------ entry after entry

    async def _run(self) -> None:
        error: BaseException = RelayUnavailable("the line into the network was closed")
        try:
            while True:
                await self._at_one_entry()
                if self._fruitless >= MOST_FRUITLESS:
                    carried = f"{MOST_FRUITLESS} connections to entries carried nothing"
                    raise RelayUnavailable(f"{carried}; try again later")
        except Exception as ended:
            error = ended
            raise
        finally:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        if self._here is not None and not self._here.done():
            self._fail(self._here, error)
        elif self._here is not None:
            self._here = asyncio.get_running_loop().create_future()
            self._fail(self._here, error)
        while self._queue:
            self._give_up(self._queue.popleft(), error)

    def _give_up(self, parcel: Parcel, error: BaseException) -> None:
        if not parcel.taken.done():
            self._fail(parcel.taken, error)

    @staticmethod
    def _fail(future: asyncio.Future[Stay] | asyncio.Future[Packed], error: BaseException) -> None:
        future.set_exception(error)
        future.exception()  # seen: perhaps nobody waits

    async def _at_one_entry(self) -> None:
        entered = await self._session.enter(beat=self._pace.beat)
        stay = Stay(entered, entered.paths(self._profile), self._pace.slack, self._random)
        at = _At(entered.link, stay, Judgement(self._profile))
        self._arrived(stay)
        listener = asyncio.create_task(self._listen(at))
        try:
            await self._keep_time(at)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            self._gone(at)
            await at.link.close()
        self._fruitless = 0 if at.fruitful else self._fruitless + 1
        if at.fault == _LOST and (at.fruitful or not self._is_too_often(entered)):
            return
        await self._blame(entered, at.fault)

    def _is_too_often(self, entered: Entered) -> bool:
        """Whether an entry has lost the connection before it carried anything, again and again."""
        row = entered.drawn.stored.row
        self._lost[row] += 1
        return self._lost[row] >= MOST_LOST

    def _arrived(self, stay: Stay) -> None:
        if self._here is None or self._here.done():
            self._here = asyncio.get_running_loop().create_future()
        self._here.set_result(stay)

    def _gone(self, at: _At) -> None:
        self._here = asyncio.get_running_loop().create_future()
        for flight in reversed(at.on_way.values()):
            if flight.parcel is not None and not flight.parcel.taken.done():
                self._queue.appendleft(flight.parcel)
        for parcel in [parcel for parcel in self._queue if parcel.stay is at.stay]:
            self._queue.remove(parcel)
            self._give_up(parcel, Moved())
        at.stay.end()

    async def _blame(self, entered: Entered, fault: str) -> None:
        if fault == CAMPAIGN_LIMIT:
            self._wallet.full(entered.drawn)
        elif fault in ("forged_ack", "bad_tick"):
            self._wallet.condemn(entered.drawn, fault)
        elif fault == "wrong_epoch":
            await self._wallet.look_again()
        elif fault not in _INNOCENT:
            self._wallet.set_aside(entered.drawn, f"relay {entered.relay} carries nothing ({fault})")

    # ------------------------------------------------------------------ strokes

    async def _keep_time(self, at: _At) -> None:
        """Send at each stroke, until the entry is of no more use."""
        next_at = _now() + self._gap()
        while not at.fault:
            self._expire(at)
            if self._view.epoch != at.stay.paths.epoch:
                at.fail("new_epoch")
            elif _now() < next_at:
                await self._pause(at, next_at)
            else:
                next_at += self._gap()
                await self._send(at)

    async def _pause(self, at: _At, until: float) -> None:
        due = min([until, *(flight.overdue_at for flight in at.on_way.values())])
        at.wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await at.wake.wait()

    async def _send(self, at: _At) -> None:
        self._number += 1
        try:
            packed, parcel = self._next(at.stay)
        except NoPath as error:
            at.fail(str(error))
            return
        at.on_way[self._number] = _Flight(packed, parcel, _now() + self._patience)
        try:
            await at.link.send(self._number, packed)
        except PassExhausted:
            at.fail("pass_spent")
        except RelayUnavailable:
            at.fail(_LOST)

    def _next(self, stay: Stay) -> tuple[Packed, Parcel | None]:
        """The oldest parcel that can be sent, or cover."""
        for _ in range(len(self._queue)):
            parcel = self._queue.popleft()
            if parcel.taken.done():  # nobody waits for it any more
                continue
            try:
                packed = parcel.pack(stay)
            except Exception as error:
                self._give_up(parcel, error)
                continue
            parcel.leaving(packed)
            return packed, parcel
        return self.cover.make(stay, _now()), None

    @property
    def _patience(self) -> float:
        """Seconds for an answer: the entry's, and those that its beat keeps it back."""
        return self._profile.ack_timeout + self._pace.slack

    def _gap(self) -> float:
        return exponential(self._pace.interval, self._random)

    # ------------------------------------------------------------------ answers

    async def _listen(self, at: _At) -> None:
        try:
            while True:
                down = await at.link.answer()
                if down.kind is DownKind.REPLY:
                    at.stay.hear(down)
                for answered in down.answers:
                    self._answered(at, answered)
        except RelayUnavailable:
            at.fail(_LOST)

    def _answered(self, at: _At, answered: Answered) -> None:
        flight = at.on_way.pop(answered.seq, None) if answered.status is not DownStatus.NOTHING else None
        if flight is None:
            return
        if answered.status is DownStatus.ACKNOWLEDGED:
            if not hmac.compare_digest(answered.ack, flight.packed.built.first_ack):
                self._again(flight)
                at.fail("forged_ack")
                return
            at.fruitful = True
            at.judgement.good()
            if flight.parcel is not None and not flight.parcel.taken.done():
                flight.parcel.taken.set_result(flight.packed)
        elif answered.status in _FATAL:
            self._again(flight)
            at.fail(_FATAL[answered.status])
        else:
            if answered.status is DownStatus.MIX_UNREACHABLE:
                at.stay.paths.avoid(flight.packed.built.first_relay)
            self._failed(at, flight, answered.status.name.lower())

    def _expire(self, at: _At) -> None:
        for number in [number for number, flight in at.on_way.items() if flight.overdue_at <= _now()]:
            self._failed(at, at.on_way.pop(number), "no_answer")

    def _failed(self, at: _At, flight: _Flight, reason: str) -> None:
        at.judgement.bad()
        self.cover.lost(flight.packed)
        if flight.parcel is not None:
            flight.parcel.failures += 1
            if flight.parcel.failures >= self._profile.attempts:
                self._give_up(flight.parcel, NotSent(f"no first mix took a packet ({reason}); try again"))
        self._again(flight)
        if at.judgement.is_lossy:
            at.fail("lossy")

    def _again(self, flight: _Flight) -> None:
        if flight.parcel is not None and not flight.parcel.taken.done():
            self._queue.appendleft(flight.parcel)


def _now() -> float:
    return asyncio.get_running_loop().time()
