"""Asking relays through the network: requests go as packets, answers come by reply blocks (design.md §11).

The relay that is asked learns a mailbox, and not from where; the entry learns that somebody sends and
receives packets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from mixpay.client.errors import RelayUnavailable
from mixpay.client.line import Line, Moved, Parcel, Stay
from mixpay.client.route import Packed, packed
from mixpay.errors import PeerError
from mixpay.packet import KIND_REQUEST
from mixpay.types import Random, RelayId
from mixpay.wire.requests import Answer, Message, Request, decode_answer, parts_of

PATIENCE = 15.0
"""Seconds for an answer, from the last part of its request on: far above six mixes' delays, and strokes."""
MOST_ENTRIES = 4
"""Entries at which one request is begun."""

Make: TypeAlias = Callable[[tuple[bytes, ...]], Request]
"""Makes a request that is answered by these reply blocks."""


class Exchange:
    """Asks for one user, by a line that is open."""

    def __init__(self, line: Line, random: Random) -> None:
        self._line, self._random = line, random

    @property
    def slack(self) -> float:
        """Of the line's pace."""
        return self._line.slack

    @property
    def patience(self) -> float:
        """Seconds for an answer."""
        return PATIENCE + self.slack

    async def ask(
        self, keeper: RelayId, mailbox_id: bytes, make: Make, blocks: int
    ) -> Sequence[Answer | None]:
        """Send a request for a mailbox (16 bytes) to the relay that keeps it; the answer to each block, None
        for those that did not come. `make` is called once more for each entry that is left meanwhile.

        Raises RelayUnavailable if entry after entry fails, NoPath, NotSent, and what `Line.stay` raises.
        """
        replies = await self.begin(keeper, mailbox_id, make, blocks)
        answers: list[Answer | None] = []
        deadline = asyncio.get_running_loop().time() + self.patience
        for reply in replies:
            answers.append(await _answer(reply, deadline))
            last = answers[-1]
            if last is not None and not (isinstance(last, Message) and last.more):
                break
        for reply in replies:
            reply.cancel()
        return answers + [None] * (blocks - len(answers))

    async def begin(
        self, keeper: RelayId, mailbox_id: bytes, make: Make, blocks: int
    ) -> list[asyncio.Future[bytes]]:
        """Send a request, and return once first mixes have taken all of it: what comes by each block.

        Raises as `ask`.
        """
        for _ in range(MOST_ENTRIES):
            stay = await self._line.stay()
            made = [stay.block(keeper) for _ in range(blocks)]
            request = make(tuple(block for block, _ in made))
            try:
                await self._send(stay, keeper, mailbox_id, parts_of(request, self._random))
            except Moved:
                continue
            return [reply for _, reply in made]
        raise RelayUnavailable(f"{MOST_ENTRIES} entries took no request; try again later")

    async def _send(self, stay: Stay, keeper: RelayId, mailbox_id: bytes, parts: list[bytes]) -> None:
        taken = []
        for part in parts:
            parcel = Parcel(partial(self._pack, keeper, mailbox_id, part), _future(), stay=stay)
            self._line.put(parcel)
            taken.append(parcel.taken)
        try:
            for one in taken:
                await one
        finally:
            for one in taken:
                one.cancel()

    def _pack(self, keeper: RelayId, mailbox_id: bytes, part: bytes, stay: Stay) -> Packed:
        return packed(stay.paths, stay.relay, keeper, mailbox_id, KIND_REQUEST, part, self._random)


def read(reply: asyncio.Future[bytes]) -> Answer | None:
    """What came by a block; None if it was lost, or is nonsense. Raises Moved if the entry was left."""
    try:
        return decode_answer(reply.result())
    except PeerError:
        return None


async def _answer(reply: asyncio.Future[bytes], deadline: float) -> Answer | None:
    try:
        async with asyncio.timeout_at(deadline):
            await asyncio.wait([reply])
        return read(reply)
    except (TimeoutError, Moved):
        return None


def _future() -> asyncio.Future[Packed]:
    return asyncio.get_running_loop().create_future()
