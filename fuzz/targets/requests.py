"""Reply blocks, replies, and what is asked and answered by them: any of it may come from a stranger."""

from __future__ import annotations

from functools import cache

from fuzz import world
from fuzz.target import Target, require
from fuzz.targets.packets import _CONTEXT, _keys
from mixpay import packet
from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY
from mixpay.packet import Hop, ReplyBlock, ReplyKeys, build_surb, open_reply, use_surb
from mixpay.passes.terms import PASS_SIZE
from mixpay.types import Epoch, RelayId
from mixpay.wire import client, requests

_BOX = bytes(16)


@cache
def _made() -> tuple[ReplyBlock, ReplyKeys]:
    hops = [Hop(RelayId(number), _keys(number)[1], 10 * (number < 4)) for number in range(1, 5)]
    return build_surb(_CONTEXT, Epoch(3), hops[:3], hops[3], _BOX, world.dice(6).randbytes)


@cache
def _arrived() -> bytes:
    """A good reply's payload, as the last relay finds it."""
    moving = use_surb(_made()[0], world.dice(7).randbytes(GEOMETRY.reply_size)).packet
    for layer in range(1, 5):
        found = packet.peel(_CONTEXT, *_keys(layer), layer, moving, lambda tag: False)
        if isinstance(found, packet.Deliver):
            return found.user_data
        moving = found.packet
    raise RuntimeError("a reply ends at its last relay")


def run_block(data: bytes) -> None:
    """What a contact or an owner calls a reply block."""
    try:
        block = ReplyBlock.decode(data)
    except PeerError:
        return
    require(block.encode() == data, "a block has one encoding")
    made = use_surb(block, bytes(GEOMETRY.reply_size))
    require(len(made.packet) == GEOMETRY.packet_size, "packets have one size")


def run_reply(data: bytes) -> None:
    """What an entry calls the payload of a reply to our block."""
    try:
        said = open_reply(_made()[1], data)
    except PeerError:
        require(data != _arrived(), "a good reply is read")
        return
    require(data == _arrived(), "what was changed on its way is not read")
    require(len(said) == GEOMETRY.reply_size, "replies have one size")


def run_parts(data: bytes) -> None:
    """Parts of requests, one behind the other, to one mailbox."""
    assembly = requests.Assembly(most=4)
    for at in range(0, len(data) - GEOMETRY.user_size + 1, GEOMETRY.user_size):
        try:
            found = assembly.take(_BOX, data[at : at + GEOMETRY.user_size], float(at))
        except PeerError:
            continue
        if found is not None:
            encoded = requests.REQUESTS.encode(found)
            require(requests.REQUESTS.decode(encoded) == found, "a request has one encoding")


def run_answer(data: bytes) -> None:
    """What a mailbox's relay calls an answer."""
    try:
        answer = requests.decode_answer(data)
    except PeerError:
        return
    require(requests.encode_answer(answer) == data, "an answer has one encoding")


def _requests() -> list[requests.Request]:
    dice, tick = world.dice(8).randbytes, client.ShownTick(3, 4, bytes(32))
    block = _made()[0].encode()
    create = requests.Create(dice(256), dice(PROOF_SIZE), dice(PASS_SIZE), dice(32), tick, block)
    return [
        requests.Fetch(0, True, (), (block,), dice(64)),
        requests.Fetch(7, False, (tick,), (block,) * requests.MOST_BLOCKS, dice(64)),
        create,
    ]


def _part_seeds() -> list[bytes]:
    dice = world.dice(9).randbytes
    return [b"".join(requests.parts_of(request, dice)) for request in _requests()]


def _answer_seeds() -> list[bytes]:
    terms = client.MailboxTerms(4096, 604_800, 1_700_000_000, 1, 256, bytes(32), 16_128)
    body = bytes(GEOMETRY.user_size)
    messages = [requests.Message(9, body, more) for more in (True, False)]
    answers: list[requests.Answer] = [terms, client.Refused("unknown_mailbox"), *messages]
    return [requests.encode_answer(answer) for answer in answers]


TARGETS = (
    Target("reply_blocks", 4, 600, lambda: [_made()[0].encode()], run_block),
    Target("replies", 2, 2100, lambda: [_arrived()], run_reply),
    Target("request_parts", 10, 3 * GEOMETRY.user_size, _part_seeds, run_parts),
    Target("request_answers", 10, 2100, _answer_seeds, run_answer),
)
