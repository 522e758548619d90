"""What a relay reads from clients, and clients from relays: messages, and the sessions behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from typing import cast

from nacl.signing import SigningKey

from fuzz import world
from fuzz.target import Target, require
from fuzz.wires import run, settle
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY
from mixpay.mailbox import NONCE_BYTES, STORAGE_TICKS, Mailboxes, mailbox_id_of, sign_challenge
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, EntryPassBook, PassSpender
from mixpay.types import Epoch, RelayId
from mixpay.wire import client
from relay.clients.entry_session import EntrySession
from relay.clients.mailbox_desk import MailboxDesk, MailboxSession
from relay.clients.passing import PassingMailboxes
from relay.metrics import Metrics
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore

_NONCE = bytes(NONCE_BYTES)
_OWNER = world.name("owner")
_MAX_SAID = 8
"""Messages in one input."""


class Store:
    """A disk that has everything at once, and forgets it."""

    async def written(self, ops: object) -> None: ...
    def messages(self, mailbox: bytes, first: int, last: int) -> list[tuple[int, bytes]]:
        return [(number, bytes(GEOMETRY.user_size)) for number in range(first, last + 1)]


class Path:
    """A router whose first mix is relay 1."""

    def __init__(self) -> None:
        self.passing = PassingMailboxes()

    def check_first_mix(self, mix: RelayId, epoch: Epoch) -> None:
        if mix != 1 or epoch != world.EPOCH:
            raise PeerError("no_such_mix")

    async def submit(self, mix: RelayId, epoch: Epoch, lock: bytes, hint: bytes, packet: bytes) -> bytes:
        return bytes(32)


@cache
def fetch_key() -> bytes:
    """The key of the owner whose mailbox inputs talk of."""
    return bytes(SigningKey(_OWNER).verify_key)


@cache
def samples() -> tuple[client.ClientFrame, ...]:
    """Every kind of message; those of a client are what it would say here."""
    key, me = (world.proven_key().modulus, world.proven_key().proof), world.me(KIND_MAILBOX)
    shown, box = world.issued(KIND_ENTRY).shown().encode(), mailbox_id_of(fetch_key())
    signed, body = sign_challenge(_OWNER, me, _NONCE, box), bytes(GEOMETRY.user_size)
    payload = bytes(GEOMETRY.payload_size)
    terms = client.MailboxTerms(4096, 604_800, 1_700_000_000, 1, 256, bytes(32), 16_128)
    message = client.StoredMessage(1, body)
    answered = client.Answered(1, client.DownStatus.ACKNOWLEDGED, bytes(32))
    answers = answered, client.NOTHING_ANSWERED, client.NOTHING_ANSWERED
    return (
        client.PresentPass(*key, shown, bytes(8), 0),
        *sends(3),
        client.MailboxCreate(
            *key, world.issued(KIND_MAILBOX).shown().encode(), fetch_key(), toll(STORAGE_TICKS)
        ),
        client.MailboxFetch(box, 0, signed),
        client.MailboxDelete(1, (toll(STORAGE_TICKS + 1),)),
        client.PassOk(3, bytes(32)),
        client.PassRefused("wrong_relay"),
        client.Down(answers, client.DownKind.REPLY, bytes(8), payload),
        client.Challenge(_NONCE),
        terms,
        client.MailboxMessages(terms, (message,), True),
        client.MailboxMessages(terms, (), False),
        client.Done(),
        client.Refused("not_the_owner"),
        client.MailboxDelete(1, ()),
    )


def toll(number: int) -> client.ShownTick:
    """A tick of the mailbox pass."""
    spender = PassSpender(world.issued(KIND_MAILBOX), number - 1)
    spender.reserve(1)
    tick = spender.next_tick()
    return client.ShownTick(tick.chain, tick.k, tick.link)


def sends(count: int) -> list[client.Send]:
    """Ticks of the pass, in order, each with a packet."""
    spender = PassSpender(world.issued(KIND_ENTRY))
    spender.reserve(count)
    packet, lock, hint = bytes(GEOMETRY.packet_size), bytes(20), b"\4" + bytes(64)
    ticks = [spender.next_tick() for _ in range(count)]
    return [
        client.Send(number, t.chain, t.k, t.link, RelayId(1), world.EPOCH, lock, hint, packet)
        for number, t in enumerate(ticks)
    ]


# ------------------------------------------------------------------ messages


def run_messages(data: bytes) -> None:
    """One WebSocket message, at either end."""
    try:
        frame = client.decode(data)
    except PeerError:
        return
    require(client.encode(frame) == data, "a message has one encoding")
    require(len(data) <= client.MAX_MESSAGE_BYTES, "no message is longer than the limit")


def _message_seeds() -> list[bytes]:
    return [client.encode(frame) for frame in samples()]


# ------------------------------------------------------------------ sessions


@cache
def _state(kind: int) -> State:
    return world.state(kind)


@cache
def _metrics() -> Metrics:
    return Metrics()


def _said(data: bytes) -> list[bytes]:
    """The messages of an input: each with its length in front, u16."""
    found: list[bytes] = []
    while data and len(found) < _MAX_SAID:
        end = 2 + int.from_bytes(data[:2], "big")
        found.append(data[2:end])
        data = data[end:]
    return found


async def _incoming(said: list[bytes]) -> AsyncIterator[client.ClientFrame]:
    for message in said:
        yield client.decode(message)
        await settle(2)


async def _hold(kind: int, said: list[bytes]) -> list[client.ClientFrame]:
    """A connection of a client from its beginning to its end: what it was answered."""
    answers: list[client.ClientFrame] = []

    async def say(frame: client.ClientFrame) -> None:
        answers.append(frame)

    state, store, passes = _state(kind), cast(RelayStore, Store()), EntryPassBook()
    if kind == KIND_ENTRY:
        session = EntrySession(state, cast(Router, Path()), passes, store, _metrics())
    else:
        desk = MailboxDesk(state, passes, Mailboxes(state.me), store, _metrics())
        session = MailboxSession(desk, _NONCE)  # type: ignore[assignment]
    with suppress(PeerError):
        await session.serve(_incoming(said), say)
    await settle(2)
    require(len(answers) <= len(said) + 1, "a message has at most one answer")
    return answers


def run_sessions(data: bytes) -> None:
    """What a client says on one connection."""
    if data:
        for answer in answers(data):
            client.encode(answer)


def answers(data: bytes) -> list[client.ClientFrame]:
    """First byte: bit 0 mailbox or entry; bit 1: it begins with a good pass."""
    kind = KIND_MAILBOX if data[0] & 1 else KIND_ENTRY
    said = _said(data[1:])
    if data[0] & 2:
        first = samples()[4] if kind == KIND_MAILBOX else samples()[0]
        said.insert(0, client.encode(first))
    return run(_hold(kind, said))


def _session_seeds() -> list[bytes]:
    def talk(mode: int, *said: client.ClientFrame) -> bytes:
        messages = [client.encode(frame) for frame in said]
        return bytes((mode,)) + b"".join(len(m).to_bytes(2, "big") + m for m in messages)

    made = samples()
    return [
        talk(0, made[0]),
        talk(2, *made[1:4]),
        talk(2, made[2]),
        talk(1, *made[4:7]),
        talk(3, *made[5:7]),
        talk(3, made[6]),
        talk(1, made[5]),
    ]


TARGETS = (
    Target("client_messages", 20, 8192, _message_seeds, run_messages),
    Target("client_sessions", 2, 12_288, _session_seeds, run_sessions),
)
