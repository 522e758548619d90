"""Users of a campaign at real relays: a sender with an entry pass, a receiver with a mailbox pass."""

from __future__ import annotations

import asyncio
import os

import aiohttp
from nacl.signing import SigningKey

from mixpay.client.relays import MailboxSocket, RelaySocket
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.mailbox import STORAGE_TICKS, mailbox_id_of
from mixpay.packet import Built
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, OwnedPass, PassSpender, Tick
from mixpay.snapshot import RelayRecord
from mixpay.types import RelayId
from mixpay.wire import client
from relay_world import EPOCH, RelayWorld


class User:
    """A client with a pass at the entry that it draws."""

    def __init__(self, world: RelayWorld, http: aiohttp.ClientSession) -> None:
        self.world, self.http = world, http
        self.owned, entry = world.issue(KIND_ENTRY)
        self.entry = entry.me
        self.spender = PassSpender(self.owned)
        self.number = 0
        self.passing = b""

    async def enter(self) -> int:
        """Connect, and show the pass; returns the furthest tick that the entry knows."""
        self.socket = await RelaySocket.open(self.http, record(self.world, self.entry), "/v1/entry")
        shown = show(self.world, self.owned)
        self.passing = shown.passing
        answer = await self.socket.ask(shown)
        assert isinstance(answer, client.PassOk)
        return answer.furthest

    def send(self, built: Built) -> client.Send:
        """A packet and the next tick."""
        self.number += 1
        self.spender.reserve(1)
        tick = self.spender.next_tick()
        return client.Send(
            seq=self.number,
            chain=tick.chain,
            k=tick.k,
            link=tick.link,
            first_mix=built.first_relay,
            key_epoch=EPOCH,
            lock=built.lock,
            hint=built.hint,
            packet=built.packet,
        )

    async def ask(self, sent: client.Send) -> client.Down:
        await self.socket.say(sent)
        return await self.hear()

    async def hear(self) -> client.Down:
        async with asyncio.timeout(15):
            down = await self.socket.hear()
        assert isinstance(down, client.Down)
        return down


def record(world: RelayWorld, relay: RelayId) -> RelayRecord:
    found = world.daemons[0].view.relay(relay)
    assert found is not None
    return found


def show(world: RelayWorld, owned: OwnedPass) -> client.PresentPass:
    assert world.key is not None
    key = ProvenKey.of(world.key)
    return client.PresentPass(key.modulus, key.proof, owned.shown().encode(), os.urandom(8), 0)


def packet(world: RelayWorld, entry: RelayId, mailbox: RelayId, box: bytes) -> Built:
    path = world.layers().draw_path(entry, mailbox, lambda relay: True, os.urandom)
    return world.packet(path, mailbox, box)


class Box:
    """A mailbox at the relay that a mailbox pass draws, made and emptied by its owner."""

    def __init__(self, world: RelayWorld, http: aiohttp.ClientSession) -> None:
        self.world, self.http = world, http
        self.owned, keeper = world.issue(KIND_MAILBOX)
        self.keeper = keeper.me
        self.seed = os.urandom(32)
        self.key = SigningKey(self.seed).verify_key.encode()
        self.id = mailbox_id_of(self.key)
        self.spender = PassSpender(self.owned)

    def toll(self, count: int) -> Tick:
        """The tick that pays for so many."""
        self.spender.reserve(count)
        return self.spender.jump(count)

    async def make(self) -> client.MailboxTerms:
        shown = show(self.world, self.owned)
        async with MailboxSocket.open(self.http, record(self.world, self.keeper)) as socket:
            key = ProvenKey(shown.modulus, shown.proof)
            return await socket.create(key, shown.shown, self.key, self.toll(STORAGE_TICKS))

    async def fetch(self, seed: bytes = b"") -> tuple[client.StoredMessage, ...]:
        async with MailboxSocket.open(self.http, record(self.world, self.keeper)) as socket:
            found = await socket.fetch(self.id, 0, seed or self.seed)
            if found.messages:
                await socket.delete(found.messages[-1].sequence, self.toll(1))
            return found.messages
