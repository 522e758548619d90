"""A payer and a payee with real books, databases and desks in court on a real chain; their link in memory."""

from __future__ import annotations

from pathlib import Path

from book_helpers import one, secrets
from chain_world import User, World
from mixpay.book import Limits
from mixpay.book.events import SendTicket, TicketTaken, Wait
from mixpay.book.rows import Channel
from mixpay.chain.contracts import Contracts
from mixpay.chain.follower import Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Case
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.types import Amount, RelayId, Value
from mixpay.wire import frames
from relay.config import CourtRules
from relay.court import Clerk, CourtDesk, Reader, Terms
from relay.path.books import Side
from relay_parts import Clock, Node

PRICE = DEMO.hop_price
RULES = CourtRules(patience=300, min_amount=1)
VALUE = Value(4)
FROM_A_CLIENT = bytes(8)


class Party:
    """One relay: its node, and its desk."""

    def __init__(self, world: World, operator: User, relay: RelayId, folder: Path, clock: Clock) -> None:
        self.world, self.operator, self.relay, self.folder, self.clock = world, operator, relay, folder, clock
        self.view = NetworkView(world.rpc, world.deployment)
        self.view.refresh()
        self.begin()

    def begin(self, rpc: Rpc | None = None, *, restored: bool = False) -> None:
        """Start, or start again from what is on disk; `restored`: that is an older copy, known as one."""
        rpc = rpc or self.world.rpc
        self.node = Node(
            self.view, self.relay, self.folder, self.clock, Limits(), rpc=rpc, key=self.operator.key,
            restored=restored,
        )  # fmt: skip
        self.desk = self.desk_at(rpc)

    def desk_at(self, rpc: Rpc) -> CourtDesk:
        """A desk on the same books."""
        node, world = self.node, self.world
        contracts = Contracts(rpc, world.deployment)
        follower = Follower(rpc, world.deployment, contracts=["ReceiptCourt"])
        return CourtDesk(
            me=self.operator.account,
            reader=Reader(rpc, contracts, follower, self.operator.account, self.view),
            clerk=Clerk(contracts, self.operator),
            registry=contracts.registry,
            accounts=node.accounts,
            books=node.books,
            store=node.store,
            terms=Terms.of(DEMO),
            rules=RULES,
            clock=self.clock,
        )

    async def restart(self) -> None:
        """End, and begin again."""
        await self.node.close()
        self.begin()


class Parties:
    """A payer and a payee that have met before: `carry` and `talk` do what links do."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.clock = world, Clock()
        ids = [world.register()[0] for _ in range(2)]
        world.join()
        self.payer, self.payee = (
            Party(world, world.operator(relay), relay, folder, self.clock) for relay in ids
        )
        self.carried = 0

    @property
    def owed(self):
        """The payee's book."""
        return self.payee.node.books.payee(self.payer.relay)

    @property
    def owing(self):
        """The payer's book."""
        return self.payer.node.books.payer(self.payee.relay)

    def give(self, tokens: int) -> None:
        """Ledger balance for the payee's bonds."""
        world = self.world
        world.deployer.send(world.contracts.token.approve(world.contracts.channels.address, Amount(tokens)))
        world.deployer.send(world.contracts.channels.deposit_for(self.payee.operator.account, Amount(tokens)))

    async def fund(self, tokens: int) -> None:
        """The payer's channel; both books know of it."""
        world, payer, payee = self.world, self.payer.operator, self.payee.operator.account
        channels = world.contracts.channels
        world.deployer.send(world.contracts.token.approve(channels.address, Amount(tokens)))
        world.deployer.send(channels.deposit_for(payer.account, Amount(tokens)))
        payer.send(channels.fund(payee, Amount(tokens)))
        found = channels.channel(payer.account, payee)
        channel = Channel(found.deposit, found.claimed, found.closes_at)
        with self.payer.node.books.step() as step:
            step.add(Side.PAYEE, self.payee.relay, self.owing.on_channel(channel))
        with self.payee.node.books.step() as step:
            step.add(Side.PAYER, self.payer.relay, self.owed.on_channel(channel, self.clock()))

    async def carry(self, count: int, *, opened: bool = True, losing: tuple[type, ...] = ()) -> None:
        """Tickets acknowledged, and opened or not; the payer has signed for them. See `talk`."""
        self.connect()
        for _ in range(count):
            response, lock, ack, hint = secrets(self.carried)
            self.carried += 1
            with self.payer.node.books.step() as step:
                issued = self.owing.issue(
                    lock, hint, VALUE, price=PRICE, now=self.clock(), origin=FROM_A_CLIENT
                )
                assert not isinstance(issued, Wait), issued
                step.add(Side.PAYEE, self.payee.relay, [e for e in issued if not isinstance(e, SendTicket)])
                (ticket,) = (e for e in issued if isinstance(e, SendTicket))
            with self.payee.node.books.step() as step:
                taken = self.owed.accept(ticket.seq, lock, ack, VALUE, price=PRICE, now=self.clock())
                step.add(Side.PAYER, self.payer.relay, taken)
                placed = one(taken, TicketTaken)
                if opened:
                    known = self.owed.on_response(placed.batch, placed.position, response, self.clock())
                    step.add(Side.PAYER, self.payer.relay, known)
        await self.talk(losing=losing)
        await self.pass_time(2.0)
        await self.talk(losing=losing)

    def connect(self) -> None:
        """A link between them."""
        self.payer.node.link(Side.PAYEE, self.payee.relay)
        self.payee.node.link(Side.PAYER, self.payer.relay)

    async def pass_time(self, seconds: float) -> None:
        """Of the clock that books see."""
        self.clock.now += seconds
        for party in (self.payer, self.payee):
            party.node.desk.tick()
            await party.node.written()

    async def talk(self, *, losing: tuple[type, ...] = ()) -> None:
        """Frames go both ways until there is silence; those of a kind may be lost."""
        payer, payee = self.payer, self.payee
        to_payer: list[frames.LinkFrame] = []
        to_payee: list[frames.LinkFrame] = []
        while True:
            await payer.node.written()
            await payee.node.written()
            to_payee += payer.node.wires[Side.PAYEE][payee.relay].take()
            to_payer += payee.node.wires[Side.PAYER][payer.relay].take()
            to_payer = [frame for frame in to_payer if not isinstance(frame, losing)]
            if not to_payer + to_payee:
                return
            said, to_payee = to_payee, await payer.node.hear(Side.PAYEE, payee.relay, *to_payer)
            to_payer = await payee.node.hear(Side.PAYER, payer.relay, *said)

    async def fall_silent(self, count: int = 6) -> None:
        """The payer signs for some tickets, then says nothing when the payee settles."""
        await self.carry(count)
        self.payee.node.desk.settle()
        await self.payee.node.written()
        self.payee.node.wires[Side.PAYER][self.payer.relay].take()

    async def fall_silent_without_receipts(self, count: int = 6) -> None:
        """The payer settles nothing, and there is nothing to prove of the batch that is cut; but it has
        signed for some tickets of the next one."""
        await self.carry(4, opened=False)
        self.payee.node.desk.settle()
        await self.talk()
        await self.carry(count, losing=(frames.Redeem,))

    async def go_to_court(self) -> Case:
        """The payee's patience ends."""
        await self.payee.desk.run_once()
        self.world.chain.advance_time(RULES.patience)
        report = await self.payee.desk.run_once()
        assert [result.error for result in report.results] == [None]
        await self.payee.desk.run_once()
        return self.case

    @property
    def case(self) -> Case:
        """As the payee's docket has it."""
        (found,) = self.payee.desk._docket._record.cases.values()
        return found

    def judged(self) -> int:
        """On chain."""
        pair = self.payer.operator.account, self.payee.operator.account
        return self.world.contracts.court.judgement(*pair).total

    def is_open(self) -> bool:
        """Whether there is a case, on chain."""
        pair = self.payer.operator.account, self.payee.operator.account
        return self.world.contracts.court.open_case(*pair)[0] != bytes(32)

    async def close(self) -> None:
        """End both."""
        for party in (self.payer, self.payee):
            await party.node.close()
