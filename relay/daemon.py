"""One relay in one release at work: its parts started, and stopped in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mixpay.accounts import show_account
from mixpay.chain.contracts import Contracts
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.types import RelayId
from relay import capacity
from relay.assembly import Assembly
from relay.home import Home
from relay.operator.ports import port_of
from relay.path.mixer import PULSE
from relay.store import StoreFailed, mailbox_ops

log = logging.getLogger(__name__)

_TICK = 0.1
_HOUSEKEEPING = 60.0


class Daemon(Assembly):
    """One relay. `start` returns when it serves; `stop` when nothing of it runs any more."""

    def __init__(self, home: Home, rpc: Rpc, me: RelayId, view: NetworkView, sender: Sender) -> None:
        """`sender`: the operator's, one for all daemons of a process."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Future[None]] = []
        super().__init__(home, rpc, me, view, sender, self._store_failed)

    def _store_failed(self, failure: StoreFailed) -> None:
        if not self.failed.done():
            self.failed.set_exception(failure)

    async def start(self) -> None:
        """Listen and begin.

        Raises UserError when a port is not to be had or this computer fails its own check, ChainError without
        a chain.
        """
        config = self.home.config
        await self._check_self()
        await self.workers.start()
        await self.keys.use()
        place = config.listening(self.endpoint)
        with port_of("links", place.host, place.link_port):
            await self.server.start(place.host, place.link_port)
        with port_of("clients", place.host, place.client_port):
            await self.gateway.start(place.host, place.client_port, self.home.link_seed)
        self._begin(self._every(PULSE, self._pulse))
        self._begin(self._every(_TICK, self._tick))
        self._begin(self._every(_HOUSEKEEPING, self._housekeeping))
        self._begin(self.chain.run(config.poll_interval))
        self._begin(self.money.run(5 * config.poll_interval))
        self._begin(self.court.run(5 * config.poll_interval))
        self._begin(self.issuers.run())
        log.info("relay %d serves at %s", self.me, self.endpoint)

    async def _check_self(self) -> None:
        workers = self.home.config.workers
        found = self.capacity = await asyncio.to_thread(capacity.measure, workers)
        self.metrics.capacity.set(found.packets)
        self.state.directories.say_capacity(found.packets)
        log.info(
            "self-check: a packet is opened in %.0f µs; with %d workers about %d a second can be carried",
            found.open_us,
            workers,
            found.packets,
        )

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    @staticmethod
    async def _every(seconds: float, work: Callable[[], None]) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            work()
            due = max(due + seconds, clock())  # work that takes long delays what follows, and never piles up
            await asyncio.sleep(due - clock())

    def _pulse(self) -> None:
        self.router.release()
        self.dialer.want(self.router.awaited())

    def _tick(self) -> None:
        self.desk.tick()
        # Acks are missing on some that are down, and what these earn is not waited for without end.
        self.dialer.want(self.books.awaited(self.clock()))

    def _housekeeping(self) -> None:
        expired = self.mailboxes.expire(self.state.chain_time)
        if expired.effects:
            self.store.write(mailbox_ops(expired.effects))

    async def stop(self) -> None:
        """Stop serving, write what waits, close the database."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.gateway.stop()
        await self.requests.stop()
        await self.server.stop()
        await self.dialer.stop()
        await self.workers.stop()
        await self.store.close()


def assemble(home: Home) -> Daemon:
    """Connect to the chain and make the daemon of the deployment file's release. Blocks.

    Raises UserError when the operator is not registered, ChainError without a chain.
    """
    rpc = connect(home.config.rpc_url, home.deployment)
    view = NetworkView(rpc, home.deployment)
    view.refresh()
    me = Contracts(rpc, home.deployment).registry.relay_of(home.operator)
    if not runs_relay(home, view, me):
        raise not_registered(home)
    return Daemon(home, rpc, me, view, Sender(rpc, home.operator_key))


def runs_relay(home: Home, view: NetworkView, me: RelayId) -> bool:
    """Whether there is something to do for `me`, the operator's id (0: none): it lives, or it has left with
    a database behind, in which something may be unsettled.
    """
    if view.relay(me) is not None:
        return True
    return view.last_record(me) is not None and home.database.exists()


def not_registered(home: Home) -> UserError:
    """The error for an operator without a relay."""
    return UserError(
        f"the operator {show_account(home.operator)} runs no registered relay: `mixpay-relay register` first"
    )
