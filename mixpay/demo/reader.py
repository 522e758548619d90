"""Reads from a node what the verifier needs of the chain: every event, every sender, every balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mixpay.chain import abi
from mixpay.chain.contracts import Contracts
from mixpay.chain.events import Decoder, Event, Registered
from mixpay.chain.records import Log, from_hex
from mixpay.chain.rpc import Rpc
from mixpay.demo.evidence import Answers
from mixpay.demo.money import Transferred, replay
from mixpay.deployment import Deployment
from mixpay.errors import ChainUnavailable
from mixpay.types import Account, RelayId


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """A chain's part of the evidence, as it stands after block `head`."""

    head: int
    events: tuple[Event, ...]
    senders: Counter[Account]
    answers: Answers

    @property
    def operators(self) -> Mapping[RelayId, Account]:
        """Every relay's account in Channels."""
        return {event.id: event.operator for event in self.events if isinstance(event, Registered)}


def read_chain(rpc: Rpc, deployment: Deployment, users: Iterable[Account]) -> ChainRecord:
    """Everything since the deployment. `users`: whose ether and tokens are asked for as well.

    Raises ChainUnavailable, RpcError.
    """
    head = rpc.latest().number
    events = read_events(rpc, deployment, head)
    return ChainRecord(
        head=head,
        events=events,
        senders=read_senders(rpc, deployment.block + 1, head),
        answers=_ask(rpc, deployment, events, head, tuple(users)),
    )


def read_events(rpc: Rpc, deployment: Deployment, head: int) -> tuple[Event, ...]:
    """All events of the network's contracts, and all token transfers, in the chain's order."""
    decoder = Decoder(deployment)
    logs = rpc.logs(deployment.block + 1, head, [*decoder.addresses, deployment.token])
    return tuple(_decoded(decoder, deployment, logs))


def _decoded(decoder: Decoder, deployment: Deployment, logs: Iterable[Log]) -> Iterator[Event]:
    transfer = abi.artifact("Token").events["Transfer"]
    for log in logs:
        if log.address == deployment.token:
            if log.topics[:1] == (transfer.topic,):
                yield _transfer(log)
            continue
        event = decoder.decode(log)
        if event is not None:
            yield event


def _transfer(log: Log) -> Transferred:
    sender, to = (Account(topic[-20:]) for topic in log.topics[1:3])
    return Transferred(log.block, log.index, log.transaction, sender, to, int.from_bytes(log.data, "big"))


def read_senders(rpc: Rpc, first: int, last: int) -> Counter[Account]:
    """How many transactions each account sent in blocks first to last."""
    senders: Counter[Account] = Counter()
    for number in range(first, last + 1):
        block = rpc.request("eth_getBlockByNumber", hex(number), True)
        if block is None:
            raise ChainUnavailable(f"the node has lost block {number}")
        senders.update(Account(from_hex(transaction["from"])) for transaction in block["transactions"])
    return senders


def _ask(
    rpc: Rpc, deployment: Deployment, events: tuple[Event, ...], head: int, users: tuple[Account, ...]
) -> Answers:
    """What the contracts answer after block `head` about everything that the events name."""
    contracts, money = Contracts(rpc, deployment, head), replay(deployment, events)
    known = {*money.tokens, *money.ledger, *users, deployment.pool, deployment.channels, deployment.registry}
    channels = {pair: contracts.channels.channel(*pair) for pair in money.channels}
    return Answers(
        tokens={account: contracts.token.balance_of(account) for account in known},
        ledger={account: contracts.channels.balance_of(account) for account in known},
        channels={pair: (channel.deposit, channel.claimed) for pair, channel in channels.items()},
        budgets={number: contracts.pool.campaign(number).budget for number in money.budgets},
        native={user: rpc.balance(user) for user in users},
    )
