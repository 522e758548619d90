"""The relay process: a daemon for each release of the network in which the operator has a relay.

    deployment file ──▶ view ──▶ releases published ──▶ each that is known: registered there? ──▶ daemon

- The present release's daemon serves; when a release with new contracts is published, the operator is told,
  registers there while everything goes on, and a second daemon starts beside the first, with a database and
  ports of its own, and gets ready.
- When the new contracts come into force, the old daemon carries no more packets. It settles, redeems and
  claims what is left, closes its channels, and ends; its operator leaves the old registry, stake in hand.
- Contracts that this program does not know are not followed: its operator is told to install a newer one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from mixpay.chain.contracts import RelayRegistry
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.errors import ChainError, UserError
from mixpay.local_api import HOST
from mixpay.network import NetworkView
from mixpay.releases import CannotFollow, Releases, Span
from relay.beside import NOTHING_BESIDE, Beside
from relay.daemon import Daemon, not_registered, runs_relay
from relay.draining import Drain, Draining
from relay.home import Home
from relay.operator.announced import require_reachable
from relay.operator.answers import DrainAnswer, ReleaseAnswer, SettleAnswer, StatusAnswer
from relay.operator.api import ApiServer
from relay.operator.ports import port_of
from relay.operator.report import joined
from relay.store import StoreFailed

log = logging.getLogger(__name__)

_PAUSE = 5
"""Looks at the chain between two looks at the releases."""


class Supervisor:
    """The daemons of one operator, and its interface to them. Blocks while it is made.

    Raises UserError, ChainError.
    """

    def __init__(self, home: Home, beside: Beside = NOTHING_BESIDE) -> None:
        """`beside`: what else runs in the process."""
        self._home = home
        self._beside = beside
        self._rpc = connect(home.config.rpc_url, home.deployment)
        self._sender = Sender(self._rpc, home.operator_key)
        self._first = NetworkView(self._rpc, home.deployment)
        self._first.refresh()
        self._releases = Releases(self._rpc, self._first)
        self.daemons: dict[int, Daemon] = {}
        """Those that run, by the number of their release."""
        self._done: dict[int, str] = {}
        self._advice: dict[int, ReleaseAnswer] = {}
        """What is to be said of releases without a daemon."""
        self.ended: asyncio.Future[None]
        """From `start` on. Done when nothing is left to do, or with what made a daemon fail."""
        self._task: asyncio.Task[None] | None = None
        self._api = ApiServer(home.path, self)
        self._draining = Draining(lambda: [*self.drains(), *beside.drains()])

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start a daemon for each release with a relay of this operator's.

        Raises UserError if there is none, or a port is not to be had, ChainError without a chain.
        """
        self.ended = asyncio.get_running_loop().create_future()
        for span in self._releases.spans():
            await self._attend(span)
        if not self.daemons:
            raise self._nothing_to_run()
        with port_of("the operator", HOST, self._home.config.api_port):
            await self._api.start(self._home.config.api_port)
        self._task = asyncio.create_task(self._follow())
        self._task.add_done_callback(self._fail)

    async def stop(self) -> None:
        """Stop all daemons, and wait for no transaction: what was sent, the next run finds on the chain."""
        self._sender.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._draining.stop()
        await self._api.stop()
        for daemon in list(self.daemons.values()):
            with contextlib.suppress(StoreFailed):
                await daemon.stop()

    def _fail(self, source: asyncio.Future[None]) -> None:
        error = None if source.cancelled() else source.exception()
        if error is not None and not self.ended.done():
            self.ended.set_exception(error)

    def _nothing_to_run(self) -> UserError:
        unknown = [answer for answer in self._advice.values() if answer.state == "unknown"]
        return UserError(unknown[-1].notes[0]) if unknown else not_registered(self._home)

    # ------------------------------------------------------------------ releases

    async def _follow(self) -> None:
        """Go along with the releases, and end daemons that have nothing left to do, until cancelled."""
        while not self.ended.done():
            await asyncio.sleep(_PAUSE * self._home.config.poll_interval)
            await self._end_what_is_done()
            try:
                for daemon in list(self.daemons.values()):
                    await asyncio.to_thread(daemon.leaving.read)
                if not self.daemons:  # nobody else reads of new releases then
                    await asyncio.to_thread(self._first.refresh)
                for span in self._releases.spans():
                    await self._attend_calmly(span)
            except ChainError as error:
                log.debug("releases wait for the chain: %s", error)  # chainside says it to the operator
            if not self.daemons and not self._advice:
                log.info("everything is settled, and nothing is left to do here")
                self.ended.set_result(None)

    async def _attend_calmly(self, span: Span) -> None:
        """What goes wrong with one release must not end the others. Raises ChainError."""
        try:
            await self._attend(span)
        except (UserError, OSError) as error:
            self._advise(span, "unknown", f"cannot serve in release {span.number}: {error}")

    async def _attend(self, span: Span) -> None:
        """Start a release's daemon, unless it runs or has ended, or say why there is none."""
        if span.number in self.daemons or span.number in self._done:
            return
        over = span.ends is not None and span.ends <= self._epoch()
        if over and not self._home.database_of(span.number).exists():
            self._advice.pop(span.number, None)
            return
        try:
            view = await asyncio.to_thread(self._releases.view, span)
        except CannotFollow as error:
            self._advise(span, "unknown", str(error))
            return
        home = self._home.at(span, view.deployment)
        await asyncio.to_thread(view.refresh)
        registry = RelayRegistry(self._rpc, view.deployment.registry)
        me = await asyncio.to_thread(registry.relay_of, home.operator)
        if not runs_relay(home, view, me):
            self._advise_to_register(span, over=over, used=bool(me))
            return
        daemon = Daemon(home, self._rpc, me, view, self._sender)
        try:
            if view.relay(me) is not None:  # one that has left may have lost its name, and has to wind up
                await asyncio.to_thread(self._check_place, daemon)
            await daemon.start()
        except BaseException:
            await daemon.stop()
            raise
        if self._draining.begun:
            daemon.drain.begin()
        self._advice.pop(span.number, None)
        self.daemons[span.number] = daemon
        daemon.failed.add_done_callback(self._fail)
        log.info("release %d: relay %d", span.number, me)

    def _check_place(self, daemon: Daemon) -> None:
        """Raise UserError if nobody can reach what is registered. Blocks."""
        chain, config = daemon.home.deployment.chain_id, daemon.home.config
        told = require_reachable(daemon.endpoint.host, chain, private=config.private_network)
        if told:
            log.warning("%s", told)

    def _advise_to_register(self, span: Span, *, over: bool, used: bool) -> None:
        if over or used:  # a key serves one relay in a registry
            self._advice.pop(span.number, None)
            return
        text = (
            f"release {span.number} of the network is in force from epoch {span.begins} on, and this "
            f"operator is not registered in it: `mixpay-relay register --release {span.number}`, with ports "
            "of its own while this one serves; a relay serves from the second epoch after its registration on"
        )
        self._advise(span, "not registered", text)

    def _advise(self, span: Span, state: str, text: str) -> None:
        known = self._advice.get(span.number)
        if known is None or known.notes != [text]:
            log.warning("%s", text)
        self._advice[span.number] = _answer(span, None, state, [text])

    async def _end_what_is_done(self) -> None:
        for number, daemon in list(self.daemons.items()):
            if daemon.left_to_do():
                continue
            del self.daemons[number]
            leave = f"`mixpay-relay leave --release {number}`, then " if daemon.view.relay(daemon.me) else ""
            self._done[number] = (
                f"everything is settled in release {number}; to get its stake: {leave}`mixpay-relay withdraw "
                f"--release {number}` when the bond is over"
            )
            log.info("%s", self._done[number])
            await daemon.stop()

    def _epoch(self) -> int:
        views = [daemon.view for daemon in self.daemons.values()]
        return max(view.epoch for view in (*views, self._first))

    # ------------------------------------------------------------------ operations

    def status(self, release: int | None = None) -> StatusAnswer:
        """See `Operations`."""
        daemon = self._daemon(release)
        answer = daemon.operations.status()
        return msgspec.structs.replace(
            answer,
            releases=self._answers(),
            leaving=daemon.leaving.answer(),
            draining=self._draining.answer() if self._draining.begun else None,
            notes=[*answer.notes, *self._beside.notes()],
        )

    def metrics(self, release: int | None = None) -> bytes:
        """See `Operations`."""
        return self._daemon(release).operations.metrics()

    async def settle(self) -> SettleAnswer:
        """See `Operations`."""
        numbers = sorted(self.daemons)
        answers = await asyncio.gather(*(self.daemons[number].operations.settle() for number in numbers))
        return joined(dict(zip(numbers, answers, strict=True)))

    async def drain(self, wait: float) -> DrainAnswer:
        """See `Operations`."""
        await self._draining.drain(wait)
        return self._draining.answer()

    def resume(self) -> DrainAnswer:
        """See `Operations`."""
        self._draining.resume()
        return self._draining.answer()

    def progress(self) -> str:
        """How far the relays that have left have come, in a line."""
        found = (daemon.leaving.answer() for daemon in self.daemons.values())
        return "; ".join(answer.progress for answer in found if answer) or "the chain was not asked yet"

    def drains(self) -> list[Drain]:
        """Of all daemons."""
        return [daemon.drain for daemon in self.daemons.values()]

    def _daemon(self, release: int | None) -> Daemon:
        """The daemon of a release; of the one in force, or else the newest, if not told. Raises UserError."""
        number = release
        if number is None:
            present = self._releases.in_force().number
            number = present if present in self.daemons else max(self.daemons, default=present)
        if number in self.daemons:
            return self.daemons[number]
        notes = [note for answer in self._answers() if answer.number == number for note in answer.notes]
        raise UserError(notes[0] if notes else f"no relay of this operator runs in release {number}")

    def _answers(self) -> list[ReleaseAnswer]:
        answers = []
        for span in self._releases.spans():
            number = span.number
            if number in self.daemons:
                answers.append(self._of_daemon(span, self.daemons[number]))
            elif number in self._done:
                answers.append(_answer(span, None, "done", [self._done[number]]))
            elif number in self._advice:
                answers.append(self._advice[number])
        return answers

    def _of_daemon(self, span: Span, daemon: Daemon) -> ReleaseAnswer:
        if daemon.state.is_over:
            return _answer(span, daemon.me, "winding up", daemon.left_to_do())
        state = "to come" if span.begins > daemon.state.epoch else "serving"
        return _answer(span, daemon.me, state, [])


def _answer(span: Span, relay: int | None, state: str, notes: list[str]) -> ReleaseAnswer:
    return ReleaseAnswer(
        number=span.number, begins=span.begins, ends=span.ends, relay=relay, state=state, notes=notes
    )
