"""A dry run: the whole deployment on a copy of the chain as it stands now, and its cost on the real one.

The copy is anvil's, in a process of its own; the real chain is only read. The deployer's transactions are
made there without its key, with the numbers they would have, so addresses and gas are those of the real run,
and whatever would go wrong there goes wrong here first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from mixpay.chain.deploy import carry_out
from mixpay.chain.devchain import DevChain
from mixpay.chain.plan import Plan
from mixpay.chain.records import Call, Receipt, call_fields, from_hex, to_hex
from mixpay.chain.rpc import Rpc
from mixpay.errors import ChainUnavailable, TransactionFailed
from mixpay.types import Account

_RICH = 10**24
"""Wei that the deployer has on the copy: a dry run also tells those who lack ether what they need."""
_MINED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A transaction of the dry run. `contract`: what it creates, or calls."""

    nonce: int
    what: str
    contract: Account
    gas: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The transactions that are still to be sent, in order, and what they cost on the real chain now."""

    transactions: tuple[Rehearsed, ...]
    block: int
    """Of the real chain, of which the copy was made."""
    gas_price: int
    """Wei per gas, there and now: base fee and tip."""
    balance: int
    """The deployer's there, in wei."""

    @property
    def gas(self) -> int:
        """In all."""
        return sum(transaction.gas for transaction in self.transactions)

    @property
    def cost(self) -> int:
        """Wei, at the present price."""
        return self.gas * self.gas_price


def rehearse(url: str, rpc: Rpc, plan: Plan) -> Rehearsal:
    """Carries out what is not done yet of a plan on a copy of the chain that `url` and `rpc` are of, and
    verifies it there. Raises what `carry_out` raises; UserError without anvil."""
    latest, balance = rpc.latest(), rpc.balance(plan.deployer)
    price = rpc.gas_price() if latest.base_fee is None else latest.base_fee + rpc.priority_fee()
    with DevChain(fork=url) as copy:
        copy.fund(plan.deployer, _RICH)
        understudy = _Understudy(copy.rpc, plan.deployer)
        carry_out(copy.rpc, understudy, plan)
    return Rehearsal(tuple(understudy.sent), latest.number, price, balance)


class _Understudy:
    """Sends in the name of an account whose key is not here, as anvil lets one."""

    def __init__(self, rpc: Rpc, account: Account) -> None:
        self.account = account
        self.sent: list[Rehearsed] = []
        self._rpc = rpc
        rpc.request("anvil_impersonateAccount", to_hex(account))

    def send(self, call: Call) -> Receipt:
        """Sends a call; the copy mines it at once."""
        nonce = self._rpc.nonce(self.account)
        gas = self._rpc.estimate_gas(call, self.account)
        fields = call_fields(call, self.account) | {"gas": hex(gas * 2)}
        receipt = self._mined(from_hex(self._rpc.request_once("eth_sendTransaction", fields)))
        contract = call.to or receipt.contract
        if contract is None or not receipt.succeeded:
            raise TransactionFailed(f"{call.what} failed on the copy of the chain")
        self.sent.append(Rehearsed(nonce, call.what, contract, receipt.gas_used))
        return receipt

    def _mined(self, transaction: bytes) -> Receipt:
        deadline = time.monotonic() + _MINED_SECONDS
        while time.monotonic() < deadline:
            receipt = self._rpc.receipt(transaction)
            if receipt is not None:
                return receipt
            time.sleep(0.02)
        raise ChainUnavailable("the copy of the chain mines nothing")
