"""Brings to the chain what was found out about relays that signed two keys for one epoch.

    found ▶ on disk ▶ our turn ▶ proven on chain, by us or by somebody faster ▶ forgotten, when nobody meets
                                 │                                              the relay any more
                                 └ by us: the penalty is settled, which pays our bounty

Many relays find the same at about the same time, and only the first report counts. So each waits for its
turn, in an order that is another for each proof: the first turn is one relay's, the second one more's, and
each further one is for as many as all turns before it. The bounty pays for the gas many times over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mixpay.chain.contracts import Contracts
from mixpay.chain.errors import Reverted
from mixpay.chain.sender import Sender
from mixpay.chain.views import NOBODY
from mixpay.crypto.hashing import keccak256
from mixpay.descriptors import Equivocation
from mixpay.errors import TransactionFailed
from mixpay.types import RelayId
from relay.state import State
from relay.store import RelayStore, forget_proof_op, proof_op

log = logging.getLogger(__name__)

_TURN = 3.0
"""Seconds between two turns."""


class Reporter:
    """Reports for one relay, whose account is `sender`'s. `clock` gives seconds of any steady clock."""

    def __init__(
        self,
        state: State,
        contracts: Contracts,
        sender: Sender,
        store: RelayStore,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._contracts = contracts
        self._sender = sender
        self._store = store
        self._clock = clock
        self._stored: set[RelayId] = set()
        self._turns: dict[RelayId, float] = {}
        """When our turn to report each comes, by the clock."""
        for proof in store.equivocations():
            state.directories.equivocations[proof.relay] = proof
            self._stored.add(proof.relay)

    async def run_once(self) -> None:
        """Do what is due. Raises ChainError, UserError; what is left is done the next time."""
        for proof in list(self._state.directories.equivocations.values()):
            await self._keep(proof)
            if proof.relay in self._state.view.condemned:
                if self._state.record(proof.relay) is None:  # so late that no chain takes it back
                    await self._forget(proof.relay)
            elif self._clock() >= self._turns[proof.relay]:
                await self._report(proof)
        for relay in self._ours():
            await self._settle(relay)

    def notes(self) -> list[str]:
        """What the operator has to know about condemned relays."""
        view, notes = self._state.view, []
        if self._state.me in view.condemned:
            notes.append(
                "this relay is out of the network: it signed two packet keys for one epoch (condemned)"
            )
        for relay, proof in sorted(self._state.directories.equivocations.items()):
            if relay not in view.condemned:
                notes.append(
                    f"relay {relay} signed two packet keys for epoch {proof.epoch}: will be reported"
                )
        for relay in self._ours():
            notes.append(f"relay {relay} was condemned by our report: a share of its penalty is paid to us")
        return notes

    # ------------------------------------------------------------------ proofs

    async def _keep(self, proof: Equivocation) -> None:
        if proof.relay not in self._stored:
            await self._store.written([proof_op(proof)])
            self._stored.add(proof.relay)
        if proof.relay not in self._turns:
            self._turns[proof.relay] = self._clock() + _TURN * self._turn(proof)

    async def _forget(self, relay: RelayId) -> None:
        await self._store.written([forget_proof_op(relay)])
        self._stored.discard(relay)
        self._turns.pop(relay, None)
        self._state.directories.equivocations.pop(relay, None)

    def _turn(self, proof: Equivocation) -> int:
        """0 for the first relay, 1 for the next, 2 for the next two, 3 for the next four, and so on."""
        relays = [record.id for record in self._state.view.snapshot(self._state.epoch).relays]
        mine = _rank(proof, self._state.me)
        return sum(_rank(proof, relay) < mine for relay in relays if relay != proof.relay).bit_length()

    async def _report(self, proof: Equivocation) -> None:
        relay, court = proof.relay, self._contracts.court
        call = court.prove_equivocation(relay, proof.epoch, proof.keys, proof.signatures)
        try:
            await asyncio.to_thread(self._sender.send, call)
        except TransactionFailed:
            registry = self._contracts.registry
            if await asyncio.to_thread(registry.reporter_of, relay) != NOBODY:
                log.info("relay %d: another report was faster", relay)
                return
            if (await asyncio.to_thread(registry.relay, relay)).owner != NOBODY:
                raise
            log.info("relay %d: its stake is paid out, nothing is left to report", relay)
            await self._forget(relay)
        else:
            log.warning("relay %d is reported: it signed two packet keys for epoch %d", relay, proof.epoch)

    # ------------------------------------------------------------------ penalties

    def _ours(self) -> list[RelayId]:
        """Relays that our report has condemned, and whose penalty is not settled yet."""
        view, me = self._state.view, self._sender.account
        return sorted(relay for relay in view.unsettled_penalties if view.condemned.get(relay) == me)

    async def _settle(self, relay: RelayId) -> None:
        registry = self._contracts.registry
        try:
            await asyncio.to_thread(self._sender.send, registry.settle_penalty(relay))
        except Reverted as error:
            if error.error != "PenaltyAlreadySettled":
                raise
        else:
            log.info("the penalty of relay %d is settled", relay)


def _rank(proof: Equivocation, relay: RelayId) -> bytes:
    return keccak256(proof.encode() + relay.to_bytes(4, "big"))
