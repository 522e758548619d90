"""Users who send all the time, in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from chaos.judge import TrafficFacts
from chaos.ledger import Ledger
from chaos.users import DRAIN_LIMIT, Users
from mixpay.client import app
from mixpay.client.home import Home
from mixpay.keystore import Kdf

T = TypeVar("T")

_LIMIT = 120.0


class Traffic:
    """All users, at so many relays. `folder`: of a client that was initialised; `rate`: packets a second."""

    def __init__(self, folder: Path, relays: int, rate: float, seed: int) -> None:
        self.ledger = Ledger()
        self._folder, self._relays, self._rate, self._seed = folder, relays, rate, seed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="users", daemon=True)
        self._users: Users | None = None
        self._stack = contextlib.AsyncExitStack()

    def start(self) -> None:
        """Get passes and mailboxes, and begin to send. Raises MixpayError."""
        self._thread.start()
        self._users = self._do(self._open(), _LIMIT)

    async def _open(self) -> Users:
        home = Home(self._folder)
        client = await self._stack.enter_async_context(app.connected(home))
        password = secrets.token_urlsafe(12)
        identity = home.identity(lambda _: password, Kdf.LIGHT)
        users = Users(client, identity, self.ledger, self._rate, self._seed)
        await users.prepare(self._relays)
        users.begin()
        return users

    def pause(self) -> None:
        """Send nothing more; returns when what was sent has its answers, or will not get any."""
        self._do(self._running.pause(), 2 * DRAIN_LIMIT)

    def resume(self) -> None:
        """Send again."""
        self._loop.call_soon_threadsafe(self._running.going.set)

    def collect(self) -> TrafficFacts:
        """Empty all mailboxes; every relay must be there. Raises RelayUnavailable."""
        self._do(self._running.collect(), _LIMIT)
        return self.ledger.facts()

    def check(self) -> None:
        """Raise what made a user fail, if one did."""
        self._running.check()

    def stop(self) -> None:
        """Everybody leaves."""
        if self._thread.is_alive():
            if self._users is not None:
                self._do(self._users.end(), _LIMIT)
            self._do(self._stack.aclose(), _LIMIT)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    @property
    def _running(self) -> Users:
        if self._users is None:
            raise RuntimeError("the traffic was not started")
        return self._users

    def _do(self, work: Coroutine[Any, Any, T], limit: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit)
