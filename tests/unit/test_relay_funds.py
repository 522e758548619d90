"""I6 from the daemon's side: nothing that a peer or an RPC endpoint says moves money beyond what is owed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import eth_account
import pytest
import requests
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from chain_world import ETHER, World
from mixpay import eip712
from mixpay.book import Limits
from mixpay.chain import sender
from mixpay.chain.contracts import Contracts
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, RelayId
from mixpay.wire import frames
from relay.config import TreasuryRules
from relay.path.books import Side
from relay.store import StoredPoolVoucher
from relay.treasury import Debts, PayeeFacts, PayerFacts, TreasuryDesk
from relay_parts import EPOCH, PRICE, Node, Parts, account, frame, only

OWNER = Account(b"\x0d" * 20)

# ---------------------------------------------------------------------- a payee that lies


class Payee:
    """The far end of a link on which we pay: it acknowledges what it likes, and asks for anything."""

    def __init__(self, parts: Parts, payer: Node, me: RelayId, seed: int) -> None:
        self.parts, self.payer, self.me = parts, payer, me
        self.dice = Random(seed)  # noqa: S311 - tests repeat
        self.wire = payer.link(Side.PAYEE, me)
        self.acked = 0
        self.signed: list[frames.Voucher] = []

    async def carry(self, packets: int) -> None:
        """Packets come, and some of them are acknowledged."""
        for _ in range(packets):
            built = self.parts.packet()
            self.payer.router.submit(self.me, EPOCH, built.lock, built.hint, built.packet).add_done_callback(
                lambda done: done.exception()  # whatever becomes of it
            )
        await self.payer.written()
        sent = only(self.wire.take(), frames.Packet)
        acks = []
        for packet in sent[: self.dice.randrange(len(sent) + 1)]:
            ack = self.parts.opened(packet.packet, self.me, 1).ack
            acks.append(frames.Ack(1, self.acked, packet.seq, ack))
            self.acked += 1
        if acks:
            await self.say(frames.Acks(tuple(acks)))

    async def say(self, *said: frames.LinkFrame) -> None:
        """And note what is signed for it."""
        answers = await self.payer.hear(Side.PAYEE, self.me, *said)
        self.signed += only(answers, frames.Voucher)

    def demand(self) -> frames.LinkFrame:
        """Something that it could ask for."""
        dice, count = self.dice, self.acked
        number = dice.choice((0, 1, 1, 1, 2, 3, 2**32 - 1))
        many = dice.choice((0, 1, count, count, count + 1, 10 * count, 2**32 - 1))
        root = dice.choice((bytes(32), dice.randbytes(32)))
        total = min(dice.choice((0, 4 * many, 4 * count, 4 * count + 4, 2**63)), 2**64 - 1)
        opening = frames.Opening(dice.randrange(1 + count), dice.randbytes(32), 4, ())
        return dice.choice((
            frames.Cut(number, many),
            frames.Redeem(number, root, total),
            frames.Openings(number, (opening,) * 16),
            frames.RefuseTickets((frames.RefusedTicket(dice.randrange(9), "replayed"),)),
        ))  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_payeeThatAsksForAnything_getsNoSignatureBeyondItsAcks(tmp_path: Path, seed: int) -> None:
    """I6, I11: no voucher says more than the book, and the book no more than was acknowledged."""
    parts = Parts(tmp_path, limits=Limits(batch_interval=0.5))
    try:
        entry, mix1, *_ = parts.path()
        node = await parts.node(entry)
        payee = Payee(parts, node, mix1, seed)
        await payee.carry(8)
        for _ in range(60):
            await payee.say(payee.demand())
            await node.pass_time(0.3)
            payee.signed += only(payee.wire.take(), frames.Voucher)
        book = node.books.payer(mix1)
        due = payee.acked * 4 * PRICE
        assert book.state.cumulative <= due
        assert all(voucher.cumulative <= due for voucher in payee.signed)
        assert node.books.payer(mix1).totals(PRICE).deposit == 0
    finally:
        await parts.close()


async def test_payerAndStrangers_getNoSignatureAtAll(parts: Parts, mix: Node) -> None:
    """Who pays us can ask for nothing: all such frames have no place on its link."""
    entry = parts.path()[0]
    await parts.bring(mix, frame(parts.packet()))
    for said in (frames.Cut(1, 1), frames.Redeem(1, bytes(32), 4), frames.Openings(1, ())):
        with pytest.raises(Exception, match="unexpected_frame"):
            await parts.bring(mix, said)  # type: ignore[arg-type]
    assert only(mix.wires[Side.PAYER][entry].take(), frames.Voucher) == []
    assert all(not book.state.signature for book in mix.books.payers.values())


# ---------------------------------------------------------------------- an RPC endpoint that lies


class Liar:
    """A node in front of a real one that changes answers, and keeps what it is given to send."""

    def __init__(self, real: str) -> None:
        self.real = real
        self.answers: dict[str, str] = {}
        """What it says instead of the truth, by method."""
        self.sent: list[bytes] = []

    def answer(self, asked: dict) -> dict:
        method = asked["method"]
        if method == "eth_sendRawTransaction":
            self.sent.append(bytes.fromhex(asked["params"][0][2:]))
        found: dict = requests.post(self.real, json=asked, timeout=10).json()
        lie = self.answers.get(method)
        if lie is not None and len(found.get("result", "")) <= len(lie):
            found["result"] = lie
        return found

    @contextmanager
    def serving(self) -> Iterator[str]:
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(liar.answer(asked)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


HUGE = "0x" + (2**95).to_bytes(32, "big").hex()
"""Instead of one number of a contract: every balance is without bounds."""
LIES = [
    {},
    {"eth_call": HUGE},
    {"eth_call": "0x" + bytes(12 * 32).hex()},
    {"eth_estimateGas": hex(2**23)},
    {"eth_getTransactionCount": "0x5"},
    {"eth_maxPriorityFeePerGas": hex(10**14)},
    {"eth_getBalance": hex(10**30)},
]


@pytest.mark.parametrize("lies", LIES, ids=lambda lies: " ".join(lies) or "none")
async def test_rpcThatLies_movesNothingElsewhere(world: World, lies: dict[str, str]) -> None:
    """Whatever it says: only to our own contracts, and out of the ledger only to the configured owner."""
    operator, payer, payee = world.user(tokens=1), world.user(), world.user()
    channels = world.contracts.channels
    operator.send(channels.deposit(Amount(20_000 * PRICE)))
    liar = Liar(world.chain.url)
    voucher = eip712.Voucher(payer.account, operator.account, Amount(9_000 * PRICE), 1)
    domain = eip712.channels_domain(world.deployment.chain_id, world.deployment.channels)
    owed = PayerFacts(
        RelayId(2), payer.account, voucher.cumulative, 1, eip712.sign(payer.key, voucher.digest(domain))
    )
    owing = PayeeFacts(RelayId(3), payee.account, Amount(100 * PRICE), Amount(0))
    pool = StoredPoolVoucher(1, 1, Amount(10**30), b"\1" * 65)
    debts = Debts(PRICE, world.rpc.latest().timestamp, (owing,), (owed,), (pool,))
    with liar.serving() as url:
        rpc = Rpc(url, attempts=1)
        treasury = TreasuryDesk(
            rpc=rpc,
            contracts=Contracts(rpc, world.deployment),
            sender=Sender(rpc, operator.key, limit=0.5),
            owner=OWNER,
            rules=TreasuryRules(),
            schedule=world.schedule,
            claim_window=DEMO.claim_window,
            debts=lambda: debts,
        )
        liar.answers = lies
        await treasury.run_once(urgent=False)
    ours = {world.deployment.channels, world.deployment.pool, world.deployment.token}
    for raw in liar.sent:
        transaction = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        assert Account(bytes(transaction["to"])) in ours
        assert transaction["value"] == 0
        assert transaction["chainId"] == world.deployment.chain_id
        assert transaction["maxPriorityFeePerGas"] <= sender._MOST_TIP * 4
        assert eth_account.Account.recover_transaction(raw) == operator._signer.address
    assert liar.sent or lies, "the truth makes it cover its voucher"
    # Where all of it is now: in its ledger, in the channel to whom it owes, with its owner.
    ledger = channels.balance_of(operator.account)
    channel = channels.channel(operator.account, payee.account)
    owner = world.contracts.token.balance_of(OWNER)
    own = world.contracts.token.balance_of(operator.account)
    assert ledger + channel.deposit + owner + own >= 10**18
    assert channel.claimed == 0
    assert world.rpc.balance(operator.account) > ETHER * 7 // 10, "gas, at the dearest tip that is offered"


async def test_relayAccounts_areTheirOperators(parts: Parts, mix: Node) -> None:
    """Channels are with registered operators only: a peer cannot name another account to be paid to."""
    entry, _, mix2, *_ = parts.path()
    assert mix.books.payee(entry).payer == account(entry)
    assert mix.books.payer(mix2).payee == account(mix2)
