"""JSON-RPC over HTTP: one node, reads repeated when it does not answer, errors in our own words.

Bytes inside, hexadecimal only on the wire. The endpoint's path and password never reach an error text:
providers put keys there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import requests
import tenacity
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from mixpay.chain.abi import explain_revert
from mixpay.chain.errors import Reverted, RpcError
from mixpay.chain.records import (
    Block,
    Call,
    Log,
    Receipt,
    call_fields,
    from_hex,
    parse_block,
    parse_log,
    parse_receipt,
    to_hex,
    to_int,
)
from mixpay.deployment import Deployment
from mixpay.errors import ChainUnavailable, UserError
from mixpay.types import Account
from mixpay.urls import rpc_origin

T = TypeVar("T")
_BUSY = {-32005, 429}  # rate limits, as providers say them


class Rpc:
    """One node. Thread safe. Every method raises ChainUnavailable when the node does not answer after
    `attempts`, and RpcError when it answers with an error."""

    def __init__(self, url: str, *, timeout: float = 10.0, attempts: int = 4) -> None:
        self.shown = rpc_origin(url)
        self._provider = HTTPProvider(url, {"timeout": timeout}, exception_retry_configuration=None)
        self._over = threading.Event()
        self._repeat = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ChainUnavailable),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(attempts), tenacity.stop_when_event_set(self._over)
            ),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2.0) + tenacity.wait_random(0.0, 0.1),
            sleep=tenacity.sleep_using_event(self._over),
            reraise=True,
        )

    def stop(self) -> None:
        """Repeat nothing any more: the program ends, and must not wait for a node that is away."""
        self._over.set()

    def request(self, method: str, *params: object) -> Any:
        """One JSON-RPC request, repeated while the node does not answer. Only for what may be repeated."""
        return self._repeat(self.request_once, method, *params)

    def request_once(self, method: str, *params: object) -> Any:
        """One JSON-RPC request, sent once."""
        try:
            response = self._provider.make_request(RPCEndpoint(method), list(params))
        except (requests.RequestException, Web3Exception, ValueError) as error:
            detail = _reason(error)
            raise ChainUnavailable(f"no answer from the RPC endpoint {self.shown}: {detail}") from error
        if not isinstance(response, dict):
            raise ChainUnavailable(f"{self.shown} answers, but not as a JSON-RPC endpoint does")
        failure = response.get("error")
        if failure is not None:
            raise self._failure(method, failure)
        if "result" not in response:
            raise ChainUnavailable(f"{self.shown} answers, but not as a JSON-RPC endpoint does")
        return response["result"]

    def _failure(self, method: str, failure: Any) -> Exception:
        if not isinstance(failure, dict):
            return RpcError(method, 0, str(failure))
        code, message = failure.get("code", 0), str(failure.get("message", "no message"))
        if code in _BUSY:
            return ChainUnavailable(f"the RPC endpoint {self.shown} is busy: {message}")
        return RpcError(method, code, message, failure.get("data"))

    # reading

    def chain_id(self) -> int:
        """The chain the node is on."""
        return self._ask(to_int, "eth_chainId")

    def latest(self) -> Block:
        """The newest block."""
        return self._ask(parse_block, "eth_getBlockByNumber", "latest", False)

    def block(self, number: int) -> Block | None:
        """A block by its number, None if the node has none."""
        return self._ask(_or_none(parse_block), "eth_getBlockByNumber", hex(number), False)

    def code(self, address: Account) -> bytes:
        """The code of a contract, empty where there is none."""
        return self._ask(from_hex, "eth_getCode", to_hex(address), "latest")

    def balance(self, address: Account, block: str = "latest") -> int:
        """Native balance in wei."""
        return self._ask(to_int, "eth_getBalance", to_hex(address), block)

    def nonce(self, address: Account, block: str = "pending") -> int:
        """Number of transactions sent from the account."""
        return self._ask(to_int, "eth_getTransactionCount", to_hex(address), block)

    def call(self, call: Call, sender: Account | None = None, block: int | None = None) -> bytes:
        """What the call returns, on the state after `block` (None: the newest). Raises Reverted."""
        at = "latest" if block is None else hex(block)
        return self._try(call, from_hex, "eth_call", call_fields(call, sender), at)

    def estimate_gas(self, call: Call, sender: Account) -> int:
        """Gas that the call needs. Raises Reverted."""
        return self._try(call, to_int, "eth_estimateGas", call_fields(call, sender))

    def priority_fee(self) -> int:
        """Tip in wei per gas that gets a transaction mined soon; 1 gwei where the node has no opinion."""
        try:
            return self._ask(to_int, "eth_maxPriorityFeePerGas")
        except RpcError:
            return 10**9

    def gas_price(self) -> int:
        """Price in wei per gas, for chains without a base fee."""
        return self._ask(to_int, "eth_gasPrice")

    def receipt(self, transaction: bytes) -> Receipt | None:
        """Of a mined transaction, else None."""
        return self._ask(_or_none(parse_receipt), "eth_getTransactionReceipt", to_hex(transaction))

    def logs(
        self, first: int, last: int, addresses: Sequence[Account], topics: Sequence[bytes | None] = ()
    ) -> list[Log]:
        """All events of these contracts in blocks first to last, in order.

        `topics`: only those that have these ones, 32 bytes, at their places; None: whatever stands there.
        """
        query: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
        query["address"] = [to_hex(address) for address in addresses]
        if topics:
            query["topics"] = [None if topic is None else to_hex(topic) for topic in topics]
        found = self._ask(_parse_logs, "eth_getLogs", query)
        return sorted(found, key=lambda log: (log.block, log.index))

    def nonsense(self, method: str) -> ChainUnavailable:
        """The error for an answer that no node in its right mind gives."""
        return ChainUnavailable(f"{self.shown} answers nonsense to {method}; it may be catching up")

    def _ask(self, parse: Callable[[Any], T], method: str, *params: object) -> T:
        answer = self.request(method, *params)
        try:
            return parse(answer)
        except (TypeError, ValueError, LookupError, AttributeError):
            raise self.nonsense(method) from None

    def _try(self, call: Call, parse: Callable[[Any], T], method: str, *params: object) -> T:
        try:
            return self._ask(parse, method, *params)
        except RpcError as error:
            data = _revert_data(error)
            if data is None:
                raise
            name, text = explain_revert(data)
            raise Reverted(call.what, name, text if data else error.message) from None


def _parse_logs(items: Any) -> list[Log]:
    if not isinstance(items, list):
        raise TypeError
    return [parse_log(item) for item in items]


def _or_none(parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """What may be absent."""
    return lambda found: None if found is None else parse(found)


def connect(
    url: str, deployment: Deployment | None = None, *, timeout: float = 10.0, attempts: int = 4
) -> Rpc:
    """A node that answers and is on the deployment's chain, with the deployment's contracts on it.

    Raises UserError for a malformed address or another chain, ChainUnavailable when nothing answers.
    """
    rpc = Rpc(url, timeout=timeout, attempts=attempts)
    if deployment is None:
        rpc.chain_id()
    else:
        check_chain(rpc, deployment)
    return rpc


def check_chain(rpc: Rpc, deployment: Deployment) -> None:
    """Raises UserError if the node is on another chain than the deployment."""
    chain_id = rpc.chain_id()
    if chain_id != deployment.chain_id:
        raise UserError(
            f"{rpc.shown} is on chain {chain_id}, the deployment file is for chain {deployment.chain_id}: "
            "use the RPC endpoint or the deployment file of the other chain"
        )
    if not rpc.code(deployment.network):
        raise UserError(
            f"{rpc.shown} is on chain {chain_id}, but there is no contract at 0x{deployment.network.hex()}: "
            "the deployment file is of another chain with the same id, or that chain was reset"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long; try again, or use another endpoint"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}; check address and access key"
    if isinstance(error, requests.ConnectionError):
        return "cannot connect; is the node running, and is the address right?"
    return "its answer is not JSON-RPC; is this the address of a node?"


def _revert_data(error: RpcError) -> bytes | None:
    """What the contract gave as reason, empty if nothing; None if the error is not a revert."""
    data = error.data
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data", data.get("result"))
    if isinstance(data, str) and data.removeprefix("Reverted ").startswith("0x"):
        return from_hex(data.removeprefix("Reverted "))
    return b"" if error.code == 3 or "revert" in error.message.lower() else None
