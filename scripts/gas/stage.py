"""A chain with all contracts, people with random keys, and the gas of what they send.

Figures are receipts' `gasUsed`: whole transactions, calldata included. Addresses are random and without zero
bytes, amounts have 18 decimals, and balances that a call changes are non-zero before it unless a name says
otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mixpay import eip712
from mixpay.chain import abi
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.records import Call, Log, parse_receipt, to_hex
from mixpay.chain.sender import Sender
from mixpay.deployment import Deployment
from mixpay.parameters import PRODUCTION
from mixpay.types import Account

TOKEN = 10**18
RULES = "prague"
_SEED = 0x6D6978706179  # the same people in every run: a zero byte in an address would change a figure
_ALLOWANCE = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Person:
    """A private key and its account."""

    key: bytes = field(repr=False)
    account: Account


class Stage:
    """What scenarios act on. `person` makes somebody; `do` sends a call and returns its gas."""

    def __init__(self, chain: DevChain) -> None:
        self.chain, self.rpc = chain, chain.rpc
        self.random = random.Random(_SEED)  # noqa: S311 nothing here is secret
        self.relays: list[tuple[Person, bytes]] = []
        """Operator and link key of every relay registered, by position."""
        self.logs: tuple[Log, ...] = ()
        """Events of the newest transaction."""
        self.rpc.request("anvil_autoImpersonateAccount", True)
        self.treasurer = self.person()
        self.deployment: Deployment = deploy(self.rpc, Sender(self.rpc, self.treasurer.key), PRODUCTION)
        d = self.deployment
        self.at = {
            "Token": d.token,
            "Network": d.network,
            "Channels": d.channels,
            "RelayRegistry": d.registry,
            "ReceiptCourt": d.court,
            "SubsidyPool": d.pool,
        }
        self.domain = eip712.channels_domain(d.chain_id, d.channels)

    def bytes(self, size: int) -> bytes:
        """Random bytes without a zero among them."""
        return bytes(self.random.randrange(1, 256) for _ in range(size))

    def person(self) -> Person:
        """Somebody with native money and an account without zero bytes."""
        while True:
            key = self.bytes(32)
            account = Account(eip712.account_of(key))
            if 0 not in account:
                self.chain.fund(account, 10**24)
                return Person(key, account)

    def do(self, who: Person, contract: str, function: str, *arguments: Any) -> int:
        """Gas of the call as a transaction. Raises Reverted, with the reason."""
        entry = abi.artifact(contract).functions[function]
        call = Call(function, self.at[contract], entry.selector + abi.encode(entry.inputs, arguments))
        fields = {"from": to_hex(who.account), "to": to_hex(self.at[contract]), "data": to_hex(call.data)}
        fields["gas"] = hex(15_000_000)
        sent = self.rpc.request_once("eth_sendTransaction", fields)
        receipt = parse_receipt(self._mined(sent))
        if not receipt.succeeded:
            self.rpc.call(call, sender=who.account)  # raises with the reason
            raise AssertionError(f"{contract}.{function} was reverted")
        self.logs = receipt.logs
        return receipt.gas_used

    def _mined(self, transaction: str) -> Any:
        """The node's receipt, which may be a moment behind its block."""
        while (found := self.rpc.request("eth_getTransactionReceipt", transaction)) is None:
            pass
        return found

    def read(self, contract: str, function: str, *arguments: Any) -> Any:
        """What a view returns: one value, or a tuple."""
        entry = abi.artifact(contract).functions[function]
        call = Call(function, self.at[contract], entry.selector + abi.encode(entry.inputs, arguments))
        values = abi.decode(entry.outputs, self.rpc.call(call))
        return values[0] if len(values) == 1 else values

    def give(self, who: Person, tokens: int, *spenders: str) -> None:
        """Gives tokens, approved to the spenders."""
        self.do(self.treasurer, "Token", "transfer", who.account, tokens * TOKEN)
        for spender in spenders:
            self.do(who, "Token", "approve", self.at[spender], _ALLOWANCE)

    def rich(self, tokens: int = 1_000) -> Person:
        """Somebody with tokens in hand and in the ledger."""
        who = self.person()
        self.give(who, 2 * tokens, "Channels")
        self.do(who, "Channels", "deposit", tokens * TOKEN)
        return who


@contextmanager
def stage() -> Iterator[Stage]:
    """A chain of its own with everything deployed, gone afterwards."""
    with DevChain(rules=RULES) as chain:
        yield Stage(chain)
