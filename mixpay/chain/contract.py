"""What all typed contracts share: encoding a call, asking the node, decoding its answer."""

from __future__ import annotations

from typing import Any, ClassVar

from eth_abi.exceptions import DecodingError

from mixpay.chain import abi
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.types import Account


class Contract:
    """A contract of ours at an address, read as it stands after `block` (None: the newest at each read).
    Reading raises ChainUnavailable, RpcError or Reverted."""

    NAME: ClassVar[str]

    def __init__(self, rpc: Rpc, address: Account, block: int | None = None) -> None:
        self.address = address
        self._rpc = rpc
        self._block = block
        self._artifact = abi.artifact(self.NAME)

    def _write(self, function: str, *arguments: Any) -> Call:
        entry = self._artifact.functions[function]
        data = entry.selector + abi.encode(entry.inputs, arguments)
        return Call(f"{self.NAME}.{function}", self.address, data)

    def _read(self, function: str, *arguments: Any) -> Any:
        """The one value that the function returns, or a tuple of them."""
        answer = self._rpc.call(self._write(function, *arguments), block=self._block)
        try:
            values = abi.decode(self._artifact.functions[function].outputs, answer)
        except DecodingError:  # as a node answers that has no contract there yet
            raise self._rpc.nonsense(f"{self.NAME}.{function}") from None
        return values[0] if len(values) == 1 else values
