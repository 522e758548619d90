"""Follows the contracts of a deployment: events in order, through reorganisations and outages of the node.

`poll` asks once and returns what is new. It keeps no events: who follows keeps what it derived from them with
the block each came from, and forgets what came after `reverted_to` when a batch has one. Nothing is lost if a
poll fails: the next one goes on from the same place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError

from mixpay.chain.errors import RpcError
from mixpay.chain.events import KINDS, Decoder, Event
from mixpay.chain.records import Block, Log
from mixpay.chain.rpc import Rpc
from mixpay.chain.trail import Checkpoint, Trail
from mixpay.deployment import Deployment
from mixpay.errors import ChainUnavailable

_SPAN = 2_000
"""Blocks asked for at once; halved when a node finds that too many."""

_SPANS_A_POLL = 16
"""So that catching up comes in portions, each of which counts."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll found.

    `reverted_to`: events of blocks above it, given earlier, are void; forget them before taking `events`.
    `head`: everything up to this block was given. `latest`: the chain's newest block.
    `chain_time`: timestamp of the newest block seen, in seconds; never falls.
    """

    events: tuple[Event, ...]
    reverted_to: int | None
    head: int
    latest: int
    chain_time: int


class Follower:
    """Reads from `trail`, or from the deployment's block. `confirmations`: how many newest blocks are not yet
    looked at, for nodes behind a balancer that disagree about them. `contracts`: those followed, by name."""

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        *,
        trail: Trail | None = None,
        confirmations: int = 0,
        contracts: Iterable[str] = tuple(KINDS),
    ) -> None:
        self._rpc = rpc
        self._decoder = Decoder(deployment, contracts)
        self._trail = trail or Trail(deployment.block)
        self._confirmations = confirmations
        self._chain_time = 0
        self._span = _SPAN

    @property
    def trail(self) -> Trail:
        """Where it stands: stored with what was derived, it lets a later follower go on from here."""
        return self._trail

    @property
    def chain_time(self) -> int:
        """Of the newest block seen, 0 before the first poll."""
        return self._chain_time

    def poll(self) -> Batch:
        """Raises ChainUnavailable if the node does not answer, or its chain changed while it was read."""
        latest = self._rpc.latest()
        self._chain_time = max(self._chain_time, latest.timestamp)
        trail = self._trail.reverted(latest.number, lambda number: self._hash_at(number, latest))
        reverted_to = None if trail is self._trail else trail.head
        logs: list[Log] = []
        target = min(latest.number - self._confirmations, trail.head + _SPANS_A_POLL * self._span)
        if target > trail.head:
            end = latest if target == latest.number else self._block(target)
            logs = self._read(trail.head + 1, end)
            trail = trail.extended(_checkpoints(logs, end))
        events = tuple(event for event in map(self._decoded, logs) if event is not None)
        self._trail = trail
        return Batch(events, reverted_to, trail.head, latest.number, self._chain_time)

    def _decoded(self, log: Log) -> Event | None:
        try:
            return self._decoder.decode(log)
        except (DecodingError, ValueError, LookupError, StopIteration, RuntimeError):
            raise self._rpc.nonsense("eth_getLogs") from None

    def _hash_at(self, number: int, latest: Block) -> bytes | None:
        found = latest if number == latest.number else self._rpc.block(number)
        return None if found is None else found.hash

    def _block(self, number: int) -> Block:
        found = self._rpc.block(number)
        if found is None:
            raise ChainUnavailable(f"{self._rpc.shown} has lost block {number}; it may be catching up")
        return found

    def _read(self, first: int, end: Block) -> list[Log]:
        """Logs of blocks first to `end`, all of the chain that `end` is on."""
        logs: list[Log] = []
        while first <= end.number:
            last = min(first + self._span - 1, end.number)
            try:
                logs += self._rpc.logs(first, last, self._decoder.addresses)
            except RpcError:
                if self._span == 1 or first == last:
                    raise
                self._span = max(1, self._span // 2)
                continue
            first = last + 1
        self._span = min(_SPAN, self._span * 2)
        if self._block(end.number).hash != end.hash or any(
            log.block == end.number and log.block_hash != end.hash for log in logs
        ):
            raise ChainUnavailable(f"the chain at {self._rpc.shown} changed while it was read; read it again")
        return logs


def _checkpoints(logs: Iterable[Log], end: Block) -> set[Checkpoint]:
    return {Checkpoint(log.block, log.block_hash) for log in logs} | {Checkpoint(end.number, end.hash)}
