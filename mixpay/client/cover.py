"""What leaves when nothing waits: packets that look, and are paid for, like all others.

Most are for nobody, and end at a relay that drops them. Every fourth is a loop: it goes by a reply block of
our own back to our entry, and so tells whether the relays on its way carry what they are paid for. To them,
and to the entry at which it ends, it is one more reply.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixpay.client.loops import LoopScores
from mixpay.client.profile import LOOP_SECONDS
from mixpay.client.route import Packed, packed
from mixpay.crypto import uniform
from mixpay.geometry import GEOMETRY, MAILBOX_ID_SIZE
from mixpay.packet import KIND_COVER, build_surb, use_surb
from mixpay.types import Random

if TYPE_CHECKING:
    from mixpay.client.line import Stay

ONE_LOOP_IN = 4
_NUMBER_SIZE = 8


@dataclass(slots=True, eq=False)
class _Loop:
    packed: Packed
    back: asyncio.Future[bytes]
    overdue_at: float


class Cover:
    """One user's. `scores`: what loops have shown."""

    def __init__(self, random: Random, scores: LoopScores | None = None) -> None:
        self._random, self.scores = random, scores or LoopScores()
        self._loops: list[_Loop] = []

    def make(self, stay: Stay, now: float) -> Packed:
        """A packet; `now`: seconds of a steady clock. Raises NoPath."""
        self._look(now)
        for relay in self.scores.suspects(now):
            stay.paths.avoid(relay)
        if uniform.below(ONE_LOOP_IN, self._random) == 0:
            return self._loop(stay, now)
        others = sorted(stay.paths.directory.descriptors.keys() - {stay.relay})
        end, nobody = others[uniform.below(len(others), self._random)], self._random(MAILBOX_ID_SIZE)
        nothing = self._random(GEOMETRY.user_size)
        return packed(stay.paths, stay.relay, end, nobody, KIND_COVER, nothing, self._random)

    def lost(self, packed: Packed) -> None:
        """The first mix did not take a packet: if it was a loop, it shows nothing of the relays behind."""
        self._loops = [loop for loop in self._loops if loop.packed is not packed]

    def _loop(self, stay: Stay, now: float) -> Packed:
        paths, number = stay.paths, self._random(_NUMBER_SIZE)
        mixes, hops, last = paths.draw(stay.relay, stay.relay, self._random)
        place = stay.place(number)
        block, keys = build_surb(paths.context, paths.epoch, hops, last, place, self._random)
        built = use_surb(block, self._random(GEOMETRY.reply_size))
        made = Packed(stay.relay, mixes, stay.relay, paths.epoch, built)
        delays = sum(hop.delay_ms for hop in hops) / 1000
        self._loops.append(_Loop(made, stay.expect(number, keys), now + delays + LOOP_SECONDS + stay.slack))
        return made

    def _look(self, now: float) -> None:
        """Count the loops that are back, and those that will not come any more."""
        waiting = []
        for loop in self._loops:
            if loop.back.done():
                if loop.back.exception() is None:  # else we left the entry it would have come to
                    self.scores.add(loop.packed.mixes, now, back=True)
            elif loop.overdue_at <= now:
                self.scores.add(loop.packed.mixes, now, back=False)
                loop.back.cancel()
            else:
                waiting.append(loop)
        self._loops = waiting
