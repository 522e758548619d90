"""An open connection to an entry relay, with a pass shown: ticks and packets go up, answers come down."""

from __future__ import annotations

from typing import Self

import aiohttp

from mixpay.client.relays import RelaySocket
from mixpay.client.route import Packed
from mixpay.client.wallet import DrawnPass, Ticks, Wallet
from mixpay.wire import client as wire


class EntryLink:
    """One pass at the relay it draws."""

    def __init__(self, drawn: DrawnPass, socket: RelaySocket, ticks: Ticks) -> None:
        self.drawn, self._socket, self._ticks = drawn, socket, ticks

    @classmethod
    async def open(
        cls, http: aiohttp.ClientSession, wallet: Wallet, drawn: DrawnPass, passing: bytes, beat: int = 0
    ) -> Self:
        """Connect and show the pass. `passing`: 8 random bytes, with which the mailbox ids of our reply
        blocks begin; `beat`: milliseconds between two DOWNs, 0 for one after each SEND.

        Raises RelayRefused (the pass is no good there), RelayUnavailable, ForgedTick.
        """
        socket = await RelaySocket.open(http, drawn.relay, "/v1/entry")
        try:
            shown = drawn.stored.owned.shown().encode()
            key = drawn.stored.key
            answer = await socket.ask(wire.PresentPass(key.modulus, key.proof, shown, passing, beat))
            if not isinstance(answer, wire.PassOk):
                raise socket.unexpected(answer)
            return cls(drawn, socket, wallet.ticks(drawn, answer.furthest, answer.link))
        except BaseException:
            await socket.close()
            raise

    async def send(self, number: int, packed: Packed) -> None:
        """Pay for a packet and send it. Raises PassExhausted, RelayUnavailable."""
        tick, built = self._ticks.next(), packed.built
        await self._socket.say(
            wire.Send(
                seq=number,
                chain=tick.chain,
                k=tick.k,
                link=tick.link,
                first_mix=built.first_relay,
                key_epoch=packed.epoch,
                lock=built.lock,
                hint=built.hint,
                packet=built.packet,
            )
        )

    async def answer(self) -> wire.Down:
        """What became of packets. Raises RelayUnavailable."""
        frame = await self._socket.hear()
        if not isinstance(frame, wire.Down):
            raise self._socket.unexpected(frame)
        return frame

    async def close(self) -> None:
        """Leave, and keep the ticks that were not spent."""
        self._ticks.close()
        await self._socket.close()
