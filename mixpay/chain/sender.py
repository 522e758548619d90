"""Sending transactions from one account: dry run, gas, nonce, waiting, replacement of a stuck one.

One `Sender` for each account in a process; it may be used from several threads. A transaction is signed once
for each fee, and the signed bytes are sent again until one is mined, so a lost answer sends nothing twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace

from eth_account import Account as Signer

from mixpay.chain.errors import NoEther, NotMined, Reverted, RpcError
from mixpay.chain.records import Call, Receipt, to_hex
from mixpay.chain.rpc import Rpc
from mixpay.errors import ChainError, ChainUnavailable, TransactionFailed
from mixpay.types import Account

_GAS_MARGINS = (1.2, 2.0, 4.0)
"""The state may change between estimate and block: a first write to a slot costs more than a second. What
ran out of gas had no effect, so it is sent again with the next margin."""

_TRANSFER_GAS = 30_000
"""Of a transfer between accounts, with the first of the margins: 21,000 * 1.2, and some room."""

_BUMP = 1.25
"""Of both fees in a replacement; nodes ask for 1.10 or 1.125."""

_BUMPS = 24
"""So often fees are raised to take the place of a transaction whose fees are not known: to 200 times."""

_EMPTY_GAS = 21_000

_MOST_PRICE = 10_000 * 10**9
_MOST_TIP = 500 * 10**9
"""Wei per gas, offered at first. Whoever makes blocks gets it, so a node must not name just any figure."""

_RESEND_SECONDS = 15.0
"""A node may have lost what it took: signed bytes are sent again this often."""

_REFUSALS = 4
"""So many answers "nonce used" in a row, with no receipt of ours, mean that somebody else used it."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas. `priority` is None on a chain without a base fee, where `most` is the gas price."""

    most: int
    priority: int | None

    def bumped(self, market: Fees) -> Fees:
        """Fees of a replacement: enough for the node to prefer it, and not below the market."""
        tip = None
        if self.priority is not None:
            tip = max(_raised(self.priority), market.priority or 0)
        return Fees(max(_raised(self.most), market.most, tip or 0), tip)


def _raised(fee: int) -> int:
    return int(fee * _BUMP) + 1


@dataclass(frozen=True, slots=True)
class _Draft:
    """A transaction before it is signed."""

    call: Call
    nonce: int
    gas: int
    fees: Fees


@dataclass(slots=True)
class _Pending:
    """A transaction on its way: its newest signed bytes, and the hashes of all versions sent."""

    draft: _Draft
    raw: bytes
    hashes: list[bytes]
    began: float
    pushed: float
    changed: float
    refusals: int = field(default=0)


class Sender:
    """Sends from the account of `private_key` (32 bytes).

    `limit`: seconds until `send` gives up waiting. `stuck_after`: seconds after which a transaction is
    replaced by one with higher fees. `confirmations`: blocks, the transaction's own included, before it
    counts.
    """

    def __init__(
        self,
        rpc: Rpc,
        private_key: bytes,
        *,
        limit: float = 300.0,
        stuck_after: float = 60.0,
        confirmations: int = 1,
    ) -> None:
        self._rpc = rpc
        self._signer = Signer.from_key(private_key)
        self.account = Account(bytes.fromhex(self._signer.address[2:]))
        self._limit = limit
        self._stuck_after = stuck_after
        self._confirmations = confirmations
        self._lock = threading.Lock()
        self._in_flight: set[int] = set()
        self._chain_id: int | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wait no longer for what was sent, and send no more: the program ends.

        `send` raises NotMined in the threads that wait, and ChainUnavailable afterwards. What was sent may
        still be mined.
        """
        self._stopped.set()
        self._rpc.stop()

    def send(self, call: Call) -> Receipt:
        """Sends a call and waits until it is mined.

        Raises Reverted if a contract refuses it (found out without cost where possible), NoEther if the
        account cannot pay for gas, NotMined if it is in no block within the limit, ChainUnavailable if the
        node does not answer before anything was sent, or after `stop`.
        """
        if self._stopped.is_set():
            raise ChainUnavailable(f"{call.what}: not sent, for this program ends")
        for margin in _GAS_MARGINS:
            gas = int(self._dry_run(call) * margin)
            receipt = self._send_once(call, gas)
            if receipt.succeeded:
                return receipt
            if receipt.gas_used < gas * 63 // 64:  # a call within keeps one 64th back (EIP-150)
                break
        raise self._explained(call, receipt)

    def _send_once(self, call: Call, gas: int) -> Receipt:
        """One transaction, whatever becomes of it."""
        fees = self._market()
        self._check_ether(call, gas, fees)
        pending = self._submit(call, gas, fees)
        try:
            return self._wait(pending)
        finally:
            with self._lock:
                self._in_flight.discard(pending.draft.nonce)

    def clear(self) -> Receipt | None:
        """Takes the place of the first transaction that an earlier run left in no block, by an empty one that
        the node prefers: nobody else looks after it. What it was meant for has to be decided anew.

        None if there is none, or if transactions of this run are under way. Raises what `send` raises.
        """
        with self._lock:
            nonce = self._rpc.nonce(self.account, "latest")
            if self._stopped.is_set() or self._in_flight or self._rpc.nonce(self.account) <= nonce:
                return None
            pending = self._take_over(nonce)
            if pending is None:
                return None
            self._in_flight.add(nonce)
        try:
            return self._wait(pending)
        finally:
            with self._lock:
                self._in_flight.discard(nonce)

    def _take_over(self, nonce: int) -> _Pending | None:
        """Sends an empty transaction with this nonce, dearer and dearer; None if the other was mined."""
        call = Call("taking a stuck transaction's place", self.account, b"")
        draft = _Draft(call, nonce, _EMPTY_GAS, self._market())
        for _ in range(_BUMPS):
            raw, transaction = self._sign(draft)
            try:
                if not self._push(raw):
                    return None
            except RpcError as error:
                if "underpriced" not in error.message.lower():
                    raise
                draft = replace(draft, fees=draft.fees.bumped(draft.fees))
                if draft.fees.most > _MOST_PRICE or (draft.fees.priority or 0) > _MOST_TIP:
                    break  # whatever the node says
                continue
            now = time.monotonic()
            return _Pending(draft, raw, [transaction], began=now, pushed=now, changed=now)
        raise NotMined(f"{call.what}: the node wants more than {draft.fees.most} wei per gas")

    def transfer_ether(self, to: Account, wei: int) -> Receipt:
        """Sends native currency."""
        return self.send(Call("transfer of ether", to, b"", wei))

    def transfer_rest(self, to: Account) -> int:
        """Sends all native currency but what the transaction may cost; how much that was, in wei.

        Nothing if no more is there.
        """
        wei = self._rpc.balance(self.account) - 2 * _TRANSFER_GAS * self._market().most
        if wei <= 0:
            return 0
        self.transfer_ether(to, wei)
        return wei

    def _dry_run(self, call: Call) -> int:
        """Gas that it needs now. Raises Reverted."""
        try:
            if (
                call.to is not None
            ):  # ganache's eth_call, but not its estimate, creates at the next nonce's address
                self._rpc.call(call, self.account)
            return self._rpc.estimate_gas(call, self.account)
        except RpcError as error:
            self._blame_ether(error)
            raise

    def _market(self) -> Fees:
        base = self._rpc.latest().base_fee
        if base is None:
            return Fees(min(self._rpc.gas_price(), _MOST_PRICE), None)
        tip = min(self._rpc.priority_fee(), _MOST_TIP)
        return Fees(2 * base + tip, tip)

    def _check_ether(self, call: Call, gas: int, fees: Fees) -> None:
        needed, has = gas * fees.most + call.value, self._rpc.balance(self.account)
        if has < needed:
            amount = "no ether" if has == 0 else f"only {has / 10**18:.6f} ether"
            raise NoEther(
                f"account {self._signer.address} has {amount}: send it some "
                f"({call.what} may take {needed / 10**18:.6f})"
            )

    def _blame_ether(self, error: RpcError) -> None:
        if "insufficient funds" in error.message.lower():
            raise NoEther(f"account {self._signer.address} has too little ether: send it some") from error

    def _submit(self, call: Call, gas: int, fees: Fees) -> _Pending:
        """Takes the next nonce, signs and sends."""
        with self._lock:
            for _ in range(_REFUSALS):
                nonce = max([self._rpc.nonce(self.account), *(n + 1 for n in self._in_flight)])
                draft = _Draft(call, nonce, gas, fees)
                raw, transaction = self._sign(draft)
                if self._push(raw):
                    self._in_flight.add(nonce)
                    now = time.monotonic()
                    return _Pending(draft, raw, [transaction], began=now, pushed=now, changed=now)
        raise self._nonce_taken(draft)

    def _nonce_taken(self, draft: _Draft) -> TransactionFailed:
        return TransactionFailed(
            f"{draft.call.what}: nonce {draft.nonce} of {self._signer.address} was used by another "
            "transaction; is another program sending from this account?"
        )

    def _sign(self, draft: _Draft) -> tuple[bytes, bytes]:
        """Signed bytes and transaction hash."""
        if self._chain_id is None:
            self._chain_id = self._rpc.chain_id()
        fields: dict[str, object] = {
            "chainId": self._chain_id,
            "nonce": draft.nonce,
            "gas": draft.gas,
            "data": to_hex(draft.call.data),
            "value": draft.call.value,
        }
        if draft.call.to is not None:
            fields["to"] = draft.call.to
        if draft.fees.priority is None:
            fields["gasPrice"] = draft.fees.most
        else:
            fields |= {"maxFeePerGas": draft.fees.most, "maxPriorityFeePerGas": draft.fees.priority}
        signed = self._signer.sign_transaction(fields)
        return bytes(signed.raw_transaction), bytes(signed.hash)

    def _push(self, raw: bytes) -> bool:
        """Sends signed bytes; False if the nonce is used. No answer, or "already known", counts as sent."""
        try:
            self._rpc.request_once("eth_sendRawTransaction", to_hex(raw))
        except ChainUnavailable:
            return True
        except RpcError as error:
            text = error.message.lower()
            if "nonce too low" in text or "correct nonce" in text:
                return False
            if "already known" in text or "already imported" in text or "known transaction" in text:
                return True
            self._blame_ether(error)
            raise
        return True

    def _wait(self, pending: _Pending) -> Receipt:
        """Until one of the versions is mined."""
        pause = 0.02
        while not self._stopped.is_set() and time.monotonic() - pending.began < self._limit:
            try:
                receipt = self._mined(pending.hashes)
                if receipt is not None:
                    return receipt
                self._urge(pending)
            except ChainUnavailable:
                pass  # the node may come back before the limit
            self._stopped.wait(pause)
            pause = min(pause * 1.5, 2.0)
        what, newest = pending.draft.call.what, pending.hashes[-1].hex()
        until = "when this program ended" if self._stopped.is_set() else f"after {self._limit:.0f} s"
        raise NotMined(f"{what}: sent as 0x{newest}, but in no block {until}")

    def _mined(self, hashes: list[bytes]) -> Receipt | None:
        for transaction in hashes:
            receipt = self._rpc.receipt(transaction)
            if receipt is not None and self._confirmed(receipt):
                return receipt
        return None

    def _confirmed(self, receipt: Receipt) -> bool:
        if self._confirmations <= 1:
            return True
        return self._rpc.latest().number >= receipt.block + self._confirmations - 1

    def _urge(self, pending: _Pending) -> None:
        """Replaces what is stuck, and sends again what a node may have lost."""
        now = time.monotonic()
        if now - pending.changed >= self._stuck_after:
            pending.changed = now
            self._replace(pending)
        elif now - pending.pushed >= _RESEND_SECONDS:
            pending.pushed = now
            with contextlib.suppress(NoEther, RpcError):  # it was accepted before; only its receipt decides
                pending.refusals = 0 if self._push(pending.raw) else pending.refusals + 1
            if pending.refusals >= _REFUSALS:
                raise self._nonce_taken(pending.draft)

    def _replace(self, pending: _Pending) -> None:
        """Signs and sends the same with higher fees. If the account cannot pay them, the old one stays."""
        draft = replace(pending.draft, fees=pending.draft.fees.bumped(self._market()))
        raw, transaction = self._sign(draft)
        try:
            self._push(raw)
        except (NoEther, RpcError):
            return
        pending.draft, pending.raw = draft, raw
        pending.hashes.append(transaction)

    def _explained(self, call: Call, receipt: Receipt) -> TransactionFailed:
        """The contract's reason, found by calling again on the state before the block."""
        try:
            self._rpc.call(call, self.account, receipt.block - 1)
        except Reverted as error:
            return error
        except ChainError:
            pass  # the node keeps no old state
        return TransactionFailed(
            f"{call.what} failed in block {receipt.block} (0x{receipt.transaction.hex()}): "
            "out of gas, or another transaction in the block changed what it needed"
        )
