"""A network to be troubled: relays in this process with real sockets, databases and a real chain, and faults
to put in between. What it says about the money at the end is the property of every scenario.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import msgspec

from chaos.scenario import NotHeld, require
from chaos.scenarios.node import Node, honest
from chaos.scenarios.wire import Wire
from mixpay.book import PayeeBook, PayerBook
from mixpay.book.common import LinkBook
from mixpay.book.events import Effects
from mixpay.chain.devchain import DevChain
from mixpay.errors import PeerError
from mixpay.keystore import Kdf
from mixpay.mailbox import Created, mailbox_id_of
from mixpay.packet import Hop, build
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, RelayId
from relay import config as configs
from relay.daemon import Daemon
from relay.home import Home, initialise
from relay.operator.answers import StatusAnswer
from relay.operator.status_text import status_text
from relay.store import mailbox_ops
from relay_world import EPOCH, RelayWorld, until

PRICE = DEMO.hop_price
OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"
"""Where relays are announced, and where those behind wires listen."""
RESPONSES = 6.0
"""Seconds that a batch waits for its last responses."""
SEEN_AFTER = 3.0
"""Seconds after which all have read of a channel: they look ten times a second."""
Way: TypeAlias = tuple[RelayId, tuple[RelayId, ...], RelayId]
"""Of a packet: entry, mixes, mailbox."""
Prepare: TypeAlias = Callable[[Daemon], None]


class FaultWorld(RelayWorld):
    """`node` stands between the relays and the chain; with `wired`, a wire before every relay.

    `settings`: of every relay's configuration, by name; `prepare`: what is done to a daemon before its start.
    """

    def __init__(
        self,
        chain: DevChain,
        node: Node,
        folder: Path,
        relays: int,
        *,
        wired: bool = False,
        settings: Mapping[str, str] | None = None,
        prepare: Prepare = lambda daemon: None,
    ) -> None:
        super().__init__(chain, folder, relays)
        self.node = node
        self.wired = wired
        self.wires: dict[int, Wire] = {}
        """The one that leads to a relay, by the relay's link port."""
        self._settings = dict(settings or {})
        self._prepare = prepare
        self.apart: Collection[RelayId] = ()
        """Relays that hold no links: nobody waits for theirs."""
        self._others: list[Wire] = []
        self.passwords: list[str] = []
        self.receipts: Counter[Account] = Counter()
        """Responses that books have taken, by payee: tickets proven relayed."""
        self.boxes: dict[RelayId, bytes] = {}
        self.sent: dict[bytes, bytes] = {}
        """What packets carry that were acknowledged by their first mix, by its beginning."""

    def _home(self, number: int, ports: list[int]) -> Home:
        """A folder such as an operator has."""
        before = super()._home(number, ports)
        text = configs.render(
            rpc_url=self.node.url,
            deployment=before.config.deployment,
            host=OUTSIDE,
            link_port=ports[0],
            client_port=ports[1],
            owner=before.config.owner,
            listen=INSIDE if self.wired else OUTSIDE,
            settings={"poll_interval": "0.1", **self._settings},
        )
        password = secrets.token_hex(8)
        initialise(before.path, text, password, Kdf.LIGHT)
        self.passwords.append(password)
        return Home.open(before.path, password)

    def _assemble(self, home: Home) -> Daemon:
        daemon = super()._assemble(home)
        # What is lost on the way is not waited for as long as an operator's relay does.
        daemon.books._limits = replace(daemon.books._limits, response_timeout=RESPONSES)
        daemon.chain.seen_after = SEEN_AFTER
        self._prepare(daemon)
        return daemon

    def _ready(self) -> bool:
        return all(
            daemon.state.epoch == EPOCH
            and not daemon.state.directories.missing(EPOCH)
            and bool(daemon.dialer.links)
            and all(
                link.is_open or {relay, daemon.me} & set(self.apart)
                for relay, link in daemon.dialer.links.items()
            )
            for daemon in self.daemons
        )

    async def start(self) -> None:
        """Wires first, then relays."""
        # Many relays in one process, all of which ask the chain in threads.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
        for home in self.homes if self.wired else []:
            link, client = home.config.link_port, home.config.client_port
            self.wires[link] = Wire((OUTSIDE, link), (INSIDE, link))
            self._others.append(Wire((OUTSIDE, client), (INSIDE, client)))
        for wire in (*self.wires.values(), *self._others):
            await wire.start()
        await super().start()
        for daemon in self.daemons:
            self._open_box(daemon)

    def _open_box(self, daemon: Daemon) -> None:
        key = os.urandom(32)
        box = mailbox_id_of(key)
        made = daemon.mailboxes.create(box, key, 2**40, daemon.state.chain_time)
        if not isinstance(made, Created):
            raise NotHeld("no mailbox could be made")
        daemon.store.write(mailbox_ops(made.effects))
        self.boxes[daemon.me] = box

    async def stop(self) -> None:
        """Relays first, then wires."""
        await super().stop()
        for wire in (*self.wires.values(), *self._others):
            await wire.stop()

    async def start_again(self, relay: RelayId, **changes: Any) -> Daemon:
        """A relay that was stopped comes back, with other settings perhaps."""
        place = next(at for at, daemon in enumerate(self.daemons) if daemon.me == relay)
        home = self.homes[place]
        if changes:
            home = replace(home, config=msgspec.structs.replace(home.config, **changes))
        daemon = self.daemons[place] = self._assemble(home)
        await daemon.start()
        return daemon

    # ------------------------------------------------------------------ who is who

    def in_layer(self, layer: int) -> list[RelayId]:
        """The mixes of a layer."""
        return [d.me for d in self.daemons if self.layers().layer(d.me) == layer]

    def status(self, relay: RelayId) -> StatusAnswer:
        """What a relay tells its operator."""
        return self.relay(relay).operations.status()

    def text(self, relay: RelayId) -> str:
        """What `mixpay-relay status` prints."""
        return status_text(self.status(relay))

    def owed(self, payer: RelayId, payee: RelayId) -> PayeeBook:
        """The payee's book of what a payer owes it."""
        return self.relay(payee).books.payee(payer)

    def owes(self, payer: RelayId, payee: RelayId) -> PayerBook:
        """The payer's book of the same."""
        return self.relay(payer).books.payer(payee)

    # ------------------------------------------------------------------ packets

    def draw(self, without: Collection[RelayId] = ()) -> Way:
        """Entry, mixes and mailbox of a packet, none of them `without`."""
        ids = [daemon.me for daemon in self.daemons if daemon.me not in without]
        entry = random.choice([relay for relay in ids if self.layers().layer(relay) != 1])  # noqa: S311
        mailbox = random.choice([relay for relay in ids if self.layers().layer(relay) != 3])  # noqa: S311
        return (
            entry,
            self.layers().draw_path(entry, mailbox, lambda relay: relay not in without, os.urandom),
            mailbox,
        )

    async def send(self, way: Way | None = None, limit: float = 30.0) -> str | None:
        """One packet: None when its first mix has acknowledged it, else why not."""
        entry, path, mailbox = way or self.draw()
        view, body = self.daemons[0].view, os.urandom(2048)

        def hop(relay: RelayId, delay: int) -> Hop:
            return Hop(relay, self.relay(relay).state.epoch_keys()[EPOCH].public, delay)

        mixes, last = [hop(relay, 5) for relay in path], hop(mailbox, 0)
        built = build(view.key_context(EPOCH), mixes, last, self.boxes[mailbox], 0, body, os.urandom)
        router = self.relay(entry).router
        try:
            router.check_first_mix(built.first_relay, EPOCH)
            answer = router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
            ack = await asyncio.wait_for(answer, limit)
        except PeerError as error:
            return error.reason
        except TimeoutError:
            return "no answer"
        require(ack == built.first_ack, "an acknowledgement opens nothing")
        self.sent[body[:16]] = body
        return None

    async def carry(
        self,
        packets: int,
        way: Way | Callable[[], Way] | None = None,
        pause: float = 0.0,
        limit: float = 30.0,
        at_once: int | None = None,
    ) -> Counter[str | None]:
        """Many packets, each after a pause; how they ended. `at_once`: only so many wait for their first mix:
        where machines are slow, so is the sender.
        """
        free = asyncio.Semaphore(at_once or packets)

        async def send() -> str | None:
            async with free:
                return await self.send(way() if callable(way) else way, limit)

        under_way = []
        for _ in range(packets):
            under_way.append(asyncio.ensure_future(send()))
            await asyncio.sleep(pause)
        ends = Counter(await asyncio.gather(*under_way))
        self.none_failed()
        return ends

    def arrived(self) -> list[bytes]:
        """The beginnings of what lies in the mailboxes."""
        found = []
        for daemon in self.daemons:
            found += [body[:16] for _, body in daemon.store.messages(self.boxes[daemon.me], 0, 2**32 - 1)]
        return found

    async def all_arrived(self, limit: float = 30.0) -> None:
        """Wait until everything that was acknowledged lies in a mailbox."""
        await until(lambda: set(self.sent) <= set(self.arrived()), "every packet to arrive", limit)

    def nothing_twice(self) -> None:
        """I9: no packet lies in a mailbox twice, and none that nobody sent."""
        arrived = Counter(self.arrived())
        require(max(arrived.values(), default=1) == 1, f"{arrived.most_common(1)} arrived more than once")

    # ------------------------------------------------------------------ money

    async def settle(self, limit: float = 40.0, aside: Collection[RelayId] = ()) -> None:
        """All settle with all, but for the relays `aside`; then both books of each link are equal (I7)."""

        def are_settled() -> bool:
            for daemon in self.honest(aside):
                daemon.desk.settle()
            return not any(book.totals(PRICE).unsettled for _, _, book in self.payees(aside))

        try:
            await until(are_settled, "all batches to be settled", limit)
        except TimeoutError as error:
            left = [(payer, payee, book.totals(PRICE)) for payer, payee, book in self.payees(aside)]
            raise TimeoutError(f"{error}: {[entry for entry in left if entry[2].unsettled]}") from None
        await until(lambda: not self.unequal(aside), "both books of each link to be equal", limit)

    def refused(self) -> list[str]:
        """Why links are refused, by whomever."""
        books = [book for d in self.daemons for book in (*d.books.payees.values(), *d.books.payers.values())]
        return [book.refused for book in books if isinstance(book, LinkBook) and book.refused]

    def honest(self, aside: Collection[RelayId] = ()) -> list[Daemon]:
        """Those that are not aside."""
        return [daemon for daemon in self.daemons if daemon.me not in aside]

    def payees(self, aside: Collection[RelayId] = ()) -> list[tuple[RelayId, RelayId, PayeeBook]]:
        """Payer, payee, and the payee's book, of all links on which an honest relay is paid."""
        return [
            (payer, daemon.me, book)
            for daemon in self.honest(aside)
            for payer, book in daemon.books.payees.items()
        ]

    def unequal(self, aside: Collection[RelayId] = ()) -> list[str]:
        """Links whose two books differ."""
        found = []
        for payer, payee, book in self.payees(aside):
            ours, theirs = book.totals(PRICE), self.owes(payer, payee).totals(PRICE)
            if (ours.cumulative, ours.upto_batch, ours.settled) != (
                theirs.cumulative, theirs.upto_batch, theirs.settled,
            ):  # fmt: skip
                found.append(f"{payer} to {payee}: {theirs} and {ours}")
        return found

    def income_is_exact(self, aside: Collection[RelayId] = ()) -> None:
        """I8: every receipt a relay has had is in its vouchers, and nothing else is."""
        for daemon in self.honest(aside):
            books = [book for _, payee, book in self.payees(aside) if payee == daemon.me]
            settled, receipts = sum(book.state.receipts for book in books), self.receipts[daemon.account]
            require(settled == receipts, f"relay {daemon.me}: {receipts} receipts, {settled} settled")
            for book in books:
                totals = book.totals(PRICE)
                require(totals.cumulative == totals.settled * PRICE, f"relay {daemon.me}: {totals}")

    async def claim(self, limit: float = 40.0, aside: Collection[RelayId] = ()) -> None:
        """Every voucher becomes money in its payee's ledger."""
        deadline = asyncio.get_running_loop().time() + limit
        while left := self.unclaimed(aside):
            if asyncio.get_running_loop().time() > deadline:
                notes = [note for payer, _, _ in left for note in self.status(payer).notes]
                raise TimeoutError(f"waited {limit:g} s for claims; left: {left}; payers say {notes}")
            await asyncio.gather(*(d.money.treasury.run_once(urgent=True) for d in self.honest(aside)))

    def unclaimed(self, aside: Collection[RelayId] = ()) -> list[tuple[RelayId, RelayId, int]]:
        """Payer, payee and what the chain has not paid yet of the payee's voucher."""
        found = []
        for payer, payee, book in self.payees(aside):
            if payer in aside:
                continue
            claimed = self.contracts.channels.channel(self.account(payer), self.account(payee)).claimed
            require(claimed <= book.state.cumulative, f"{payer} to {payee}: more claimed than promised")
            if claimed < book.state.cumulative:
                found.append((payer, payee, book.state.cumulative - claimed))
        return found

    def account(self, relay: RelayId) -> Account:
        """Of a relay's operator."""
        return self.relay(relay).account

    def none_failed(self, aside: Collection[RelayId] = ()) -> None:
        """No daemon has ended for a reason of its own."""
        for daemon in self.honest(aside):
            if daemon.failed.done():
                raise NotHeld(f"relay {daemon.me} failed: {daemon.failed.exception()!r}")

    async def all_is_well(self, aside: Collection[RelayId] = (), *, lossless: bool = False) -> None:
        """The end of most scenarios: nothing lost, nothing twice, books equal, income exact, all claimed."""
        self.none_failed(aside)
        if lossless:
            await self.all_arrived()
        await self.settle(aside=aside)
        self.nothing_twice()
        self.income_is_exact(aside)
        await self.claim(aside=aside)


@asynccontextmanager
async def world(
    folder: Path,
    relays: int = 4,
    *,
    wired: bool = False,
    settings: Mapping[str, str] | None = None,
    prepare: Prepare = lambda daemon: None,
    apart: Collection[RelayId] = (),
) -> AsyncIterator[FaultWorld]:
    """A network that serves, until the end of the block."""
    with DevChain() as chain, Node(chain.url) as node:
        made = FaultWorld(chain, node, folder, relays, wired=wired, settings=settings, prepare=prepare)
        made.apart = apart
        made.register()
        try:
            with _counted(made.receipts):
                await made.start()
                yield made
        finally:
            node.behave = honest
            await made.stop()


@contextmanager
def _counted(receipts: Counter[Account]) -> Iterator[None]:
    """Count every response that a book takes: beside the books, to hold against what they pay."""
    take = PayeeBook.on_response

    def on_response(book: PayeeBook, batch: int, position: int, response: bytes, now: float) -> Effects:
        effects = take(book, batch, position, response, now)
        receipts[book.payee] += bool(effects)
        return effects

    with mock.patch.object(PayeeBook, "on_response", on_response):
        yield


async def sees(what: str, condition: Callable[[], object], limit: float = 30.0) -> None:
    """Wait for something that the network does by itself."""
    await until(lambda: bool(condition()), what, limit)


def tokens(value: int) -> Amount:
    """Hop prices in the token's smallest unit."""
    return Amount(value * PRICE)
