"""This relay's packet keys: made, signed, destroyed; and never two for one epoch.

Two signed keys for one epoch cost a part of the stake, whoever is to blame. What could make an honest relay
sign a second one is a database, or a whole disk, that was lost or put back from an older copy. So a key is
made only if

    record    by its own record the relay has not signed for the epoch (`relay/keys/signed_epochs.py`, beside
              the keys and outside the database), and
    others    nobody shows a key of ours for it. Some relays are asked each time. Many are, and that they
              answer is waited for, only where there is a gap: the relay was in the epoch before and has no
              key of it, be it that the daemon was down, or that something was lost and the record, too, is
              an old copy. Then only others can know, and if the loss came soon after the signature, few of
              them do. A new relay has no gap, and begins whether anybody can be reached or not;

and after that in this order, so that a crash between any two does no harm:

    drawn ▶ in the database ▶ in the record ▶ signed and shown to others

An epoch whose key was signed but is lost is not served; the next one is. A relay whose database was restored
from a backup makes no keys at all (`relay/keys/restored.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mixpay.types import Epoch
from relay.keys.gossip import Heard
from relay.keys.restored import SERVES_NO_MORE
from relay.keys.signed_epochs import SignedEpochs
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore, forget_epoch_ops, key_op

log = logging.getLogger(__name__)

_WITNESSES, _WITNESSES_OF_A_GAP = 5, 64
"""Relays asked about ourselves: in passing, and where our own record cannot be relied on."""
_ENOUGH = 3
"""Answers that fill a gap in the record."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0

Ask = Callable[[Epoch, int], Awaitable[Heard]]
"""`Gossip.ask_about_me`."""


class KeyDesk:
    """Looks after the keys of one relay's `state`. `clock` gives seconds of any steady clock."""

    def __init__(
        self,
        state: State,
        store: RelayStore,
        record: SignedEpochs,
        router: Router,
        ask: Ask,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._store = store
        self._record = record
        self._router = router
        self._ask = ask
        self._clock = clock
        self._waiting: Epoch | None = None
        self._again_at, self._pause = 0.0, _FIRST_PAUSE

    async def use(self) -> None:
        """Destroy the keys of old epochs, let the router know, and sign what is not signed yet.

        Raises UserError if the record cannot be written; then nothing new is signed.
        """
        state, keys = self._state, self._state.keys
        ops = [op for epoch in keys.expire(state.floor) for op in forget_epoch_ops(epoch)]
        if ops:
            await self._store.written(ops)
        self._router.use_epochs(state.epoch_keys(), state.floor)
        try:
            if keys.newest is not None:
                await asyncio.to_thread(self._record.add, keys.newest)
        finally:
            state.directories.publish(self._record.newest)

    async def make(self) -> None:
        """Make the keys that are needed, where nothing speaks against it, and use them."""
        keys = self._state.keys
        while (epoch := self._next()) is not None and await self._is_clear(epoch):
            signed = await asyncio.to_thread(self._record.read)
            if signed is not None:
                keys.forgo(signed)
            secret = keys.draw(epoch)
            if secret is None:
                continue  # it was signed: somebody has shown it, or it is in the record
            await self._store.written([key_op(epoch, secret)])
            if not keys.hold(epoch, secret):  # and here, just in time
                await self._store.written(forget_epoch_ops(epoch))
        await self.use()

    def _next(self) -> Epoch | None:
        """The first epoch, this or a later one, that lacks a key and may have one."""
        if self._state.restored:
            return None
        state, newest = self._state, self._state.keys.newest
        wanted = (epoch for epoch in state.living_epochs() if epoch >= state.epoch and state.is_member(epoch))
        return next((epoch for epoch in wanted if newest is None or epoch > newest), None)

    # ------------------------------------------------------------------ others

    async def _is_clear(self, epoch: Epoch) -> bool:
        """Whether it is settled if somebody has a key of ours for this epoch: `State` has learned it then."""
        if epoch == self._waiting and self._clock() < self._again_at:
            return False
        has_gap = self._has_gap(epoch)
        heard = await self._ask(epoch, _WITNESSES_OF_A_GAP if has_gap else _WITNESSES)
        if heard.answered >= min(_ENOUGH, heard.asked) or not has_gap:
            self._waiting, self._pause = None, _FIRST_PAUSE
            return True
        if epoch != self._waiting:
            log.warning("epoch %d: %s", epoch, _GAP)
        self._waiting, self._again_at = epoch, self._clock() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return False

    def _has_gap(self, epoch: Epoch) -> bool:
        """Whether this relay may have signed for epochs of which its record knows nothing."""
        before, state = Epoch(epoch - 1), self._state
        if epoch == 0 or not state.view.is_frozen(before) or not state.is_member(before):
            return False
        return state.keys.get(before) is None

    # ------------------------------------------------------------------ for the operator

    def notes(self) -> list[str]:
        """What the operator has to know about keys."""
        state, notes = self._state, []
        if state.restored:
            return [SERVES_NO_MORE]
        if self._waiting is not None:
            notes.append(f"no packet key for epoch {self._waiting} yet: {_GAP}")
        newest = state.keys.newest
        for epoch in state.living_epochs():
            if epoch < state.epoch or not state.is_member(epoch) or newest is None or epoch > newest:
                continue
            if state.keys.get(epoch) is None:
                notes.append(f"no packets in epoch {epoch}: {_LOST}")
            elif epoch in state.directories.foreign:
                notes.append(f"epoch {epoch}: {_TWO}")
        return notes


_GAP = (
    "this relay was in the network before, but has no key of the epoch before. It asks other relays which it "
    f"has signed, and waits until {_ENOUGH} have answered"
)
_LOST = (
    "its packet key was signed before and is lost, and a second one would cost stake. The relay serves again "
    "from the first epoch that it has not signed for"
)
_TWO = (
    "another packet key was signed with this relay's operator key, and that costs stake. If a second daemon "
    "runs with the same keys, stop it now"
)
