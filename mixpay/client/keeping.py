"""Fetches passes ahead of need (`mixpay.client.prefetch` has the rules): one round, or round after round.

What is due is found under the lock under which it is fetched, so two commands never fetch the same. What
cannot be had of one kind and period keeps none of another waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from mixpay.client.errors import ClientError, IssuerRefused, IssuerUnavailable, NoKey
from mixpay.client.prefetch import SECRET_BYTES, DropSpare, Fetch, Plan, Step, WantSpare
from mixpay.client.store import ClientStore
from mixpay.client.wallet import Wallet
from mixpay.errors import ChainError, UserError
from mixpay.network import NetworkView
from mixpay.passes import KIND_ENTRY
from mixpay.types import Epoch, Random, Term

_LONGEST_LOOK = 20.0
_LOOKS = 100
"""Looks an epoch, at least; not more often than once a second."""

_LATER = 24
"""Part of an epoch (an hour) after which the sponsor is asked again for a key that it did not have."""

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 3600.0
"""Seconds after a round that failed; doubled by each further one."""


def plan_of(store: ClientStore, view: NetworkView, random: Random, entry_passes: int) -> Plan:
    """The plan of a folder: its secret is drawn and stored before anything is planned by it."""
    secret = store.settle_fact("fetching", random(SECRET_BYTES).hex())
    return Plan(view.schedule, bytes.fromhex(secret), random, entry_passes)


class Keeper:
    """Keeps a wallet filled, in one release. `tell` gets lines for the user: each trouble once."""

    def __init__(
        self,
        store: ClientStore,
        view: NetworkView,
        wallet: Wallet,
        plan: Plan,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._view, self._wallet, self._plan, self._tell = store, view, wallet, plan, tell
        self._refused: set[tuple[int, int]] = set()
        self._later: dict[tuple[int, int], int] = {}
        """Kinds and periods without a key, and until when (chain time) nobody asks for them."""

    async def once(self) -> int:
        """Fetch what is due; how many passes that were.

        Raises IssuerUnavailable, IssuerRefused, when all else is fetched; UserError, ChainError. A quota that
        is used up is no error: nothing more is asked for in its period then. Nor is a key that the sponsor
        does not have: it is asked again later.
        """
        fetched = 0
        failed: dict[tuple[int, int], IssuerUnavailable | IssuerRefused] = {}
        self._wallet.forget_past()
        while True:
            async with self._wallet.turn():
                step = self._next(failed)
                if step is None:
                    break
                try:
                    fetched += await self._do(step)
                except (IssuerUnavailable, IssuerRefused) as error:
                    if not isinstance(step, Fetch):
                        raise
                    failed[step.kind, step.period] = error
        for first in failed.values():
            raise first
        return fetched

    def _next(self, failed: Collection[tuple[int, int]]) -> Step | None:
        epoch = self._view.epoch
        steps = self._plan.steps(self._view.chain_time, epoch, self._store.held, self._store.spare(epoch))
        return next((step for step in steps if self._is_possible(step, failed)), None)

    def _is_possible(self, step: Step, failed: Collection[tuple[int, int]]) -> bool:
        if not isinstance(step, Fetch):
            return True
        which = step.kind, step.period
        if which in self._refused or which in failed or self._view.chain_time < self._later.get(which, 0):
            return False
        return self._view.works_in(self._first(step))

    def _first(self, step: Fetch) -> Epoch:
        """The first epoch, from now on, in which a pass is good."""
        if step.kind == KIND_ENTRY:
            return Epoch(step.period)
        return max(self._view.schedule.first_epoch(Term(step.period)), self._view.epoch)

    async def _do(self, step: Step) -> int:
        match step:
            case WantSpare():
                self._store.put_spare(step.epoch, step.at)
            case DropSpare():
                self._store.drop_spare(step.epoch)
            case Fetch():
                return await self._fetch(step)
        return 0

    async def _fetch(self, step: Fetch) -> int:
        try:
            await self._wallet.fetch(step.kind, step.period)
        except NoKey as error:
            if (step.kind, step.period) not in self._later:
                self._tell(str(error))
            hour = self._view.schedule.epoch_length // _LATER
            self._later[step.kind, step.period] = self._view.chain_time + max(1, hour)
            return 0
        except IssuerRefused as error:
            if error.label != "quota_exceeded":
                raise
            self._refused.add((step.kind, step.period))
            return 0
        if step.spare:
            self._store.drop_spare(Epoch(step.period))
        return 1

    async def keep(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Round after round, until cancelled. `refresh` reads what is new on the chain."""
        told, pause = "", _FIRST_PAUSE
        while True:
            try:
                await refresh()
                await self.once()
            except (ClientError, UserError, ChainError) as error:
                if str(error) != told:
                    told = str(error)
                    self._tell(f"no pass was fetched ahead: {error}; trying on")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                told, pause = "", _FIRST_PAUSE
                await asyncio.sleep(self._look)

    @property
    def _look(self) -> float:
        """Seconds between two looks; they begin when the keeper does, whatever the user does meanwhile."""
        return min(_LONGEST_LOOK, max(1.0, self._view.schedule.epoch_length / _LOOKS))
