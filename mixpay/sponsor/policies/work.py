"""Policy `work`: anybody who lets a computer work for some seconds gets one pass (`mixpay.crypto.work`).

Credential: a number below 2^64, as 16 hexadecimal digits, whose work over the seed
`mixpay.sponsor.binding.bound` proves the difficulty. So a proof is good for one pass of one kind, period and
campaign, and cannot be made before the pass; each proof is one pass, whatever quotas say.

How dear a pass is follows what is asked for:

  * The difficulty, in expected attempts, doubles with every `raise_after` passes of the same kind and period
    that this policy has let through. The offer says the difficulty in force: `difficulty`, and where it has
    been raised `difficulty.KIND.PERIOD`.
  * For `grace_seconds` after a raise, a proof of the difficulty before it is good as well.
  * `all_entry_passes` and `all_mailbox_passes` end it for a period.

What was let through is counted in the issuer's database, of which this process hears with each pass: after a
restart the first one or two passes may cost as much as at the period's beginning.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated

import msgspec

from mixpay.crypto import work
from mixpay.sponsor.binding import DIFFICULTY, bound, difficulty_of
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policy import Asked, Identified, PolicyRefusal, Quotas, Share

MOST_DOUBLINGS = 20
_NUMBER = re.compile(r"[0-9a-f]{16}")
_ONE = Quotas(1, 1)
_THREADS = 2
_REMEMBERED = 16
"""Periods of a kind, with those of later releases."""

_Passes = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`difficulty`: expected attempts, about half a millisecond of a core each. 0: never raised, no limit."""

    difficulty: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = 4096
    raise_after: _Passes = 10_000
    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 600
    all_entry_passes: _Passes = 0
    all_mailbox_passes: _Passes = 0


class WorkPolicy:
    """Anybody, for work."""

    kind = "work"
    quotas = _ONE

    def __init__(self, settings: Settings, name: str = "work") -> None:
        self.name, self._settings = name, settings
        self._limits = Quotas(settings.all_entry_passes, settings.all_mailbox_passes)
        self._threads = ThreadPoolExecutor(_THREADS, "work-policy")
        self._raised: OrderedDict[tuple[int, int], tuple[int, float]] = OrderedDict()

    def terms(self) -> Mapping[str, str]:
        raised = {place: doublings for place, (doublings, _) in self._raised.copy().items()}
        own = {difficulty_of(*place): str(self._difficulty(doublings)) for place, doublings in raised.items()}
        return {DIFFICULTY: str(self._settings.difficulty), **own}

    async def identify(self, asked: Asked) -> Identified:
        if not asked.credential:
            raise PolicyRefusal("identity_required", "this way to get passes asks for a proof of work")
        if not _NUMBER.fullmatch(asked.credential):
            raise PolicyRefusal("identity_refused", "a proof of work is 16 hexadecimal digits")
        proof = bound(asked.scope, asked.blinded), int(asked.credential, 16), self._required(asked)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._threads, work.proves, *proof):
            raise PolicyRefusal("identity_refused", "the proof of work is not of this pass, or of too little")
        kind, period = asked.scope.kind, asked.scope.period
        told = partial(self._heard, (kind, period), asked.now)
        identity = b"work:" + hashlib.sha256(asked.blinded).digest()
        everybody = Share(b"all", self._limits.of(kind) or None, told)
        return Identified(self.name, identity, self.quotas, (everybody,))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _required(self, asked: Asked) -> int:
        doublings, since = self._raised.get((asked.scope.kind, asked.scope.period), (0, 0.0))
        in_grace = doublings and asked.now - since < self._settings.grace_seconds
        return self._difficulty(doublings - 1 if in_grace else doublings)

    def _heard(self, place: tuple[int, int], now: float, count: int) -> None:
        """`count` passes of a kind and period have been issued. Called on any thread."""
        after = self._settings.raise_after
        doublings = min(count // after, MOST_DOUBLINGS) if after else 0
        if doublings <= self._raised.get(place, (0, 0.0))[0]:
            return
        self._raised[place] = doublings, now
        while len(self._raised) > _REMEMBERED:
            self._raised.popitem(last=False)

    def _difficulty(self, doublings: int) -> int:
        return self._settings.difficulty << doublings


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> WorkPolicy:
    """From the settings."""
    return WorkPolicy(settings, name)
