"""Requests for signatures, gathered: counted a batch at a time, signed one by one in a process of its own.

    waiting ──counting thread──▶ admitted ──signing thread──▶ signer ──▶ answered

The signature is what costs, about a millisecond; everything else is kept out of its way. While some admitted
requests wait for the signer, those that come are left to gather, so that one transaction counts them all; the
next batch is counted as soon as few are left, so that the signer never waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TypeAlias

from mixpay.crypto.blind_rsa import SecretKey, SigningFault
from mixpay.sponsor import api
from mixpay.sponsor.issuer import Admitted, Issuer, Wanted
from mixpay.sponsor.rules import IssuerError
from mixpay.sponsor.signer import Signer

_BATCH = 64
"""Most requests of a transaction: it is short, and the first of them does not wait long for the last."""
_AHEAD = 8
"""Signatures to go when the next batch is counted: about 9 ms, more than a transaction takes."""

_Answer: TypeAlias = asyncio.Future[api.SignAnswer]
_Outcome: TypeAlias = api.SignAnswer | BaseException


class SignDesk:
    """Signs what `issuer` admits. `limit`: requests that may wait; more are refused as busy.

    Everything but the work itself happens on the event loop.
    """

    def __init__(self, issuer: Issuer, limit: int, signer: Signer | None = None) -> None:
        self._issuer, self._limit, self._signer = issuer, limit, signer or Signer()
        self._counting_thread = ThreadPoolExecutor(1, "issuer-counting")
        self._signing_thread = ThreadPoolExecutor(1, "issuer-signing")
        self._waiting: deque[tuple[Wanted, _Answer]] = deque()
        self._counting = 0
        self._admitted = 0

    async def sign(self, wanted: Wanted) -> api.SignAnswer:
        """Count and sign. Raises IssuerError as `Issuer.admit`, or `busy`; StoreUnavailable."""
        if len(self._waiting) + self._counting + self._admitted >= self._limit:
            raise IssuerError("busy", "too many requests are waiting; try again in a moment")
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, answer))
        self._count_some()
        return await answer

    def close(self) -> None:
        """End the threads and the signer; what they have begun is finished first."""
        self._counting_thread.shutdown()
        self._signing_thread.shutdown()
        self._signer.close()

    def _count_some(self) -> None:
        """Begin to count what has gathered, if it is time."""
        if self._counting or not self._waiting or self._admitted > _AHEAD:
            return
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        self._counting = len(batch)
        self._counting_thread.submit(self._count, asyncio.get_running_loop(), batch)

    def _count(self, loop: asyncio.AbstractEventLoop, batch: Sequence[tuple[Wanted, _Answer]]) -> None:
        """On the counting thread."""
        outcomes: Sequence[Admitted | BaseException]
        try:
            outcomes = self._issuer.admit([wanted for wanted, _ in batch])
        except BaseException as error:  # each of them is told
            outcomes = [error] * len(batch)
        pairs = [(answer, outcome) for (_, answer), outcome in zip(batch, outcomes, strict=True)]
        loop.call_soon_threadsafe(self._counted, pairs)

    def _counted(self, batch: Sequence[tuple[_Answer, Admitted | BaseException]]) -> None:
        self._counting = 0
        admitted = []
        for answer, outcome in batch:
            if isinstance(outcome, Admitted):
                admitted.append((answer, outcome))
            else:
                _answer(answer, outcome)
        if admitted:
            self._admitted += len(admitted)
            self._signing_thread.submit(self._sign, asyncio.get_running_loop(), admitted)
        self._count_some()

    def _sign(self, loop: asyncio.AbstractEventLoop, batch: Sequence[tuple[_Answer, Admitted]]) -> None:
        """On the signing thread."""
        for key, pairs in groupby(batch, key=lambda pair: pair[1].key):
            self._sign_with(key, list(pairs), loop)

    def _sign_with(
        self, key: SecretKey, batch: Sequence[tuple[_Answer, Admitted]], loop: asyncio.AbstractEventLoop
    ) -> None:
        waiting = iter(batch)
        try:
            for signatures in self._signer.sign(key, [admitted.blinded for _, admitted in batch]):
                done = [_signed(*next(waiting), signature) for signature in signatures]
                loop.call_soon_threadsafe(self._deliver, done)
        except BaseException as error:  # whoever asked is told
            loop.call_soon_threadsafe(self._deliver, [(answer, error) for answer, _ in waiting])

    def _deliver(self, done: Sequence[tuple[_Answer, _Outcome]]) -> None:
        self._admitted -= len(done)
        for answer, outcome in done:
            _answer(answer, outcome)
        self._count_some()


def _signed(answer: _Answer, admitted: Admitted, signature: bytes | SigningFault) -> tuple[_Answer, _Outcome]:
    if isinstance(signature, SigningFault):
        return answer, signature
    return answer, api.SignAnswer(signature, admitted.left)


def _answer(answer: _Answer, outcome: _Outcome) -> None:
    """Tell whoever asked, if he is still there."""
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
