"""Relays of retired operator keys, which wind up beside the relay of the folder, in the same process.

Each has a folder of its own under `retired/` (`relay/rotation/`), with its key, books and ports. It serves to
the end of its last epoch, settles, claims, closes its channels and pays out; then it is marked as settled,
and not started any more. What goes wrong with one of them ends no other, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mixpay.accounts import show_account
from mixpay.errors import MixpayError
from relay.draining import Drain
from relay.home import Home
from relay.home_lock import HomeLock
from relay.rotation.plan import SETTLED, read, retired_folders
from relay.supervisor import Supervisor

log = logging.getLogger(__name__)

_PAUSE = 30.0
"""Seconds until a relay that could not run is tried again."""


class RetiredRelays:
    """All of one folder. `homes`: those that still have something to do; `main`: the folder."""

    def __init__(self, main: Path, homes: Sequence[Home], pause: float = _PAUSE) -> None:
        self._main, self._pause = main, pause
        self._homes = {home.path: home for home in homes}
        self._running: dict[Path, Supervisor] = {}
        self._troubles: dict[Path, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def open(cls, folder: Path, password: str) -> RetiredRelays:
        """Read their keys, which have the password of the folder's. Raises UserError."""
        return cls(folder, [Home.open(path, password) for path in retired_folders(folder)])

    def start(self) -> None:
        """Begin with all of them."""
        self._tasks = [asyncio.create_task(self._look_after(home)) for home in self._homes.values()]

    async def ended(self) -> None:
        """Wait until nothing is left to do for any."""
        await asyncio.gather(*(asyncio.shield(task) for task in self._tasks))

    async def stop(self) -> None:
        """Stop all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look_after(self, home: Home) -> None:
        """Run one until it has nothing left to do, whatever comes in between."""
        with ExitStack() as locks:
            while True:
                try:
                    locks.enter_context(HomeLock(home.path))
                    break
                except MixpayError as error:
                    await self._rest(home, error)
            while not (home.path / SETTLED).exists():
                try:
                    await self._run(home)
                    (home.path / SETTLED).touch(0o600)
                except (MixpayError, OSError) as error:
                    await self._rest(home, error)
                except Exception as error:  # a mistake of ours with one key must not end the relay of another
                    log.exception("the relay of the old operator key %s", show_account(home.operator))
                    await self._rest(home, error)
        self._troubles.pop(home.path, None)
        log.info("everything of the old operator key %s is settled", show_account(home.operator))

    async def _run(self, home: Home) -> None:
        """Raises what made it fail."""
        supervisor = await asyncio.to_thread(Supervisor, home)
        try:
            await supervisor.start()
            self._running[home.path] = supervisor
            self._troubles.pop(home.path, None)
            await asyncio.shield(supervisor.ended)
        finally:
            self._running.pop(home.path, None)
            await supervisor.stop()

    async def _rest(self, home: Home, error: Exception) -> None:
        if self._troubles.get(home.path) != str(error):
            log.warning("the relay of the old operator key %s: %s", show_account(home.operator), error)
        self._troubles[home.path] = str(error)
        await asyncio.sleep(self._pause)

    # ------------------------------------------------------------------ what the process asks

    @property
    def running(self) -> Mapping[Path, Supervisor]:
        """Those that run, by folder."""
        return self._running

    def drains(self) -> list[Drain]:
        """Of all daemons that run."""
        return [drain for supervisor in self._running.values() for drain in supervisor.drains()]

    def notes(self) -> list[str]:
        """How each of them stands, and how a rotation does."""
        return [*self._rotation(), *map(self._note, self._homes.values())]

    def _rotation(self) -> list[str]:
        plan = read(self._main)
        if plan is None:
            return []
        if plan.stage != "winding up":
            return ["the operator key is being changed: stop the daemon and run `mixpay-relay rotate-key`"]
        if all((path / SETTLED).exists() for path in self._homes):
            return ["the old operator key is settled: `mixpay-relay rotate-key` pays out what is left of it"]
        return []

    def _note(self, home: Home) -> str:
        who, where = f"old operator key {show_account(home.operator)}", f"--home {home.path}"
        trouble, supervisor = self._troubles.get(home.path), self._running.get(home.path)
        if trouble is not None:
            return f"{who}: it cannot be wound up now: {trouble}"
        if supervisor is None:
            done = (home.path / SETTLED).exists()
            return f"{who}: {'everything is settled' if done else 'is being started'}"
        return f"{who}: {supervisor.progress()} (`mixpay-relay status {where}`)"
