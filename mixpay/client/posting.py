"""How a client's fragments leave: the edge of `mixpay.client.courier` and of plain sending."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import aiohttp

from mixpay.address import Address
from mixpay.client.home import Home
from mixpay.client.parts import Parts
from mixpay.client.profile import Profile
from mixpay.client.report import Report
from mixpay.client.sending import Leaving, Sending
from mixpay.client.wallet import Wallet
from mixpay.envelope import Fragment
from mixpay.network import NetworkView
from mixpay.types import RelayId


def _unnoticed(*_: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Posting:
    """Sends in the release in force, by the passes of `wallet`. `progress`: fragments accepted, and all."""

    http: aiohttp.ClientSession
    view: NetworkView
    wallet: Wallet
    profile: Profile
    home: Home
    parts: Parts
    tell: Callable[[str], None]
    progress: Callable[[int, int], None] = _unnoticed

    def check(self, receiver: Address) -> None:
        """Raise UnusableAddress for one of another release or network."""
        self.parts.check(receiver)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The ticks of a pass go out in order, so one command sends at a time."""
        return self.home.locked("send", lambda: self.tell("waiting for another `mixpay send`"))

    async def post(
        self,
        receiver: Address,
        pieces: Sequence[Fragment],
        leaving: Leaving,
        avoided: Collection[RelayId],
        report: Report,
    ) -> None:
        """Send fragments, and count what it took. Raises what `Sending.run_pieces` raises."""
        sending = self.sending(receiver, leaving, avoided)
        try:
            await sending.run_pieces(pieces)
        finally:
            report.add(sending.report)

    def sending(
        self, receiver: Address, leaving: Leaving = _unnoticed, avoided: Collection[RelayId] = ()
    ) -> Sending:
        """One run."""
        return Sending(
            self.http,
            self.view,
            self.wallet,
            receiver,
            self.profile,
            os.urandom,
            tell=self.tell,
            progress=self.progress,
            leaving=leaving,
            avoided=avoided,
        )
