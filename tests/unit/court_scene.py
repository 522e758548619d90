"""A payer and a payee in court, with real tickets: for tests on a real chain."""

from __future__ import annotations

from dataclasses import dataclass

from chain_world import User, World
from mixpay import eip712
from mixpay.chain.views import Case, CaseBatch
from mixpay.court import Evidence, Receipt
from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256
from mixpay.merkle import NO_RESPONSE, SumTree
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount, Value

PRICE = DEMO.hop_price


def receipts_of(count: int, lacking: frozenset[int] = frozenset()) -> list[Receipt]:
    """Receipts of 4 each; the lacking ones have no response."""
    found = []
    for place in range(count):
        response = secp256k1.scalar_from(keccak256(b"response %d" % place) + bytes(16))
        lock = secp256k1.base_address(response)
        found.append(Receipt(lock, Value(4), None if place in lacking else response))
    return found


@dataclass
class Suit:
    """What a payee brings to court."""

    batch: CaseBatch
    signature: bytes
    tree: SumTree
    evidence: Evidence


class Scene:
    """Two accounts, the payee with a ledger balance; the channel is empty unless funded."""

    def __init__(self, world: World, payer: User | None = None) -> None:
        self.world = world
        self.payer, self.payee = payer or world.user(tokens=2), world.user(tokens=1)
        self.payee.send(world.contracts.channels.deposit(Amount(TOKEN)))
        self.court = world.contracts.court

    def fund(self, amount: int) -> None:
        """Open or top up the channel."""
        channels = self.world.contracts.channels
        self.payer.send(channels.deposit(Amount(amount)))
        self.payer.send(channels.fund(self.payee.account, Amount(amount)))

    def sign(self, message: eip712.Message) -> bytes:
        """The payer's signature for Channels."""
        deployment = self.world.deployment
        domain = eip712.channels_domain(deployment.chain_id, deployment.channels)
        return eip712.sign(self.payer.key, message.digest(domain))

    def suit(self, count: int, *, number: int = 1, lacking: frozenset[int] = frozenset()) -> Suit:
        """A batch that the payer has signed, with the receipts that are there."""
        receipts = receipts_of(count, lacking)
        tree = SumTree(
            [(r.response, int(r.value)) if r.response is not None else (NO_RESPONSE, 0) for r in receipts]
        )
        evidence = Evidence(receipts, tree)
        batch = CaseBatch(number, count, Value(4 * count), PRICE, evidence.locks_root)
        message = eip712.Batch(self.payer.account, self.payee.account, *batch.fields())
        return Suit(batch, self.sign(message), tree, evidence)

    def open(
        self,
        suit: Suit,
        base: Amount = Amount(0),  # noqa: B008
        upto_batch: int = 0,
        signature: bytes = b"",
    ) -> Case:
        """Open a case; what the event says of it."""
        call = self.court.open(
            self.payer.account, (base, upto_batch, signature), suit.batch, suit.signature, suit.tree.root,
            Value(suit.tree.total),
        )  # fmt: skip
        receipt = self.payee.send(call)
        block = self.world.rpc.block(receipt.block)
        assert block is not None
        return Case(
            self.payer.account, self.payee.account, base, Value(suit.tree.total), suit.batch,
            suit.tree.root, block.timestamp, receipt.block,
        )  # fmt: skip

    def voucher(self, cumulative: Amount, upto_batch: int) -> tuple[Amount, int, bytes]:
        """A voucher of the payer's."""
        message = eip712.Voucher(self.payer.account, self.payee.account, cumulative, upto_batch)
        return cumulative, upto_batch, self.sign(message)
