"""Asking relays through the network: requests go as packets, answers come by reply blocks (design.md §11).

At each stroke of a Poisson clock one packet leaves, the next part of a request if one waits and cover else,
and whatever the entry answers to it may bring a reply. The relay that is asked learns a mailbox, and not from
where; the entry learns that somebody sends and receives packets. An entry that is of no use is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from mixpay.client.errors import RelayUnavailable
from mixpay.client.profile import Profile, exponential
from mixpay.client.route import Packed, Paths, packed
from mixpay.client.session import Entered, Session
from mixpay.client.wallet import CAMPAIGN_LIMIT, Wallet
from mixpay.crypto import uniform
from mixpay.errors import PeerError
from mixpay.geometry import MAILBOX_ID_SIZE
from mixpay.packet import KIND_COVER, KIND_REQUEST, ReplyKeys, build_surb, open_reply
from mixpay.passes import PassExhausted
from mixpay.types import Random, RelayId
from mixpay.wire.client import Down, DownKind, DownStatus
from mixpay.wire.requests import Answer, Message, Request, decode_answer, parts_of

INTERVAL = 0.25
"""Mean seconds between two packets: a request and the wait for its answer take some ten of them."""
PATIENCE = 15.0
"""Seconds for an answer, from the last part of its request on: far above six mixes' delays, and strokes."""
MOST_ENTRIES = 4
"""Entries that are tried for one request."""
_NUMBER_SIZE = 8
_FATAL = {
    DownStatus.BAD_TICK: "bad_tick",
    DownStatus.WRONG_EPOCH: "wrong_epoch",
    DownStatus.CAMPAIGN_LIMIT: CAMPAIGN_LIMIT,
}

Make: TypeAlias = Callable[[tuple[bytes, ...]], Request]
"""Makes a request that is answered by these reply blocks."""


class _EntryFault(Exception):
    """This entry is of no more use; why."""


@dataclass(slots=True)
class _Asked:
    """One request on its way: parts to be sent, parts without an answer of the entry, and the replies."""

    parts: deque[bytes]
    keys: dict[bytes, tuple[int, ReplyKeys]] = field(repr=False)
    answers: list[Answer | None]
    on_way: dict[int, tuple[bytes | None, Packed]] = field(default_factory=dict)
    fault: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is to come: there is an answer for each block, or the last one there is."""
        for answer in self.answers:
            if answer is None:
                return False
            if not isinstance(answer, Message) or not answer.more:
                return True
        return True


class Exchange:
    """Asks for one user. Leave it by `async with`."""

    def __init__(self, session: Session, wallet: Wallet, profile: Profile, random: Random) -> None:
        self._session, self._wallet, self._profile, self._random = session, wallet, profile, random
        self._entered: Entered | None = None
        self._paths: Paths | None = None
        self._number = 0
        self._wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def ask(
        self, keeper: RelayId, mailbox_id: bytes, make: Make, blocks: int
    ) -> Sequence[Answer | None]:
        """Send a request for a mailbox (16 bytes) to the relay that keeps it; the answer to each block, None
        for those that did not come. `make` is called once more for each entry that fails.

        Raises RelayUnavailable if entry after entry fails, NoPath, and what `Session.enter` raises.
        """
        for _ in range(MOST_ENTRIES):
            entered, paths = await self._enter()
            try:
                asked = await self._ask(entered, paths, keeper, mailbox_id, make, blocks)
                if asked.fault:  # that it carried this request does not make up for it
                    await self._leave(asked.fault)
                return asked.answers
            except (_EntryFault, RelayUnavailable, PassExhausted) as error:
                fault = str(error)
                await self._leave(fault)
        raise RelayUnavailable(f"{MOST_ENTRIES} entries took no request ({fault}); try again later")

    async def _enter(self) -> tuple[Entered, Paths]:
        if self._entered is None or self._paths is None:
            self._entered = await self._session.enter()
            self._paths = self._entered.paths(self._profile)
        return self._entered, self._paths

    async def _leave(self, fault: str = "") -> None:
        entered, self._entered = self._entered, None
        if entered is None:
            return
        await entered.link.close()
        if fault == CAMPAIGN_LIMIT:
            self._wallet.full(entered.drawn)
        elif fault == "forged_ack":
            self._wallet.condemn(entered.drawn, fault)
        elif fault == "wrong_epoch":
            await self._wallet.look_again()
        elif fault:
            self._wallet.set_aside(entered.drawn, f"relay {entered.relay} carries no requests ({fault})")

    # ------------------------------------------------------------------ one request

    async def _ask(
        self, entered: Entered, paths: Paths, keeper: RelayId, mailbox_id: bytes, make: Make, blocks: int
    ) -> _Asked:
        made, keys = self._blocks(entered, paths, keeper, blocks)
        asked = _Asked(deque(parts_of(make(made), self._random)), keys, [None] * blocks)
        listener = asyncio.create_task(self._listen(entered, asked))
        try:
            deadline = None
            while not asked.is_complete:
                if deadline is not None and _now() >= deadline:
                    break
                await self._stroke(asked)
                part = asked.parts.popleft() if asked.parts else None
                await self._send(entered, paths, keeper, mailbox_id, part, asked)
                deadline = None if asked.parts else deadline or _now() + PATIENCE
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        return asked

    def _blocks(
        self, entered: Entered, paths: Paths, keeper: RelayId, count: int
    ) -> tuple[tuple[bytes, ...], dict[bytes, tuple[int, ReplyKeys]]]:
        made, found = [], {}
        for index in range(count):
            number = self._random(_NUMBER_SIZE)
            _, hops, last = paths.draw(keeper, entered.relay, self._random)
            place = entered.passing + number
            block, keys = build_surb(paths.context, paths.epoch, hops, last, place, self._random)
            made.append(block.encode())
            found[number] = index, keys
        return tuple(made), found

    async def _stroke(self, asked: _Asked) -> None:
        """Wait for the clock, or for what makes the request complete. Raises _EntryFault."""
        until = _now() + exponential(INTERVAL, self._random)
        while not asked.is_complete:
            if asked.fault:
                raise _EntryFault(asked.fault)
            self._wake.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _send(
        self,
        entered: Entered,
        paths: Paths,
        keeper: RelayId,
        mailbox_id: bytes,
        part: bytes | None,
        asked: _Asked,
    ) -> None:
        if asked.is_complete:
            return
        if part is not None:
            sent = packed(paths, entered.relay, keeper, mailbox_id, KIND_REQUEST, part, self._random)
        else:
            others = sorted(paths.directory.descriptors.keys() - {entered.relay})
            to, nobody = others[uniform.below(len(others), self._random)], self._random(MAILBOX_ID_SIZE)
            nothing = self._random(2048)
            sent = packed(paths, entered.relay, to, nobody, KIND_COVER, nothing, self._random)
        self._number += 1
        asked.on_way[self._number] = part, sent
        await entered.link.send(self._number, sent)

    async def _listen(self, entered: Entered, asked: _Asked) -> None:
        try:
            while True:
                self._heard(await entered.link.answer(), asked)
                self._wake.set()
        except RelayUnavailable as error:
            asked.fault = str(error)
        finally:
            self._wake.set()

    def _heard(self, down: Down, asked: _Asked) -> None:
        if down.kind is DownKind.REPLY and down.number in asked.keys:
            index, keys = asked.keys.pop(down.number)
            with contextlib.suppress(PeerError):  # whoever changed it has only lost it for us
                asked.answers[index] = decode_answer(open_reply(keys, down.payload))
        if down.seq not in asked.on_way:
            return
        part, sent = asked.on_way.pop(down.seq)
        if down.status is DownStatus.ACKNOWLEDGED:
            if not hmac.compare_digest(down.ack, sent.built.first_ack):
                asked.fault = "forged_ack"
            return
        if down.status in _FATAL:
            asked.fault = _FATAL[down.status]
        elif part is not None:
            asked.parts.append(part)  # by another path


def _now() -> float:
    return asyncio.get_running_loop().time()
